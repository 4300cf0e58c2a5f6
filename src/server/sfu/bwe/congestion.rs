//! A line that has become much narrower all at once, and what follows from it for a while.
//!
//! Its queue is full: most of what is sent is thrown away. So pictures rest until it is
//! empty, and go on with the smallest, which the line is believed to carry although the
//! estimate sinks while next to nothing is sent. What it cannot carry is not tried again soon.

use std::time::{Duration, Instant};

/// How long no pictures are sent: most of a keyframe would be lost in a full queue. 500 ms:
/// home routers hold a quarter to half a second.
const DRAIN_TIME: Duration = Duration::from_millis(500);
/// How long the estimate is not believed to be less than it was.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// How much it is believed to carry at most, in bit/s. 300 kbit/s: a small picture or two.
const MAX_FLOOR_BPS: u64 = 300_000;
/// How long nothing is tried on it, and it is not taken for a good one. The estimate alone
/// finds out sooner where it is wide again.
const RECENT_FOR: Duration = Duration::from_secs(10);

/// A line that has become narrow.
#[derive(Debug, Clone, Copy)]
pub struct CongestionEvent {
    /// When that was seen.
    detected_at: Instant,
    /// What was estimated then, in bit/s.
    estimate: u64,
}

impl CongestionEvent {
    /// Seen now, with this estimate in bit/s.
    pub fn new(detected_at: Instant, estimate: u64) -> Self {
        Self {
            detected_at,
            estimate,
        }
    }

    /// Whether what queued up is still to get through.
    pub fn is_draining(&self, now: Instant) -> bool {
        now < self.detected_at + DRAIN_TIME
    }

    /// What it carries at least, in bit/s.
    pub fn floor(&self, now: Instant) -> u64 {
        match now < self.detected_at + SETTLE_TIME {
            true => self.estimate.min(MAX_FLOOR_BPS),
            false => 0,
        }
    }

    /// Whether nothing is tried on it.
    pub fn is_recent(&self, now: Instant) -> bool {
        now < self.detected_at + RECENT_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_drains_then_carries_a_small_picture_and_is_tried_after_a_while() {
        let start = Instant::now();
        let narrow = CongestionEvent::new(start, 260_000);
        let at = |ms| {
            let now = start + Duration::from_millis(ms);
            (
                narrow.is_draining(now),
                narrow.floor(now),
                narrow.is_recent(now),
            )
        };
        assert_eq!(at(0), (true, 260_000, true));
        assert_eq!(at(499), (true, 260_000, true));
        assert_eq!(at(500), (false, 260_000, true));
        assert_eq!(at(3_000), (false, 0, true));
        assert_eq!(at(10_000), (false, 0, false));
        assert_eq!(
            CongestionEvent::new(start, 900_000).floor(start),
            MAX_FLOOR_BPS
        );
    }
}
