//! Decides whether a sweep may delete by age: a wrong clock must not erase a history.
//!
//! A sweep runs at once while the wall clock agrees with the monotonic clock since the sweep
//! before. Otherwise (the first sweep of a process, a clock that was set) it runs only if it
//! deletes a small share. A sweep waits if the clock is far from the last sweep, in either
//! direction, or if it would delete a large share. It waits for a day by the wall clock and a day of
//! running time in which the clock is not set again, or for the operator's confirmation. A server
//! that was off for a month therefore sweeps a day later.
//!
//! Pure: both clocks are arguments, and the result is a [`Decision`].

use crate::server::{
    clock::Moment,
    store::{SweepRecord, WaitingSweep},
};
use std::time::Duration;

/// How long a doubtful sweep waits, in milliseconds by either clock. One day: an operator who
/// checks once a day sees it in time.
const WAIT_MS: i64 = 24 * 60 * 60 * 1000;
/// Difference between the clocks that still counts as steady, in milliseconds. One hour: more than
/// any drift, less than any adjustment that matters.
const SLACK_MS: i64 = 60 * 60 * 1000;
/// Difference beyond which the clock counts as set, in milliseconds. One day: a machine that sleeps
/// overnight stays below.
const JUMP_MS: i64 = 24 * 60 * 60 * 1000;
/// Share of a room's messages, or of all, that an unproven clock may delete, in percent.
const SMALL_SHARE_PERCENT: u64 = 10;
/// Messages that an unproven clock may delete, whatever their share.
const FEW_MESSAGES: u64 = 100;

/// Whether the wall clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// The wall clock agrees with the monotonic clock since the last sweep.
    Steady,
    /// There is no evidence for or against the wall clock.
    Unproven,
    /// The wall clock was set since the last sweep, or the server was off for long.
    Jumped,
}

/// The share of messages that a sweep would delete by age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Messages to delete.
    due: u64,
    /// Messages stored in all rooms.
    total: u64,
    /// Whether the share of any single room is large.
    large_room: bool,
}

impl Share {
    /// Adds a room with `due` messages to delete out of `total`.
    pub fn add(&mut self, due: u64, total: u64) {
        self.large_room |= is_large(due, total);
        self.due = self.due.saturating_add(due);
        self.total = self.total.saturating_add(total);
    }

    /// Whether the share is larger than an unproven clock may delete.
    pub fn is_large(self) -> bool {
        self.large_room || is_large(self.due, self.total)
    }
}

/// Whether `due` messages are both many and a large share.
fn is_large(due: u64, total: u64) -> bool {
    due > FEW_MESSAGES && due.saturating_mul(100) > total.saturating_mul(SMALL_SHARE_PERCENT)
}

/// Why a sweep waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The wall clock is far from the last sweep.
    ClockJumped,
    /// The sweep would delete a large share.
    LargeShare,
}

impl Doubt {
    /// The sentence of the log and of `/readyz`.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ClockJumped => {
                "old messages are not deleted yet: the clock is far from the last sweep; \
                 they are a day later, or after: noom confirm-sweep"
            }
            Self::LargeShare => {
                "old messages are not deleted yet: they are a large share of all; \
                 they are a day later, or after: noom confirm-sweep"
            }
        }
    }
}

/// What to do with messages that are too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Delete the messages.
    Sweep,
    /// Keep the messages for now.
    Wait {
        /// Why the deletion is doubted; logged and shown by `/readyz`.
        doubt: Doubt,
        /// Whether the wait starts with this decision.
        begins: bool,
    },
}

/// Decides about the sweeps of a process, from its own sweeps and the record of former ones.
#[derive(Debug)]
pub struct SweepGuard {
    /// The record that is stored in the database.
    record: SweepRecord,
    /// The last sweep of this process.
    swept: Option<Moment>,
    /// The last decision of this process.
    decided: Option<Moment>,
    /// The interval of sweeps, in milliseconds.
    every_ms: i64,
}

impl SweepGuard {
    /// The guard of a new process, with the stored record.
    pub fn new(record: SweepRecord, every: Duration) -> Self {
        Self {
            record,
            swept: None,
            decided: None,
            every_ms: i64::try_from(every.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// The record to store in the database.
    pub fn record(&self) -> SweepRecord {
        self.record
    }

    /// Whether the wall clock can be trusted now.
    pub fn clock(&self, now: Moment) -> ClockState {
        if let Some(swept) = self.swept {
            let (wall, ran) = now.since(swept);
            return match wall.saturating_sub(ran).saturating_abs() {
                0..=SLACK_MS => ClockState::Steady,
                difference if difference <= JUMP_MS => ClockState::Unproven,
                _ => ClockState::Jumped,
            };
        }
        let Some(swept_at) = self.record.swept_at else {
            return ClockState::Unproven;
        };
        let gap = now.wall_ms.saturating_sub(swept_at);
        match gap >= -JUMP_MS && gap <= self.every_ms.saturating_add(JUMP_MS) {
            true => ClockState::Unproven,
            false => ClockState::Jumped,
        }
    }

    /// Decides about a sweep. `share` is what it would delete; it is read only if the clock is
    /// unproven. `confirmed_at` is the time of the operator's confirmation.
    pub fn decide(&mut self, now: Moment, share: Share, confirmed_at: Option<i64>) -> Decision {
        let before = self.decided.replace(now);
        let doubt = match self.clock(now) {
            ClockState::Jumped => Some(Doubt::ClockJumped),
            ClockState::Unproven if share.is_large() => Some(Doubt::LargeShare),
            ClockState::Unproven | ClockState::Steady => None,
        };
        let confirmed = confirmed_at.is_some_and(|at| is_confirmed(now, at));
        let Some(doubt) = doubt.filter(|_| !confirmed) else {
            return Decision::Sweep;
        };
        let begins = self.wait(now, before);
        match self.record.waiting {
            Some(waiting) if has_waited(waiting, now) => Decision::Sweep,
            _ => Decision::Wait { doubt, begins },
        }
    }

    /// Continues the wait, or starts one. Returns whether it starts.
    fn wait(&mut self, now: Moment, before: Option<Moment>) -> bool {
        let former = self.record.waiting;
        let steady = former.filter(|former| {
            let wall = now.wall_ms.saturating_sub(former.seen_ms);
            match before {
                Some(before) => {
                    let (_, ran) = now.since(before);
                    wall.saturating_sub(ran).saturating_abs() <= SLACK_MS
                }
                // The wait started in a former process.
                None => (-SLACK_MS..=JUMP_MS).contains(&wall),
            }
        });
        let ran = before.map_or(0, |before| now.since(before).1);
        self.record.waiting = Some(match steady {
            Some(former) => WaitingSweep {
                seen_ms: now.wall_ms,
                ran_ms: former.ran_ms.saturating_add(ran),
                ..former
            },
            None => WaitingSweep {
                since_ms: now.wall_ms,
                seen_ms: now.wall_ms,
                ran_ms: 0,
            },
        });
        steady.is_none()
    }

    /// Records that everything due at this moment was deleted.
    pub fn swept(&mut self, now: Moment) {
        self.swept = Some(now);
        self.record = SweepRecord {
            swept_at: Some(now.wall_ms),
            waiting: None,
        };
    }
}

/// Whether a confirmation of this time is still valid. It is about the clock of that time, and
/// valid for a day.
pub fn is_confirmed(now: Moment, at: i64) -> bool {
    now.wall_ms.saturating_sub(at).saturating_abs() <= JUMP_MS
}

/// Whether a sweep has waited for a day by both clocks.
fn has_waited(waiting: WaitingSweep, now: Moment) -> bool {
    let wall = now.wall_ms.saturating_sub(waiting.since_ms);
    wall >= WAIT_MS && waiting.ran_ms >= WAIT_MS
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
