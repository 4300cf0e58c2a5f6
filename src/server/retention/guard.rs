//! Whether a sweep may delete by age. The clock of the machine decides what is too old, and
//! a wrong clock must not erase a history.
//!
//! A sweep goes at once while the clock agrees with the monotonic clock since the sweep
//! before it. Otherwise (the first sweep of a process, a clock that was set) it goes only
//! where it deletes a small share. A clock that is far from the last sweep, in either
//! direction, or a sweep of a large share has to wait: a day by the clock of the machine and
//! a day of running time, in which the clock is not set again; or until the operator
//! confirms it. A server that was off for a month therefore sweeps a day later.
//!
//! Everything here is pure: it is told both clocks and answers a [`Decision`].

use crate::server::{
    clock::Moment,
    store::{SweepRecord, WaitingSweep},
};
use std::time::Duration;

/// How long a doubtful sweep waits, in milliseconds by either clock. One day: an operator
/// who looks once a day sees it in time.
const WAIT_MS: i64 = 24 * 60 * 60 * 1000;
/// By how much the clock may differ from what the monotonic clock says and still be the same
/// clock, in milliseconds. One hour: more than any drift, less than any set clock that matters.
const SLACK_MS: i64 = 60 * 60 * 1000;
/// Difference beyond which the clock was set, in milliseconds. One day: a machine that
/// sleeps overnight has no more.
const JUMP_MS: i64 = 24 * 60 * 60 * 1000;
/// Share of a room's messages, or of all, that may go without proof of the clock, in percent.
const SMALL_SHARE_PERCENT: u64 = 10;
/// Messages that may go without proof of the clock whatever share they are.
const FEW_MESSAGES: u64 = 100;

/// What is known about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// It went as the monotonic clock did since the last sweep.
    Steady,
    /// Nothing speaks against it, nothing proves it.
    Unproven,
    /// It was set since the last sweep, or the server was off for long.
    Jumped,
}

/// How much a sweep would delete by age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Messages it would delete.
    due: u64,
    /// All messages.
    total: u64,
    /// Whether it is a large share of a single room.
    large_room: bool,
}

impl Share {
    /// Adds a room: how many of its messages are due, and how many there are.
    pub fn add(&mut self, due: u64, total: u64) {
        self.large_room |= is_large(due, total);
        self.due = self.due.saturating_add(due);
        self.total = self.total.saturating_add(total);
    }

    /// Whether it is more than a sweep without proof of the clock may delete.
    pub fn is_large(self) -> bool {
        self.large_room || is_large(self.due, self.total)
    }
}

/// Whether so many messages are both many and a large share.
fn is_large(due: u64, total: u64) -> bool {
    due > FEW_MESSAGES && due.saturating_mul(100) > total.saturating_mul(SMALL_SHARE_PERCENT)
}

/// Why a sweep waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The clock is far from the last sweep.
    ClockJumped,
    /// It would delete a large share.
    LargeShare,
}

impl Doubt {
    /// A sentence for the operator.
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

/// What to do about messages that are too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Delete them.
    Sweep,
    /// Keep them for now.
    Wait {
        /// Why.
        doubt: Doubt,
        /// Whether the waiting begins with this decision, for the first time or anew.
        begins: bool,
    },
}

/// Remembers the sweeps of a process and what the database remembers of those before it.
#[derive(Debug)]
pub struct SweepGuard {
    /// What the database remembers.
    record: SweepRecord,
    /// The last sweep of this process.
    swept: Option<Moment>,
    /// The last decision of this process.
    decided: Option<Moment>,
    /// How long sweeps are apart, in milliseconds.
    every_ms: i64,
}

impl SweepGuard {
    /// A guard for a process that begins, with what the database remembers.
    pub fn new(record: SweepRecord, every: Duration) -> Self {
        Self {
            record,
            swept: None,
            decided: None,
            every_ms: i64::try_from(every.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// What the database is to remember.
    pub fn record(&self) -> SweepRecord {
        self.record
    }

    /// What is known about the clock now.
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

    /// Decides about a sweep; `share` is what it would delete, and need not be known while
    /// the clock is steady or has jumped. `confirmed_at` is when the operator confirmed.
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

    /// Goes on waiting; answers whether it begins.
    fn wait(&mut self, now: Moment, before: Option<Moment>) -> bool {
        let former = self.record.waiting;
        let steady = former.filter(|former| {
            let wall = now.wall_ms.saturating_sub(former.seen_ms);
            match before {
                Some(before) => {
                    let (_, ran) = now.since(before);
                    wall.saturating_sub(ran).saturating_abs() <= SLACK_MS
                }
                // Another process waited before this one.
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

    /// Notes that everything due at this moment was deleted.
    pub fn swept(&mut self, now: Moment) {
        self.swept = Some(now);
        self.record = SweepRecord {
            swept_at: Some(now.wall_ms),
            waiting: None,
        };
    }
}

/// Whether a confirmation given at this time still holds: it is about the clock as it was
/// then, and good for a day.
pub fn is_confirmed(now: Moment, at: i64) -> bool {
    now.wall_ms.saturating_sub(at).saturating_abs() <= JUMP_MS
}

/// Whether a sweep has waited long enough, by both clocks.
fn has_waited(waiting: WaitingSweep, now: Moment) -> bool {
    let wall = now.wall_ms.saturating_sub(waiting.since_ms);
    wall >= WAIT_MS && waiting.ran_ms >= WAIT_MS
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
