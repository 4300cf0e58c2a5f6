//! Counters of the store.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the buckets of [`StoreMetrics::commit_seconds`].
const COMMIT_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds of the buckets of [`StoreMetrics::commit_rows`].
const COMMIT_ROWS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Counters of one store. Clones share the numbers.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    /// Jobs that wait for the writer thread.
    pub writer_queue: Gauge,
    /// Duration of each commit in seconds, including failed commits.
    pub commit_seconds: Histogram,
    /// Messages and changes in each commit.
    pub commit_rows: Histogram,
    /// Commits that failed.
    pub commit_failures: Counter,
    /// Messages deleted because of their age or number.
    pub messages_expired: Counter,
    /// Rooms forgotten because nothing was kept in them.
    pub rooms_forgotten: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            writer_queue: Gauge::default(),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            commit_rows: Histogram::new(COMMIT_ROWS),
            commit_failures: Counter::default(),
            messages_expired: Counter::default(),
            rooms_forgotten: Counter::default(),
        }
    }
}

impl StoreMetrics {
    /// Adds the counters to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "writer_queue",
            "Messages and other jobs that wait for the writer",
            self.writer_queue.clone(),
        );
        registry.register_with_unit(
            "commit",
            "Time until a group of messages was durable or refused",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register(
            "commit_rows",
            "Messages in one commit",
            self.commit_rows.clone(),
        );
        registry.register(
            "commit_failures",
            "Commits of messages that failed",
            self.commit_failures.clone(),
        );
        registry.register(
            "messages_expired",
            "Messages deleted because of their age or number",
            self.messages_expired.clone(),
        );
        registry.register(
            "rooms_forgotten",
            "Rooms without messages whose names were deleted",
            self.rooms_forgotten.clone(),
        );
    }
}
