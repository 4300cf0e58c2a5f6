//! Schedules the keyframe requests to the sender of one layer.
//!
//! The first request is sent at once; requests while one is outstanding wait for the same keyframe.
//! An unanswered request is repeated, first after 250 ms: with a full second, the retry was the
//! longest part of the time to the first frame.

use std::time::{Duration, Instant};

/// The least interval between two answered requests to the lowest of several layers, whose
/// keyframes are small.
pub const MIN_INTERVAL_LOW: Duration = Duration::from_millis(500);
/// The least interval between two answered requests to any other layer.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The interval before the first retry. 250 ms: more than most round trips.
const FIRST_RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// The interval between the next [`RETRIES`] retries.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Retries at [`RETRY_INTERVAL`].
const RETRIES: u32 = 5;
/// The interval of all later retries: a sender that ignores six requests is busy or gone.
const LAST_RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// The requests to one layer.
#[derive(Debug)]
pub struct KeyframeRequester {
    /// The least interval between two answered requests.
    min_interval: Duration,
    /// When the outstanding request was made; none if none is outstanding.
    wanted_since: Option<Instant>,
    /// How often the outstanding request was sent.
    request_count: u32,
    /// When a request was sent last.
    last_request: Option<Instant>,
}

impl KeyframeRequester {
    /// A layer without requests. `low`: the lowest of several layers.
    pub fn new(low: bool) -> Self {
        Self {
            min_interval: if low { MIN_INTERVAL_LOW } else { MIN_INTERVAL },
            wanted_since: None,
            request_count: 0,
            last_request: None,
        }
    }

    /// Requests a keyframe. Idempotent while a request is outstanding.
    pub fn request(&mut self, now: Instant) {
        if self.wanted_since.is_none() {
            self.wanted_since = Some(now);
            self.request_count = 0;
        }
    }

    /// Records a keyframe: no request is outstanding any more.
    pub fn on_keyframe(&mut self, _now: Instant) {
        self.wanted_since = None;
    }

    /// Withdraws the outstanding request.
    pub fn cancel(&mut self) {
        self.wanted_since = None;
    }

    /// Whether to send the request now. Returns true once per sending.
    pub fn take_due(&mut self, now: Instant) -> bool {
        if self.next_deadline().is_none_or(|at| now < at) {
            return false;
        }
        self.last_request = Some(now);
        self.request_count = self.request_count.saturating_add(1);
        true
    }

    /// When [`Self::take_due`] is true next; none while no request is outstanding.
    pub fn next_deadline(&self) -> Option<Instant> {
        let wanted = self.wanted_since?;
        Some(
            self.last_request
                .map_or(wanted, |last| wanted.max(last + self.retry_interval())),
        )
    }

    /// The interval from the last sending to the next.
    fn retry_interval(&self) -> Duration {
        const LAST_QUICK: u32 = 1 + RETRIES;
        match self.request_count {
            0 => self.min_interval,
            1 => FIRST_RETRY_INTERVAL,
            2..=LAST_QUICK => RETRY_INTERVAL,
            _ => LAST_RETRY_INTERVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Polls every 10 ms from `from` to `to`; returns when a request was due, in ms.
    fn requests(keyframes: &mut KeyframeRequester, start: Instant, from: u64, to: u64) -> Vec<u64> {
        let times = (from..to).step_by(10);
        times
            .filter(|ms| keyframes.take_due(start + Duration::from_millis(*ms)))
            .collect()
    }

    #[test]
    fn the_first_request_is_sent_at_once_and_retried() {
        let (mut keyframes, start) = (KeyframeRequester::new(true), Instant::now());
        assert_eq!(requests(&mut keyframes, start, 0, 1_000), [0; 0]);
        keyframes.request(start + Duration::from_secs(1));
        let asked = requests(&mut keyframes, start, 1_000, 30_000);
        assert_eq!(
            asked,
            [
                1_000, 1_250, 2_250, 3_250, 4_250, 5_250, 6_250, 16_250, 26_250
            ]
        );
    }

    #[test]
    fn requests_while_one_is_outstanding_are_merged() {
        let (mut keyframes, start) = (KeyframeRequester::new(true), Instant::now());
        let mut asked = 0;
        for ms in (0..200).step_by(10) {
            let now = start + Duration::from_millis(ms);
            keyframes.request(now);
            asked += u32::from(keyframes.take_due(now));
        }
        assert_eq!(asked, 1);
    }

    #[test]
    fn answered_requests_are_an_interval_apart() {
        for (low, interval) in [(true, 500), (false, 1_000)] {
            let (mut keyframes, start) = (KeyframeRequester::new(low), Instant::now());
            keyframes.request(start);
            assert!(keyframes.take_due(start));
            keyframes.on_keyframe(start + Duration::from_millis(80));
            assert_eq!(keyframes.next_deadline(), None);
            keyframes.request(start + Duration::from_millis(100));
            let at = start + Duration::from_millis(interval);
            assert_eq!(keyframes.next_deadline(), Some(at));
            assert_eq!(
                requests(&mut keyframes, start, 100, interval + 200),
                [interval]
            );
        }
    }

    #[test]
    fn a_request_after_a_long_time_is_due_at_once() {
        let (mut keyframes, start) = (KeyframeRequester::new(false), Instant::now());
        keyframes.request(start);
        assert_eq!(keyframes.next_deadline(), Some(start));
        assert!(keyframes.take_due(start));
        keyframes.on_keyframe(start);
        let later = start + Duration::from_secs(60);
        keyframes.request(later);
        assert_eq!(keyframes.next_deadline(), Some(later));
    }

    #[test]
    fn a_keyframe_ends_the_retries() {
        let (mut keyframes, start) = (KeyframeRequester::new(false), Instant::now());
        keyframes.request(start);
        assert!(keyframes.take_due(start));
        keyframes.on_keyframe(start);
        assert_eq!(requests(&mut keyframes, start, 10, 30_000), [0; 0]);
    }

    #[test]
    fn a_withdrawn_request_is_not_repeated_and_the_next_one_is_due_after_the_interval() {
        let (mut keyframes, start) = (KeyframeRequester::new(false), Instant::now());
        keyframes.request(start);
        assert!(keyframes.take_due(start));
        keyframes.cancel();
        assert_eq!(requests(&mut keyframes, start, 10, 30_000), [0; 0]);
        let later = start + Duration::from_secs(60);
        keyframes.request(later);
        assert!(keyframes.take_due(later));
    }

    proptest! {
        /// Requests are rate-limited, and `next_deadline` agrees with `take_due`.
        #[test]
        fn requests_are_rate_limited(
            steps in prop::collection::vec((0_u8..4, 1_u64..400), 1..200),
            low in any::<bool>(),
        ) {
            let (mut keyframes, mut now) = (KeyframeRequester::new(low), Instant::now());
            let mut asked = Vec::new();
            for (step, pause) in steps {
                match step {
                    0 => keyframes.request(now),
                    1 => keyframes.on_keyframe(now),
                    _ => {
                        let expected = keyframes.next_deadline().is_some_and(|at| at <= now);
                        let due = keyframes.take_due(now);
                        prop_assert_eq!(due, expected);
                        asked.extend(due.then_some(now));
                        prop_assert!(!keyframes.take_due(now), "once for each question");
                    }
                }
                now += Duration::from_millis(pause);
            }
            for six in asked.windows(6) {
                prop_assert!(six[5] - six[0] >= Duration::from_secs(1));
            }
            for two in asked.windows(2) {
                prop_assert!(two[1] - two[0] >= FIRST_RETRY_INTERVAL);
            }
        }
    }
}
