//! What a line carries at least, whatever the estimate says.
//!
//! A receiver that is busy tells of packets late, which looks like a narrow line: estimates
//! fall, and where little is sent they do not rise again. One that really is narrow has a
//! long round trip or losses as soon as more is sent than it carries. So on a line that is
//! good the next step is tried, with the picture itself; where the line is bad a moment
//! later, the estimate has the word for a while, and padding does the trying.

use super::{base_rtt::Distance, congestion::Narrow, estimate::is_much_less};
use crate::protocol::quality::GOOD_LOSS;
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

/// What is sent on a line, in bit/s, with what it needs to spare.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// What is sent.
    pub sent: u64,
    /// Whether that is more than sound.
    pub pictures: bool,
    /// What it would be with the cheapest next step; none where there is no more to want.
    pub next: Option<u64>,
}

/// A line, as it is measured each second.
#[derive(Debug)]
pub struct Line {
    /// The round trip in milliseconds as measured last, and the share of packets lost in the
    /// last two measures.
    measured: Option<(f64, f64)>,
    /// How far away its other end is.
    distance: Distance,
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
    /// That it was seen to have become much narrower all at once: the last time.
    narrow: Option<Narrow>,
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
            distance: Distance::default(),
            lost: None,
            good: GOOD_AFTER - 1,
            late: 0,
            estimates: [0; 2],
            needs: Needs::default(),
            found: 0,
            turned: None,
            narrow: None,
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
        let rtt_ms = self.distance.of(rtt_ms);
        // Of few packets a share says little: two measures together say more.
        let before = self.lost.replace(loss).unwrap_or(loss);
        self.measured = Some((rtt_ms, (before + loss) / 2.0));
        self.estimates = [self.estimates[1], estimate];
        if !(rtt_ms < self.distance.long_ms() && loss < GOOD_LOSS) {
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
        let Needs { sent, next, .. } = self.needs;
        self.found = next.unwrap_or(sent);
        if next.is_some_and(|next| next > estimate) {
            self.tried = Some(now);
        }
    }

    /// Takes in a round trip between two measures, and the estimate: a line that has become
    /// narrow queues up seconds in one.
    pub fn glance(&mut self, now: Instant, rtt_ms: f64, estimate: u64) {
        let lost = self.lost.unwrap_or(0.0);
        self.distance.look(now, rtt_ms, self.needs.pictures, lost);
        self.late = if rtt_ms < self.distance.long_ms() {
            0
        } else {
            self.late + 1
        };
        let narrow = self.late >= LATE && self.has_fallen(estimate);
        if let Some((_, loss)) = self.measured.filter(|_| narrow) {
            self.measured = Some((rtt_ms, loss));
            self.turns_bad(now);
            // What was estimated before is of another line.
            self.estimates = [estimate; 2];
            self.narrow = Some(Narrow::seen(now, estimate));
        }
    }

    /// Whether what queued up on it is still to get through.
    pub fn drains(&self, now: Instant) -> bool {
        self.narrow.is_some_and(|narrow| narrow.drains(now))
    }

    /// Whether much less is estimated than of late.
    fn has_fallen(&self, estimate: u64) -> bool {
        let [before, last] = self.estimates;
        is_much_less(estimate, before.max(last))
    }

    /// The estimate has the word; a try of a moment ago has failed.
    fn turns_bad(&mut self, now: Instant) {
        if self.good > 0 {
            self.turned = Some(now);
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
        estimate.max(self.floor(now))
    }

    /// What it carries at least, in bit/s.
    fn floor(&self, now: Instant) -> u64 {
        let narrow = self.narrow(now);
        let untried = match self.measured {
            Some(_) if self.good >= GOOD_AFTER && narrow.is_none() => GOOD_LINE_BPS,
            _ if self.is_quick() => LOSSY_LINE_BPS,
            _ => narrow.map_or(0, |narrow| narrow.floor(now)),
        };
        untried.max(self.found)
    }

    /// Whether nothing queues up on it, although it may lose packets.
    fn is_quick(&self) -> bool {
        let long = self.distance.long_ms();
        let quick = |(rtt, loss): (f64, f64)| rtt < long && loss < LOSSY_LOSS;
        self.measured.is_some_and(quick)
    }

    /// Whether the next step is found by padding: where it may not be tried.
    pub fn needs_padding(&self, now: Instant) -> bool {
        let rests = self.turned.is_some_and(|turned| now < turned + RESTS_FOR);
        let untried = self.good < GOOD_AFTER || self.is_paused(now);
        self.measured.is_some() && untried && !rests
    }

    /// Whether a try has failed of late, or would.
    fn is_paused(&self, now: Instant) -> bool {
        self.narrow(now).is_some() || self.paused_until.is_some_and(|until| now < until)
    }

    /// That it has become narrow, where that was of late.
    fn narrow(&self, now: Instant) -> Option<Narrow> {
        self.narrow.filter(|narrow| narrow.is_recent(now))
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
