//! Bounds how often somebody may try the operator's password.
//!
//! A try counts from its start, so that tries at the same time count, too; a right one is taken
//! back. The list is no longer than [`IN_ALL`]. Every address counts, loopback as well.

use crate::server::net::{Network, subscriber};
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Within which wrong tries count. 15 min.
const WITHIN: Duration = Duration::from_secs(15 * 60);
/// Wrong tries of one subscriber (an IPv4 address or an IPv6 /64).
const PER_ADDRESS: usize = 5;
/// Wrong tries of all together.
const IN_ALL: usize = 50;

/// The tries of the last [`WITHIN`].
#[derive(Default)]
pub struct WrongTries(Mutex<Tries>);

/// The tries behind the lock.
#[derive(Default)]
struct Tries {
    /// The tries, oldest first.
    recent: VecDeque<Try>,
    /// The number of the next try.
    next: u64,
}

/// One try of the password.
struct Try {
    /// The number of the try.
    number: u64,
    /// The subscriber who tried.
    network: Network,
    /// When they tried.
    at: Instant,
}

/// A try under way.
#[derive(Debug, PartialEq, Eq)]
pub struct Attempt(u64);

impl WrongTries {
    /// Counts a try. `None` if this address, or all together, have tried too often.
    pub fn begin(&self, ip: IpAddr, now: Instant) -> Option<Attempt> {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = subscriber(ip);
        let is_old = |tried: &Try| now.saturating_duration_since(tried.at) >= WITHIN;
        while tries.recent.front().is_some_and(is_old) {
            tries.recent.pop_front();
        }
        let own = tries.recent.iter().filter(|tried| tried.network == network);
        if own.count() >= PER_ADDRESS || tries.recent.len() >= IN_ALL {
            return None;
        }
        let number = tries.next;
        tries.next += 1;
        tries.recent.push_back(Try {
            number,
            network,
            at: now,
        });
        Some(Attempt(number))
    }

    /// Takes a try back: the password was right.
    pub fn forgive(&self, attempt: &Attempt) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.recent.retain(|tried| tried.number != attempt.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_five_wrong_tries_in_fifteen_minutes_and_right_ones_do_not_count() {
        let (tries, start) = (WrongTries::default(), Instant::now());
        let minute = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let six = |last: u16| ip(&format!("2001:db8::{last:x}"));
        for number in 0..20 {
            let right = tries.begin(six(number), minute(0)).expect("allowed");
            tries.forgive(&right);
        }
        for number in 0..5 {
            assert!(tries.begin(six(number), minute(number.into())).is_some());
        }
        assert_eq!(tries.begin(six(9), minute(14)), None, "the same /64");
        assert!(tries.begin(ip("2001:db8:0:1::1"), minute(14)).is_some());
        assert!(tries.begin(ip("127.0.0.1"), minute(14)).is_some());
        assert!(
            tries.begin(six(9), minute(15)).is_some(),
            "the first is old"
        );
        assert_eq!(tries.begin(six(9), minute(15)), None);
    }

    #[test]
    fn all_addresses_together_have_fifty() {
        let (tries, now) = (WrongTries::default(), Instant::now());
        let allowed = (0..200_u8).filter(|last| {
            let address = ip(&format!("192.0.2.{last}"));
            tries.begin(address, now).is_some()
        });
        assert_eq!(allowed.count(), 50);
        assert!(tries.begin(ip("198.51.100.1"), now + WITHIN).is_some());
    }
}
