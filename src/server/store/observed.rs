//! What the writer's thread tells whoever asks for the state of the store: how much there is,
//! and which commit failed last.

use super::StoreError;
use crate::server::clock::Moment;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Why a commit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There was no space on the disk.
    Disk,
    /// Another program held the database for too long.
    Locked,
    /// Anything else.
    Database,
}

/// A commit that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedCommit {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Why.
    pub cause: Cause,
}

/// What is told. Written by one thread, read by any.
#[derive(Debug, Default)]
pub struct Observed {
    /// Bytes of all rooms, as of the last commit.
    stored_bytes: AtomicU64,
    /// The commits that failed.
    failures: Mutex<Failures>,
}

/// The commits that failed.
#[derive(Debug, Default)]
struct Failures {
    /// The last one.
    last: Option<FailedCommit>,
    /// Why the last group of messages was not stored; nothing once one was.
    messages: Option<Cause>,
}

impl Observed {
    /// Bytes of all rooms, as of the last commit.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Ordering::Relaxed)
    }

    /// Notes how many bytes there are.
    pub fn set_stored_bytes(&self, bytes: u64) {
        self.stored_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The last commit that failed, of whatever it was.
    pub fn last_failure(&self) -> Option<FailedCommit> {
        self.failures().last
    }

    /// Why no message can be stored, as far as a probe would not see it: space and locks are
    /// the same for both.
    pub fn messages_fail(&self) -> bool {
        self.failures().messages == Some(Cause::Database)
    }

    /// Notes how a commit ended, and whether it was one of messages.
    pub fn note<T>(&self, outcome: &Result<T, StoreError>, messages: bool) {
        let mut failures = self.failures();
        let cause = outcome.as_ref().err().map(cause);
        if let Some(cause) = cause {
            let at_ms = Moment::now().wall_ms;
            failures.last = Some(FailedCommit { at_ms, cause });
        }
        if messages {
            failures.messages = cause;
        }
    }

    /// A poisoned lock is fine: each change is one step.
    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What kind of failure it was.
fn cause(error: &StoreError) -> Cause {
    match error {
        error if error.is_disk_full() => Cause::Disk,
        error if error.is_locked() => Cause::Locked,
        _ => Cause::Database,
    }
}
