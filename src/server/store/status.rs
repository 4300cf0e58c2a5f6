//! What the writer's thread tells whoever asks for the state of the store: how much there is,
//! and which commit failed last.

use super::StoreError;
use crate::server::clock::Moment;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a group of messages that failed says that the next one would. 60 s: a balancer
/// that sends nobody here for it would otherwise never learn that the fault is over.
const FAILURE_LASTS: Duration = Duration::from_secs(60);

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
pub struct StoreStatus {
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
    /// Why and when the last group of messages was not stored; nothing once one was.
    messages: Option<(Cause, Instant)>,
}

impl StoreStatus {
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

    /// Whether no message could be stored within the last [`FAILURE_LASTS`], for a reason
    /// that a probe would not see: space and locks are the same for both.
    pub fn appends_fail(&self) -> bool {
        self.appends_fail_at(Instant::now())
    }

    /// The same at this time.
    fn appends_fail_at(&self, now: Instant) -> bool {
        let failed = self.failures().messages;
        failed.is_some_and(|(cause, at)| {
            cause == Cause::Database && now.saturating_duration_since(at) < FAILURE_LASTS
        })
    }

    /// Notes how a commit ended, and whether it was one of messages.
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
