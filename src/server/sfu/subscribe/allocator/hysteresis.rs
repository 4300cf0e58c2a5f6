//! Delays upgrades: a higher bitrate must fit for a while, and must not follow a downgrade soon.
//!
//! An upgrade that is soon reversed doubles the delay, so that an estimate that oscillates
//! around one step does not make a video flicker.

use std::time::{Duration, Instant};

/// The interval between two runs of the allocator.
const TICK: Duration = Duration::from_millis(100);
/// Consecutive ticks for which an upgrade must fit.
const SUSTAINED_TICKS: usize = 3;
/// The delay after a downgrade.
const WAIT: Duration = Duration::from_secs(2);
/// The maximum of the delay, which doubles.
const MAX_WAIT: Duration = Duration::from_secs(16);
/// How long an upgrade must last to reset the delay.
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// The upgrade delay of one receiver.
#[derive(Debug)]
pub struct UpgradeHysteresis {
    /// The lowest estimate of each of the last ticks in bit/s, newest first.
    tick_minimums: [Option<u64>; SUSTAINED_TICKS],
    /// When the newest tick began.
    tick_start: Option<Instant>,
    /// The end of the current delay.
    blocked_until: Option<Instant>,
    /// The duration of the next delay.
    wait: Duration,
    /// The last upgrade that no downgrade has followed.
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
    /// Records an estimate in bit/s; may be called several times per tick.
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

    /// The lowest estimate of the last ticks, in bit/s; none while upgrades are delayed.
    pub fn sustained_estimate(&self, now: Instant) -> Option<u64> {
        if self.blocked_until.is_some_and(|until| now < until) {
            return None;
        }
        let lows: Option<Vec<u64>> = self.tick_minimums.iter().copied().collect();
        lows?.into_iter().min()
    }

    /// Starts a delay after a downgrade.
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

    /// Records an upgrade. `swapped`: another video was downgraded for it, which starts a delay.
    pub fn on_upgrade(&mut self, now: Instant, swapped: bool) {
        self.last_upgrade = Some(now);
        if swapped {
            self.blocked_until = Some(now + WAIT);
        }
    }
}
