//! How much one peer may send: a bucket of packets and one of bytes (trust T18).
//!
//! A browser with three layers of a camera, a screen and a voice sends 10 Mbit/s at most. What
//! is beyond several times that is dropped before anybody decrypts it.

use std::time::{Duration, Instant};

/// Packets a second, and how many at once.
const PACKETS_PER_SECOND: f64 = 5_000.0;
/// Bytes a second, and how many at once: 40 Mbit/s.
const BYTES_PER_SECOND: f64 = 5_000_000.0;

/// What one peer may still send.
#[derive(Debug)]
pub struct IngressLimiter {
    /// Packets.
    packet_tokens: f64,
    /// Bytes.
    byte_tokens: f64,
    /// When they were filled last.
    refilled_at: Instant,
}

impl IngressLimiter {
    /// Full buckets: as much as a second gives.
    pub fn new(now: Instant) -> Self {
        Self {
            packet_tokens: PACKETS_PER_SECOND,
            byte_tokens: BYTES_PER_SECOND,
            refilled_at: now,
        }
    }

    /// Whether another packet of this many bytes may come in.
    pub fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled_at);
        if passed > Duration::ZERO {
            let seconds = passed.as_secs_f64();
            self.packet_tokens =
                (self.packet_tokens + PACKETS_PER_SECOND * seconds).min(PACKETS_PER_SECOND);
            self.byte_tokens =
                (self.byte_tokens + BYTES_PER_SECOND * seconds).min(BYTES_PER_SECOND);
            self.refilled_at = now;
        }
        let allowed = self.packet_tokens >= 1.0 && self.byte_tokens >= bytes as f64;
        if allowed {
            self.packet_tokens -= 1.0;
            self.byte_tokens -= bytes as f64;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many packets of this size go through in so many seconds at a rate.
    fn passed(bytes: usize, a_second: u64, seconds: u64) -> u64 {
        let start = Instant::now();
        let mut flood = IngressLimiter::new(start);
        let gap = Duration::from_secs(1).div_f64(a_second as f64);
        let sent = a_second * seconds;
        (0..sent)
            .filter(|n| flood.allows(bytes, start + gap.mul_f64(*n as f64)))
            .count() as u64
    }

    #[test]
    fn what_a_browser_sends_goes_through_and_a_flood_does_not() {
        assert_eq!(passed(1_200, 1_200, 10), 12_000, "12 Mbit/s");
        assert!(passed(100, 20_000, 10) <= 56_000, "packets");
        assert!(passed(1_200, 20_000, 10) * 1_200 <= 56_000_000, "bytes");
    }

    proptest! {
        /// However it comes, in any second no more goes through than two seconds' worth.
        #[test]
        fn the_most_is_bounded(packets in prop::collection::vec((1_usize..65_536, 0_u64..2_000), 1..2_000)) {
            let start = Instant::now();
            let (mut flood, mut now, mut bytes) = (IngressLimiter::new(start), start, 0);
            for (size, micros) in packets {
                now += Duration::from_micros(micros);
                bytes += if flood.allows(size, now) { size } else { 0 };
            }
            let seconds = (now - start).as_secs_f64();
            prop_assert!(bytes as f64 <= BYTES_PER_SECOND * (1.0 + seconds) + 1.0);
        }
    }
}
