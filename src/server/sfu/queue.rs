//! How much of a round trip is a queue: what it is longer than the shortest of late.
//!
//! A long line is not a narrow one. One that is narrow queues up what it cannot carry, and
//! its round trip grows.

/// What a new measure weighs: jitter of single packets is not a queue.
const WEIGHT: f64 = 0.25;
/// Measures after which the shortest round trip is looked for anew: one a second, a minute.
const ANEW_AFTER: u32 = 60;

/// The round trips of one line, in milliseconds.
#[derive(Debug, Default)]
pub struct Queue {
    /// Smoothed; nothing before the first measure.
    smoothed: Option<f64>,
    /// The shortest smoothed one of this minute, and of the one before.
    shortest: [Option<f64>; 2],
    /// Measures in this minute.
    measures: u32,
}

impl Queue {
    /// Takes in a measure; what of it is a queue.
    pub fn measure(&mut self, rtt_ms: f64) -> f64 {
        if !rtt_ms.is_finite() {
            return 0.0;
        }
        let before = self.smoothed.unwrap_or(rtt_ms);
        let smoothed = before + (rtt_ms - before) * WEIGHT;
        self.smoothed = Some(smoothed);
        self.measures += 1;
        if self.measures > ANEW_AFTER {
            self.measures = 1;
            self.shortest = [None, self.shortest[0]];
        }
        let this = self.shortest[0].map_or(smoothed, |shortest| shortest.min(smoothed));
        self.shortest[0] = Some(this);
        let shortest = self.shortest[1].map_or(this, |before| before.min(this));
        smoothed - shortest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The queue at the end of these round trips.
    fn after(rtts: impl IntoIterator<Item = f64>) -> f64 {
        let mut queue = Queue::default();
        rtts.into_iter()
            .fold(0.0, |_, rtt_ms| queue.measure(rtt_ms))
    }

    #[test]
    fn a_long_line_has_no_queue_and_one_that_grows_has() {
        assert_eq!(after([600.0; 20]), 0.0);
        let grown = after([40.0; 5].into_iter().chain([400.0; 5]));
        assert!(grown > 250.0, "{grown}");
        assert!(after([40.0, 400.0, 40.0]) < 100.0, "one alone");
    }

    #[test]
    fn a_way_that_became_longer_is_the_line_after_two_minutes() {
        let longer = |seconds| after([40.0; 30].into_iter().chain(vec![400.0; seconds]));
        assert!(longer(30) > 300.0);
        assert!(longer(125) < 1.0);
    }

    proptest! {
        /// It is never below nothing, nor more than the longest round trip.
        #[test]
        fn it_is_part_of_the_round_trip(rtts in prop::collection::vec(0.0..2000.0, 1..300)) {
            let mut queue = Queue::default();
            for rtt in rtts {
                let queue = queue.measure(rtt);
                prop_assert!((0.0..2000.0).contains(&queue));
            }
        }

        /// Each packet delayed for itself is no queue.
        #[test]
        fn jitter_is_no_queue(spread in prop::collection::vec(-100.0..100.0, 4..100)) {
            let queue = after(spread.into_iter().map(|late| 400.0 + late));
            prop_assert!(queue < 200.0, "{queue}");
        }
    }
}
