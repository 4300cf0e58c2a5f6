//! The open polling connections.

use super::{inbound::ClientInput, responder::PollRequest};
use crate::server::identity::random_letters;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// The polling connections, by their secret. Cheap to clone.
#[derive(Clone, Default)]
pub struct PollRegistry {
    /// The handle of each connection.
    handles: Arc<Mutex<HashMap<String, PollHandle>>>,
}

/// The handle to the task of a connection. A request waits while a mailbox is full.
#[derive(Clone)]
pub struct PollHandle {
    /// Mailbox of inbound frames.
    pub inputs: mpsc::Sender<ClientInput>,
    /// Mailbox of polls.
    pub requests: mpsc::Sender<PollRequest>,
}

/// A registered connection; dropping it removes it.
pub struct Registration {
    polls: PollRegistry,
    /// The secret by which requests name the connection.
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

    /// The handle of the connection with this secret.
    pub fn find(&self, secret: &str) -> Option<PollHandle> {
        self.handles().get(secret).cloned()
    }

    /// The number of connections.
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
