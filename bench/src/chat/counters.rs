//! What arrived: whether it is all of it, once and in order, and how late.

use crate::protocol::Stamp;
use hdrhistogram::Histogram;

/// Latencies above this count as this. 60 s, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Everything that was delivered since the last [`Counters::begin`].
pub struct Counters {
    /// Deliveries to others than the sender.
    pub deliveries: u64,
    /// Messages that came twice or before an earlier one of the same sender.
    pub disordered: u64,
    /// Messages that were skipped.
    pub skipped: u64,
    /// Messages the server refused.
    pub refused: u64,
    /// Lines that ended.
    pub broken: u64,
    /// From when a message was due until it arrived, in microseconds.
    pub latencies: Histogram<u64>,
}

impl Counters {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            deliveries: 0,
            disordered: 0,
            skipped: 0,
            refused: 0,
            broken: 0,
            latencies: new_histogram(),
        }
    }

    /// Counts from here.
    pub fn begin(&mut self) {
        *self = Self::new();
    }

    /// Counts a message that arrived; `seen` is the last number of that sender which
    /// arrived at this receiver.
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

/// A histogram of microseconds, to three digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 3).expect("the bounds are in order")
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
    fn what_is_lost_doubled_or_out_of_order_is_noticed() {
        let mut counters = Counters::new();
        let mut seen = 0;
        for number in [1, 2, 5, 5, 4, 6] {
            counters.count(stamp(number), &mut seen, 1_000);
        }
        assert_eq!((counters.deliveries, counters.skipped), (6, 2));
        assert_eq!((counters.disordered, seen), (2, 6));
    }
}
