//! The state of the store for health checks and metrics: stored bytes and failed commits.

use super::StoreError;
use crate::server::clock::Moment;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a failed group of messages counts as a present failure. 60 s: without an end, a load
/// balancer that sends nobody here would never learn that the failure is over.
const FAILURE_LASTS: Duration = Duration::from_secs(60);

/// Why a commit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The disk is full.
    Disk,
    /// Another process locked the database for too long.
    Locked,
    /// Any other error of the database.
    Database,
}

/// A failed commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedCommit {
    /// The time of the failure, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The cause of the failure.
    pub cause: Cause,
}

/// The state of the store. Written by the writer's thread, read by any.
#[derive(Debug, Default)]
pub struct StoreStatus {
    /// The stored bytes of all rooms, as of the last commit.
    stored_bytes: AtomicU64,
    /// The stored bytes of the content of all files, as of the last commit.
    stored_file_bytes: AtomicU64,
    /// The number of stored rooms, as of the last commit.
    stored_rooms: AtomicU64,
    /// The failed commits.
    failures: Mutex<Failures>,
}

/// The failed commits.
#[derive(Debug, Default)]
struct Failures {
    /// The last failed commit, of any job.
    last: Option<FailedCommit>,
    /// Cause and time of the last failed group of messages; nothing after a successful one.
    messages: Option<(Cause, Instant)>,
}

impl StoreStatus {
    /// The stored bytes of all rooms, as of the last commit.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Ordering::Relaxed)
    }

    /// Sets the stored bytes.
    pub fn set_stored_bytes(&self, bytes: u64) {
        self.stored_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The stored bytes of the content of all files, as of the last commit.
    pub fn stored_file_bytes(&self) -> u64 {
        self.stored_file_bytes.load(Ordering::Relaxed)
    }

    /// Sets the stored bytes of the content of all files.
    pub fn set_stored_file_bytes(&self, bytes: u64) {
        self.stored_file_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The number of stored rooms, as of the last commit.
    pub fn stored_rooms(&self) -> u64 {
        self.stored_rooms.load(Ordering::Relaxed)
    }

    /// Sets the number of stored rooms.
    pub fn set_stored_rooms(&self, rooms: u64) {
        self.stored_rooms.store(rooms, Ordering::Relaxed);
    }

    /// The last failed commit, of any job.
    pub fn last_failure(&self) -> Option<FailedCommit> {
        self.failures().last
    }

    /// Whether no message could be stored within the last [`FAILURE_LASTS`], for a reason
    /// that a probe would not see: space and locks are the same for both.
    pub fn appends_fail(&self) -> bool {
        self.appends_fail_at(Instant::now())
    }

    /// [`Self::appends_fail`] at this time.
    fn appends_fail_at(&self, now: Instant) -> bool {
        let failed = self.failures().messages;
        failed.is_some_and(|(cause, at)| {
            cause == Cause::Database && now.saturating_duration_since(at) < FAILURE_LASTS
        })
    }

    /// Records the outcome of a commit, and whether it was one of messages.
    pub fn on_commit<T>(&self, outcome: &Result<T, StoreError>, messages: bool) {
        let mut failures = self.failures();
        let cause = outcome.as_ref().err().map(cause);
        if let Some(cause) = cause {
            let at_ms = Moment::now().wall_ms;
            failures.last = Some(FailedCommit { at_ms, cause });
        }
        if messages {
            failures.messages = cause.map(|cause| (cause, Instant::now()));
        }
    }

    /// Locks the failures. A poisoned lock is usable: each change is one step.
    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cause of an error.
fn cause(error: &StoreError) -> Cause {
    match error {
        error if error.is_disk_full() => Cause::Disk,
        error if error.is_locked() => Cause::Locked,
        _ => Cause::Database,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_does_not_say_for_ever_that_messages_fail() {
        let status = StoreStatus::default();
        let failed: Result<(), _> = Err(StoreError::Closed);
        status.on_commit(&failed, true);
        status.on_commit(&Ok::<(), StoreError>(()), false);
        let now = Instant::now();
        assert!(status.appends_fail_at(now), "a probe alone proves nothing");
        assert!(!status.appends_fail_at(now + FAILURE_LASTS));
        status.on_commit(&Ok::<(), StoreError>(()), true);
        assert!(!status.appends_fail_at(now));
    }
}
