//! Which polling connections there are.

use super::{inbound::Letter, responder::Ask};
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
pub struct Polls {
    /// The list.
    lines: Arc<Mutex<HashMap<String, Line>>>,
    /// How many there are, by address.
    permits: Permits,
}

/// How requests reach the task of a connection. A full mailbox makes the request wait.
#[derive(Clone)]
pub struct Line {
    /// What the client says.
    pub letters: mpsc::Sender<Letter>,
    /// Where it asks what it is told.
    pub asks: mpsc::Sender<Ask>,
}

/// One listed connection; dropping it takes it off the list.
pub struct Listed {
    /// The list.
    polls: Polls,
    /// Its secret.
    pub secret: String,
    /// Counts it.
    _permit: Permit,
}

impl Polls {
    /// No connection yet.
    pub fn new(limits: PermitLimits) -> Self {
        Self {
            lines: Arc::default(),
            permits: Permits::new(limits),
        }
    }

    /// Lists a connection of an address under a new secret.
    ///
    /// # Errors
    /// The address, or all together, have as many as they may.
    pub fn list(&self, client: ClientAddress, line: Line) -> Result<Listed, PermitError> {
        let _permit = self.permits.acquire(client.0)?;
        let secret = random_letters();
        self.lines().insert(secret.clone(), line);
        Ok(Listed {
            polls: self.clone(),
            secret,
            _permit,
        })
    }

    /// The connection of this secret.
    pub fn find(&self, secret: &str) -> Option<Line> {
        self.lines().get(secret).cloned()
    }

    /// How many there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.lines().len()
    }

    /// The list, for a few lines without waiting.
    fn lines(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.polls.lines().remove(&self.secret);
    }
}
