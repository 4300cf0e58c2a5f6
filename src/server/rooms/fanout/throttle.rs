//! How often everybody in a room is written to.
//!
//! To write costs far more than to have written a little more, so what comes close together
//! may go together. In a room where people talk, nothing waits. Two things change that: a
//! busy process ([`load`](crate::server::load)), and a room in which more is said than
//! anybody can read, where a thirtieth of a second is lost on nobody. Pure: the time and the
//! patience of the process come from outside.

use crate::server::limits::{BROADCAST_BURST, CROWDED_DELAY, CROWDED_RATE};
use std::time::Duration;
use tokio::time::Instant;

/// What is counted together to know a room's rate. 100 ms.
const SPAN: Duration = Duration::from_millis(100);

/// The pace of one room.
#[derive(Debug)]
pub struct BroadcastThrottle {
    /// When everybody was last written to.
    written_at: Option<Instant>,
    /// How many writes may be close together, for not having been made before: at most
    /// [`BROADCAST_BURST`].
    credit: f64,
    /// When the present span began.
    span_at: Instant,
    /// What was said in it.
    messages: u32,
    /// Whether more was said in the last one than anybody can read.
    crowded: bool,
}

impl BroadcastThrottle {
    /// A quiet room.
    pub fn new(now: Instant) -> Self {
        Self {
            written_at: None,
            credit: BROADCAST_BURST,
            span_at: now,
            messages: 0,
            crowded: false,
        }
    }

    /// Something is said.
    pub fn record_message(&mut self, now: Instant) {
        let since = now - self.span_at;
        if since >= SPAN {
            let rate = f64::from(self.messages) / since.as_secs_f64();
            self.crowded = rate >= CROWDED_RATE;
            (self.span_at, self.messages) = (now, 0);
        }
        self.messages += 1;
        // Whoever says all at once is not given the rest of the span for it.
        self.crowded |= f64::from(self.messages) >= CROWDED_RATE * SPAN.as_secs_f64();
    }

    /// When everybody may be written to again.
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

    /// Everybody is written to.
    pub fn record_write(&mut self, now: Instant, coalescing_delay: Duration) {
        let coalescing_delay = self.coalescing_delay(coalescing_delay);
        self.credit = (self.credit_at(now, coalescing_delay) - 1.0).max(0.0);
        self.written_at = Some(now);
    }

    /// How long this room waits in a process of this patience.
    fn coalescing_delay(&self, process: Duration) -> Duration {
        match self.crowded {
            true => process.max(CROWDED_DELAY),
            false => process,
        }
    }

    /// The credit there is at this time: one more for each `patience` of quiet.
    fn credit_at(&self, now: Instant, coalescing_delay: Duration) -> f64 {
        let quiet = self.written_at.map_or(Duration::ZERO, |at| now - at);
        let earned = quiet.as_secs_f64() / coalescing_delay.as_secs_f64().max(f64::MIN_POSITIVE);
        (self.credit + earned).min(BROADCAST_BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says something every `gap` for a second to a room, writing as soon as it may; answers
    /// the number of writes and the longest wait.
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
    fn in_a_calm_process_nothing_waits_unless_nobody_could_read_it() {
        assert_eq!(second_of(Duration::from_millis(10), CALM), (100, CALM));
        let (writes, longest) = second_of(Duration::from_millis(2), CALM);
        assert!(writes < 100, "{writes}");
        assert!(longest <= CROWDED_DELAY, "{longest:?}");
    }

    #[test]
    fn in_a_busy_process_a_burst_waits_for_nothing_and_the_rest_for_no_longer_than_it_must() {
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
