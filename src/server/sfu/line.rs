//! What a line carries at least, whatever the estimate says.
//!
//! A receiver that is busy tells of packets late, which looks like a narrow line: estimates
//! fall, and where little is sent they do not rise again. One that really is narrow has a
//! long round trip or losses as soon as more is sent than it carries. So on a line that is
//! good the next step is tried, with the picture itself; where the line is bad a moment
//! later, the estimate has the word for a while, and padding does the trying.

use super::{
    quality::{GOOD_LOSS, GOOD_RTT_MS},
    queue::Queue,
};
use std::time::{Duration, Instant};

/// What a good line carries at least, untried. 600 kbit/s: the smallest layers of four people.
const GOOD_LINE_BPS: u64 = 600_000;
/// What a line carries at least on which nothing queues up, though it loses packets or is
/// long: sending less would neither lose less nor come sooner. 300 kbit/s: a small picture
/// or two.
const CLEAR_LINE_BPS: u64 = 300_000;
/// What a round trip is longer than the shortest of late, in ms, where something queues up:
/// more than single packets that are late make of it.
const QUEUE_MS: f64 = 150.0;
/// The share of packets above which such a line is narrow as well.
const CLEAR_LOSS: f64 = 0.2;
/// Good measures in a row after a bad one until something is tried.
const GOOD_AFTER: u32 = 3;
/// How soon after a try a bad measure is because of it.
const SETTLES_WITHIN: Duration = Duration::from_secs(4);
/// How long nothing is tried after that, the first time; doubled each time.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest that it grows to.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What is sent on a line, in bit/s, with what it needs to spare.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// What is sent.
    pub sent: u64,
    /// What it would be with the cheapest next step; none where there is no more to want.
    pub next: Option<u64>,
}

/// A line, as it is measured each second.
#[derive(Debug)]
pub struct Line {
    /// Whether it was measured, and whether nothing queued up on it then.
    clear: Option<bool>,
    /// What of its round trip is a queue.
    queue: Queue,
    /// Good measures in a row.
    good: u32,
    /// What is sent on it.
    needs: Needs,
    /// What it was found to carry, or is tried with.
    found: u64,
    /// When a step was tried last.
    tried: Option<Instant>,
    /// Until when nothing is tried.
    paused_until: Option<Instant>,
    /// How long that is next time.
    pause: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            clear: None,
            queue: Queue::default(),
            good: GOOD_AFTER - 1,
            needs: Needs::default(),
            found: 0,
            tried: None,
            paused_until: None,
            pause: PAUSE,
        }
    }
}

impl Line {
    /// What is sent from now on.
    pub fn carries(&mut self, needs: Needs) {
        self.needs = needs;
    }

    /// Takes in a measure: the round trip in ms, the share lost, the estimate in bit/s.
    pub fn measure(&mut self, now: Instant, rtt_ms: f64, loss: f64, estimate: u64) {
        let queue = self.queue.measure(rtt_ms);
        self.clear = Some((rtt_ms < GOOD_RTT_MS || queue < QUEUE_MS) && loss < CLEAR_LOSS);
        if !(rtt_ms < GOOD_RTT_MS && loss < GOOD_LOSS) {
            self.good = 0;
            self.found = 0;
            if self
                .tried
                .take()
                .is_some_and(|tried| now < tried + SETTLES_WITHIN)
            {
                self.paused_until = Some(now + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
            return;
        }
        self.good = self.good.saturating_add(1);
        if self.good < GOOD_AFTER || self.is_paused(now) {
            self.found = 0;
            return;
        }
        let Needs { sent, next } = self.needs;
        self.found = next.unwrap_or(sent);
        if next.is_some_and(|next| next > estimate) {
            self.tried = Some(now);
        }
    }

    /// What it carries at least, in bit/s.
    pub fn floor(&self) -> u64 {
        let untried = match self.clear {
            Some(_) if self.good >= GOOD_AFTER => GOOD_LINE_BPS,
            Some(true) => CLEAR_LINE_BPS,
            _ => 0,
        };
        untried.max(self.found)
    }

    /// Whether the next step is found by padding: where it may not be tried.
    pub fn needs_padding(&self, now: Instant) -> bool {
        self.clear.is_some() && (self.good < GOOD_AFTER || self.is_paused(now))
    }

    /// Whether a try has failed of late.
    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP: Needs = Needs {
        sent: 700_000,
        next: Some(1_200_000),
    };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_good_line_is_tried_with_the_next_step_as_soon_as_it_is_measured() {
        let (mut line, start) = (Line::default(), Instant::now());
        line.carries(STEP);
        assert_eq!(line.floor(), 0, "nothing is known yet");
        line.measure(start, 10.0, 0.0, 800_000);
        assert_eq!(line.floor(), 1_200_000);
        assert!(!line.needs_padding(start));
        line.carries(Needs {
            sent: 1_200_000,
            next: None,
        });
        line.measure(start + seconds(1), 10.0, 0.0, 800_000);
        assert_eq!(
            line.floor(),
            1_200_000,
            "what it carries, it goes on carrying"
        );
    }

    #[test]
    fn a_step_too_many_is_taken_back_and_the_estimate_has_the_word_for_longer_each_time() {
        let (mut line, start) = (Line::default(), Instant::now());
        line.carries(STEP);
        let mut at = 0;
        for pause in [30, 60, 120, 240, 300, 300] {
            line.measure(start + seconds(at), 10.0, 0.0, 800_000);
            assert_eq!(line.floor(), 1_200_000);
            line.measure(start + seconds(at + 1), 800.0, 0.1, 800_000);
            assert_eq!(line.floor(), 0);
            let failed = at + 1;
            for second in failed + 1..failed + pause {
                line.measure(start + seconds(second), 10.0, 0.0, 800_000);
                assert!(line.floor() <= GOOD_LINE_BPS, "not tried again yet");
                assert!(line.needs_padding(start + seconds(second)));
            }
            at = failed + pause;
        }
    }

    #[test]
    fn a_line_that_was_bad_by_itself_is_tried_when_it_has_been_good_for_a_while() {
        let (mut line, start) = (Line::default(), Instant::now());
        line.carries(STEP);
        line.measure(start, 400.0, 0.0, 800_000);
        let floors = [1, 2, 3].map(|second| {
            line.measure(start + seconds(second), 10.0, 0.0, 800_000);
            line.floor()
        });
        assert_eq!(floors, [CLEAR_LINE_BPS, CLEAR_LINE_BPS, 1_200_000]);
    }

    #[test]
    fn a_line_on_which_nothing_queues_up_keeps_a_small_picture() {
        let (mut line, start) = (Line::default(), Instant::now());
        for (rtt, loss, floor) in [
            (20.0, 0.1, CLEAR_LINE_BPS),
            (20.0, 0.3, 0),
            (800.0, 0.0, 0),
            (800.0, 0.1, 0),
        ] {
            line.measure(start, rtt, loss, 0);
            assert_eq!(line.floor(), floor, "{rtt} ms, {loss}");
            assert!(line.needs_padding(start));
        }
    }

    #[test]
    fn a_long_line_keeps_a_small_picture_as_long_as_it_does_not_become_longer() {
        let (mut line, start) = (Line::default(), Instant::now());
        for (second, rtt) in [450.0, 350.0, 500.0, 330.0, 470.0].into_iter().enumerate() {
            line.measure(start + seconds(second as u64), rtt, 0.0, 50_000);
            assert_eq!(line.floor(), CLEAR_LINE_BPS, "{rtt} ms");
        }
        line.measure(start + seconds(5), 1_500.0, 0.0, 50_000);
        assert_eq!(line.floor(), 0);
    }

    proptest! {
        #[test]
        fn a_floor_is_never_more_than_one_step_from_what_is_sent(
            measures in prop::collection::vec((0.0..1_000.0_f64, 0.0..1.0_f64, 0_u64..4_000_000), 1..80),
        ) {
            let (mut line, start) = (Line::default(), Instant::now());
            for (second, (rtt, loss, sent)) in measures.into_iter().enumerate() {
                let next = sent.is_multiple_of(2).then_some(sent + 100_000);
                line.carries(Needs { sent, next });
                line.measure(start + seconds(second as u64), rtt, loss, sent / 2);
                prop_assert!(line.floor() <= (sent + 100_000).max(GOOD_LINE_BPS));
            }
        }
    }
}
