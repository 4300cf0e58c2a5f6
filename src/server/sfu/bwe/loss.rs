//! Whether a line loses so many packets that voices are worth sending twice.
//!
//! Pure: driven by each measurement of the line. One bad second is enough to begin, because
//! words are lost; it takes ten good ones to end, because losses come in groups.

use std::time::{Duration, Instant};

/// Above this share of packets lost, a line is lossy. 3 %: Opus hides less.
const ENTER_LOSS: f64 = 0.03;
/// Below this share a second counts as good.
const LEAVE_LOSS: f64 = 0.01;
/// Good for so long, a line is not lossy any more.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// What is known of one line. The default loses nothing.
#[derive(Debug, Default)]
pub struct LossDetector {
    /// Whether it loses packets.
    is_lossy: bool,
    /// Since when it is good, while it counts as lossy.
    good_since: Option<Instant>,
}

impl LossDetector {
    /// Takes in the share of packets lost of late; answers whether the line is lossy.
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

    /// Whether it is lossy.
    pub fn is_lossy(&self) -> bool {
        self.is_lossy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is answered to these samples, one a second.
    fn answers(losses: &[f64]) -> Vec<bool> {
        let (mut line, start) = (LossDetector::default(), Instant::now());
        let each = losses.iter().zip(0..);
        each.map(|(loss, s)| line.on_sample(*loss, start + Duration::from_secs(s)))
            .collect()
    }

    #[test]
    fn a_line_is_lossy_from_one_bad_second_to_ten_good_ones() {
        assert_eq!(answers(&[0.0, 0.02, 0.03]), [false; 3]);
        let losses = [&[0.031][..], &[0.0; 11]].concat();
        let lossy = [&[true; 11][..], &[false]].concat();
        assert_eq!(answers(&losses), lossy);
    }

    #[test]
    fn a_second_that_is_not_good_begins_the_wait_anew() {
        let losses = [&[0.1][..], &[0.0; 8], &[0.02], &[0.009; 11]].concat();
        let lossy = [&[true; 20][..], &[false]].concat();
        assert_eq!(answers(&losses), lossy);
    }

    #[test]
    fn a_bad_second_after_a_long_good_time_takes_ten_good_ones_too() {
        let losses = [&[0.0; 30][..], &[0.5], &[0.0; 9]].concat();
        let lossy = [&[false; 30][..], &[true; 10]].concat();
        assert_eq!(answers(&losses), lossy);
    }

    proptest! {
        /// It changes only by a bad second, or after ten good ones.
        #[test]
        fn it_does_not_flicker(losses in prop::collection::vec(0.0..0.06, 1..100)) {
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
