//! The speech score of a count (Volfin and Cohen 2012, section III).
//!
//! A span of `n` parts of which `v` contain speech scores the log-likelihood ratio of speech to
//! silence: `ln C(n, v) + v ln p + (n - v) ln(1 - p) - ln l + l v` with `p` one half. There are
//! few counts, so all scores are precomputed.

/// The number of parts per span: loudness steps, 20 ms frames in 100 ms, 100 ms parts in 1 s (the
/// paper's N1, N2 and N3).
pub const PARTS: [usize; 3] = [13, 5, 10];
/// How fast silence becomes unlikely with each part: the paper's lambda per span.
const LAMBDA: [f64; 3] = [0.78, 24.0, 47.0];
/// The minimum score, so that its logarithm exists.
const LEAST: f64 = 1e-10;
/// The number of counts in the longest table, including 0.
const COUNTS: usize = 14;

/// The logarithms of the scores of one speaker over 20 ms, 100 ms and 1 s.
#[derive(Debug, Clone, Copy)]
pub struct Scores([f64; 3]);

impl Scores {
    /// The differences to other scores, per span.
    pub fn lead_over(&self, other: &Self) -> [f64; 3] {
        std::array::from_fn(|span| self.0[span] - other.0[span])
    }
}

/// The logarithm of the score of each count, per span.
#[derive(Debug)]
pub struct Table([[f64; COUNTS]; 3]);

impl Default for Table {
    fn default() -> Self {
        let score = |span, count| log_score(count, PARTS[span], LAMBDA[span]);
        Self(std::array::from_fn(|span| {
            std::array::from_fn(|count| score(span, count))
        }))
    }
}

impl Table {
    /// The scores of counts; a count above the number of parts is clamped.
    pub fn scores(&self, counts: [usize; 3]) -> Scores {
        Scores(std::array::from_fn(|span| {
            self.0[span][counts[span].min(PARTS[span])]
        }))
    }
}

/// The logarithm of the score of one count.
fn log_score(count: usize, parts: usize, lambda: f64) -> f64 {
    let count = count.min(parts);
    let chosen: f64 = (0..count)
        .map(|i| ((parts - i) as f64 / (i + 1) as f64).ln())
        .sum();
    let score = chosen + parts as f64 * 0.5_f64.ln() - lambda.ln() + lambda * count as f64;
    score.max(LEAST).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_has_the_lowest_score_and_scores_rise_with_speech() {
        let table = Table::default();
        for (span, most) in [9, 5, 10].into_iter().enumerate() {
            let scores = &table.0[span][..=most];
            assert!((scores[0] - LEAST.ln()).abs() < 1e-9);
            assert!(scores.windows(2).all(|two| two[0] <= two[1]), "{scores:?}");
        }
    }

    #[test]
    fn a_score_matches_the_paper() {
        // C(5, 2) = 10, a half to the fifth, lambda 24.
        let expected = 10_f64.ln() + 5.0 * 0.5_f64.ln() - 24_f64.ln() + 48.0;
        let found = Table::default().scores([0, 2, 0]).0[1];
        assert!((found - expected.ln()).abs() < 1e-9);
    }
}
