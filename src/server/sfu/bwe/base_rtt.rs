//! Base RTT: the round-trip time of a network path without queueing.
//!
//! A long round trip means a full queue, a long path (satellite) or high jitter. A queue drains
//! within seconds when only audio is sent. So the round-trip time measured while only audio is
//! sent, with little loss, is the base RTT. Only a much longer one is a sign of congestion.

use crate::protocol::quality::GOOD_RTT_MS;
use std::time::{Duration, Instant};

/// How long only audio must be sent until queues have drained.
const AUDIO_ONLY_FOR: Duration = Duration::from_secs(2);
/// The excess over the base RTT from which a queue is assumed, in ms.
const QUEUE_MS: f64 = 150.0;
/// The fraction of packets lost from which the path may be congested by audio alone. 15 %:
/// packets that arrive after their report count as lost.
const LOSSY: f64 = 0.15;
/// The weight of the newest of four samples per second. Small, because round trips of a path
/// with high jitter differ by hundreds of milliseconds.
const WEIGHT: f64 = 0.25;

/// The base RTT to one receiver. The default has no sample and assumes a short path.
#[derive(Debug, Default)]
pub struct BaseRtt {
    /// The moving average of the round-trip time, in ms.
    average_ms: Option<f64>,
    /// Since when only audio is sent, with little loss.
    audio_only_since: Option<Instant>,
    /// The base RTT: the lowest average of the last audio-only period, in ms.
    base_ms: Option<f64>,
}

impl BaseRtt {
    /// Adds a sample. `rtt_ms`: the round-trip time; `pictures`: whether video is sent; `lost`:
    /// the fraction of packets lost.
    pub fn on_sample(&mut self, now: Instant, rtt_ms: f64, pictures: bool, lost: f64) {
        let before = self.average_ms.unwrap_or(rtt_ms);
        let average = before + WEIGHT * (rtt_ms - before);
        self.average_ms = Some(average);
        if pictures || lost >= LOSSY {
            self.audio_only_since = None;
            return;
        }
        let quiet = *self.audio_only_since.get_or_insert(now);
        let passed = now.saturating_duration_since(quiet);
        if passed >= AUDIO_ONLY_FOR {
            // The first value of an audio-only period replaces that of the period before.
            let known = self.base_ms.filter(|_| passed >= AUDIO_ONLY_FOR * 2);
            self.base_ms = Some(known.map_or(average, |base| base.min(average)));
        }
    }

    /// A round-trip time in ms without jitter: on a long path at most the average.
    pub fn filtered(&self, rtt_ms: f64) -> f64 {
        match (self.base_ms, self.average_ms) {
            (Some(base), Some(average)) if base >= GOOD_RTT_MS => average.min(rtt_ms),
            _ => rtt_ms,
        }
    }

    /// The round-trip time from which a queue is assumed, in ms.
    pub fn congested_ms(&self) -> f64 {
        self.base_ms
            .map_or(GOOD_RTT_MS, |base| GOOD_RTT_MS.max(base + QUEUE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds four samples per second for `seconds`, cycling through `rtts`.
    fn samples(
        base_rtt: &mut BaseRtt,
        at: &mut Instant,
        seconds: u64,
        rtts: &[f64],
        pictures: bool,
    ) {
        for look in 0..seconds * 4 {
            *at += Duration::from_millis(250);
            base_rtt.on_sample(*at, rtts[look as usize % rtts.len()], pictures, 0.0);
        }
    }

    #[test]
    fn the_base_rtt_is_known_after_audio_only_sending() {
        let (mut base_rtt, mut at) = (BaseRtt::default(), Instant::now());
        samples(&mut base_rtt, &mut at, 10, &[500.0], true);
        assert_eq!(base_rtt.congested_ms(), GOOD_RTT_MS, "may be a queue");
        samples(&mut base_rtt, &mut at, 2, &[500.0], false);
        assert_eq!(base_rtt.congested_ms(), GOOD_RTT_MS);
        samples(&mut base_rtt, &mut at, 1, &[500.0], false);
        assert_eq!(base_rtt.congested_ms(), 650.0);
        samples(&mut base_rtt, &mut at, 60, &[600.0], true);
        assert_eq!(
            base_rtt.congested_ms(),
            650.0,
            "samples with video do not count"
        );
    }

    #[test]
    fn a_drained_queue_does_not_raise_the_base_rtt() {
        let (mut base_rtt, mut at) = (BaseRtt::default(), Instant::now());
        samples(&mut base_rtt, &mut at, 5, &[800.0], true);
        samples(&mut base_rtt, &mut at, 6, &[20.0], false);
        assert_eq!(
            base_rtt.congested_ms(),
            20.0_f64.max(base_rtt.base_ms.expect("known")) + QUEUE_MS
        );
        assert!(base_rtt.congested_ms() < 200.0);
        assert_eq!(base_rtt.filtered(400.0), 400.0);
    }

    #[test]
    fn heavy_loss_prevents_a_base_rtt_measurement() {
        let (mut base_rtt, mut at) = (BaseRtt::default(), Instant::now());
        for _ in 0..40 {
            at += Duration::from_millis(250);
            base_rtt.on_sample(at, 500.0, false, LOSSY);
        }
        assert_eq!(base_rtt.congested_ms(), GOOD_RTT_MS);
    }

    #[test]
    fn a_path_with_high_jitter_is_judged_by_its_average_rtt() {
        let (mut base_rtt, mut at) = (BaseRtt::default(), Instant::now());
        samples(&mut base_rtt, &mut at, 10, &[250.0, 550.0], false);
        assert!(
            (450.0..600.0).contains(&base_rtt.congested_ms()),
            "{}",
            base_rtt.congested_ms()
        );
        samples(&mut base_rtt, &mut at, 10, &[250.0, 550.0], true);
        assert!(base_rtt.filtered(550.0) < base_rtt.congested_ms());
        samples(&mut base_rtt, &mut at, 3, &[900.0], true);
        assert!(
            base_rtt.filtered(900.0) > base_rtt.congested_ms(),
            "a queue on top is detected"
        );
    }
}
