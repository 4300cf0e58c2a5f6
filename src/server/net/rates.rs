//! How much an address may ask for over time.
//!
//! The token buckets are in tables of fixed size, found by a keyed hash of the network, so
//! that made-up addresses cost no memory and nothing is forgotten when a room or a socket
//! ends. A network has a bucket in each of two tables, pays in both, and is refused only
//! where both are empty: a stranger who shares one bucket with an attacker rarely shares
//! both (a count-min sketch: Cormode and Muthukrishnan, 2005).

use super::networks::{SITE_FACTOR, is_exempt, site, subscriber};
use crate::server::limits::Rate;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
};

/// Buckets in each of the two tables of subscribers. 2048: with 200 attackers at once, one
/// stranger in a hundred shares both buckets with them. Some 130 KiB a table.
const SUBSCRIBER_BUCKETS: usize = 2048;
/// Buckets in each of the two tables of sites.
const SITE_BUCKETS: usize = 512;

/// What one address, and all together, may ask for.
#[derive(Debug, Clone, Copy)]
pub struct AddressRateLimits {
    /// For one subscriber; a site (IPv6 /48) has [`SITE_FACTOR`] times as much.
    pub per_address: Rate,
    /// For all together, exempt addresses included. `None` where something else bounds it.
    pub in_all: Option<Rate>,
}

/// Token buckets by address. Sharing it among threads needs no lock.
pub struct AddressRates {
    /// The buckets of subscribers.
    subscribers: Sketch,
    /// The buckets of sites.
    sites: Sketch,
    /// The bucket of all together.
    in_all: Option<DefaultDirectRateLimiter>,
}

impl AddressRates {
    /// Full buckets.
    pub fn new(limits: AddressRateLimits) -> Self {
        let AddressRateLimits {
            per_address,
            in_all,
        } = limits;
        let of_site = Rate {
            per_second: per_address.per_second.saturating_mul(SITE_FACTOR),
            burst: per_address.burst.saturating_mul(SITE_FACTOR),
        };
        Self {
            subscribers: Sketch::new(quota(per_address), SUBSCRIBER_BUCKETS),
            sites: Sketch::new(quota(of_site), SITE_BUCKETS),
            in_all: in_all.map(|rate| RateLimiter::direct(quota(rate))),
        }
    }

    /// Whether this address may ask for one more.
    pub fn allow(&self, ip: IpAddr) -> bool {
        self.allow_many(ip, 1)
    }

    /// Whether this address may ask for `amount` more (bytes, for one). An exempt address
    /// (see [`is_exempt`]) is bounded by the rate of all together only. An amount above the
    /// burst is paid as the whole burst.
    pub fn allow_many(&self, ip: IpAddr, amount: u32) -> bool {
        let Some(amount) = NonZeroU32::new(amount) else {
            return true;
        };
        let of_address = is_exempt(ip)
            || (self.subscribers.allow(&subscriber(ip), amount)
                && site(ip).is_none_or(|site| self.sites.allow(&site, amount)));
        let all = self.in_all.as_ref();
        of_address && all.is_none_or(|bucket| pay(bucket, amount))
    }
}

/// Token buckets by anything that can be hashed, such as a room's name; in tables of fixed
/// size like those of [`AddressRates`].
pub struct KeyRates(Sketch);

impl KeyRates {
    /// Full buckets.
    pub fn new(rate: Rate) -> Self {
        Self(Sketch::new(quota(rate), SUBSCRIBER_BUCKETS))
    }

    /// Whether one more is allowed under this key.
    pub fn allow(&self, key: &impl Hash) -> bool {
        self.0.allow(key, NonZeroU32::MIN)
    }
}

/// Two tables of buckets.
struct Sketch {
    /// The tables, each with a hash key of its own.
    tables: [(RandomState, Vec<DefaultDirectRateLimiter>); 2],
}

impl Sketch {
    /// Full buckets.
    fn new(quota: Quota, buckets: usize) -> Self {
        let table = || {
            let full = (0..buckets).map(|_| RateLimiter::direct(quota)).collect();
            (RandomState::new(), full)
        };
        Self {
            tables: [table(), table()],
        }
    }

    /// Pays in both tables; refuses where neither bucket holds enough.
    fn allow(&self, key: &impl Hash, amount: NonZeroU32) -> bool {
        let paid = self.tables.each_ref().map(|(hasher, buckets)| {
            let index = hasher.hash_one(key) as usize % buckets.len();
            pay(&buckets[index], amount)
        });
        paid.contains(&true)
    }
}

/// Takes tokens out of a bucket, where it holds enough of them. More than a full bucket
/// holds costs a full one.
fn pay(bucket: &DefaultDirectRateLimiter, amount: NonZeroU32) -> bool {
    match bucket.check_n(amount) {
        Ok(paid) => paid.is_ok(),
        Err(governor::InsufficientCapacity(burst)) => {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            bucket.check_n(burst).is_ok_and(|paid| paid.is_ok())
        }
    }
}

/// A rate as governor takes it.
fn quota(rate: Rate) -> Quota {
    let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 1,
        burst: 10,
    };

    fn rates(in_all: Option<Rate>) -> AddressRates {
        AddressRates::new(AddressRateLimits {
            per_address: RATE,
            in_all,
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many of so many requests are allowed.
    fn allowed(rates: &AddressRates, tries: usize, ip: impl Fn(usize) -> IpAddr) -> usize {
        (0..tries).filter(|number| rates.allow(ip(*number))).count()
    }

    #[test]
    fn an_address_has_its_burst_and_no_more() {
        let rates = rates(None);
        let count = allowed(&rates, 1000, |_| ip("192.0.2.1"));
        assert!((10..=12).contains(&count), "{count}");
        assert!(rates.allow(ip("192.0.2.2")), "another address");
    }

    #[test]
    fn a_site_has_four_bursts_however_many_networks_it_has() {
        let rates = rates(None);
        let count = allowed(&rates, 1000, |n| ip(&format!("2001:db8:0:{n:x}::1")));
        assert!((40..=48).contains(&count), "{count}");
    }

    #[test]
    fn loopback_is_bounded_by_the_rate_of_all_together() {
        let loopback = |_| ip("127.0.0.1");
        assert_eq!(allowed(&rates(None), 1000, loopback), 1000);
        let bounded = rates(Some(RATE));
        let count = allowed(&bounded, 1000, loopback);
        assert!((10..=12).contains(&count), "{count}");
    }

    #[test]
    fn an_amount_above_the_burst_costs_the_whole_burst() {
        let rates = rates(None);
        assert!(rates.allow_many(ip("192.0.2.1"), 1_000_000));
        assert!(!rates.allow_many(ip("192.0.2.1"), 5));
        assert!(rates.allow_many(ip("192.0.2.1"), 0));
    }

    #[test]
    fn two_hundred_attackers_hardly_touch_anybody_else() {
        let rates = rates(None);
        for attacker in 0..200 {
            allowed(&rates, 20, |_| ip(&format!("10.0.0.{attacker}")));
        }
        let honest = 1000;
        let count = allowed(&rates, honest, |n| {
            ip(&format!("172.16.{}.{}", n / 250, n % 250))
        });
        assert!(count >= honest * 95 / 100, "{count} of {honest}");
    }
}
