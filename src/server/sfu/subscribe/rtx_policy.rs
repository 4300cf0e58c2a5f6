//! How long what was sent to somebody can be sent again.
//!
//! Every packet that may be asked for again is kept once for each receiver, half a kilobyte
//! beside its shared payload. On a long line a packet is asked for when much more has gone.
//!
//! A packet that is asked for and not kept any more stops its picture: a browser waits three
//! seconds until it asks for a keyframe instead. So a line that was perfect keeps enough for
//! the moment in which it becomes bad.

use crate::protocol::quality::GOOD_RTT_MS;
use std::time::Duration;

/// Measures in a row, one a second, that ask for something else until that is kept. What is
/// kept is lost then, and a line that has just become bad is no moment for it.
const CHANGE_AFTER_SAMPLES: u32 = 10;

/// What is kept of each stream of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtxCacheSize {
    /// 400 ms: three round trips of 100 ms and what a browser waits before it asks, or a
    /// hole of a third of a second.
    Short,
    /// 1 s: three times on a line of 300 ms.
    Long,
}

impl RtxCacheSize {
    /// The longest that a packet is kept.
    pub fn max_age(self) -> Duration {
        Duration::from_millis(match self {
            Self::Short => 400,
            Self::Long => 1000,
        })
    }

    /// How many packets are kept at most. Enough for 3 Mbit/s of 1,100 bytes each, and a
    /// keyframe of 80 more.
    pub fn max_packets(self) -> usize {
        match self {
            Self::Short => 256,
            Self::Long => 512,
        }
    }

    /// What a line asks for, by its round trip in ms.
    fn for_rtt(rtt_ms: f64) -> Self {
        match rtt_ms >= GOOD_RTT_MS {
            true => Self::Long,
            false => Self::Short,
        }
    }
}

/// Which it is for one line. The default knows nothing of the line yet.
#[derive(Debug, Default)]
pub struct RtxCachePolicy {
    /// What is kept; none before the line is known.
    size: Option<RtxCacheSize>,
    /// What the last measures asked for instead, and how many of them.
    pending: Option<(RtxCacheSize, u32)>,
}

impl RtxCachePolicy {
    /// What is kept now.
    pub fn size(&self) -> RtxCacheSize {
        self.size.unwrap_or(RtxCacheSize::Short)
    }

    /// Takes in a measure, one a second: the round trip in ms. True where something else is
    /// to be kept.
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
    fn a_line_with_a_long_round_trip_keeps_more() {
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

    /// The moments at which something else is kept, of measures with these round trips.
    fn changes(rtts: &[f64]) -> Vec<(usize, RtxCacheSize)> {
        let mut keeper = RtxCachePolicy::default();
        let mut changes = Vec::new();
        for (moment, rtt) in rtts.iter().enumerate() {
            if keeper.on_rtt_sample(*rtt) {
                changes.push((moment, keeper.size()));
            }
        }
        changes
    }

    #[test]
    fn a_first_measure_decides_at_once_and_later_ones_when_ten_agree() {
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
        /// What is kept is not lost more often than once in ten measures.
        #[test]
        fn it_changes_rarely(measures in prop::collection::vec(0.0..500.0, 1..200)) {
            let mut keeper = RtxCachePolicy::default();
            let mut since = CHANGE_AFTER_SAMPLES;
            for rtt in measures {
                since += 1;
                if keeper.on_rtt_sample(rtt) {
                    prop_assert!(since >= CHANGE_AFTER_SAMPLES, "after {since}");
                    since = 0;
                }
            }
        }
    }
}
