//! Which polling connections there are.

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
    /// The list.
    handles: Arc<Mutex<HashMap<String, PollHandle>>>,
}

/// How requests reach the task of a connection. A full mailbox makes the request wait.
#[derive(Clone)]
pub struct PollHandle {
    /// What the client says.
    pub inputs: mpsc::Sender<ClientInput>,
    /// Where it asks what it is told.
    pub requests: mpsc::Sender<PollRequest>,
}

/// One listed connection; dropping it takes it off the list.
pub struct Registration {
    /// The list.
    polls: PollRegistry,
    /// Its secret.
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

    /// The list, for a few lines without waiting.
    fn handles(&self) -> MutexGuard<'_, HashMap<String, PollHandle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.polls.handles().remove(&self.secret);
    }
}
