//! Bounds how often somebody may try the operator's password.
//!
//! A try counts from its start, so that tries at the same time count, too; a right one is taken
//! back. Every address counts, loopback as well. The tries of all strangers together are bounded, so
//! that many addresses cannot guess without end; a network from which the operator signed in is no
//! stranger, so that they cannot lock the operator out either.

use crate::server::net::{Network, site, subscriber};
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
/// Wrong tries of one site (an IPv6 /48).
const PER_SITE: usize = 4 * PER_ADDRESS;
/// Wrong tries of all strangers together. 4,000: at most 16,000 an hour, from 800 addresses, and
/// each takes tens of milliseconds of one core.
const OF_STRANGERS: usize = 4_000;
/// Networks from which the operator signed in. 16: the sessions that there may be, or nearly.
const KNOWN_NETWORKS: usize = 16;

/// The tries of the last [`WITHIN`].
#[derive(Default)]
pub struct WrongTries(Mutex<Tries>);

/// The tries behind the lock.
#[derive(Default)]
struct Tries {
    /// The tries, oldest first: at most [`OF_STRANGERS`], and [`PER_ADDRESS`] of each known network.
    recent: VecDeque<Try>,
    /// The number of the next try.
    next: u64,
    /// The networks from which the operator signed in, the last one at the end.
    known: VecDeque<Network>,
}

/// One try of the password.
struct Try {
    /// The number of the try.
    number: u64,
    /// The subscriber who tried.
    network: Network,
    /// The site of the subscriber; `None` for IPv4.
    site: Option<Network>,
    /// When they tried.
    at: Instant,
}

/// A try under way.
#[derive(Debug, PartialEq, Eq)]
pub struct Attempt(u64);

impl WrongTries {
    /// Counts a try. `None` if this address, its site, or all strangers have tried too often.
    pub fn begin(&self, ip: IpAddr, now: Instant) -> Option<Attempt> {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (network, site) = (subscriber(ip), site(ip));
        let is_old = |tried: &Try| now.saturating_duration_since(tried.at) >= WITHIN;
        while tries.recent.front().is_some_and(is_old) {
            tries.recent.pop_front();
        }
        let own = tries.recent.iter().filter(|tried| tried.network == network);
        let of_site = tries.recent.iter().filter(|tried| tried.site == site);
        let is_known = tries.known.contains(&network);
        let too_many = own.count() >= PER_ADDRESS
            || (!is_known && site.is_some() && of_site.count() >= PER_SITE)
            || (!is_known && tries.recent.len() >= OF_STRANGERS);
        if too_many {
            return None;
        }
        let number = tries.next;
        tries.next += 1;
        tries.recent.push_back(Try {
            number,
            network,
            site,
            at: now,
        });
        Some(Attempt(number))
    }

    /// Takes a try back: the password was right.
    pub fn forgive(&self, attempt: &Attempt) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.recent.retain(|tried| tried.number != attempt.0);
    }

    /// Remembers that the operator is signed in from this address.
    pub fn remember(&self, ip: IpAddr) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = subscriber(ip);
        if tries.known.back() == Some(&network) {
            return;
        }
        tries.known.retain(|known| *known != network);
        tries.known.push_back(network);
        if tries.known.len() > KNOWN_NETWORKS {
            tries.known.pop_front();
        }
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

    /// Tries of that many strangers, five each.
    fn strangers_try(tries: &WrongTries, strangers: u32, now: Instant) -> usize {
        let all =
            (0..strangers * 5).map(|number| IpAddr::from((0xCB00_0000 + number / 5).to_be_bytes()));
        all.filter(|address| tries.begin(*address, now).is_some())
            .count()
    }

    #[test]
    fn fifty_wrong_tries_of_strangers_lock_nobody_else() {
        let (tries, now) = (WrongTries::default(), Instant::now());
        assert_eq!(strangers_try(&tries, 10, now), 50);
        assert!(tries.begin(ip("198.51.100.1"), now).is_some());
    }

    #[test]
    fn strangers_have_four_thousand_together_and_known_networks_are_no_strangers() {
        let (tries, now) = (WrongTries::default(), Instant::now());
        let (home, other) = (ip("2001:db8::1"), ip("198.51.100.1"));
        tries.remember(home);
        assert_eq!(strangers_try(&tries, 2_000, now), 4_000);
        assert!(tries.begin(other, now).is_none(), "a stranger");
        for _ in 0..5 {
            assert!(tries.begin(ip("2001:db8::2"), now).is_some());
        }
        assert!(tries.begin(home, now).is_none(), "five of its own");
        assert!(tries.begin(other, now + WITHIN).is_some());
    }

    #[test]
    fn a_site_has_twenty_and_does_not_lock_a_known_network_in_it() {
        let (tries, now) = (WrongTries::default(), Instant::now());
        tries.remember(ip("2001:db8:0:ffff::1"));
        let of_site = (0..100_u16).map(|number| ip(&format!("2001:db8:0:{number:x}::1")));
        let allowed = of_site.filter(|address| tries.begin(*address, now).is_some());
        assert_eq!(allowed.count(), 20);
        assert!(tries.begin(ip("2001:db8:0:ffff::2"), now).is_some());
        assert!(tries.begin(ip("2001:db8:1::1"), now).is_some(), "another");
    }

    #[test]
    fn sixteen_networks_are_known_and_the_last_ones_stay() {
        let (tries, now) = (WrongTries::default(), Instant::now());
        for number in 0..=16 {
            tries.remember(ip(&format!("192.0.2.{number}")));
        }
        strangers_try(&tries, 800, now);
        assert!(tries.begin(ip("192.0.2.0"), now).is_none(), "forgotten");
        for number in 1..=16 {
            assert!(tries.begin(ip(&format!("192.0.2.{number}")), now).is_some());
        }
    }
}
