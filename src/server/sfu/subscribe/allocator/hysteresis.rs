//! When more may be chosen: not before it fitted for a while, and not soon after less was.
//!
//! A step up that had to be taken back doubles the wait, so that an estimate that swings
//! around one step does not make a picture blink.

use std::time::{Duration, Instant};

/// One tick of the allocator.
const TICK: Duration = Duration::from_millis(100);
/// Ticks in a row for which more must fit.
const SUSTAINED_TICKS: usize = 3;
/// Wait after less was chosen.
const WAIT: Duration = Duration::from_secs(2);
/// The longest that the wait grows to.
const MAX_WAIT: Duration = Duration::from_secs(16);
/// How long a step up must last to have been right.
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// The patience of one line.
#[derive(Debug)]
pub struct UpgradeHysteresis {
    /// The lowest estimate of each of the last ticks, newest first.
    tick_minimums: [Option<u64>; SUSTAINED_TICKS],
    /// When the newest tick began.
    tick_start: Option<Instant>,
    /// Until when nothing more is chosen.
    blocked_until: Option<Instant>,
    /// How long that is next time.
    wait: Duration,
    /// When more was chosen last, where that has not been taken back.
    last_upgrade: Option<Instant>,
}

impl Default for UpgradeHysteresis {
    fn default() -> Self {
        Self {
            tick_minimums: [None; SUSTAINED_TICKS],
            tick_start: None,
            blocked_until: None,
            wait: WAIT,
            last_upgrade: None,
        }
    }
}

impl UpgradeHysteresis {
    /// Takes note of an estimate, however often in a tick.
    pub fn observe(&mut self, now: Instant, estimate: u64) {
        let fresh = self.tick_start.is_none_or(|tick| now >= tick + TICK);
        if fresh {
            self.tick_minimums.rotate_right(1);
            self.tick_minimums[0] = Some(estimate);
            self.tick_start = Some(now);
        } else {
            self.tick_minimums[0] = self.tick_minimums[0].map(|low| low.min(estimate));
        }
    }

    /// The estimate that held for long enough to choose more by; none while it is too soon.
    pub fn sustained_estimate(&self, now: Instant) -> Option<u64> {
        if self.blocked_until.is_some_and(|until| now < until) {
            return None;
        }
        let lows: Option<Vec<u64>> = self.tick_minimums.iter().copied().collect();
        lows?.into_iter().min()
    }

    /// Less was chosen.
    pub fn on_downgrade(&mut self, now: Instant) {
        if let Some(raised) = self.last_upgrade.take() {
            let proven = now.saturating_duration_since(raised) >= PROVEN_AFTER;
            self.wait = if proven {
                WAIT
            } else {
                (self.wait * 2).min(MAX_WAIT)
            };
        }
        self.blocked_until = Some(now + self.wait);
    }

    /// More was chosen; `swapped`: at somebody else's cost, which is a change to rest after.
    pub fn on_upgrade(&mut self, now: Instant, swapped: bool) {
        self.last_upgrade = Some(now);
        if swapped {
            self.blocked_until = Some(now + WAIT);
        }
    }
}
