//! Throttled log lines, for events that clients can cause: one line a minute, or an hour, with the
//! count of the events since the last one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Default interval between two lines of one throttle. 1 min: often enough for an operator, rare
/// enough for the disk.
const INTERVAL: Duration = Duration::from_secs(60);
/// Interval for conditions that clients report as long as they last.
pub const HOURLY: Duration = Duration::from_secs(60 * 60);

/// Limits one kind of log line to one per interval, for the whole process.
pub struct LogThrottle {
    /// Minimum interval between two lines.
    interval: Duration,
    /// Time of the last line, and the events since.
    state: Mutex<State>,
}

/// The state behind the lock.
struct State {
    /// The time of the last line.
    logged_at: Option<Instant>,
    /// Events since then.
    suppressed: u64,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self::new()
    }
}

impl LogThrottle {
    /// A throttle that has logged nothing.
    pub const fn new() -> Self {
        Self::with_interval(INTERVAL)
    }

    /// A throttle that has logged nothing, with an interval of its own.
    pub const fn with_interval(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::new(State {
                logged_at: None,
                suppressed: 0,
            }),
        }
    }

    /// Counts an event. Returns the count since the last line, this event included, if a line is
    /// due.
    pub fn record(&self) -> Option<u64> {
        self.record_at(Instant::now())
    }

    /// [`Self::record`] at a given time.
    fn record_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.suppressed += 1;
        let due = state
            .logged_at
            .is_none_or(|logged_at| now >= logged_at + self.interval);
        due.then(|| {
            state.logged_at = Some(now);
            std::mem::take(&mut state.suppressed)
        })
    }
}

/// Logs an internal error at most once per interval of `warning`, because requests of clients may
/// cause it at any rate.
pub fn error(warning: &LogThrottle, error: &dyn std::error::Error, what: &'static str) {
    if let Some(count) = warning.record() {
        tracing::error!(%error, count, "{what}");
    }
}

/// A header value for a log line: its first bytes, with `?` for each that is not printable ASCII.
pub fn printable(text: Option<&http::HeaderValue>) -> String {
    /// Bytes of a header that a log line shows.
    const LETTERS: usize = 100;
    let Some(text) = text else {
        return "none".to_owned();
    };
    let letters = text.as_bytes().iter().take(LETTERS);
    letters
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_refusals_are_one_line_a_minute_with_their_number() {
        let warning = LogThrottle::new();
        let start = Instant::now();
        assert_eq!(warning.record_at(start), Some(1));
        for _ in 0..1000 {
            assert_eq!(warning.record_at(start + INTERVAL / 2), None);
        }
        assert_eq!(warning.record_at(start + INTERVAL), Some(1001));
        assert_eq!(warning.record_at(start + INTERVAL), None);
    }

    #[test]
    fn a_warning_may_be_given_once_an_hour() {
        let warning = LogThrottle::with_interval(HOURLY);
        let start = Instant::now();
        assert_eq!(warning.record_at(start), Some(1));
        assert_eq!(warning.record_at(start + HOURLY / 2), None);
        assert_eq!(warning.record_at(start + HOURLY), Some(2));
    }

    #[test]
    fn a_logged_header_is_short_printable_and_on_one_line() {
        let value = http::HeaderValue::from_bytes(b"a\tb\xff").expect("a value");
        assert_eq!(printable(Some(&value)), "a?b?");
        let long = "x".repeat(5000).parse().expect("a value");
        assert_eq!(printable(Some(&long)).len(), 100);
        assert_eq!(printable(None), "none");
    }
}
