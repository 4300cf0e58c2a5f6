//! When the sender of one layer is asked for a keyframe.
//!
//! Many may want one at the same moment: the first wish goes out at once, the others wait
//! for the same answer. A question that stays open is asked again, soon at first: waiting a
//! full second was the longest part of the time to a first picture elsewhere.

use std::time::{Duration, Instant};

/// Between two answered questions to the smallest of several layers. A keyframe of it is
/// cheap.
pub const MIN_INTERVAL_LOW: Duration = Duration::from_millis(500);
/// Between two answered questions to any other layer.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Until an open question is asked again for the first time: more than most round trips.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// Between the next [`RETRIES`] times.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is asked again each second.
const RETRIES: u32 = 5;
/// From then on: whoever does not answer six times is busy or gone.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// The questions to one layer.
#[derive(Debug)]
pub struct Keyframes {
    /// Between two answered questions.
    min_interval: Duration,
    /// Since when a keyframe is wanted that has not come.
    wanted: Option<Instant>,
    /// How often it was asked for since it is wanted.
    asked: u32,
    /// The last time it was.
    last: Option<Instant>,
}

impl Keyframes {
    /// Nothing asked yet. `low`: the smallest of several layers.
    pub fn new(low: bool) -> Self {
        Self {
            min_interval: if low { MIN_INTERVAL_LOW } else { MIN_INTERVAL },
            wanted: None,
            asked: 0,
            last: None,
        }
    }

    /// Somebody cannot go on without a keyframe. May be said as often as is true: one
    /// question is open at a time.
    pub fn want(&mut self, now: Instant) {
        if self.wanted.is_none() {
            self.wanted = Some(now);
            self.asked = 0;
        }
    }

    /// A keyframe has come: nobody waits any more.
    pub fn arrived(&mut self, _now: Instant) {
        self.wanted = None;
    }

    /// Whether the sender is to be asked now; true once for each question.
    pub fn due(&mut self, now: Instant) -> bool {
        if self.next_deadline().is_none_or(|at| now < at) {
            return false;
        }
        self.last = Some(now);
        self.asked = self.asked.saturating_add(1);
        true
    }

    /// When [`Self::due`] is true next; none while nobody waits.
    pub fn next_deadline(&self) -> Option<Instant> {
        let wanted = self.wanted?;
        Some(
            self.last
                .map_or(wanted, |last| wanted.max(last + self.pause())),
        )
    }

    /// From the last question to the next.
    fn pause(&self) -> Duration {
        const LAST_QUICK: u32 = 1 + RETRIES;
        match self.asked {
            0 => self.min_interval,
            1 => FIRST_RETRY,
            2..=LAST_QUICK => RETRY,
            _ => LAST_RETRY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Asks each 10 ms from `from` to `to`; when it was due, in ms.
    fn questions(keyframes: &mut Keyframes, start: Instant, from: u64, to: u64) -> Vec<u64> {
        let times = (from..to).step_by(10);
        times
            .filter(|ms| keyframes.due(start + Duration::from_millis(*ms)))
            .collect()
    }

    #[test]
    fn the_first_wish_goes_out_at_once_and_an_open_one_again_and_again() {
        let (mut keyframes, start) = (Keyframes::new(true), Instant::now());
        assert_eq!(questions(&mut keyframes, start, 0, 1_000), [0; 0]);
        keyframes.want(start + Duration::from_secs(1));
        let asked = questions(&mut keyframes, start, 1_000, 30_000);
        assert_eq!(
            asked,
            [
                1_000, 1_250, 2_250, 3_250, 4_250, 5_250, 6_250, 16_250, 26_250
            ]
        );
    }

    #[test]
    fn wishes_while_one_is_open_add_nothing() {
        let (mut keyframes, start) = (Keyframes::new(true), Instant::now());
        let mut asked = 0;
        for ms in (0..200).step_by(10) {
            let now = start + Duration::from_millis(ms);
            keyframes.want(now);
            asked += u32::from(keyframes.due(now));
        }
        assert_eq!(asked, 1);
    }

    #[test]
    fn answered_questions_are_an_interval_apart() {
        for (low, interval) in [(true, 500), (false, 1_000)] {
            let (mut keyframes, start) = (Keyframes::new(low), Instant::now());
            keyframes.want(start);
            assert!(keyframes.due(start));
            keyframes.arrived(start + Duration::from_millis(80));
            assert_eq!(keyframes.next_deadline(), None);
            keyframes.want(start + Duration::from_millis(100));
            let at = start + Duration::from_millis(interval);
            assert_eq!(keyframes.next_deadline(), Some(at));
            assert_eq!(
                questions(&mut keyframes, start, 100, interval + 200),
                [interval]
            );
        }
    }

    #[test]
    fn a_wish_after_a_long_time_is_due_when_it_is_made() {
        let (mut keyframes, start) = (Keyframes::new(false), Instant::now());
        keyframes.want(start);
        assert_eq!(keyframes.next_deadline(), Some(start));
        assert!(keyframes.due(start));
        keyframes.arrived(start);
        let later = start + Duration::from_secs(60);
        keyframes.want(later);
        assert_eq!(keyframes.next_deadline(), Some(later));
    }

    #[test]
    fn an_answer_ends_the_questions() {
        let (mut keyframes, start) = (Keyframes::new(false), Instant::now());
        keyframes.want(start);
        assert!(keyframes.due(start));
        keyframes.arrived(start);
        assert_eq!(questions(&mut keyframes, start, 10, 30_000), [0; 0]);
    }

    proptest! {
        /// However wishes and answers come, there is no flood, and the deadline tells the truth.
        #[test]
        fn questions_never_flood_the_sender(
            steps in prop::collection::vec((0_u8..4, 1_u64..400), 1..200),
            low in any::<bool>(),
        ) {
            let (mut keyframes, mut now) = (Keyframes::new(low), Instant::now());
            let mut asked = Vec::new();
            for (step, pause) in steps {
                match step {
                    0 => keyframes.want(now),
                    1 => keyframes.arrived(now),
                    _ => {
                        let expected = keyframes.next_deadline().is_some_and(|at| at <= now);
                        let due = keyframes.due(now);
                        prop_assert_eq!(due, expected);
                        asked.extend(due.then_some(now));
                        prop_assert!(!keyframes.due(now), "once for each question");
                    }
                }
                now += Duration::from_millis(pause);
            }
            for six in asked.windows(6) {
                prop_assert!(six[5] - six[0] >= Duration::from_secs(1));
            }
            for two in asked.windows(2) {
                prop_assert!(two[1] - two[0] >= FIRST_RETRY);
            }
        }
    }
}
