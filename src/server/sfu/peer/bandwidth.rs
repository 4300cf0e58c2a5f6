//! What the network path to a peer carries, and how good the connection is.
//!
//! str0m reports statistics four times a second. Each report updates the estimate and the
//! round-trip time; a window of one second closes with loss, quality and the size of the
//! retransmission cache.

use crate::{
    protocol::{Quality, quality::QualityMeter},
    server::sfu::{
        bwe::{
            estimate::Estimate,
            link::{Demand, LinkEstimator},
            loss::LossDetector,
            stats::StatsWindow,
        },
        subscribe::{
            allocator::Allocation,
            rtx_policy::{RtxCachePolicy, RtxCacheSize},
        },
    },
};
use std::time::{Duration, Instant};
use str0m::{
    Rtc,
    bwe::Bitrate,
    stats::{MediaEgressStats, PeerStats},
};

/// The first estimate: the smallest layers of a few people.
pub const INITIAL_ESTIMATE: Bitrate = Bitrate::kbps(900);
/// Silence after which a connection counts as poor. 3 s: browsers send a connectivity check
/// each second or so.
const SILENCE_BEFORE_POOR: Duration = Duration::from_secs(3);
/// What a step needs, in per cent of its bitrate: it has to fit into 95 % of the estimate, and
/// a paused video needs 10 % more to resume.
const STEP_PERCENT: u64 = 120;

/// The bandwidth of a peer.
pub struct Bandwidth {
    /// Whether the peer negotiated transport-wide congestion control.
    uses_bwe: bool,
    /// The estimate; none before the first report.
    estimate: Option<Estimate>,
    /// The least that the path carries.
    pub link: LinkEstimator,
    /// Whether packets to the peer are lost.
    loss_detector: LossDetector,
    /// The statistics of the current second.
    stats_window: StatsWindow,
    /// How long packets of video are kept for retransmission.
    rtx_policy: RtxCachePolicy,
    /// The quality of the connection as others see it.
    quality_meter: QualityMeter,
    /// Round trip and losses of the last closed window.
    last_sample: NetworkSample,
}

/// What the last second of a connection was like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NetworkSample {
    /// The round trip, in ms; none where it is unknown.
    pub rtt_ms: Option<f64>,
    /// The share of packets to the peer that was lost; none where the peer does not report.
    pub egress_loss: Option<f64>,
    /// The share of packets of the peer that was lost.
    pub ingress_loss: f64,
}

/// What a closed stats window changes.
#[derive(Debug, Default, PartialEq)]
pub struct WindowChanges {
    /// Whether audio is sent with RED; none where loss is unknown.
    pub redundancy: Option<bool>,
    /// A new size of the retransmission cache.
    pub rtx_cache_size: Option<RtxCacheSize>,
    /// A new quality of the connection.
    pub quality: Option<Quality>,
}

impl Bandwidth {
    /// The bandwidth of an unknown path. `uses_bwe`: it is estimated.
    pub fn new(uses_bwe: bool) -> Self {
        Self {
            uses_bwe,
            estimate: None,
            link: LinkEstimator::default(),
            loss_detector: LossDetector::default(),
            stats_window: StatsWindow::default(),
            rtx_policy: RtxCachePolicy::default(),
            quality_meter: QualityMeter::default(),
            last_sample: NetworkSample::default(),
        }
    }

    /// Whether the bandwidth is estimated.
    pub fn uses_bwe(&self) -> bool {
        self.uses_bwe
    }

    /// Whether packets to the peer are lost.
    pub fn is_lossy(&self) -> bool {
        self.loss_detector.is_lossy()
    }

    /// The size of the retransmission cache.
    pub fn rtx_cache_size(&self) -> RtxCacheSize {
        self.rtx_policy.size()
    }

    /// The quality as it was announced last.
    pub fn quality(&self) -> Option<Quality> {
        self.quality_meter.reported()
    }

    /// What the last second was like.
    pub fn last_sample(&self) -> NetworkSample {
        self.last_sample
    }

    /// Starts again: the peer's media comes from another network. Packets sent to the former
    /// one were lost, which says nothing about the new one.
    pub fn reset(&mut self, rtc: &mut Rtc) {
        self.link = LinkEstimator::default();
        self.stats_window = StatsWindow::default();
        if self.uses_bwe {
            rtc.bwe().reset(INITIAL_ESTIMATE);
            self.estimate = Some(Estimate::new(INITIAL_ESTIMATE));
        }
    }

    /// Records str0m's averaged estimate. Returns whether the result fell.
    pub fn on_estimate(&mut self, bitrate: Bitrate) -> bool {
        let before = self.estimate.map(|estimate| estimate.bps());
        let estimate = self.estimate.get_or_insert(Estimate::new(bitrate));
        estimate.on_estimate(bitrate);
        let bps = estimate.bps();
        tracing::debug!(bps, average = bitrate.as_u64(), "bandwidth estimate");
        before.is_some_and(|before| bps < before)
    }

    /// Records the statistics of one outgoing stream.
    pub fn on_media_stats(&mut self, stats: &MediaEgressStats) {
        self.stats_window.on_media_stats(stats);
    }

    /// Records the statistics of the connection, four times a second. Returns whether the
    /// stats window is over.
    pub fn on_peer_stats(&mut self, stats: &PeerStats) -> bool {
        if let (Some(estimate), Some(instant)) = (&mut self.estimate, stats.bwe_tx) {
            estimate.on_instant_estimate(instant, stats.egress_loss_fraction.unwrap_or(0.0));
        }
        if let (Some(rtt), Some(estimate)) = (stats.rtt, self.estimate) {
            let (rtt_ms, estimate) = (rtt.as_secs_f64() * 1000.0, estimate.bps());
            self.link.on_rtt_sample(stats.timestamp, rtt_ms, estimate);
            let budget = self.link.budget(estimate, stats.timestamp);
            let loss = stats.egress_loss_fraction;
            tracing::debug!(rtt_ms, loss, link = ?self.link, budget, "RTT sample");
        }
        self.stats_window.on_peer_stats(stats)
    }

    /// Closes the stats window. `last_received`: when the last datagram arrived; `jitter_ms`:
    /// the jitter of the peer's audio.
    pub fn close_window(
        &mut self,
        stats: &PeerStats,
        last_received: Instant,
        jitter_ms: f64,
    ) -> WindowChanges {
        let now = stats.timestamp;
        let window = self.stats_window.close(now);
        let rtt = stats.rtt.or(window.rtt);
        let rtt_ms = rtt.map(|rtt| rtt.as_secs_f64() * 1000.0);
        let egress = stats.egress_loss_fraction.or(window.egress_loss);
        let egress = egress.map(f64::from);
        let loss = egress.unwrap_or(0.0).max(window.ingress_loss);
        self.last_sample = NetworkSample {
            rtt_ms,
            egress_loss: egress,
            ingress_loss: window.ingress_loss,
        };
        let estimate = self.estimate.map_or(0, |estimate| estimate.bps());
        self.link
            .on_stats(now, rtt_ms.unwrap_or(0.0), loss, estimate);
        let resized = rtt_ms.is_some_and(|rtt_ms| self.rtx_policy.on_rtt_sample(rtt_ms));
        let redundancy = egress.map(|loss| self.loss_detector.on_sample(loss, now));
        let silent = now.saturating_duration_since(last_received) > SILENCE_BEFORE_POOR;
        let rtt_ms = if silent {
            f64::INFINITY
        } else {
            rtt_ms.unwrap_or(0.0)
        };
        WindowChanges {
            redundancy,
            rtx_cache_size: resized.then(|| self.rtx_policy.size()),
            quality: self.quality_meter.sample(rtt_ms, loss, jitter_ms),
        }
    }

    /// The most to send, in bit/s; none where the bandwidth is not estimated.
    pub fn budget(&self, now: Instant) -> Option<u64> {
        let estimate = self.estimate.filter(|_| self.uses_bwe)?;
        Some(self.link.budget(estimate.bps(), now))
    }

    /// Adapts probing to an allocation. `audio_bps`: sent beside it. Without estimation there
    /// is nothing to probe.
    pub fn update_probing(
        &mut self,
        rtc: &mut Rtc,
        allocation: &Allocation,
        audio_bps: u64,
        now: Instant,
    ) {
        if !self.uses_bwe {
            return;
        }
        let needed = |bps: u64| bps.saturating_mul(STEP_PERCENT) / 100 + audio_bps;
        let next = (allocation.minimum_bps > 0).then(|| needed(allocation.minimum_bps));
        self.link.set_demand(Demand {
            sent: needed(allocation.chosen_bps),
            has_video: allocation.chosen_bps > 0,
            next,
        });
        let padded = next.filter(|_| self.link.needs_padding(now)).unwrap_or(0);
        let desired = needed(allocation.desired_bps).max(padded);
        let (padded, desired) = (Bitrate::bps(padded), Bitrate::bps(desired));
        rtc.bwe().set_bitrate(padded, desired);
    }
}
