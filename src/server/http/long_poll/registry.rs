//! The open polling connections.

use super::{inbound::ClientInput, responder::PollRequest};
use crate::server::identity::random_letters;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// The polling connections by their secret; cloning it is cheap.
#[derive(Clone, Default)]
pub struct PollRegistry {
    /// How requests reach each one.
    handles: Arc<Mutex<HashMap<String, PollHandle>>>,
}

/// How requests reach the task of a connection. A full mailbox makes the request wait.
#[derive(Clone)]
pub struct PollHandle {
    /// What the client sends.
    pub inputs: mpsc::Sender<ClientInput>,
    /// The requests that wait for frames.
    pub requests: mpsc::Sender<PollRequest>,
}

/// A registered connection; dropping it removes it.
pub struct Registration {
    polls: PollRegistry,
    /// Secret that names the connection in the client's requests.
    pub secret: String,
}

impl PollRegistry {
    /// Registers a connection under a new secret.
    pub fn register(&self, handle: PollHandle) -> Registration {
        let secret = random_letters();
        self.handles().insert(secret.clone(), handle);
        Registration {
            polls: self.clone(),
            secret,
        }
    }

    /// The connection of this secret.
    pub fn find(&self, secret: &str) -> Option<PollHandle> {
        self.handles().get(secret).cloned()
    }

    /// How many there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.handles().len()
    }

    /// The handles, locked for a few lines without `await`.
    fn handles(&self) -> MutexGuard<'_, HashMap<String, PollHandle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.polls.handles().remove(&self.secret);
    }
}
