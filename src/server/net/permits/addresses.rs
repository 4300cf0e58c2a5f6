//! How much an address may ask for over time.
//!
//! The token buckets are in tables of fixed size, found by a keyed hash of the network. Made-up
//! addresses cost no memory, and a bucket outlives the sockets and rooms of its clients. A network
//! has a bucket in each of two tables, takes from both, and is refused only where both are empty:
//! a client that shares one bucket with an attacker rarely shares both (a count-min sketch:
//! Cormode and Muthukrishnan, 2005).
//!
//! A refused request costs nothing: tokens of the subscriber are refunded where the site or the
//! total has none. Without the refund a site that sends from each of its networks would empty the
//! buckets of all clients, and a refused subscriber that goes on would empty those of its
//! neighbours.

use super::networks::{SITE_FACTOR, networks_of};
use crate::server::{
    limits::Rate,
    token_bucket::{Quota, SharedBucket},
};
use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    time::Instant,
};

/// Buckets in each of the two tables of subscribers. 2048: with 200 attackers at once, one
/// client in a hundred shares both buckets with them. 16 KiB a table.
const SUBSCRIBER_BUCKETS: usize = 2048;
/// Buckets in each of the two tables of sites.
const SITE_BUCKETS: usize = 512;

/// The rates of one address and of all addresses together.
#[derive(Debug, Clone, Copy)]
pub struct AddressRateLimits {
    /// For one subscriber; a site (IPv6 /48) has [`SITE_FACTOR`] times as much.
    pub per_address: Rate,
    /// For all addresses together, exempt ones included. `None` where something else bounds it.
    pub total: Option<Rate>,
}

/// Token buckets by address. Threads share it without a lock.
pub struct AddressRateLimiter {
    /// The buckets of subscribers.
    subscribers: Sketch,
    /// The buckets of sites.
    sites: Sketch,
    /// The bucket of all addresses together.
    total: Option<(Quota, SharedBucket)>,
}

impl AddressRateLimiter {
    /// A limiter whose buckets are full.
    pub fn new(limits: AddressRateLimits) -> Self {
        let AddressRateLimits { per_address, total } = limits;
        let per_address = Quota::from(per_address);
        let per_site = per_address.scaled(f64::from(SITE_FACTOR));
        Self {
            subscribers: Sketch::new(per_address, SUBSCRIBER_BUCKETS),
            sites: Sketch::new(per_site, SITE_BUCKETS),
            total: total.map(|rate| (rate.into(), SharedBucket::default())),
        }
    }

    /// Whether this address may ask for one more.
    pub fn allow(&self, ip: IpAddr) -> bool {
        self.allow_many(ip, 1)
    }

    /// Whether this address may ask for `amount` more (bytes, for one). An exempt address
    /// (see [`super::is_exempt`]) is bounded by the total rate only. An amount above the burst
    /// takes the whole burst.
    pub fn allow_many(&self, ip: IpAddr, amount: u32) -> bool {
        if amount == 0 {
            return true;
        }
        let now = Instant::now();
        let [subscriber, site] = networks_of(ip);
        let take = |sketch: &Sketch, network| match network {
            Some(network) => sketch.try_take(&network, amount, now),
            None => Some(Charge::NONE),
        };
        let Some(charge) = take(&self.subscribers, subscriber) else {
            return false;
        };
        let Some(site_charge) = take(&self.sites, site) else {
            self.subscribers.refund(&charge);
            return false;
        };
        let total = self.total.as_ref();
        let in_total = total.is_none_or(|(quota, bucket)| bucket.try_take(quota, amount, now));
        if !in_total {
            self.subscribers.refund(&charge);
            self.sites.refund(&site_charge);
        }
        in_total
    }
}

/// Token buckets by anything that can be hashed, such as the name of a room; in tables of fixed
/// size like those of [`AddressRateLimiter`].
pub struct KeyedRateLimiter(Sketch);

impl KeyedRateLimiter {
    /// A limiter whose buckets are full.
    pub fn new(rate: Rate) -> Self {
        Self(Sketch::new(rate.into(), SUBSCRIBER_BUCKETS))
    }

    /// Whether one more is allowed under this key.
    pub fn allow(&self, key: &impl Hash) -> bool {
        self.0.try_take(key, 1, Instant::now()).is_some()
    }
}

/// Two tables of buckets.
struct Sketch {
    /// The quota of each bucket.
    quota: Quota,
    /// The tables, each with a hash key of its own.
    tables: [(RandomState, Vec<SharedBucket>); 2],
}

/// The cost of one request, and the bucket of each table that it was taken from.
struct Charge {
    /// Tokens the request took.
    cost: u32,
    /// Index of the bucket in each table; `None` where the bucket held too little.
    buckets: [Option<usize>; 2],
}

impl Charge {
    /// For an address that has no bucket.
    const NONE: Self = Self {
        cost: 0,
        buckets: [None; 2],
    };
}

impl Sketch {
    fn new(quota: Quota, buckets: usize) -> Self {
        let table = || {
            let full = (0..buckets).map(|_| SharedBucket::default()).collect();
            (RandomState::new(), full)
        };
        Self {
            quota,
            tables: [table(), table()],
        }
    }

    /// Takes from both tables; refuses where neither bucket holds enough.
    fn try_take(&self, key: &impl Hash, cost: u32, now: Instant) -> Option<Charge> {
        let buckets = self.tables.each_ref().map(|(hasher, buckets)| {
            let index = hasher.hash_one(key) as usize % buckets.len();
            let taken = buckets[index].try_take(&self.quota, cost, now);
            taken.then_some(index)
        });
        let any = buckets.iter().any(Option::is_some);
        any.then_some(Charge { cost, buckets })
    }

    /// Puts back the tokens of a request that was refused after all.
    fn refund(&self, charge: &Charge) {
        for ((_, buckets), index) in self.tables.iter().zip(charge.buckets) {
            if let Some(index) = index {
                buckets[index].refund(&self.quota, charge.cost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 1,
        burst: 10,
    };

    fn rates(total: Option<Rate>) -> AddressRateLimiter {
        AddressRateLimiter::new(AddressRateLimits {
            per_address: RATE,
            total,
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many of so many requests are allowed.
    fn allowed(rates: &AddressRateLimiter, tries: usize, ip: impl Fn(usize) -> IpAddr) -> usize {
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
    fn a_refused_site_takes_no_tokens_of_other_clients() {
        let rates = rates(None);
        allowed(&rates, 100_000, |n| {
            ip(&format!("2001:db8:0:{:x}::1", n % 65_536))
        });
        let honest = 1000;
        let count = allowed(&rates, honest, |n| {
            ip(&format!("172.16.{}.{}", n / 250, n % 250))
        });
        assert_eq!(count, honest);
    }

    #[test]
    fn a_refused_subscriber_takes_no_tokens_of_its_neighbours() {
        let rates = rates(None);
        allowed(&rates, 10_000, |_| ip("2001:db8:0:1::1"));
        let count = allowed(&rates, 10, |_| ip("2001:db8:0:2::1"));
        assert_eq!(count, 10);
    }

    #[test]
    fn two_hundred_attackers_affect_few_other_clients() {
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
