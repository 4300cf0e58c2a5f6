//! How long what was sent to somebody can be sent again.
//!
//! Every packet that may be asked for again is kept once for each receiver, half a kilobyte
//! beside its shared payload. On a short line that loses nothing a few round trips fit into
//! a moment; on a long one a packet is asked for when much more has gone.

use super::quality::GOOD_RTT_MS;
use std::time::Duration;

/// A line with a shorter round trip, in ms, on which next to nothing is lost is short.
const SHORT_RTT_MS: f64 = 40.0;
/// The share of packets that a short line loses at most.
const SHORT_LOSS: f64 = 0.005;
/// Measures in a row that ask for less until less is kept: one a second.
const LESS_AFTER: u32 = 10;

/// What is kept of each stream of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// Which it is for one line. More at once, less late: what is kept is lost when that changes.
#[derive(Debug)]
pub struct Keeper {
    /// What is kept.
    kept: Resend,
    /// Measures in a row that asked for less.
    less: u32,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            kept: Resend::Short,
            less: 0,
        }
    }
}

impl Keeper {
    /// What is kept now.
    pub fn kept(&self) -> Resend {
        self.kept
    }

    /// Takes in a measure, one a second: the round trip in ms where it is known, the share
    /// lost, and whether anything was ever asked for again. True where something else is to
    /// be kept.
    pub fn measure(&mut self, rtt_ms: Option<f64>, loss: f64, asked: bool) -> bool {
        let fit = match rtt_ms {
            Some(rtt_ms) => Resend::fit(rtt_ms, loss),
            None if asked => self.kept.max(Resend::Usual),
            None => self.kept,
        };
        self.less = if fit < self.kept { self.less + 1 } else { 0 };
        let changes = fit > self.kept || self.less >= LESS_AFTER;
        if changes {
            self.kept = fit;
            self.less = 0;
        }
        changes
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

    #[test]
    fn more_is_kept_at_once_and_less_after_ten_measures() {
        let mut keeper = Keeper::default();
        assert!(!keeper.measure(Some(5.0), 0.0, true));
        assert!(keeper.measure(Some(300.0), 0.0, true));
        assert_eq!(keeper.kept(), Resend::Long);
        for _ in 0..9 {
            assert!(!keeper.measure(Some(5.0), 0.0, true));
        }
        assert!(!keeper.measure(Some(300.0), 0.0, true), "begins anew");
        for _ in 0..9 {
            assert!(!keeper.measure(Some(5.0), 0.0, true));
        }
        assert!(keeper.measure(Some(5.0), 0.0, true));
        assert_eq!(keeper.kept(), Resend::Short);
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
        /// At least what the line asks for is kept, and it does not become less more often
        /// than once in ten measures.
        #[test]
        fn enough_is_kept(measures in prop::collection::vec((0.0..500.0, 0.0..0.2), 1..200)) {
            let mut keeper = Keeper::default();
            let mut since = 10;
            for (rtt, loss) in measures {
                let before = keeper.kept();
                keeper.measure(Some(rtt), loss, true);
                since += 1;
                prop_assert!(keeper.kept() >= Resend::fit(rtt, loss));
                if keeper.kept() < before {
                    prop_assert!(since >= 10, "after {since}");
                    since = 0;
                }
            }
        }
    }
}
