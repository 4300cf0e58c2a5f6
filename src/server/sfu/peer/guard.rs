//! Contains errors and panics of one connection.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};
use str0m::RtcError;

thread_local! {
    /// Panics that [`guarded`] caught on this thread since [`take_panics`]. Each shard has a thread
    /// of its own.
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// The number of panics caught on this thread since the last call.
pub fn take_panics() -> u64 {
    PANICS.take()
}

/// Runs one step of a connection. Returns none where the step failed or panicked: the caller
/// closes that connection, and no other is affected.
pub fn guarded<T>(step: impl FnOnce() -> Result<T, RtcError>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::debug!(%error, "closing a media connection after an error");
            None
        }
        Err(_) => {
            PANICS.set(PANICS.get() + 1);
            tracing::error!("closing a media connection after a panic");
            None
        }
    }
}
