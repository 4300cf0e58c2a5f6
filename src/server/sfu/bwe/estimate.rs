//! What a line is estimated to carry.
//!
//! str0m tells the average of what it thought during three seconds: steady on a line that is,
//! and late by seconds on one that becomes narrow or wide all at once. What it thinks now is
//! among its statistics, and has the word where it is something else altogether.

use str0m::bwe::Bitrate;

/// Of an estimate, below how much another one is of a line that has become narrow, in percent:
/// a receiver that is busy for a moment tells of packets late, and less is thought then, too.
const DROP_PERCENT: u64 = 60;
/// How many looks it takes, four a second: a large keyframe is a queue for a moment.
const LOW_SAMPLES: u32 = 2;
/// The share of packets lost from which anything less counts, and at once.
const HEAVY_LOSS: f32 = 0.2;

/// What a line is estimated to carry, in bit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// What was told.
    average_bps: u64,
    /// What was thought when it was looked at.
    instant_bps: u64,
    /// Looks in a row at much less.
    low_samples: u32,
    /// Whether many packets were lost at the last one.
    has_heavy_loss: bool,
}

impl Estimate {
    /// This much was told first.
    pub fn new(bps: Bitrate) -> Self {
        let average_bps = bps.as_u64();
        Self {
            average_bps,
            instant_bps: average_bps,
            low_samples: 0,
            has_heavy_loss: false,
        }
    }

    /// This much is told since.
    pub fn on_estimate(&mut self, bps: Bitrate) {
        self.average_bps = bps.as_u64();
    }

    /// So much is thought now, while this share of packets is lost.
    pub fn on_instant_estimate(&mut self, bps: Bitrate, lost: f32) {
        self.instant_bps = bps.as_u64();
        self.has_heavy_loss = lost >= HEAVY_LOSS;
        self.low_samples = match self.is_instant_much_less() {
            true => self.low_samples.saturating_add(1),
            false => 0,
        };
    }

    /// What it carries.
    pub fn bps(&self) -> u64 {
        match self.has_heavy_loss
            || (self.low_samples >= LOW_SAMPLES && self.is_instant_much_less())
        {
            true => self.average_bps.min(self.instant_bps),
            false => self.average_bps.max(self.instant_bps),
        }
    }

    /// Whether much less is thought than was told.
    fn is_instant_much_less(&self) -> bool {
        is_much_less(self.instant_bps, self.average_bps)
    }
}

/// Whether an estimate is so much less than one before that the line has become narrow.
pub fn is_much_less(bps: u64, before: u64) -> bool {
    bps.saturating_mul(100) < before.saturating_mul(DROP_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line is estimated to carry after looks at these thoughts and shares lost.
    fn seen(told: u64, looks: &[(u64, f32)]) -> Vec<u64> {
        let mut estimate = Estimate::new(Bitrate::bps(told));
        let seen = looks.iter().map(|(thought, lost)| {
            estimate.on_instant_estimate(Bitrate::bps(*thought), *lost);
            estimate.bps()
        });
        seen.collect()
    }

    #[test]
    fn less_counts_at_once_where_packets_are_lost_and_else_much_less_at_the_second_look() {
        assert_eq!(seen(1_000, &[(900, 0.2), (300, 0.5)]), [900, 300]);
        assert_eq!(
            seen(1_000, &[(599, 0.0), (300, 0.0), (700, 0.0)]),
            [1_000, 300, 1_000]
        );
        assert_eq!(seen(1_000, &[(600, 0.1), (600, 0.1)]), [1_000, 1_000]);
        assert_eq!(seen(1_000, &[(2_000, 0.9), (2_000, 0.0)]), [1_000, 2_000]);
    }

    #[test]
    fn more_counts_at_once_and_the_average_follows() {
        let mut estimate = Estimate::new(Bitrate::bps(300));
        estimate.on_instant_estimate(Bitrate::bps(1_800), 0.0);
        assert_eq!(estimate.bps(), 1_800);
        estimate.on_estimate(Bitrate::bps(500));
        assert_eq!(estimate.bps(), 1_800);
    }

    #[test]
    fn an_average_that_has_come_down_is_not_much_more_any_longer() {
        let mut estimate = Estimate::new(Bitrate::bps(1_000));
        estimate.on_instant_estimate(Bitrate::bps(300), 0.0);
        estimate.on_instant_estimate(Bitrate::bps(300), 0.0);
        assert_eq!(estimate.bps(), 300);
        estimate.on_estimate(Bitrate::bps(400));
        assert_eq!(estimate.bps(), 400);
    }
}
