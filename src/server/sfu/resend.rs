//! How long what was sent to somebody can be sent again.
//!
//! Every packet that may be asked for again is kept once for each receiver, half a kilobyte
//! beside its shared payload. On a short line that loses nothing a few round trips fit into
//! a moment; on a long one a packet is asked for when much more has gone.

use crate::protocol::quality::GOOD_RTT_MS;
use std::time::Duration;

/// A line with a shorter round trip, in ms, on which next to nothing is lost is short.
const SHORT_RTT_MS: f64 = 40.0;
/// The share of packets that a short line loses at most.
const SHORT_LOSS: f64 = 0.005;
/// Measures in a row, one a second, that ask for something else until that is kept. What is
/// kept is lost then, and a line that has just become bad is no moment for it.
const CHANGES_AFTER: u32 = 10;

/// What is kept of each stream of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// 150 ms: three round trips and what a browser waits before it asks.
    Short,
    /// 400 ms: as much on a line of 100 ms, or through a hole of a third of a second.
    Usual,
    /// 1 s: three times on a line of 300 ms.
    Long,
}

impl Resend {
    /// The longest that a packet is kept.
    pub fn age(self) -> Duration {
        Duration::from_millis(match self {
            Self::Short => 150,
            Self::Usual => 400,
            Self::Long => 1000,
        })
    }

    /// How many packets are kept at most. Enough for 3 Mbit/s of 1,100 bytes each, and a
    /// keyframe of 80 more.
    pub fn packets(self) -> usize {
        match self {
            Self::Short => 128,
            Self::Usual => 256,
            Self::Long => 512,
        }
    }

    /// What a line asks for, by its round trip in ms and the share of packets lost.
    fn fit(rtt_ms: f64, loss: f64) -> Self {
        match () {
            () if rtt_ms >= GOOD_RTT_MS => Self::Long,
            () if rtt_ms < SHORT_RTT_MS && loss < SHORT_LOSS => Self::Short,
            () => Self::Usual,
        }
    }
}

/// Which it is for one line. The default knows nothing of the line yet.
#[derive(Debug, Default)]
pub struct Keeper {
    /// What is kept; none before the line is known.
    kept: Option<Resend>,
    /// What the last measures asked for instead, and how many of them.
    other: Option<(Resend, u32)>,
}

impl Keeper {
    /// What is kept now.
    pub fn kept(&self) -> Resend {
        self.kept.unwrap_or(Resend::Short)
    }

    /// Takes in a measure, one a second: the round trip in ms where it is known, the share
    /// lost, and whether anything was ever asked for again. True where something else is to
    /// be kept.
    pub fn measure(&mut self, rtt_ms: Option<f64>, loss: f64, asked: bool) -> bool {
        let fit = match rtt_ms {
            Some(rtt_ms) => Resend::fit(rtt_ms, loss),
            None if asked => Resend::Usual,
            None => return false,
        };
        if self.kept == Some(fit) {
            self.other = None;
            return false;
        }
        let run = match self.other {
            Some((other, run)) if other == fit => run + 1,
            _ => 1,
        };
        if self.kept.is_some() && run < CHANGES_AFTER {
            self.other = Some((fit, run));
            return false;
        }
        let before = self.kept();
        (self.kept, self.other) = (Some(fit), None);
        fit != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_short_where_it_answers_quickly_and_loses_nothing() {
        for (rtt, loss, expected) in [
            (1.0, 0.0, Resend::Short),
            (39.0, 0.004, Resend::Short),
            (39.0, 0.01, Resend::Usual),
            (40.0, 0.0, Resend::Usual),
            (149.0, 0.1, Resend::Usual),
            (150.0, 0.0, Resend::Long),
            (f64::NAN, 0.0, Resend::Usual),
            (f64::INFINITY, 0.0, Resend::Long),
        ] {
            assert_eq!(Resend::fit(rtt, loss), expected, "{rtt} ms, {loss}");
        }
    }

    /// The moments at which something else is kept, of measures with these round trips.
    fn changes(rtts: &[f64]) -> Vec<(usize, Resend)> {
        let mut keeper = Keeper::default();
        let mut changes = Vec::new();
        for (moment, rtt) in rtts.iter().enumerate() {
            if keeper.measure(Some(*rtt), 0.0, true) {
                changes.push((moment, keeper.kept()));
            }
        }
        changes
    }

    #[test]
    fn a_first_measure_decides_at_once_and_later_ones_when_ten_agree() {
        assert_eq!(changes(&[300.0]), [(0, Resend::Long)]);
        assert_eq!(changes(&[5.0; 30]), []);
        let mut rtts = [5.0; 30];
        rtts[10..19].fill(300.0);
        assert_eq!(changes(&rtts), [], "nine are a bad moment");
        rtts[20..].fill(300.0);
        assert_eq!(changes(&rtts), [(29, Resend::Long)]);
        let mut rtts = [300.0; 30];
        rtts[5..15].fill(100.0);
        let (long, usual) = (Resend::Long, Resend::Usual);
        assert_eq!(changes(&rtts), [(0, long), (14, usual), (24, long)]);
    }

    #[test]
    fn on_a_line_nobody_knows_more_is_kept_once_something_is_asked_for() {
        let mut keeper = Keeper::default();
        assert!(!keeper.measure(None, 0.0, false));
        assert!(keeper.measure(None, 0.0, true));
        assert_eq!(keeper.kept(), Resend::Usual);
        assert!(!keeper.measure(None, 0.0, true));
    }

    proptest! {
        /// What is kept is not lost more often than once in ten measures.
        #[test]
        fn it_changes_rarely(measures in prop::collection::vec((0.0..500.0, 0.0..0.2), 1..200)) {
            let mut keeper = Keeper::default();
            let mut since = CHANGES_AFTER;
            for (rtt, loss) in measures {
                since += 1;
                if keeper.measure(Some(rtt), loss, true) {
                    prop_assert!(since >= CHANGES_AFTER, "after {since}");
                    since = 0;
                }
            }
        }
    }
}
