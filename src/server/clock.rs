//! The wall clock, which can be set, and the monotonic clock, which cannot.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// The monotonic clock.
    pub monotonic: Instant,
}

impl Moment {
    /// Reads both clocks.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default().as_millis();
        Self {
            wall_ms: i64::try_from(since).unwrap_or(i64::MAX),
            monotonic: Instant::now(),
        }
    }

    /// Milliseconds since an earlier moment: on the wall clock, then on the monotonic clock.
    pub fn since(self, earlier: Self) -> (i64, i64) {
        let ran = self
            .monotonic
            .saturating_duration_since(earlier.monotonic)
            .as_millis();
        let ran = i64::try_from(ran).unwrap_or(i64::MAX);
        (self.wall_ms.saturating_sub(earlier.wall_ms), ran)
    }
}
