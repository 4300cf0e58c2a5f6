//! Counters of deliveries: completeness, order and latency.

use crate::protocol::Stamp;
use hdrhistogram::Histogram;

/// Largest recorded latency: 60 s, in microseconds.
const MAX_LATENCY_US: u64 = 60_000_000;

/// The counters since the last [`Counters::reset`].
pub struct Counters {
    /// Messages delivered to others than the sender.
    pub deliveries: u64,
    /// Messages that arrived twice or out of order.
    pub disordered: u64,
    /// Messages missing before a later one.
    pub skipped: u64,
    /// Messages that the server refused.
    pub refused: u64,
    /// Lines that ended.
    pub closed: u64,
    /// Latency from the due time to the arrival, in microseconds.
    pub latencies: Histogram<u64>,
}

impl Counters {
    /// Counters at 0.
    pub fn new() -> Self {
        Self {
            deliveries: 0,
            disordered: 0,
            skipped: 0,
            refused: 0,
            closed: 0,
            latencies: new_histogram(),
        }
    }

    /// Sets all counters to zero.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Counts a received message. `seen` is the last number of its sender at this receiver.
    pub fn count(&mut self, stamp: Stamp, seen: &mut u32, now: u64) {
        self.deliveries += 1;
        let late = now.saturating_sub(stamp.due) / 1_000;
        self.latencies.saturating_record(late);
        if stamp.number <= *seen {
            self.disordered += 1;
        } else {
            self.skipped += u64::from(stamp.number - *seen - 1);
            *seen = stamp.number;
        }
    }
}

/// A histogram of microseconds with three significant digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(MAX_LATENCY_US, 3).expect("the bounds are in order")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u32) -> Stamp {
        Stamp {
            sender: 0,
            number,
            due: 0,
        }
    }

    #[test]
    fn lost_duplicate_and_reordered_messages_are_counted() {
        let mut counters = Counters::new();
        let mut seen = 0;
        for number in [1, 2, 5, 5, 4, 6] {
            counters.count(stamp(number), &mut seen, 1_000);
        }
        assert_eq!((counters.deliveries, counters.skipped), (6, 2));
        assert_eq!((counters.disordered, seen), (2, 6));
    }
}
