//! When more may be chosen: not before it fitted for a while, and not soon after less was.
//!
//! A step up that had to be taken back doubles the wait, so that an estimate that swings
//! around one step does not make a picture blink.

use std::time::{Duration, Instant};

/// One tick of the allocator.
const TICK: Duration = Duration::from_millis(100);
/// Ticks in a row for which more must fit.
const TICKS: usize = 3;
/// Wait after less was chosen.
const WAIT: Duration = Duration::from_secs(2);
/// The longest that the wait grows to.
const LONGEST_WAIT: Duration = Duration::from_secs(16);
/// How long a step up must last to have been right.
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// The patience of one line.
#[derive(Debug)]
pub struct Patience {
    /// The lowest estimate of each of the last ticks, newest first.
    lows: [Option<u64>; TICKS],
    /// When the newest tick began.
    tick: Option<Instant>,
    /// Until when nothing more is chosen.
    quiet_until: Option<Instant>,
    /// How long that is next time.
    wait: Duration,
    /// When more was chosen last, where that has not been taken back.
    raised: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lows: [None; TICKS],
            tick: None,
            quiet_until: None,
            wait: WAIT,
            raised: None,
        }
    }
}

impl Patience {
    /// Takes note of an estimate, however often in a tick.
    pub fn observe(&mut self, now: Instant, estimate: u64) {
        let fresh = self.tick.is_none_or(|tick| now >= tick + TICK);
        if fresh {
            self.lows.rotate_right(1);
            self.lows[0] = Some(estimate);
            self.tick = Some(now);
        } else {
            self.lows[0] = self.lows[0].map(|low| low.min(estimate));
        }
    }

    /// The estimate that held for long enough to choose more by; none while it is too soon.
    pub fn steady(&self, now: Instant) -> Option<u64> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        let lows: Option<Vec<u64>> = self.lows.iter().copied().collect();
        lows?.into_iter().min()
    }

    /// Less was chosen.
    pub fn lowered(&mut self, now: Instant) {
        if let Some(raised) = self.raised.take() {
            let proven = now.saturating_duration_since(raised) >= PROVEN_AFTER;
            self.wait = if proven {
                WAIT
            } else {
                (self.wait * 2).min(LONGEST_WAIT)
            };
        }
        self.quiet_until = Some(now + self.wait);
    }

    /// More was chosen; `swapped`: at somebody else's cost, which is a change to rest after.
    pub fn raised(&mut self, now: Instant, swapped: bool) {
        self.raised = Some(now);
        if swapped {
            self.quiet_until = Some(now + WAIT);
        }
    }
}
