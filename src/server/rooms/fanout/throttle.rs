//! Limits how often a room writes to all its sockets.
//!
//! A write costs far more than a few more bytes in it, so broadcasts that come close together may
//! be coalesced. In an ordinary room no broadcast waits. Two conditions change that: a busy process
//! ([`load`](crate::server::load)), and a room with more messages than anybody can read, where
//! 33 ms of delay do not matter. Pure: time and the process's coalescing delay are arguments.

use crate::server::limits::{BROADCAST_BURST, CROWDED_DELAY, CROWDED_RATE};
use std::time::Duration;
use tokio::time::Instant;

/// The interval over which the message rate of a room is measured. 100 ms.
const RATE_INTERVAL: Duration = Duration::from_millis(100);

/// The write rate of one room.
#[derive(Debug)]
pub struct BroadcastThrottle {
    /// When the room last wrote to all sockets.
    written_at: Option<Instant>,
    /// Writes that need not wait: saved by earlier pauses, at most [`BROADCAST_BURST`].
    credit: f64,
    /// The start of the current interval.
    interval_start: Instant,
    /// Messages in the current interval.
    messages: u32,
    /// Whether the last interval had more messages than a person can read.
    crowded: bool,
}

impl BroadcastThrottle {
    /// A room without messages.
    pub fn new(now: Instant) -> Self {
        Self {
            written_at: None,
            credit: BROADCAST_BURST,
            interval_start: now,
            messages: 0,
            crowded: false,
        }
    }

    /// Counts a message.
    pub fn record_message(&mut self, now: Instant) {
        let since = now - self.interval_start;
        if since >= RATE_INTERVAL {
            let rate = f64::from(self.messages) / since.as_secs_f64();
            self.crowded = rate >= CROWDED_RATE;
            (self.interval_start, self.messages) = (now, 0);
        }
        self.messages += 1;
        // A burst counts at once, not only at the end of the interval.
        self.crowded |= f64::from(self.messages) >= CROWDED_RATE * RATE_INTERVAL.as_secs_f64();
    }

    /// When the next write may happen.
    pub fn next_write(&self, now: Instant, coalescing_delay: Duration) -> Option<Instant> {
        let written_at = self.written_at?;
        let coalescing_delay = self.coalescing_delay(coalescing_delay);
        let waits = self.credit_at(now, coalescing_delay) < 1.0;
        Some(if waits {
            written_at + coalescing_delay
        } else {
            written_at
        })
    }

    /// Counts a write.
    pub fn record_write(&mut self, now: Instant, coalescing_delay: Duration) {
        let coalescing_delay = self.coalescing_delay(coalescing_delay);
        self.credit = (self.credit_at(now, coalescing_delay) - 1.0).max(0.0);
        self.written_at = Some(now);
    }

    /// The coalescing delay of this room, from that of the process.
    fn coalescing_delay(&self, process: Duration) -> Duration {
        match self.crowded {
            true => process.max(CROWDED_DELAY),
            false => process,
        }
    }

    /// The credit at this time: one more for each coalescing delay since the last write.
    fn credit_at(&self, now: Instant, coalescing_delay: Duration) -> f64 {
        let quiet = self.written_at.map_or(Duration::ZERO, |at| now - at);
        let earned = quiet.as_secs_f64() / coalescing_delay.as_secs_f64().max(f64::MIN_POSITIVE);
        (self.credit + earned).min(BROADCAST_BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a message every `gap` for a second and writes as soon as allowed. Returns the number of
    /// writes and the longest wait.
    fn second_of(gap: Duration, coalescing_delay: Duration) -> (u32, Duration) {
        let start = Instant::now();
        let mut throttle = BroadcastThrottle::new(start);
        let (mut writes, mut longest, mut waiting) = (0, Duration::ZERO, None);
        for tick in 0..1_000 {
            let now = start + Duration::from_millis(tick);
            if tick % u64::try_from(gap.as_millis()).unwrap_or(1) == 0 {
                throttle.record_message(now);
                waiting.get_or_insert(now);
            }
            let Some(since) = waiting else { continue };
            if throttle
                .next_write(now, coalescing_delay)
                .is_none_or(|next| next <= now)
            {
                throttle.record_write(now, coalescing_delay);
                longest = longest.max(now - since);
                waiting = None;
                writes += 1;
            }
        }
        (writes, longest)
    }

    const CALM: Duration = Duration::ZERO;

    #[test]
    fn a_calm_process_delays_only_messages_too_fast_to_read() {
        assert_eq!(second_of(Duration::from_millis(10), CALM), (100, CALM));
        let (writes, longest) = second_of(Duration::from_millis(2), CALM);
        assert!(writes < 100, "{writes}");
        assert!(longest <= CROWDED_DELAY, "{longest:?}");
    }

    #[test]
    fn a_busy_process_lets_bursts_pass_and_delays_the_rest_by_the_coalescing_delay_at_most() {
        let coalescing_delay = Duration::from_millis(20);
        let (writes, longest) = second_of(Duration::from_millis(8), coalescing_delay);
        assert!((48..=60).contains(&writes), "{writes}");
        assert!(longest <= coalescing_delay, "{longest:?}");
        assert_eq!(
            second_of(Duration::from_millis(200), coalescing_delay),
            (5, CALM)
        );
    }
}
