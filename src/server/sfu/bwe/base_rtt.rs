//! How far away a receiver is: what of a round trip is the way's own.
//!
//! A round trip is long where something queues up, or where the way is long by itself, as by
//! satellite, or uneven. What queues up is gone soon after next to nothing is sent. So what
//! is left of it while only sound goes, and next to nothing is lost, is the way's own, and only what
//! is much longer than that says that too much is sent.

use crate::protocol::quality::GOOD_RTT_MS;
use std::time::{Duration, Instant};

/// How long only sound goes until nothing is queued up.
const AUDIO_ONLY_FOR: Duration = Duration::from_secs(2);
/// How much longer than its own a round trip is at least where something queues up, in ms.
const QUEUE_MS: f64 = 150.0;
/// The share of packets lost from which a line may be too narrow for sound alone. 15 %: those
/// that are overtaken by the report of them count as lost.
const LOSSY: f64 = 0.15;
/// The weight of the newest look, of which there are four a second: uneven ways differ by
/// hundreds of milliseconds from packet to packet.
const WEIGHT: f64 = 0.25;

/// The way to a receiver. The default is near.
#[derive(Debug, Default)]
pub struct BaseRtt {
    /// The round trip, averaged, in ms.
    average_ms: Option<f64>,
    /// Since when only sound goes.
    audio_only_since: Option<Instant>,
    /// The shortest average of the last such time, in ms.
    base_ms: Option<f64>,
}

impl BaseRtt {
    /// Takes in a round trip in ms, whether pictures go, and the share of packets lost.
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
            // The first of a time forgets those before.
            let known = self.base_ms.filter(|_| passed >= AUDIO_ONLY_FOR * 2);
            self.base_ms = Some(known.map_or(average, |own| own.min(average)));
        }
    }

    /// A round trip, in ms, as far as it says something of a queue: of an uneven way, the average.
    pub fn filtered(&self, rtt_ms: f64) -> f64 {
        match (self.base_ms, self.average_ms) {
            (Some(own), Some(average)) if own >= GOOD_RTT_MS => average.min(rtt_ms),
            _ => rtt_ms,
        }
    }

    /// From which round trip on something queues up, in ms.
    pub fn congested_ms(&self) -> f64 {
        self.base_ms
            .map_or(GOOD_RTT_MS, |own| GOOD_RTT_MS.max(own + QUEUE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks four times a second for so many seconds.
    fn samples(way: &mut BaseRtt, at: &mut Instant, seconds: u64, rtts: &[f64], pictures: bool) {
        for look in 0..seconds * 4 {
            *at += Duration::from_millis(250);
            way.on_sample(*at, rtts[look as usize % rtts.len()], pictures, 0.0);
        }
    }

    #[test]
    fn a_long_way_is_known_once_only_sound_has_gone_for_a_while() {
        let (mut way, mut at) = (BaseRtt::default(), Instant::now());
        samples(&mut way, &mut at, 10, &[500.0], true);
        assert_eq!(way.congested_ms(), GOOD_RTT_MS, "it may be a queue");
        samples(&mut way, &mut at, 2, &[500.0], false);
        assert_eq!(way.congested_ms(), GOOD_RTT_MS);
        samples(&mut way, &mut at, 1, &[500.0], false);
        assert_eq!(way.congested_ms(), 650.0);
        samples(&mut way, &mut at, 60, &[600.0], true);
        assert_eq!(
            way.congested_ms(),
            650.0,
            "what comes with pictures is no distance"
        );
    }

    #[test]
    fn a_queue_that_empties_is_no_distance() {
        let (mut way, mut at) = (BaseRtt::default(), Instant::now());
        samples(&mut way, &mut at, 5, &[800.0], true);
        samples(&mut way, &mut at, 6, &[20.0], false);
        assert_eq!(
            way.congested_ms(),
            20.0_f64.max(way.base_ms.expect("known")) + QUEUE_MS
        );
        assert!(way.congested_ms() < 200.0);
        assert_eq!(way.filtered(400.0), 400.0);
    }

    #[test]
    fn where_many_packets_are_lost_nothing_is_known() {
        let (mut way, mut at) = (BaseRtt::default(), Instant::now());
        for _ in 0..40 {
            at += Duration::from_millis(250);
            way.on_sample(at, 500.0, false, LOSSY);
        }
        assert_eq!(way.congested_ms(), GOOD_RTT_MS);
    }

    #[test]
    fn an_uneven_way_is_as_long_as_its_average() {
        let (mut way, mut at) = (BaseRtt::default(), Instant::now());
        samples(&mut way, &mut at, 10, &[250.0, 550.0], false);
        assert!(
            (450.0..600.0).contains(&way.congested_ms()),
            "{}",
            way.congested_ms()
        );
        samples(&mut way, &mut at, 10, &[250.0, 550.0], true);
        assert!(way.filtered(550.0) < way.congested_ms());
        samples(&mut way, &mut at, 3, &[900.0], true);
        assert!(
            way.filtered(900.0) > way.congested_ms(),
            "and a queue on top of it shows"
        );
    }
}
