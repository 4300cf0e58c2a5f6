//! What is known of a peer's line: looked at four times a second, measured once, and what
//! follows from it.

use super::link::Demand;
use crate::protocol::Quality;
use crate::server::sfu::{peer::Peer, subscribe::allocator::Allocation};
use std::time::{Duration, Instant};
use str0m::{
    bwe::Bitrate,
    stats::{MediaEgressStats, PeerStats},
};

/// Silence of a connection after which the others are told that it is poor. 3 s: browsers
/// check their line each second or so.
const SILENCE_BEFORE_POOR: Duration = Duration::from_secs(3);

/// What one voice takes of a line, in bit/s: Opus as browsers send it, with its headers.
const VOICE_BPS: u64 = 45_000;
/// What a step needs of the line before it is taken, in per cent of what it costs: it is to
/// fit into 95 % of the estimate, and whoever was paused needs a tenth more.
const STEP_PERCENT: u64 = 120;
/// Between two measures.
const WINDOW: Duration = Duration::from_secs(1);

/// What was heard of a connection since the last measure. What a browser's receiver reports
/// say (RFC 3550 6.4.2) is all there is of a line that is not estimated.
#[derive(Debug, Default)]
pub struct StatsWindow {
    /// Since when; none before anything was heard.
    start: Option<Instant>,
    /// Shares of packets that were lost on the way here: their sum, and how many.
    ingress_loss: (f64, u32),
    /// The longest round trip.
    rtt: Option<Duration>,
    /// The largest share of packets lost.
    loss: Option<f32>,
}

impl StatsWindow {
    /// Takes in a look at the connection; true where it is time for a measure.
    fn on_peer_stats(&mut self, stats: &PeerStats) -> bool {
        if let Some(lost) = stats.ingress_loss_fraction {
            self.ingress_loss.0 += f64::from(lost);
            self.ingress_loss.1 += 1;
        }
        let since = *self.start.get_or_insert(stats.timestamp);
        stats.timestamp >= since + WINDOW
    }

    /// Takes in what was said of one stream.
    pub fn on_media_stats(&mut self, stats: &MediaEgressStats) {
        self.rtt = self.rtt.max(stats.rtt);
        let loss = stats.loss.filter(|loss| loss.is_finite());
        self.loss = match (self.loss, loss) {
            (Some(before), Some(now)) => Some(before.max(now)),
            (before, now) => before.or(now),
        };
    }
}

impl Peer {
    /// Looks at the connection, several times a second.
    pub fn on_peer_stats(&mut self, stats: &PeerStats) -> Option<Quality> {
        if let (Some(line), Some(thought)) = (&mut self.estimate, stats.bwe_tx) {
            line.on_instant_estimate(thought, stats.egress_loss_fraction.unwrap_or(0.0));
        }
        if let (Some(rtt), Some(line)) = (stats.rtt, self.estimate) {
            let (rtt_ms, estimate) = (rtt.as_secs_f64() * 1000.0, line.bps());
            self.link.on_rtt_sample(stats.timestamp, rtt_ms, estimate);
            let budget = self.link.budget(estimate, stats.timestamp);
            let lost = stats.egress_loss_fraction;
            tracing::debug!(rtt_ms, lost, ?line, budget, "a line is looked at");
        }
        self.stats_window
            .on_peer_stats(stats)
            .then(|| self.on_window(stats))
            .flatten()
    }

    /// Takes in how the connection was during the last second; its quality where that changed.
    fn on_window(&mut self, stats: &PeerStats) -> Option<Quality> {
        let now = stats.timestamp;
        let reported = std::mem::take(&mut self.stats_window);
        self.stats_window.start = Some(now);
        let rtt = stats.rtt.or(reported.rtt);
        let rtt_ms = rtt.map(|rtt| rtt.as_secs_f64() * 1000.0);
        let egress = stats.egress_loss_fraction.or(reported.loss);
        let share = |fraction: Option<f32>| f64::from(fraction.unwrap_or(0.0));
        let ingress = reported.ingress_loss.0 / f64::from(reported.ingress_loss.1.max(1));
        let loss = share(egress).max(ingress);
        let estimate = self.estimate.map_or(0, |line| line.bps());
        self.link
            .on_stats(now, rtt_ms.unwrap_or(0.0), loss, estimate);
        self.update_rtx_cache(rtt_ms);
        if let Some(lost) = egress {
            let lossy = self.loss_detector.on_sample(f64::from(lost), now);
            let sounds = self.down_tracks.iter_mut().filter(|slot| !slot.video);
            sounds.for_each(|slot| slot.set_redundancy(lossy));
        }
        let quiet = now.saturating_duration_since(self.last_received) > SILENCE_BEFORE_POOR;
        let rtt_ms = if quiet {
            f64::INFINITY
        } else {
            rtt_ms.unwrap_or(0.0)
        };
        let jitter_ms = std::mem::take(&mut self.max_audio_jitter_ms);
        self.quality_meter.sample(rtt_ms, loss, jitter_ms)
    }

    /// Keeps as much for a second time as the line asks for, by its round trip in ms where
    /// that is known.
    fn update_rtx_cache(&mut self, rtt_ms: Option<f64>) {
        if rtt_ms.is_some_and(|rtt_ms| self.rtx_policy.on_rtt_sample(rtt_ms)) {
            let kept = self.rtx_policy.size();
            let slots = self.down_tracks.iter_mut();
            slots.for_each(|slot| slot.set_rtx_cache_size(&mut self.rtc, kept));
        }
    }

    /// What the voices it hears take of its line, in bit/s.
    pub fn audio_bps(&self) -> u64 {
        let sounds = self.down_tracks.iter().filter(|slot| !slot.video);
        let sounds = sounds.filter(|slot| slot.track.is_some()).count() as u64;
        let times = 1 + u64::from(self.loss_detector.is_lossy());
        VOICE_BPS * times * sounds
    }

    /// What is to be sent to it at most, in bit/s, where that is known.
    pub fn budget(&self, now: Instant) -> Option<u64> {
        let estimate = self.estimate.filter(|_| self.uses_bwe)?;
        Some(self.link.budget(estimate.bps(), now))
    }

    /// Has the line tried with what is wanted of it, and by padding where that is due.
    pub fn update_probing(&mut self, shares: &Allocation, sound: u64, now: Instant) {
        // A step is taken when it fits with a little to spare.
        let needed = |bps: u64| bps.saturating_mul(STEP_PERCENT) / 100 + sound;
        let next = (shares.minimum_bps > 0).then(|| needed(shares.minimum_bps));
        self.link.set_demand(Demand {
            sent: needed(shares.chosen_bps),
            has_video: shares.chosen_bps > 0,
            next,
        });
        let padded = next.filter(|_| self.link.needs_padding(now)).unwrap_or(0);
        let wanted = needed(shares.desired_bps).max(padded);
        let (padded, wanted) = (Bitrate::bps(padded), Bitrate::bps(wanted));
        self.rtc.bwe().set_bitrate(padded, wanted);
    }
}
