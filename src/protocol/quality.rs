//! Rating of a connection by round-trip time, loss and jitter.
//!
//! A worse rating is reported after two samples and a better one after five, so that the
//! rating does not flicker. The server rates the connections to the SFU, browsers rate the
//! connections between them.

use super::Quality;

/// Upper bound of a good connection's round-trip time, in ms. A longer one indicates a queue.
pub const GOOD_RTT_MS: f64 = 150.0;
/// Upper bound of a good connection's packet loss, as a fraction.
pub const GOOD_LOSS: f64 = 0.02;
/// Upper bounds of a good connection: round-trip time in ms, loss as a fraction, jitter in ms.
const GOOD: [f64; 3] = [GOOD_RTT_MS, GOOD_LOSS, 30.0];
/// Upper bounds of a fair connection, in the same order.
const FAIR: [f64; 3] = [300.0, 0.05, 60.0];
/// Consecutive samples after which a worse rating is reported.
const WORSE_AFTER: u32 = 2;
/// Consecutive samples after which a better rating is reported.
const BETTER_AFTER: u32 = 5;

/// Rates one connection. The default has no sample.
#[derive(Debug, Default)]
pub struct QualityMeter {
    /// The reported rating; `None` before the first sample.
    reported: Option<Quality>,
    /// Consecutive samples on one side of the reported rating.
    run: Option<Run>,
}

/// Consecutive samples that are all worse, or all better, than the reported rating.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Whether the samples are worse.
    worse: bool,
    /// Number of samples taken.
    samples: u32,
    /// The sample nearest to the reported rating.
    nearest: Quality,
}

impl QualityMeter {
    /// The rating reported last; `None` before the first sample.
    pub fn reported(&self) -> Option<Quality> {
        self.reported
    }

    /// Takes a sample; an unknown value counts as 0. Returns the rating if it has changed; the
    /// first sample always changes it.
    pub fn sample(&mut self, rtt_ms: f64, loss: f64, jitter_ms: f64) -> Option<Quality> {
        let sample = rate([rtt_ms, loss, jitter_ms]);
        let Some(reported) = self.reported else {
            return self.report(sample);
        };
        if sample == reported {
            self.run = None;
            return None;
        }
        let run = self.extend_run(sample, rank(sample) > rank(reported));
        let enough = if run.worse { WORSE_AFTER } else { BETTER_AFTER };
        match run.samples >= enough {
            true => self.report(run.nearest),
            false => None,
        }
    }

    /// Adds a sample to the run, or starts a new run.
    fn extend_run(&mut self, sample: Quality, worse: bool) -> Run {
        let before = self.run.filter(|run| run.worse == worse);
        let run = match before {
            None => Run {
                worse,
                samples: 1,
                nearest: sample,
            },
            Some(run) => Run {
                worse,
                samples: run.samples + 1,
                nearest: if (rank(sample) < rank(run.nearest)) == worse {
                    sample
                } else {
                    run.nearest
                },
            },
        };
        *self.run.insert(run)
    }

    /// Sets the reported rating and ends the run.
    fn report(&mut self, quality: Quality) -> Option<Quality> {
        self.reported = Some(quality);
        self.run = None;
        self.reported
    }
}

/// The rating of one sample: round-trip time in ms, loss, jitter in ms.
fn rate(sample: [f64; 3]) -> Quality {
    // NaN means unknown. It compares as not less than any limit, so it is checked first.
    let below = |limits: [f64; 3]| {
        sample
            .iter()
            .zip(limits)
            .all(|(s, limit)| s.is_nan() || *s < limit)
    };
    match () {
        () if below(GOOD) => Quality::Good,
        () if below(FAIR) => Quality::Fair,
        () => Quality::Poor,
    }
}

/// The order of the ratings: a higher rank is worse.
fn rank(quality: Quality) -> u8 {
    match quality {
        Quality::Good => 0,
        Quality::Fair => 1,
        Quality::Poor => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Quality::{Fair, Good, Poor};
    use proptest::prelude::*;

    /// A sample with this rating.
    fn of(quality: Quality) -> [f64; 3] {
        match quality {
            Good => [40.0, 0.0, 5.0],
            Fair => [200.0, 0.01, 5.0],
            Poor => [40.0, 0.2, 5.0],
        }
    }

    /// The rating reported after each of these samples, if any.
    fn reports(samples: &[Quality]) -> Vec<Option<Quality>> {
        let mut meter = QualityMeter::default();
        let samples = samples.iter().map(|quality| of(*quality));
        samples
            .map(|[rtt, loss, jitter]| meter.sample(rtt, loss, jitter))
            .collect()
    }

    #[test]
    fn each_measure_alone_can_lower_the_rating() {
        for (sample, expected) in [
            ([149.0, 0.019, 29.0], Good),
            ([150.0, 0.0, 0.0], Fair),
            ([0.0, 0.02, 0.0], Fair),
            ([0.0, 0.0, 30.0], Fair),
            ([299.0, 0.049, 59.0], Fair),
            ([300.0, 0.0, 0.0], Poor),
            ([0.0, 0.05, 0.0], Poor),
            ([0.0, 0.0, 60.0], Poor),
            ([f64::NAN, f64::NAN, f64::NAN], Good),
            ([f64::INFINITY, 0.0, 0.0], Poor),
        ] {
            assert_eq!(rate(sample), expected, "{sample:?}");
        }
    }

    #[test]
    fn the_first_sample_is_reported() {
        assert_eq!(reports(&[Poor, Poor]), [Some(Poor), None]);
    }

    #[test]
    fn a_worse_rating_is_reported_at_the_second_consecutive_sample() {
        assert_eq!(
            reports(&[Good, Fair, Good, Fair]),
            [Some(Good), None, None, None]
        );
        assert_eq!(
            reports(&[Good, Fair, Poor, Poor, Poor])[2..],
            [Some(Fair), None, Some(Poor)]
        );
        assert_eq!(reports(&[Good, Poor, Poor])[2], Some(Poor));
    }

    #[test]
    fn a_better_rating_is_reported_at_the_fifth_sample() {
        let samples = [Poor, Good, Good, Good, Good, Good];
        assert_eq!(reports(&samples)[1..], [None, None, None, None, Some(Good)]);
        let samples = [Poor, Good, Good, Fair, Good, Good];
        assert_eq!(reports(&samples)[5], Some(Fair), "as far as all five agree");
        let samples = [Poor, Good, Good, Good, Good, Poor, Good];
        assert_eq!(reports(&samples)[1..], [None; 6]);
    }

    proptest! {
        /// A rating is reported when it changes, at most at every second sample.
        #[test]
        fn the_rating_does_not_flicker(samples in prop::collection::vec(0_u8..3, 2..300)) {
            let samples: Vec<_> = samples.iter().map(|s| [Good, Fair, Poor][*s as usize]).collect();
            let reports = reports(&samples);
            let changes: Vec<_> = reports.iter().flatten().collect();
            prop_assert!(changes.windows(2).all(|two| two[0] != two[1]));
            prop_assert!(reports[1..].windows(2).all(|two| two[0].is_none() || two[1].is_none()));
        }
    }
}
