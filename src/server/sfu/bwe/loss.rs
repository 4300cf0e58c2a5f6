//! Detects lasting packet loss, during which audio is sent with redundancy (RED).
//!
//! One second with losses starts it, because words are lost. Ten good seconds end it, because
//! losses come in bursts.

use std::time::{Duration, Instant};

/// The fraction of packets lost above which a link is lossy. 3 %: Opus conceals less.
const ENTER_LOSS: f64 = 0.03;
/// The fraction of packets lost below which a second is good.
const LEAVE_LOSS: f64 = 0.01;
/// How long a link must be good to leave the lossy state.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// The loss state of one link. The default is not lossy.
#[derive(Debug, Default)]
pub struct LossDetector {
    /// Whether the link is in the lossy state.
    is_lossy: bool,
    /// Since when the loss is below [`LEAVE_LOSS`].
    good_since: Option<Instant>,
}

impl LossDetector {
    /// Adds the fraction of packets lost in the last second; returns whether the link is lossy.
    pub fn on_sample(&mut self, loss: f64, now: Instant) -> bool {
        if loss > ENTER_LOSS {
            self.is_lossy = true;
        }
        self.good_since = match loss < LEAVE_LOSS {
            true => self.good_since.filter(|_| self.is_lossy).or(Some(now)),
            false => None,
        };
        let good = |since| now.saturating_duration_since(since) >= GOOD_FOR;
        if self.good_since.is_some_and(good) {
            self.is_lossy = false;
        }
        self.is_lossy
    }

    /// Whether the link is in the lossy state.
    pub fn is_lossy(&self) -> bool {
        self.is_lossy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether the link is lossy after each sample, one per second.
    fn answers(losses: &[f64]) -> Vec<bool> {
        let (mut detector, start) = (LossDetector::default(), Instant::now());
        let each = losses.iter().zip(0..);
        each.map(|(loss, s)| detector.on_sample(*loss, start + Duration::from_secs(s)))
            .collect()
    }

    #[test]
    fn a_link_is_lossy_from_one_bad_second_to_ten_good_ones() {
        assert_eq!(answers(&[0.0, 0.02, 0.03]), [false; 3]);
        let losses = [&[0.031][..], &[0.0; 11]].concat();
        let lossy = [&[true; 11][..], &[false]].concat();
        assert_eq!(answers(&losses), lossy);
    }

    #[test]
    fn a_second_that_is_not_good_restarts_the_wait() {
        let losses = [&[0.1][..], &[0.0; 8], &[0.02], &[0.009; 11]].concat();
        let lossy = [&[true; 20][..], &[false]].concat();
        assert_eq!(answers(&losses), lossy);
    }

    #[test]
    fn a_bad_second_after_a_long_good_period_also_needs_ten_good_ones() {
        let losses = [&[0.0; 30][..], &[0.5], &[0.0; 9]].concat();
        let lossy = [&[false; 30][..], &[true; 10]].concat();
        assert_eq!(answers(&losses), lossy);
    }

    proptest! {
        /// The state changes only after a second with losses or ten good seconds.
        #[test]
        fn the_lossy_state_does_not_flap(losses in prop::collection::vec(0.0..0.06, 1..100)) {
            let lossy = answers(&losses);
            for (second, pair) in lossy.windows(2).enumerate() {
                match pair {
                    [false, true] => prop_assert!(losses[second + 1] > ENTER_LOSS),
                    [true, false] => prop_assert!(losses[second - 9..=second + 1].iter().all(|l| *l < LEAVE_LOSS)),
                    _ => {}
                }
            }
        }
    }
}
