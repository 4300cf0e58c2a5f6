//! The estimated bandwidth of a link.
//!
//! str0m reports an average over three seconds, which is steady but follows a sudden change
//! with seconds of delay. Its statistics contain the instant estimate, which replaces the
//! average when it is higher, much lower, or lower at heavy loss.

use str0m::bwe::Bitrate;

/// Below this percentage of an earlier estimate the capacity has dropped. Smaller differences
/// also occur when a busy receiver sends its feedback late.
const DROP_PERCENT: u64 = 60;
/// Consecutive low samples, four per second, that make a drop. One alone may be the queue of a
/// large keyframe.
const LOW_SAMPLES: u32 = 2;
/// The fraction of packets lost from which any lower instant estimate applies at once.
const HEAVY_LOSS: f32 = 0.2;

/// The average and the instant estimate of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The average that str0m reported last.
    average_bps: u64,
    /// The instant estimate of the last statistics.
    instant_bps: u64,
    /// Consecutive samples with a much lower instant estimate.
    low_samples: u32,
    /// Whether the last sample had heavy loss.
    has_heavy_loss: bool,
}

impl Estimate {
    /// Starts with the first average that str0m reports.
    pub fn new(bps: Bitrate) -> Self {
        let average_bps = bps.as_u64();
        Self {
            average_bps,
            instant_bps: average_bps,
            low_samples: 0,
            has_heavy_loss: false,
        }
    }

    /// Sets the average.
    pub fn on_estimate(&mut self, bps: Bitrate) {
        self.average_bps = bps.as_u64();
    }

    /// Adds a sample of the instant estimate. `lost`: the fraction of packets lost.
    pub fn on_instant_estimate(&mut self, bps: Bitrate, lost: f32) {
        self.instant_bps = bps.as_u64();
        self.has_heavy_loss = lost >= HEAVY_LOSS;
        self.low_samples = match self.is_instant_much_less() {
            true => self.low_samples.saturating_add(1),
            false => 0,
        };
    }

    /// The estimated bandwidth, in bit/s.
    pub fn bps(&self) -> u64 {
        match self.has_heavy_loss
            || (self.low_samples >= LOW_SAMPLES && self.is_instant_much_less())
        {
            true => self.average_bps.min(self.instant_bps),
            false => self.average_bps.max(self.instant_bps),
        }
    }

    /// Whether the instant estimate is much lower than the average.
    fn is_instant_much_less(&self) -> bool {
        is_much_less(self.instant_bps, self.average_bps)
    }
}

/// Whether an estimate is so much lower than an earlier one that the capacity has dropped.
pub fn is_much_less(bps: u64, before: u64) -> bool {
    bps.saturating_mul(100) < before.saturating_mul(DROP_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimated bandwidth after each sample of instant estimate and loss.
    fn seen(average: u64, samples: &[(u64, f32)]) -> Vec<u64> {
        let mut estimate = Estimate::new(Bitrate::bps(average));
        let seen = samples.iter().map(|(instant, lost)| {
            estimate.on_instant_estimate(Bitrate::bps(*instant), *lost);
            estimate.bps()
        });
        seen.collect()
    }

    #[test]
    fn a_lower_estimate_applies_at_once_with_loss_and_else_at_the_second_low_sample() {
        assert_eq!(seen(1_000, &[(900, 0.2), (300, 0.5)]), [900, 300]);
        assert_eq!(
            seen(1_000, &[(599, 0.0), (300, 0.0), (700, 0.0)]),
            [1_000, 300, 1_000]
        );
        assert_eq!(seen(1_000, &[(600, 0.1), (600, 0.1)]), [1_000, 1_000]);
        assert_eq!(seen(1_000, &[(2_000, 0.9), (2_000, 0.0)]), [1_000, 2_000]);
    }

    #[test]
    fn a_higher_instant_estimate_applies_at_once() {
        let mut estimate = Estimate::new(Bitrate::bps(300));
        estimate.on_instant_estimate(Bitrate::bps(1_800), 0.0);
        assert_eq!(estimate.bps(), 1_800);
        estimate.on_estimate(Bitrate::bps(500));
        assert_eq!(estimate.bps(), 1_800);
    }

    #[test]
    fn a_lowered_average_ends_the_drop() {
        let mut estimate = Estimate::new(Bitrate::bps(1_000));
        estimate.on_instant_estimate(Bitrate::bps(300), 0.0);
        estimate.on_instant_estimate(Bitrate::bps(300), 0.0);
        assert_eq!(estimate.bps(), 300);
        estimate.on_estimate(Bitrate::bps(400));
        assert_eq!(estimate.bps(), 400);
    }
}
