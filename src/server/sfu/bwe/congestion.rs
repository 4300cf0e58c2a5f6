//! A sudden drop of the capacity of a link, and the reaction to it.
//!
//! The queue of the bottleneck is full and drops most packets. So video pauses until the queue
//! has drained, and resumes with the lowest layer. A floor holds the budget meanwhile, because
//! the estimate falls while almost nothing is sent. Upgrades are not probed for a while.

use std::time::{Duration, Instant};

/// How long video pauses, because a full queue would drop most of a keyframe. 500 ms: home
/// routers queue a quarter to half a second.
const DRAIN_TIME: Duration = Duration::from_millis(500);
/// How long the estimate at the time of the event is the floor.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// The maximum of the floor, in bit/s. 300 kbit/s: one or two small videos.
const MAX_FLOOR_BPS: u64 = 300_000;
/// How long the link is neither probed with video nor considered good. If the capacity
/// returns earlier, the estimate shows it.
const RECENT_FOR: Duration = Duration::from_secs(10);

/// A drop of the capacity of a link.
#[derive(Debug, Clone, Copy)]
pub struct CongestionEvent {
    /// When the drop was detected.
    detected_at: Instant,
    /// The estimate at that time, in bit/s.
    estimate: u64,
}

impl CongestionEvent {
    /// An event at a time, with the estimate in bit/s.
    pub fn new(detected_at: Instant, estimate: u64) -> Self {
        Self {
            detected_at,
            estimate,
        }
    }

    /// Whether the queue may still be draining.
    pub fn is_draining(&self, now: Instant) -> bool {
        now < self.detected_at + DRAIN_TIME
    }

    /// The floor of the budget, in bit/s; 0 once it has expired.
    pub fn floor(&self, now: Instant) -> u64 {
        match now < self.detected_at + SETTLE_TIME {
            true => self.estimate.min(MAX_FLOOR_BPS),
            false => 0,
        }
    }

    /// Whether the event is recent enough to forbid probing with video.
    pub fn is_recent(&self, now: Instant) -> bool {
        now < self.detected_at + RECENT_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_congested_link_drains_then_holds_a_floor_and_is_probed_later() {
        let start = Instant::now();
        let event = CongestionEvent::new(start, 260_000);
        let at = |ms| {
            let now = start + Duration::from_millis(ms);
            (
                event.is_draining(now),
                event.floor(now),
                event.is_recent(now),
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
