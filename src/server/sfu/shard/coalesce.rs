//! Receive coalescing: whether a busy shard waits before it receives again.
//!
//! Each poll of the thread costs system calls and a drain of every dirty peer. With many senders
//! a poll each millisecond handles several packets at once, and packets to one receiver leave
//! together, half a millisecond late on average. Network cards do the same (interrupt moderation).

use std::time::{Duration, Instant};

/// How long a busy shard waits.
pub const COALESCE_DELAY: Duration = Duration::from_millis(1);
/// Media packets a second above which a shard is busy. 1,500: below, two hardly arrive within
/// [`COALESCE_DELAY`].
const MIN_PACKETS_PER_SECOND: u32 = 1_500;
/// The interval over which packets are counted.
const WINDOW: Duration = Duration::from_millis(100);

/// Counts received media packets.
#[derive(Debug)]
pub struct ReceiveCoalescer {
    /// When the window began.
    window_start: Instant,
    /// Packets in the window so far.
    count: u32,
    /// Whether the previous window had many.
    is_busy: bool,
}

impl ReceiveCoalescer {
    /// A shard that has received nothing.
    pub fn new(now: Instant) -> Self {
        Self {
            window_start: now,
            count: 0,
            is_busy: false,
        }
    }

    /// Records the packets of one poll. Returns whether to wait before the next one.
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

    /// Whether a shard is busy after a second with so many packets every 10 ms.
    fn after(gather: &mut ReceiveCoalescer, start: Instant, second: u64, each: u32) -> bool {
        (0..100).fold(false, |_, turn| {
            gather.on_packets(
                each,
                start + Duration::from_millis(second * 1000 + turn * 10),
            )
        })
    }

    #[test]
    fn many_packets_are_coalesced_and_few_are_received_at_once() {
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
