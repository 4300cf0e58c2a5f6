//! Whether a shard takes in datagrams as they come or gathers them for a moment.
//!
//! Each turn of the thread costs system calls and a look at every connection that has
//! something to say. Where many people send, a turn each millisecond serves several packets
//! at once, and what goes to one receiver leaves together; they are half a millisecond late.
//! Network cards do the same (interrupt moderation).

use std::time::{Duration, Instant};

/// How long datagrams are gathered.
pub const COALESCE_DELAY: Duration = Duration::from_millis(1);
/// Media packets a second from which on they are: below, hardly two come within a moment.
const MIN_PACKETS_PER_SECOND: u32 = 1_500;
/// Over how long they are counted.
const WINDOW: Duration = Duration::from_millis(100);

/// How many media packets come.
#[derive(Debug)]
pub struct ReceiveCoalescer {
    /// When the window began.
    window_start: Instant,
    /// Packets in it so far.
    count: u32,
    /// Whether there were many in the one before.
    is_busy: bool,
}

impl ReceiveCoalescer {
    /// None have come yet.
    pub fn new(now: Instant) -> Self {
        Self {
            window_start: now,
            count: 0,
            is_busy: false,
        }
    }

    /// So many came in a turn; whether the next ones are gathered.
    pub fn on_packets(&mut self, count: u32, now: Instant) -> bool {
        self.count = self.count.saturating_add(count);
        let passed = now.saturating_duration_since(self.window_start);
        if passed >= WINDOW {
            let second = f64::from(self.count) / passed.as_secs_f64();
            self.is_busy = second >= f64::from(MIN_PACKETS_PER_SECOND);
            (self.window_start, self.count) = (now, 0);
        }
        self.is_busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether datagrams are gathered after a second of so many each ten milliseconds.
    fn after(gather: &mut ReceiveCoalescer, start: Instant, second: u64, each: u32) -> bool {
        (0..100).fold(false, |_, turn| {
            gather.on_packets(
                each,
                start + Duration::from_millis(second * 1000 + turn * 10),
            )
        })
    }

    #[test]
    fn many_datagrams_are_gathered_and_few_are_taken_in_at_once() {
        let start = Instant::now();
        let mut gather = ReceiveCoalescer::new(start);
        assert!(!after(&mut gather, start, 0, 5));
        assert!(after(&mut gather, start, 1, 30));
        assert!(!after(&mut gather, start, 2, 5));
        assert!(
            !gather.on_packets(0, start + Duration::from_secs(60)),
            "after a pause"
        );
    }
}
