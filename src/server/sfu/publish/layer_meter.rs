//! Measures the bitrate of one layer and whether it is live.
//!
//! Bytes are counted in windows of 500 ms and smoothed exponentially, because a keyframe is many
//! times as large as other frames and must not look like a higher bitrate.

use std::time::{Duration, Instant};

/// The length of one measurement window.
const WINDOW: Duration = Duration::from_millis(500);
/// The weight of the newest window. 0.3: the average follows a lasting change within 2 s, and a
/// keyframe as large as a window raises it by only a third.
const WEIGHT: f64 = 0.3;
/// Silence after which a layer is not live. 1.5 s: a static screen is sent at about one frame
/// per second.
const LIVE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Silence of a layer, while a lower layer continues, after which the sender has suspended it.
/// 400 ms: a busy browser sends at least five frames per second of every active layer.
const SUSPENDED_AFTER: Duration = Duration::from_millis(400);

/// The meter of one layer. The default has seen no packet.
#[derive(Debug, Default)]
pub struct LayerMeter {
    /// When the current window began; none before the first packet.
    window_start: Option<Instant>,
    /// Bytes received in the current window.
    bytes: u64,
    /// The average of the complete windows, in bit/s; none during the first.
    average: Option<f64>,
    /// When the last packet arrived.
    last_packet: Option<Instant>,
}

impl LayerMeter {
    /// Counts a packet of this many bytes.
    pub fn on_packet(&mut self, bytes: usize, now: Instant) {
        if !self.is_live(now) {
            // Measurements from before a pause no longer apply.
            (self.window_start, self.bytes, self.average) = (Some(now), 0, None);
        }
        self.close_windows(now);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.last_packet = Some(now);
    }

    /// The current bitrate, in bit/s; 0 while not live.
    pub fn bitrate_bps(&self, now: Instant) -> u64 {
        let Some(since) = self.window_start.filter(|_| self.is_live(now)) else {
            return 0;
        };
        let passed = now.saturating_duration_since(since);
        let rate = match self.average {
            // A layer begins with a keyframe. Averaged over less than a window, a shared screen
            // would measure so high that the allocator pauses all other videos.
            None => rate(self.bytes, passed.max(WINDOW)),
            Some(average) if passed < WINDOW => average,
            Some(average) => self.average_after(average, whole_windows(passed)),
        };
        rate as u64
    }

    /// Whether a packet arrived within [`LIVE_TIMEOUT`].
    pub fn is_live(&self, now: Instant) -> bool {
        self.last_packet
            .is_some_and(|heard| now.saturating_duration_since(heard) < LIVE_TIMEOUT)
    }

    /// Whether the sender has suspended this layer: a lower one continued without it for
    /// [`SUSPENDED_AFTER`].
    pub fn is_suspended_beside(&self, smaller: &Self) -> bool {
        match (self.last_packet, smaller.last_packet) {
            (Some(heard), Some(smaller)) => smaller > heard + SUSPENDED_AFTER,
            _ => false,
        }
    }

    /// Adds the complete windows to the average.
    fn close_windows(&mut self, now: Instant) {
        let Some(since) = self.window_start else {
            return;
        };
        let passed = now.saturating_duration_since(since);
        let windows = whole_windows(passed);
        if windows == 0 {
            return;
        }
        let first = rate(self.bytes, WINDOW);
        self.average = Some(self.average_after(self.average.unwrap_or(first), windows));
        self.bytes = 0;
        self.window_start = Some(since + WINDOW * windows);
    }

    /// The average after the current window and the empty ones that follow it.
    fn average_after(&self, average: f64, windows: u32) -> f64 {
        let with_this = average + WEIGHT * (rate(self.bytes, WINDOW) - average);
        // A live layer has at most three empty windows (1.5 s).
        with_this * (1.0 - WEIGHT).powi(windows.saturating_sub(1).min(3) as i32)
    }
}

/// The number of complete windows in a duration.
fn whole_windows(passed: Duration) -> u32 {
    (passed.as_millis() / WINDOW.as_millis()).min(1 << 16) as u32
}

/// The bitrate of bytes over a duration, in bit/s.
fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8.0 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends `bps` in packets each 10 ms, from `from` to `to` (ms).
    fn feed(meter: &mut LayerMeter, start: Instant, from: u64, to: u64, bps: u64) {
        for ms in (from..to).step_by(10) {
            meter.on_packet((bps / 800) as usize, start + Duration::from_millis(ms));
        }
    }

    /// Asserts that the rate is within `percent` of this.
    fn assert_near(found: u64, expected: u64, percent: u64) {
        let apart = found.abs_diff(expected) * 100;
        assert!(
            apart <= expected * percent,
            "{found} is not near {expected}"
        );
    }

    #[test]
    fn a_steady_layer_is_measured_after_half_a_second() {
        let (mut meter, start) = (LayerMeter::default(), Instant::now());
        assert_eq!(meter.bitrate_bps(start), 0);
        let mut from = 0;
        for ms in [500, 900, 3_000] {
            feed(&mut meter, start, from, ms, 800_000);
            assert_near(
                meter.bitrate_bps(start + Duration::from_millis(ms)),
                800_000,
                5,
            );
            from = ms;
        }
    }

    #[test]
    fn the_first_keyframe_of_a_screen_does_not_inflate_the_bitrate() {
        let (mut meter, start) = (LayerMeter::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        // A keyframe of 50,000 bytes within 50 ms, then a low bitrate.
        (0..50).for_each(|ms| meter.on_packet(1_000, at(ms)));
        feed(&mut meter, start, 50, 2_000, 80_000);
        assert!(meter.bitrate_bps(at(2_000)) < 400_000);
        let (mut meter, mut most) = (LayerMeter::default(), 0);
        (0..50).for_each(|ms| {
            meter.on_packet(1_000, at(ms));
            most = most.max(meter.bitrate_bps(at(ms)));
        });
        assert_eq!(most, 800_000);
    }

    #[test]
    fn one_keyframe_does_not_inflate_the_bitrate() {
        let (mut meter, start) = (LayerMeter::default(), Instant::now());
        feed(&mut meter, start, 0, 2_000, 800_000);
        // 50,000 bytes: as much as the previous 500 ms.
        meter.on_packet(50_000, start + Duration::from_millis(2_000));
        feed(&mut meter, start, 2_000, 2_510, 800_000);
        assert_near(
            meter.bitrate_bps(start + Duration::from_millis(2_510)),
            800_000,
            35,
        );
    }

    #[test]
    fn the_bitrate_follows_a_lasting_change_within_three_seconds() {
        let (mut meter, start) = (LayerMeter::default(), Instant::now());
        feed(&mut meter, start, 0, 3_000, 400_000);
        feed(&mut meter, start, 3_000, 6_000, 1_200_000);
        assert_near(
            meter.bitrate_bps(start + Duration::from_millis(6_000)),
            1_200_000,
            15,
        );
    }

    #[test]
    fn a_layer_is_live_for_a_second_and_a_half() {
        let (mut meter, start) = (LayerMeter::default(), Instant::now());
        assert!(!meter.is_live(start));
        feed(&mut meter, start, 0, 1_010, 400_000);
        assert!(meter.is_live(start + Duration::from_millis(2_499)));
        let fading = meter.bitrate_bps(start + Duration::from_millis(2_400));
        assert!(fading > 0 && fading < 250_000, "{fading}");
        assert!(!meter.is_live(start + Duration::from_millis(2_500)));
        assert_eq!(meter.bitrate_bps(start + Duration::from_millis(2_500)), 0);
        // After a pause the measurement starts over.
        feed(&mut meter, start, 60_000, 61_000, 900_000);
        assert_near(
            meter.bitrate_bps(start + Duration::from_millis(61_000)),
            900_000,
            5,
        );
    }

    #[test]
    fn a_layer_is_suspended_while_a_lower_one_continues() {
        let (mut small, mut large) = (LayerMeter::default(), LayerMeter::default());
        let start = Instant::now();
        assert!(!large.is_suspended_beside(&small), "nothing came of either");
        feed(&mut small, start, 0, 1_000, 100_000);
        assert!(!large.is_suspended_beside(&small), "it never came");
        feed(&mut large, start, 0, 1_000, 400_000);
        feed(&mut small, start, 1_000, 1_400, 100_000);
        assert!(!large.is_suspended_beside(&small));
        feed(&mut small, start, 1_400, 1_410, 100_000);
        assert!(large.is_suspended_beside(&small));
        assert!(!small.is_suspended_beside(&large));
        large.on_packet(1_000, start + Duration::from_millis(1_410));
        assert!(!large.is_suspended_beside(&small), "it is back");
    }

    proptest! {
        /// The bitrate never exceeds all bytes so far within 100 ms.
        #[test]
        fn the_bitrate_never_exceeds_the_received_bytes(
            packets in prop::collection::vec((0_usize..3_000, 0_u64..800), 1..300),
        ) {
            let (mut meter, mut now) = (LayerMeter::default(), Instant::now());
            let mut bytes = 0_u64;
            for (size, pause) in packets {
                meter.on_packet(size, now);
                bytes += size as u64;
                now += Duration::from_millis(pause);
                prop_assert!(meter.bitrate_bps(now) <= bytes * 80);
            }
        }
    }
}
