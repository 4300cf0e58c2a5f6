//! A floor for the estimated bandwidth of a link.
//!
//! A busy receiver sends its feedback late, which looks like congestion: the estimate falls, and
//! does not recover while little is sent. A congested link has a long round trip or losses as
//! soon as more is sent than it carries. So a good link is probed with the next video layer.
//! If the link is bad soon afterwards, fall back to the estimate and probe with padding.

use super::{base_rtt::BaseRtt, congestion::CongestionEvent, estimate::is_much_less};
use crate::protocol::quality::GOOD_LOSS;
use std::time::{Duration, Instant};

/// The floor of a good link, in bit/s. 600 kbit/s: the lowest layers of four participants.
const GOOD_LINK_BPS: u64 = 600_000;
/// The floor of a link with losses but without a queue, in bit/s: sending less would not lose
/// less. 300 kbit/s: one or two small videos.
const LOSSY_LINK_BPS: u64 = 300_000;
/// The fraction of packets lost from which a link without a queue is congested too. 0.4: packets
/// whose reports are lost count as lost, and among sixty packets per second a random loss of
/// 10 % occasionally measures as 25 %.
const LOSSY_LOSS: f64 = 0.4;
/// Consecutive good samples after a bad one before the link is probed.
const GOOD_SAMPLES: u32 = 3;
/// Consecutive long round trips between two samples that make congestion. One alone may be a
/// single late packet.
const LATE_SAMPLES: u32 = 2;
/// How long after a probe a bad sample counts as its failure.
const PROBE_WINDOW: Duration = Duration::from_secs(4);
/// How long the link is not probed with video after the first failure; doubled each time.
const BACKOFF: Duration = Duration::from_secs(10);
/// The maximum of the doubled backoff.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// Consecutive good samples during a probe that reset the backoff.
const HELD_SAMPLES: u32 = 3;
/// How long padding pauses after congestion begins, so that the queue can drain.
const PADDING_REST: Duration = Duration::from_secs(4);

/// The bitrates that the allocation needs, in bit/s, including headroom.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The bitrate of the current allocation.
    pub sent: u64,
    /// Whether the allocation contains video.
    pub has_video: bool,
    /// The bitrate with the cheapest upgrade; none if there is no upgrade.
    pub next: Option<u64>,
}

/// The state of one link, updated by one sample per second.
#[derive(Debug)]
pub struct LinkEstimator {
    /// The last round-trip time in ms, and the fraction of packets lost over the last two
    /// samples.
    measured: Option<(f64, f64)>,
    /// The round-trip time without queueing.
    base_rtt: BaseRtt,
    /// The fraction of packets lost in the last sample.
    last_loss: Option<f64>,
    /// Consecutive good samples.
    good_samples: u32,
    /// Consecutive long round trips between samples.
    late_samples: u32,
    /// The estimates at the last two samples, in bit/s, newest last.
    estimates: [u64; 2],
    /// The bitrates that the allocation needs.
    demand: Demand,
    /// The bitrate that the link carries or is being probed with, in bit/s.
    proven_bps: u64,
    /// When the link last changed from good to bad.
    congested_at: Option<Instant>,
    /// The last sudden drop of capacity.
    congestion: Option<CongestionEvent>,
    /// The last probe above the estimate, if it has not failed.
    probed_at: Option<Instant>,
    /// Consecutive good samples while probing.
    held_samples: u32,
    /// The end of the current backoff.
    probing_paused_until: Option<Instant>,
    /// The duration of the next backoff.
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
    /// Sets the bitrates that the current allocation needs.
    pub fn set_demand(&mut self, needs: Demand) {
        self.demand = needs;
    }

    /// Adds the sample of one second: round-trip time in ms, fraction lost, estimate in bit/s.
    pub fn on_stats(&mut self, now: Instant, rtt_ms: f64, loss: f64, estimate: u64) {
        let rtt_ms = self.base_rtt.filtered(rtt_ms);
        // The loss among few packets is noisy, so average two samples.
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

    /// Adds a round-trip time between two samples, with the estimate in bit/s: after a drop of
    /// capacity one second is enough to queue several.
    pub fn on_rtt_sample(&mut self, now: Instant, rtt_ms: f64, estimate: u64) {
        let lost = self.last_loss.unwrap_or(0.0);
        self.base_rtt
            .on_sample(now, rtt_ms, self.demand.has_video, lost);
        self.late_samples = if rtt_ms < self.base_rtt.congested_ms() {
            0
        } else {
            self.late_samples + 1
        };
        let dropped = self.late_samples >= LATE_SAMPLES && self.has_estimate_dropped(estimate);
        if let Some((_, loss)) = self.measured.filter(|_| dropped) {
            self.measured = Some((rtt_ms, loss));
            self.on_congestion(now);
            // Estimates from before the drop no longer apply.
            self.estimates = [estimate; 2];
            self.congestion = Some(CongestionEvent::new(now, estimate));
        }
    }

    /// Whether the queue may still be draining after a drop of capacity.
    pub fn is_draining(&self, now: Instant) -> bool {
        self.congestion.is_some_and(|event| event.is_draining(now))
    }

    /// Whether the estimate is much lower than at the last two samples.
    fn has_estimate_dropped(&self, estimate: u64) -> bool {
        let [before, last] = self.estimates;
        is_much_less(estimate, before.max(last))
    }

    /// Resets the floor; a recent probe counts as failed and starts the backoff.
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

    /// The maximum bitrate to send, in bit/s: the estimate or the floor.
    pub fn budget(&self, estimate: u64, now: Instant) -> u64 {
        estimate.max(self.floor(now))
    }

    /// The lower bound of the bandwidth, in bit/s.
    fn floor(&self, now: Instant) -> u64 {
        let event = self.recent_congestion(now);
        let untried = match self.measured {
            Some(_) if self.good_samples >= GOOD_SAMPLES && event.is_none() => GOOD_LINK_BPS,
            _ if self.has_short_queue() => LOSSY_LINK_BPS,
            _ => event.map_or(0, |event| event.floor(now)),
        };
        untried.max(self.proven_bps)
    }

    /// Whether the link has no queue, although it may lose packets.
    fn has_short_queue(&self) -> bool {
        let long = self.base_rtt.congested_ms();
        let quick = |(rtt, loss): (f64, f64)| rtt < long && loss < LOSSY_LOSS;
        self.measured.is_some_and(quick)
    }

    /// Whether to probe with padding, because probing with video is not allowed.
    pub fn needs_padding(&self, now: Instant) -> bool {
        let rests = self
            .congested_at
            .is_some_and(|turned| now < turned + PADDING_REST);
        let untried = self.good_samples < GOOD_SAMPLES || self.is_probing_paused(now);
        self.measured.is_some() && untried && !rests
    }

    /// Whether probing with video is paused by a failed probe or a drop of capacity.
    fn is_probing_paused(&self, now: Instant) -> bool {
        self.recent_congestion(now).is_some()
            || self.probing_paused_until.is_some_and(|until| now < until)
    }

    /// The last drop of capacity, if it is recent.
    fn recent_congestion(&self, now: Instant) -> Option<CongestionEvent> {
        self.congestion.filter(|event| event.is_recent(now))
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
