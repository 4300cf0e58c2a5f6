//! Rate limits of each address.
//!
//! The token buckets are in tables of fixed size, indexed by a keyed hash of the network. Forged
//! addresses therefore cost no memory, and a bucket outlives the sockets and rooms of its clients.
//! A network has a bucket in each of two tables and takes tokens from both. A request is refused
//! only if both buckets are empty: a client that shares one bucket with an attacker rarely shares
//! both (a count-min sketch: Cormode and Muthukrishnan, 2005).
//!
//! A refused request costs nothing. The tokens of the subscriber are refunded if the site or the
//! total has none. Without the refund a site that sends from all its networks would empty the
//! buckets of all clients, and a refused subscriber that keeps sending would empty those of its
//! site.

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

/// Buckets in each of the two tables of subscribers. 2048, which are 16 KiB a table: with 200
/// attackers at once, one client in a hundred shares both buckets with them.
const SUBSCRIBER_BUCKETS: usize = 2048;
/// Buckets in each of the two tables of sites.
const SITE_BUCKETS: usize = 512;

/// The rates of one address and of all addresses together.
#[derive(Debug, Clone, Copy)]
pub struct AddressRateLimits {
    /// The rate of one subscriber. A site (IPv6 /48) has [`SITE_FACTOR`] times this rate.
    pub per_address: Rate,
    /// The rate of all addresses together, exempt ones included. `None` is no limit.
    pub total: Option<Rate>,
}

/// Whose rate is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// That of the address, or of its site.
    Address,
    /// That of all addresses together.
    Total,
}

impl Exhausted {
    /// Both, in the order of the variants.
    pub const ALL: [Self; 2] = [Self::Address, Self::Total];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Total => "total",
        }
    }
}

/// Token buckets by address. Threads share the limiter without a lock.
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
        Self::with_quotas(per_address.into(), total.map(Quota::from))
    }

    /// A limiter whose buckets are full: for one subscriber, and for all addresses together.
    pub fn with_quotas(per_address: Quota, total: Option<Quota>) -> Self {
        let per_site = per_address.scaled(f64::from(SITE_FACTOR));
        Self {
            subscribers: Sketch::new(per_address, SUBSCRIBER_BUCKETS),
            sites: Sketch::new(per_site, SITE_BUCKETS),
            total: total.map(|quota| (quota, SharedBucket::default())),
        }
    }

    /// Whether one more request of this address is allowed.
    pub fn allow(&self, ip: IpAddr) -> bool {
        self.try_take(ip, 1).is_ok()
    }

    /// Takes `amount` units, such as bytes, for this address. The total rate alone limits an exempt
    /// address (see [`super::is_exempt`]). An amount above the burst takes the whole burst.
    ///
    /// # Errors
    /// The exhausted rate. Nothing was taken.
    pub fn try_take(&self, ip: IpAddr, amount: u32) -> Result<(), Exhausted> {
        if amount == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let [subscriber, site] = networks_of(ip);
        let take = |sketch: &Sketch, network| match network {
            Some(network) => sketch.try_take(&network, amount, now),
            None => Some(Charge::NONE),
        };
        let Some(charge) = take(&self.subscribers, subscriber) else {
            return Err(Exhausted::Address);
        };
        let Some(site_charge) = take(&self.sites, site) else {
            self.subscribers.refund(&charge);
            return Err(Exhausted::Address);
        };
        let total = self.total.as_ref();
        let in_total = total.is_none_or(|(quota, bucket)| bucket.try_take(quota, amount, now));
        if !in_total {
            self.subscribers.refund(&charge);
            self.sites.refund(&site_charge);
            return Err(Exhausted::Total);
        }
        Ok(())
    }
}

/// Token buckets by a hashed key, such as the name of a room. The tables have a fixed size, like
/// those of [`AddressRateLimiter`].
pub struct KeyedRateLimiter(Sketch);

/// What one request took from a [`KeyedRateLimiter`].
pub struct Taken(Charge);

impl KeyedRateLimiter {
    /// A limiter whose buckets are full.
    pub fn new(rate: Rate) -> Self {
        Self::with_quota(rate.into())
    }

    /// A limiter whose buckets are full.
    pub fn with_quota(quota: Quota) -> Self {
        Self(Sketch::new(quota, SUBSCRIBER_BUCKETS))
    }

    /// Whether one more request with this key is allowed.
    pub fn allow(&self, key: &impl Hash) -> bool {
        self.take(key).is_some()
    }

    /// Takes one request with this key, which may be given back. `None` if it is not allowed.
    pub fn take(&self, key: &impl Hash) -> Option<Taken> {
        self.0.try_take(key, 1, Instant::now()).map(Taken)
    }

    /// Gives a request back that shall not count.
    pub fn give_back(&self, taken: &Taken) {
        self.0.refund(&taken.0);
    }
}

/// Two tables of token buckets.
struct Sketch {
    /// The quota of each bucket.
    quota: Quota,
    /// The tables, each with a hash key of its own.
    tables: [(RandomState, Vec<SharedBucket>); 2],
}

/// The tokens that one request took, and the buckets it took them from.
struct Charge {
    /// Number of tokens.
    cost: u32,
    /// Index of the bucket in each table; `None` if the bucket held too few tokens.
    buckets: [Option<usize>; 2],
}

impl Charge {
    /// The charge of an address without a bucket.
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

    /// Takes tokens from both tables. Returns `None` if neither bucket holds enough.
    fn try_take(&self, key: &impl Hash, cost: u32, now: Instant) -> Option<Charge> {
        let buckets = self.tables.each_ref().map(|(hasher, buckets)| {
            let index = hasher.hash_one(key) as usize % buckets.len();
            let taken = buckets[index].try_take(&self.quota, cost, now);
            taken.then_some(index)
        });
        let any = buckets.iter().any(Option::is_some);
        any.then_some(Charge { cost, buckets })
    }

    /// Returns the tokens of a request that another limit refused.
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
        let take = |amount| rates.try_take(ip("192.0.2.1"), amount);
        assert_eq!(take(1_000_000), Ok(()));
        assert_eq!(take(5), Err(Exhausted::Address));
        assert_eq!(take(0), Ok(()));
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
