//! What a line carries at least, whatever the estimate says.
//!
//! A receiver that is busy tells of packets late, which looks like a narrow line: estimates
//! fall, and where little is sent they do not rise again. One that really is narrow has a
//! long round trip or losses as soon as more is sent than it carries. So on a line that is
//! good the next step is tried, with the picture itself; where the line is bad a moment
//! later, the estimate has the word for a while, and padding does the trying.

use crate::protocol::quality::{GOOD_LOSS, GOOD_RTT_MS};
use std::time::{Duration, Instant};

/// What a good line carries at least, untried. 600 kbit/s: the smallest layers of four people.
const GOOD_LINE_BPS: u64 = 600_000;
/// What a line carries at least that loses packets and answers quickly: nothing queues up on
/// it, so sending less would not lose less. 300 kbit/s: a small picture or two.
const LOSSY_LINE_BPS: u64 = 300_000;
/// The share of packets above which a quick line is narrow as well. 0.4: what is lost of the
/// reports counts as lost, and of the sixty packets of a second, one in ten lost at random
/// looked like one in four now and then.
const LOSSY_LOSS: f64 = 0.4;
/// Good measures in a row after a bad one until something is tried.
const GOOD_AFTER: u32 = 3;
/// Round trips in a row, looked at between measures, that are bad enough to act upon: one
/// alone may be a packet that was late.
const LATE: u32 = 2;
/// Of what was estimated of late, below how much the line has become narrow, in percent: a
/// receiver that is busy for a moment is late, too.
const FALLEN_PERCENT: u64 = 60;
/// How soon after a try a bad measure is because of it.
const SETTLES_WITHIN: Duration = Duration::from_secs(4);
/// How long nothing is tried after that, the first time; doubled each time.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest that it grows to.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Good measures in a row with a step that is tried until the line is known to carry it.
const HELD_AFTER: u32 = 3;
/// How long a line that has just become bad is not padded: what queued up has to get through.
const RESTS_FOR: Duration = Duration::from_secs(4);
/// How long it gets less than it carries, so that what queued up gets through.
const DRAINS_FOR: Duration = Duration::from_secs(2);
/// Of what it carries, how much that is, in percent.
const DRAINED_PERCENT: u64 = 60;

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
    /// The round trip in milliseconds as measured last, and the share of packets lost in the
    /// last two measures.
    measured: Option<(f64, f64)>,
    /// The share of packets lost, of the last measure alone.
    lost: Option<f64>,
    /// Good measures in a row.
    good: u32,
    /// Bad round trips in a row between measures.
    late: u32,
    /// What was estimated at the last two measures, in bit/s.
    estimates: [u64; 2],
    /// What is sent on it.
    needs: Needs,
    /// What it was found to carry, or is tried with.
    found: u64,
    /// When it became bad last.
    turned: Option<Instant>,
    /// Whether that was because something queues up, or most of it is thrown away.
    queues: bool,
    /// When a step was tried last.
    tried: Option<Instant>,
    /// Good measures since something was tried.
    held: u32,
    /// Until when nothing is tried.
    paused_until: Option<Instant>,
    /// How long that is next time.
    pause: Duration,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            measured: None,
            lost: None,
            good: GOOD_AFTER - 1,
            late: 0,
            estimates: [0; 2],
            needs: Needs::default(),
            found: 0,
            turned: None,
            queues: false,
            tried: None,
            held: 0,
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
        // Of few packets a share says little: two measures together say more.
        let before = self.lost.replace(loss).unwrap_or(loss);
        self.measured = Some((rtt_ms, (before + loss) / 2.0));
        self.estimates = [self.estimates[1], estimate];
        if !(rtt_ms < GOOD_RTT_MS && loss < GOOD_LOSS) {
            self.turns_bad(now);
            return;
        }
        self.good = self.good.saturating_add(1);
        if self.good < GOOD_AFTER || self.is_paused(now) {
            self.found = 0;
            self.held = 0;
            return;
        }
        self.held = self.held.saturating_add(1);
        if self.held >= HELD_AFTER {
            self.pause = PAUSE;
        }
        let Needs { sent, next } = self.needs;
        self.found = next.unwrap_or(sent);
        if next.is_some_and(|next| next > estimate) {
            self.tried = Some(now);
        }
    }

    /// Takes in a round trip between two measures, and the estimate: a line that has become
    /// narrow queues up seconds in one.
    pub fn glance(&mut self, now: Instant, rtt_ms: f64, estimate: u64) {
        self.late = if rtt_ms < GOOD_RTT_MS {
            0
        } else {
            self.late + 1
        };
        let narrow = self.late >= LATE && self.has_fallen(estimate);
        if let Some((_, loss)) = self.measured.filter(|_| narrow) {
            self.measured = Some((rtt_ms, loss));
            self.turns_bad(now);
        }
    }

    /// Whether much less is estimated than of late.
    fn has_fallen(&self, estimate: u64) -> bool {
        let [before, last] = self.estimates;
        estimate * 100 < before.max(last) * FALLEN_PERCENT
    }

    /// The estimate has the word; a try of a moment ago has failed.
    fn turns_bad(&mut self, now: Instant) {
        if self.good > 0 {
            self.turned = Some(now);
            self.queues = !self.is_quick();
        }
        self.good = 0;
        self.held = 0;
        self.found = 0;
        let tried = self.tried.take();
        if tried.is_some_and(|tried| now < tried + SETTLES_WITHIN) {
            self.paused_until = Some(now + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What is to be sent on it at most, in bit/s, where it is estimated to carry this.
    pub fn budget(&self, estimate: u64, now: Instant) -> u64 {
        let drains = self.turned.is_some_and(|turned| now < turned + DRAINS_FOR);
        match drains && self.queues && self.has_fallen(estimate) {
            true => estimate * DRAINED_PERCENT / 100,
            false => estimate.max(self.floor()),
        }
    }

    /// What it carries at least, in bit/s.
    fn floor(&self) -> u64 {
        let untried = match self.measured {
            Some(_) if self.good >= GOOD_AFTER => GOOD_LINE_BPS,
            _ if self.is_quick() => LOSSY_LINE_BPS,
            _ => 0,
        };
        untried.max(self.found)
    }

    /// Whether nothing queues up on it, although it may lose packets.
    fn is_quick(&self) -> bool {
        let quick = |(rtt, loss): (f64, f64)| rtt < GOOD_RTT_MS && loss < LOSSY_LOSS;
        self.measured.is_some_and(quick)
    }

    /// Whether the next step is found by padding: where it may not be tried.
    pub fn needs_padding(&self, now: Instant) -> bool {
        let rests = self.turned.is_some_and(|turned| now < turned + RESTS_FOR);
        let untried = self.good < GOOD_AFTER || self.is_paused(now);
        self.measured.is_some() && untried && !rests
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
    fn a_line_that_begins_to_lose_packets_without_a_queue_is_not_drained() {
        let (mut line, start) = (Line::default(), Instant::now());
        for second in 0..4 {
            line.measure(start + seconds(second), 20.0, 0.0, 100_000);
        }
        // One in three of few packets, and the estimate falls.
        line.measure(start + seconds(4), 25.0, 0.34, 40_000);
        assert_eq!(line.budget(40_000, start + seconds(4)), LOSSY_LINE_BPS);
        line.measure(start + seconds(5), 25.0, 0.05, 40_000);
        assert_eq!(line.budget(40_000, start + seconds(5)), LOSSY_LINE_BPS);
        // Most of it for two seconds: it is narrow.
        line.measure(start + seconds(6), 25.0, 0.8, 40_000);
        assert_eq!(line.budget(40_000, start + seconds(6)), 40_000);
    }

    #[test]
    fn a_step_too_many_is_taken_back_and_the_estimate_has_the_word_for_longer_each_time() {
        let (mut line, start) = (Line::default(), Instant::now());
        line.carries(STEP);
        let mut at = 0;
        for pause in [10, 20, 40, 80, 160, 300, 300] {
            line.measure(start + seconds(at), 10.0, 0.0, 800_000);
            assert_eq!(line.floor(), 1_200_000);
            line.measure(start + seconds(at + 1), 400.0, 0.1, 800_000);
            assert_eq!(line.floor(), 0);
            let failed = at + 1;
            for second in failed + 1..failed + pause {
                line.measure(start + seconds(second), 10.0, 0.0, 800_000);
                assert!(line.floor() <= GOOD_LINE_BPS, "not tried again yet");
                let rests = seconds(second - failed) < RESTS_FOR;
                assert_eq!(line.needs_padding(start + seconds(second)), !rests);
            }
            at = failed + pause;
        }
    }

    #[test]
    fn a_step_that_holds_makes_the_next_pause_a_short_one() {
        let (mut line, start) = (Line::default(), Instant::now());
        line.carries(STEP);
        let at = |second| start + seconds(second);
        let fails = |line: &mut Line, second| {
            line.measure(at(second), 10.0, 0.0, 800_000);
            line.measure(at(second + 1), 400.0, 0.1, 800_000);
            (2..).find(|later| {
                line.measure(at(second + later), 10.0, 0.0, 800_000);
                line.floor() > GOOD_LINE_BPS
            })
        };
        assert_eq!(fails(&mut line, 0), Some(11));
        assert_eq!(fails(&mut line, 20), Some(21), "after twice as long");
        for second in 50..55 {
            line.measure(at(second), 10.0, 0.0, 800_000);
        }
        assert_eq!(fails(&mut line, 55), Some(11));
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
        assert_eq!(floors, [LOSSY_LINE_BPS, LOSSY_LINE_BPS, 1_200_000]);
    }

    #[test]
    fn a_line_that_becomes_narrow_is_bad_at_the_second_long_round_trip() {
        let (mut line, start) = (Line::default(), Instant::now());
        line.carries(STEP);
        line.measure(start, 10.0, 0.0, 800_000);
        for rtt in [400.0, 10.0, 700.0] {
            line.glance(start + seconds(1), rtt, 300_000);
            assert_eq!(line.floor(), 1_200_000, "one alone");
        }
        line.glance(start + seconds(1), 900.0, 700_000);
        assert_eq!(line.floor(), 1_200_000, "a busy receiver");
        line.glance(start + seconds(1), 900.0, 300_000);
        assert_eq!(line.floor(), 0);
        let budget = |second, estimate| line.budget(estimate, start + seconds(second));
        assert_eq!(budget(2, 300_000), 180_000, "what queued up gets through");
        assert_eq!(budget(2, 700_000), 700_000, "it carries that much again");
        assert_eq!(budget(3, 300_000), 300_000);
        assert!(line.needs_padding(start + seconds(5)), "the try has failed");
    }

    #[test]
    fn a_line_that_loses_but_answers_quickly_keeps_a_small_picture() {
        let (mut line, start) = (Line::default(), Instant::now());
        for (rtt, loss, floor) in [
            (20.0, 0.1, LOSSY_LINE_BPS),
            (20.0, 0.6, LOSSY_LINE_BPS),
            (20.0, 0.6, 0),
            (400.0, 0.0, 0),
            (400.0, 0.1, 0),
        ] {
            line.measure(start, rtt, loss, 0);
            assert_eq!(line.floor(), floor, "{rtt} ms, {loss}");
            assert!(line.needs_padding(start + RESTS_FOR));
        }
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
