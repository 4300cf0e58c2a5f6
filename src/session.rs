//! The handle components talk to: the state they draw and the things they may ask.
//!
//! Cheap to copy. On the server it only carries the state; in the browser it also
//! holds the driver, which owns the socket and the call.

use crate::state::call::CallState;
use reactive_stores::Store;

/// What a component may read and ask.
#[derive(Clone, Copy)]
pub struct Session {
    /// The call as this person sees it.
    pub call: Store<CallState>,
}
