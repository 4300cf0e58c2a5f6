//! Speed and time left of a transfer.

/// The time over which the speed is averaged, in milliseconds: long enough to be read, short enough
/// to show a change.
const AVERAGE_MS: f64 = 3_000.0;
/// Shortest time between two samples, in milliseconds: over less, one message more is a leap.
const MIN_SAMPLE_MS: f64 = 200.0;

/// Measures the speed of one transfer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpeedMeter {
    last: Option<(f64, u64)>,
    bytes_a_second: f64,
}

impl SpeedMeter {
    /// Takes over how many bytes have arrived at a time, and returns bytes a second. Fewer bytes than
    /// before begin a new measurement.
    pub fn sample(&mut self, now_ms: f64, bytes: u64) -> f64 {
        let Some((last_ms, last_bytes)) = self.last.filter(|(_, last)| *last <= bytes) else {
            *self = Self {
                last: Some((now_ms, bytes)),
                bytes_a_second: 0.0,
            };
            return 0.0;
        };
        let passed_ms = now_ms - last_ms;
        if passed_ms < MIN_SAMPLE_MS {
            return self.bytes_a_second;
        }
        let now = (bytes - last_bytes) as f64 * 1_000.0 / passed_ms;
        let weight = match self.bytes_a_second > 0.0 {
            true => 1.0 - (-passed_ms / AVERAGE_MS).exp(),
            false => 1.0,
        };
        self.bytes_a_second += (now - self.bytes_a_second) * weight;
        self.last = Some((now_ms, bytes));
        self.bytes_a_second
    }
}

/// Seconds until the rest has arrived, rounded up; nothing while nothing moves, and nothing that takes
/// longer than a day.
pub fn seconds_left(size: u64, bytes: u64, bytes_a_second: f64) -> Option<u32> {
    let left = size.saturating_sub(bytes) as f64 / bytes_a_second;
    (bytes_a_second > 0.0 && left < 86_400.0).then(|| left.ceil() as u32)
}

/// The part that has arrived, in percent and rounded down: 100 only at the end.
pub fn percent(size: u64, bytes: u64) -> u32 {
    match bytes >= size {
        true => 100,
        false => (bytes as f64 / size as f64 * 100.0).min(99.0) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_transfer_has_its_speed_and_a_stalled_one_loses_it() {
        let mut meter = SpeedMeter::default();
        assert!(meter.sample(0.0, 0).abs() < f64::EPSILON);
        let mut speed = 0.0;
        for step in 1..=20_u32 {
            speed = meter.sample(f64::from(step) * 250.0, u64::from(step) * 250_000);
        }
        assert!((speed - 1e6).abs() < 1.0, "{speed}");
        for step in 21..=80_u32 {
            speed = meter.sample(f64::from(step) * 250.0, 5_000_000);
        }
        assert!(speed < 10_000.0, "{speed}");
        assert!(
            meter.sample(30_000.0, 0).abs() < f64::EPSILON,
            "again from 0"
        );
    }

    #[test]
    fn time_left_and_percent_are_defined_for_every_value() {
        assert_eq!(seconds_left(1_000, 0, 100.0), Some(10));
        assert_eq!(seconds_left(1_000, 0, 0.0), None);
        assert_eq!(seconds_left(u64::MAX, 0, 1.0), None);
        assert_eq!(seconds_left(10, 20, 1.0), Some(0));
        assert_eq!(seconds_left(10, 0, f64::NAN), None);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX, u64::MAX - 1), 99);
        assert_eq!(percent(200, 1), 0);
    }
}
