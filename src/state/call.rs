//! The call as one person sees it.

use crate::protocol::CallPerson;
use reactive_stores::Store;

/// The call as one person sees it.
#[derive(Debug, Clone, Default, PartialEq, Store)]
pub struct CallState {
    /// Who is in it.
    pub people: Vec<CallPerson>,
}
