//! The kinds of numbers Prometheus knows, made of atomics, and how they are written
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Nothing is ordered against anything else: a reader may see a count a moment before its
//! sum. That is how metrics are read anyway.

use std::{
    fmt::Write,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

/// Parts of one in a histogram's sum, so that it is a whole number: seconds in microseconds.
const PARTS: f64 = 1_000_000.0;

/// Counts up.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Nothing yet.
    pub const fn zero() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts so many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Writes it.
    pub fn write(&self, text: &mut String, name: &str, help: &str) {
        describe(text, name, "counter", help);
        let _ = writeln!(text, "{name} {}", self.get());
    }
}

/// Counts up and down.
#[derive(Debug)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Nothing yet.
    pub const fn zero() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Counts so many more, or fewer.
    pub fn add(&self, more: i64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// How many there are.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// Writes it.
    pub fn write(&self, text: &mut String, name: &str, help: &str) {
        describe(text, name, "gauge", help);
        let _ = writeln!(text, "{name} {}", self.get());
    }
}

/// How values are spread over `N` buckets and the one beyond them.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// Up to which value each bucket counts, in order.
    bounds: [f64; N],
    /// Values in each bucket, not in those before it.
    buckets: [AtomicU64; N],
    /// Values beyond the last bucket.
    beyond: AtomicU64,
    /// All values together, in millionths.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// Nothing yet.
    pub const fn new(bounds: [f64; N]) -> Self {
        Self {
            bounds,
            buckets: [const { AtomicU64::new(0) }; N],
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Takes in a value, at least 0.
    pub fn observe(&self, value: f64) {
        let place = self.bounds.iter().position(|bound| value <= *bound);
        let bucket = place.map_or(&self.beyond, |place| &self.buckets[place]);
        bucket.fetch_add(1, Relaxed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest whole number it can"
        )]
        self.sum.fetch_add((value * PARTS).round() as u64, Relaxed);
    }

    /// Writes it, each bucket with those before it.
    pub fn write(&self, text: &mut String, name: &str, help: &str) {
        describe(text, name, "histogram", help);
        let mut count = 0;
        for (bound, bucket) in self.bounds.iter().zip(&self.buckets) {
            count += bucket.load(Relaxed);
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        count += self.beyond.load(Relaxed);
        let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {count}");
        #[expect(
            clippy::cast_precision_loss,
            reason = "Prometheus's numbers are floats"
        )]
        let sum = self.sum.load(Relaxed) as f64 / PARTS;
        let _ = writeln!(text, "{name}_sum {sum}\n{name}_count {count}");
    }
}

/// Writes what a number is.
pub fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_written_as_prometheus_reads_it() {
        let histogram = Histogram::new([0.001, 0.5]);
        for value in [0.0005, 0.001, 0.2, 7.0] {
            histogram.observe(value);
        }
        let mut text = String::new();
        histogram.write(&mut text, "x", "What.");
        let expected = "# HELP x What.\n# TYPE x histogram\n\
                        x_bucket{le=\"0.001\"} 2\nx_bucket{le=\"0.5\"} 3\n\
                        x_bucket{le=\"+Inf\"} 4\nx_sum 7.2015\nx_count 4\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_gauge_goes_both_ways() {
        let gauge = Gauge::zero();
        gauge.add(3);
        gauge.add(-2);
        let mut text = String::new();
        gauge.write(&mut text, "x", "What.");
        assert!(text.ends_with("# TYPE x gauge\nx 1\n"), "{text}");
    }
}
