//! How long sent packets are kept for retransmission (RFC 4588).
//!
//! Each receiver has its own cache: half a kilobyte per packet beside the shared payload. The
//! longer the round trip, the more packets have been sent when a NACK arrives.
//!
//! A NACK for an evicted packet freezes the video: a browser waits three seconds before it
//! requests a keyframe. So a link without loss keeps enough for the moment when loss begins.

use crate::protocol::quality::GOOD_RTT_MS;
use std::time::Duration;

/// Consecutive samples, one per second, that must call for another size. A change empties the
/// cache, which costs most when a link has just become lossy.
const CHANGE_AFTER_SAMPLES: u32 = 10;

/// The size of the retransmission cache of one video stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtxCacheSize {
    /// 400 ms: three round trips of 100 ms and the delay before a browser sends a NACK, or an
    /// outage of a third of a second.
    Short,
    /// 1 s: three round trips of 300 ms.
    Long,
}

impl RtxCacheSize {
    /// The maximum age of a packet.
    pub fn max_age(self) -> Duration {
        Duration::from_millis(match self {
            Self::Short => 400,
            Self::Long => 1000,
        })
    }

    /// The maximum number of packets: 3 Mbit/s in packets of 1,100 bytes, and a keyframe of
    /// 80 packets.
    pub fn max_packets(self) -> usize {
        match self {
            Self::Short => 256,
            Self::Long => 512,
        }
    }

    /// The size for a round-trip time in ms.
    fn for_rtt(rtt_ms: f64) -> Self {
        match rtt_ms >= GOOD_RTT_MS {
            true => Self::Long,
            false => Self::Short,
        }
    }
}

/// Selects the cache size of one receiver. The default has no sample.
#[derive(Debug, Default)]
pub struct RtxCachePolicy {
    /// The selected size; none before the first sample.
    size: Option<RtxCacheSize>,
    /// Another size that the last samples call for, and their number.
    pending: Option<(RtxCacheSize, u32)>,
}

impl RtxCachePolicy {
    /// The current size; [`RtxCacheSize::Short`] before the first sample.
    pub fn size(&self) -> RtxCacheSize {
        self.size.unwrap_or(RtxCacheSize::Short)
    }

    /// Adds a sample of the round-trip time in ms, once per second. True if the size changes.
    pub fn on_rtt_sample(&mut self, rtt_ms: f64) -> bool {
        let fit = RtxCacheSize::for_rtt(rtt_ms);
        if self.size == Some(fit) {
            self.pending = None;
            return false;
        }
        let run = match self.pending {
            Some((other, run)) if other == fit => run + 1,
            _ => 1,
        };
        if self.size.is_some() && run < CHANGE_AFTER_SAMPLES {
            self.pending = Some((fit, run));
            return false;
        }
        let before = self.size();
        (self.size, self.pending) = (Some(fit), None);
        fit != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_round_trip_selects_the_long_cache() {
        for (rtt, expected) in [
            (1.0, RtxCacheSize::Short),
            (149.0, RtxCacheSize::Short),
            (150.0, RtxCacheSize::Long),
            (f64::NAN, RtxCacheSize::Short),
            (f64::INFINITY, RtxCacheSize::Long),
        ] {
            assert_eq!(RtxCacheSize::for_rtt(rtt), expected, "{rtt} ms");
        }
    }

    /// The sample indexes at which the size changes, and the new sizes.
    fn changes(rtts: &[f64]) -> Vec<(usize, RtxCacheSize)> {
        let mut policy = RtxCachePolicy::default();
        let mut changes = Vec::new();
        for (moment, rtt) in rtts.iter().enumerate() {
            if policy.on_rtt_sample(*rtt) {
                changes.push((moment, policy.size()));
            }
        }
        changes
    }

    #[test]
    fn the_first_sample_selects_at_once_and_later_ones_when_ten_agree() {
        assert_eq!(changes(&[300.0]), [(0, RtxCacheSize::Long)]);
        assert_eq!(changes(&[5.0; 30]), []);
        let mut rtts = [5.0; 30];
        rtts[10..19].fill(300.0);
        assert_eq!(changes(&rtts), [], "nine are a bad moment");
        rtts[20..].fill(300.0);
        assert_eq!(changes(&rtts), [(29, RtxCacheSize::Long)]);
        let mut rtts = [300.0; 30];
        rtts[5..15].fill(100.0);
        let (long, usual) = (RtxCacheSize::Long, RtxCacheSize::Short);
        assert_eq!(changes(&rtts), [(0, long), (14, usual), (24, long)]);
    }

    proptest! {
        /// The cache is emptied at most once in ten samples.
        #[test]
        fn the_cache_size_changes_at_most_once_in_ten_samples(measures in prop::collection::vec(0.0..500.0, 1..200)) {
            let mut policy = RtxCachePolicy::default();
            let mut since = CHANGE_AFTER_SAMPLES;
            for rtt in measures {
                since += 1;
                if policy.on_rtt_sample(rtt) {
                    prop_assert!(since >= CHANGE_AFTER_SAMPLES, "after {since}");
                    since = 0;
                }
            }
        }
    }
}
