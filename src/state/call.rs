//! The call as one person sees it.

use reactive_stores::Store;

/// The call as one person sees it.
#[derive(Debug, Clone, Default, Store)]
pub struct CallState {
    /// Whether one is in the call oneself.
    pub entered: bool,
}
