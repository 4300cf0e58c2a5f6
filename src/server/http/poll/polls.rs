//! Which polling connections there are.

use super::{desk::Ask, incoming::Letter};
use crate::server::{identity::random_letters, limits::MAX_POLLS};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// The polling connections by their secret; cloning it is cheap.
#[derive(Clone, Default)]
pub struct Polls(Arc<Mutex<HashMap<String, Line>>>);

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
}

impl Polls {
    /// Lists a connection under a new secret, unless there are [`MAX_POLLS`].
    pub fn list(&self, line: Line) -> Option<Listed> {
        let mut lines = self.lines();
        if lines.len() >= MAX_POLLS {
            return None;
        }
        let secret = random_letters();
        lines.insert(secret.clone(), line);
        let polls = self.clone();
        Some(Listed { polls, secret })
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.polls.lines().remove(&self.secret);
    }
}
