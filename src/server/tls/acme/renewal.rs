//! When a certificate is renewed, and how long the server waits after a failure. Pure.

use crate::server::tls::x509::CertificateFacts;
use std::time::{Duration, SystemTime};

/// Wait after the first failure. 2 min: authorities allow few failed validations an hour.
const FIRST_RETRY: Duration = Duration::from_secs(2 * 60);
/// Longest wait after failures. 6 h: a certificate is renewed weeks before it expires.
const LAST_RETRY: Duration = Duration::from_secs(6 * 60 * 60);
/// Shortest and longest interval between two questions for the renewal window (RFC 9773, 4.3.2).
const WINDOW_INTERVAL: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(24 * 60 * 60)];

/// The window that the authority suggests for the renewal (RFC 9773, 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalWindow {
    /// The first moment.
    pub start: SystemTime,
    /// The last moment.
    pub end: SystemTime,
}

/// When to renew. Within the window of the authority; without one, after two thirds of the
/// validity, up to a thirtieth of it earlier. `jitter` is in 0..1, the same for the life of a
/// certificate.
pub fn renewal_time(
    facts: &CertificateFacts,
    window: Option<RenewalWindow>,
    jitter: f64,
) -> SystemTime {
    let jitter = jitter.clamp(0.0, 1.0);
    if let Some(RenewalWindow { start, end }) = window {
        let length = end.duration_since(start).unwrap_or_default();
        return start + length.mul_f64(jitter);
    }
    let life = facts.not_after.duration_since(facts.not_before);
    let life = life.unwrap_or_default();
    facts.not_before + life.mul_f64(2.0 / 3.0 - jitter / 30.0)
}

/// The wait after this many failures in a row, at least until the moment that the authority
/// demands (`Retry-After`).
pub fn retry_delay(failures: u32, demanded: Option<Duration>, jitter: f64) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let delay = doubled
        .min(LAST_RETRY)
        .mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0);
    delay.max(demanded.unwrap_or_default())
}

/// The interval until the next question for the renewal window.
pub fn window_interval(suggested: Duration) -> Duration {
    let [least, most] = WINDOW_INTERVAL;
    suggested.clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn at(days: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * days
    }

    fn facts(first: u32, last: u32) -> CertificateFacts {
        CertificateFacts {
            not_before: at(first),
            not_after: at(last),
            names: Vec::new(),
        }
    }

    #[test]
    fn without_a_window_a_certificate_is_renewed_after_two_thirds_of_its_validity() {
        assert_eq!(renewal_time(&facts(100, 190), None, 0.0), at(160));
        assert_eq!(renewal_time(&facts(100, 190), None, 1.0), at(157));
    }

    #[test]
    fn the_window_of_the_authority_decides_even_if_it_is_past() {
        let window = RenewalWindow {
            start: at(3),
            end: at(5),
        };
        assert_eq!(renewal_time(&facts(100, 190), Some(window), 0.5), at(4));
        let reversed = RenewalWindow {
            start: at(5),
            end: at(3),
        };
        assert_eq!(renewal_time(&facts(100, 190), Some(reversed), 0.5), at(5));
    }

    #[test]
    fn the_wait_after_failures_doubles_up_to_its_bound_and_obeys_the_authority() {
        let minutes = |failures| retry_delay(failures, None, 0.0).as_secs() / 60;
        assert_eq!([1, 2, 3, 4].map(minutes), [2, 4, 8, 16]);
        assert_eq!(retry_delay(1000, None, 0.0), LAST_RETRY);
        assert_eq!(retry_delay(1, Some(DAY), 0.0), DAY);
    }

    proptest! {
        #[test]
        fn a_certificate_is_never_renewed_after_it_expired(
            first in 0..10_000_u32, days in 1..1_000_u32, jitter in 0.0..1.0_f64,
        ) {
            let facts = facts(first, first + days);
            let due = renewal_time(&facts, None, jitter);
            prop_assert!(due > facts.not_before && due < facts.not_after);
        }
    }
}
