//! What a line carries at least, whatever the estimate says.
//!
//! A receiver that is busy tells of packets late, which looks like a narrow line: estimates
//! fall, and where little is sent they do not rise again. One that really is narrow has a
//! long round trip or losses as soon as more is sent than it carries. So on a line that is
//! good the next step is tried, with the picture itself; where the line is bad a moment
//! later, the estimate has the word for a while, and padding does the trying.

use super::{base_rtt::BaseRtt, congestion::CongestionEvent, estimate::is_much_less};
use crate::protocol::quality::GOOD_LOSS;
use std::time::{Duration, Instant};

/// What a good line carries at least, untried. 600 kbit/s: the smallest layers of four people.
const GOOD_LINK_BPS: u64 = 600_000;
/// What a line carries at least that loses packets and answers quickly: nothing queues up on
/// it, so sending less would not lose less. 300 kbit/s: a small picture or two.
const LOSSY_LINK_BPS: u64 = 300_000;
/// The share of packets above which a quick line is narrow as well. 0.4: what is lost of the
/// reports counts as lost, and of the sixty packets of a second, one in ten lost at random
/// looked like one in four now and then.
const LOSSY_LOSS: f64 = 0.4;
/// Good measures in a row after a bad one until something is tried.
const GOOD_SAMPLES: u32 = 3;
/// Round trips in a row, looked at between measures, that are bad enough to act upon: one
/// alone may be a packet that was late.
const LATE_SAMPLES: u32 = 2;
/// How soon after a try a bad measure is because of it.
const PROBE_WINDOW: Duration = Duration::from_secs(4);
/// How long nothing is tried after that, the first time; doubled each time.
const BACKOFF: Duration = Duration::from_secs(10);
/// The longest that it grows to.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// Good measures in a row with a step that is tried until the line is known to carry it.
const HELD_SAMPLES: u32 = 3;
/// How long a line that has just become bad is not padded: what queued up has to get through.
const PADDING_REST: Duration = Duration::from_secs(4);

/// What is sent on a line, in bit/s, with what it needs to spare.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// What is sent.
    pub sent: u64,
    /// Whether that is more than sound.
    pub has_video: bool,
    /// What it would be with the cheapest next step; none where there is no more to want.
    pub next: Option<u64>,
}

/// A line, as it is measured each second.
#[derive(Debug)]
pub struct LinkEstimator {
    /// The round trip in milliseconds as measured last, and the share of packets lost in the
    /// last two measures.
    measured: Option<(f64, f64)>,
    /// How far away its other end is.
    base_rtt: BaseRtt,
    /// The share of packets lost, of the last measure alone.
    last_loss: Option<f64>,
    /// Good measures in a row.
    good_samples: u32,
    /// Bad round trips in a row between measures.
    late_samples: u32,
    /// What was estimated at the last two measures, in bit/s.
    estimates: [u64; 2],
    /// What is sent on it.
    demand: Demand,
    /// What it was found to carry, or is tried with.
    proven_bps: u64,
    /// When it became bad last.
    congested_at: Option<Instant>,
    /// That it was seen to have become much narrower all at once: the last time.
    congestion: Option<CongestionEvent>,
    /// When a step was tried last.
    probed_at: Option<Instant>,
    /// Good measures since something was tried.
    held_samples: u32,
    /// Until when nothing is tried.
    probing_paused_until: Option<Instant>,
    /// How long that is next time.
    backoff: Duration,
}

impl Default for LinkEstimator {
    fn default() -> Self {
        Self {
            measured: None,
            base_rtt: BaseRtt::default(),
            last_loss: None,
            good_samples: GOOD_SAMPLES - 1,
            late_samples: 0,
            estimates: [0; 2],
            demand: Demand::default(),
            proven_bps: 0,
            congested_at: None,
            congestion: None,
            probed_at: None,
            held_samples: 0,
            probing_paused_until: None,
            backoff: BACKOFF,
        }
    }
}

impl LinkEstimator {
    /// What is sent from now on.
    pub fn set_demand(&mut self, needs: Demand) {
        self.demand = needs;
    }

    /// Takes in a measure: the round trip in ms, the share lost, the estimate in bit/s.
    pub fn on_stats(&mut self, now: Instant, rtt_ms: f64, loss: f64, estimate: u64) {
        let rtt_ms = self.base_rtt.filtered(rtt_ms);
        // Of few packets a share says little: two measures together say more.
        let before = self.last_loss.replace(loss).unwrap_or(loss);
        self.measured = Some((rtt_ms, (before + loss) / 2.0));
        self.estimates = [self.estimates[1], estimate];
        if !(rtt_ms < self.base_rtt.congested_ms() && loss < GOOD_LOSS) {
            self.on_congestion(now);
            return;
        }
        self.good_samples = self.good_samples.saturating_add(1);
        if self.good_samples < GOOD_SAMPLES || self.is_probing_paused(now) {
            self.proven_bps = 0;
            self.held_samples = 0;
            return;
        }
        self.held_samples = self.held_samples.saturating_add(1);
        if self.held_samples >= HELD_SAMPLES {
            self.backoff = BACKOFF;
        }
        let Demand { sent, next, .. } = self.demand;
        self.proven_bps = next.unwrap_or(sent);
        if next.is_some_and(|next| next > estimate) {
            self.probed_at = Some(now);
        }
    }

    /// Takes in a round trip between two measures, and the estimate: a line that has become
    /// narrow queues up seconds in one.
    pub fn on_rtt_sample(&mut self, now: Instant, rtt_ms: f64, estimate: u64) {
        let lost = self.last_loss.unwrap_or(0.0);
        self.base_rtt
            .on_sample(now, rtt_ms, self.demand.has_video, lost);
        self.late_samples = if rtt_ms < self.base_rtt.congested_ms() {
            0
        } else {
            self.late_samples + 1
        };
        let narrow = self.late_samples >= LATE_SAMPLES && self.has_estimate_dropped(estimate);
        if let Some((_, loss)) = self.measured.filter(|_| narrow) {
            self.measured = Some((rtt_ms, loss));
            self.on_congestion(now);
            // What was estimated before is of another line.
            self.estimates = [estimate; 2];
            self.congestion = Some(CongestionEvent::new(now, estimate));
        }
    }

    /// Whether what queued up on it is still to get through.
    pub fn is_draining(&self, now: Instant) -> bool {
        self.congestion
            .is_some_and(|narrow| narrow.is_draining(now))
    }

    /// Whether much less is estimated than of late.
    fn has_estimate_dropped(&self, estimate: u64) -> bool {
        let [before, last] = self.estimates;
        is_much_less(estimate, before.max(last))
    }

    /// The estimate has the word; a try of a moment ago has failed.
    fn on_congestion(&mut self, now: Instant) {
        if self.good_samples > 0 {
            self.congested_at = Some(now);
        }
        self.good_samples = 0;
        self.held_samples = 0;
        self.proven_bps = 0;
        let tried = self.probed_at.take();
        if tried.is_some_and(|tried| now < tried + PROBE_WINDOW) {
            self.probing_paused_until = Some(now + self.backoff);
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// What is to be sent on it at most, in bit/s, where it is estimated to carry this.
    pub fn budget(&self, estimate: u64, now: Instant) -> u64 {
        estimate.max(self.floor(now))
    }

    /// What it carries at least, in bit/s.
    fn floor(&self, now: Instant) -> u64 {
        let narrow = self.recent_congestion(now);
        let untried = match self.measured {
            Some(_) if self.good_samples >= GOOD_SAMPLES && narrow.is_none() => GOOD_LINK_BPS,
            _ if self.has_short_queue() => LOSSY_LINK_BPS,
            _ => narrow.map_or(0, |narrow| narrow.floor(now)),
        };
        untried.max(self.proven_bps)
    }

    /// Whether nothing queues up on it, although it may lose packets.
    fn has_short_queue(&self) -> bool {
        let long = self.base_rtt.congested_ms();
        let quick = |(rtt, loss): (f64, f64)| rtt < long && loss < LOSSY_LOSS;
        self.measured.is_some_and(quick)
    }

    /// Whether the next step is found by padding: where it may not be tried.
    pub fn needs_padding(&self, now: Instant) -> bool {
        let rests = self
            .congested_at
            .is_some_and(|turned| now < turned + PADDING_REST);
        let untried = self.good_samples < GOOD_SAMPLES || self.is_probing_paused(now);
        self.measured.is_some() && untried && !rests
    }

    /// Whether a try has failed of late, or would.
    fn is_probing_paused(&self, now: Instant) -> bool {
        self.recent_congestion(now).is_some()
            || self.probing_paused_until.is_some_and(|until| now < until)
    }

    /// That it has become narrow, where that was of late.
    fn recent_congestion(&self, now: Instant) -> Option<CongestionEvent> {
        self.congestion.filter(|narrow| narrow.is_recent(now))
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
