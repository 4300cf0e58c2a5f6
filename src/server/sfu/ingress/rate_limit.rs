//! The ingress limit of one peer: a token bucket of packets and one of bytes.
//!
//! A browser with three layers of a camera, a screen and a microphone sends 10 Mbit/s at most.
//! Several times that is dropped before decryption.

use crate::server::{limits::Rate, token_bucket::TokenBucket};
use std::time::Instant;

/// Packets per second, and the burst.
const PACKETS: Rate = Rate {
    per_second: 5_000,
    burst: 5_000,
};
/// Bytes per second, and the burst: 40 Mbit/s.
const BYTES: Rate = Rate {
    per_second: 5_000_000,
    burst: 5_000_000,
};

/// The token buckets of one peer.
#[derive(Debug)]
pub struct IngressLimiter {
    /// Packets that may still arrive.
    packets: TokenBucket,
    /// Bytes that may still arrive.
    bytes: TokenBucket,
}

impl Default for IngressLimiter {
    /// Starts with full buckets: one second of each rate.
    fn default() -> Self {
        Self {
            packets: TokenBucket::new(PACKETS),
            bytes: TokenBucket::new(BYTES),
        }
    }
}

impl IngressLimiter {
    /// Takes a packet of this many bytes from the buckets. Returns false where it does not fit.
    pub fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        let allowed = self.packets.has(1, 0, now) && self.bytes.has(bytes, 0, now);
        if allowed {
            self.packets.take(1);
            self.bytes.take(bytes);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    /// How many packets of this size go through in so many seconds at a rate.
    fn passed(bytes: usize, a_second: u64, seconds: u64) -> u64 {
        let start = Instant::now();
        let mut limiter = IngressLimiter::default();
        let gap = Duration::from_secs(1).div_f64(a_second as f64);
        let sent = a_second * seconds;
        (0..sent)
            .filter(|n| limiter.allows(bytes, start + gap.mul_f64(*n as f64)))
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
            let (mut limiter, mut now, mut bytes) = (IngressLimiter::default(), start, 0);
            for (size, micros) in packets {
                now += Duration::from_micros(micros);
                bytes += if limiter.allows(size, now) { size } else { 0 };
            }
            let seconds = (now - start).as_secs_f64();
            prop_assert!(bytes as f64 <= f64::from(BYTES.burst) * (1.0 + seconds) + 1.0);
        }
    }
}
