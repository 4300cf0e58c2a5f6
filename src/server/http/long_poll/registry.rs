//! Which polling connections there are.

use super::{inbound::ClientInput, responder::PollRequest};
use crate::server::{
    identity::random_letters,
    net::{ClientAddress, Permit, PermitError, PermitLimits, Permits},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// The polling connections by their secret; cloning it is cheap.
#[derive(Clone)]
pub struct PollRegistry {
    /// The list.
    handles: Arc<Mutex<HashMap<String, PollHandle>>>,
    /// How many there are, by address.
    permits: Permits,
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
    /// Counts it.
    _permit: Permit,
}

impl PollRegistry {
    /// No connection yet.
    pub fn new(limits: PermitLimits) -> Self {
        Self {
            handles: Arc::default(),
            permits: Permits::new(limits),
        }
    }

    /// Lists a connection of an address under a new secret.
    ///
    /// # Errors
    /// The address, or all together, have as many as they may.
    pub fn list(
        &self,
        client: ClientAddress,
        handle: PollHandle,
    ) -> Result<Registration, PermitError> {
        let _permit = self.permits.acquire(client.0)?;
        let secret = random_letters();
        self.handles().insert(secret.clone(), handle);
        Ok(Registration {
            polls: self.clone(),
            secret,
            _permit,
        })
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
