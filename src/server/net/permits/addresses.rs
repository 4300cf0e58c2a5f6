//! How much an address may ask for over time.
//!
//! The token buckets are in tables of fixed size, found by a keyed hash of the network, so
//! that made-up addresses cost no memory and nothing is forgotten when a room or a socket
//! ends. A network has a bucket in each of two tables, pays in both, and is refused only
//! where both are empty: a stranger who shares one bucket with an attacker rarely shares
//! both (a count-min sketch: Cormode and Muthukrishnan, 2005).
//!
//! A request that is refused costs nothing: what was taken out of the buckets of the
//! subscriber is put back where its site or all together have nothing left. Otherwise a
//! site that sends from each of its networks would empty the buckets of everybody, and a
//! subscriber that goes on when it is refused would empty those of its neighbours.

use super::networks::{SITE_FACTOR, is_exempt, site, subscriber};
use crate::server::limits::Rate;
use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// Buckets in each of the two tables of subscribers. 2048: with 200 attackers at once, one
/// stranger in a hundred shares both buckets with them. 16 KiB a table.
const SUBSCRIBER_BUCKETS: usize = 2048;
/// Buckets in each of the two tables of sites.
const SITE_BUCKETS: usize = 512;

/// What one address, and all together, may ask for.
#[derive(Debug, Clone, Copy)]
pub struct AddressRateLimits {
    /// For one subscriber; a site (IPv6 /48) has [`SITE_FACTOR`] times as much.
    pub per_address: Rate,
    /// For all together, exempt addresses included. `None` where something else bounds it.
    pub total: Option<Rate>,
}

/// Token buckets by address. Sharing it among threads needs no lock.
pub struct AddressRateLimiter {
    /// The buckets of subscribers.
    subscribers: Sketch,
    /// The buckets of sites.
    sites: Sketch,
    /// The bucket of all together.
    total: Option<(Measure, Bucket)>,
    /// Since when time is counted.
    start: Instant,
}

impl AddressRateLimiter {
    /// Full buckets.
    pub fn new(limits: AddressRateLimits) -> Self {
        let AddressRateLimits { per_address, total } = limits;
        let of_site = Rate {
            per_second: per_address.per_second.saturating_mul(SITE_FACTOR),
            burst: per_address.burst.saturating_mul(SITE_FACTOR),
        };
        Self {
            subscribers: Sketch::new(per_address, SUBSCRIBER_BUCKETS),
            sites: Sketch::new(of_site, SITE_BUCKETS),
            total: total.map(|rate| (Measure::new(rate), Bucket::default())),
            start: Instant::now(),
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
        if amount == 0 {
            return true;
        }
        let now = nanoseconds_since(self.start);
        let (subscriber, site) = match is_exempt(ip) {
            true => (None, None),
            false => (Some(subscriber(ip)), site(ip)),
        };
        let pay = |sketch: &Sketch, network| sketch.pay(&network, amount, now);
        let Some(paid) = subscriber.map_or(Some(Paid::NOTHING), |s| pay(&self.subscribers, s))
        else {
            return false;
        };
        let Some(site_paid) = site.map_or(Some(Paid::NOTHING), |s| pay(&self.sites, s)) else {
            self.subscribers.put_back(&paid);
            return false;
        };
        let all = self.total.as_ref();
        let of_all = all.is_none_or(|(measure, bucket)| bucket.pay(measure, amount, now));
        if !of_all {
            self.subscribers.put_back(&paid);
            self.sites.put_back(&site_paid);
        }
        of_all
    }
}

/// Token buckets by anything that can be hashed, such as a room's name; in tables of fixed
/// size like those of [`AddressRateLimiter`].
pub struct KeyedRateLimiter {
    /// The buckets.
    keys: Sketch,
    /// Since when time is counted.
    start: Instant,
}

impl KeyedRateLimiter {
    /// Full buckets.
    pub fn new(rate: Rate) -> Self {
        Self {
            keys: Sketch::new(rate, SUBSCRIBER_BUCKETS),
            start: Instant::now(),
        }
    }

    /// Whether one more is allowed under this key.
    pub fn allow(&self, key: &impl Hash) -> bool {
        let now = nanoseconds_since(self.start);
        self.keys.pay(key, 1, now).is_some()
    }
}

/// Nanoseconds since the buckets were made; enough for 580 years.
fn nanoseconds_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Two tables of buckets.
struct Sketch {
    /// The size of each bucket.
    measure: Measure,
    /// The tables, each with a hash key of its own.
    tables: [(RandomState, Vec<Bucket>); 2],
}

/// What was taken, and out of which bucket of each table.
struct Paid([Option<(usize, u64)>; 2]);

impl Paid {
    /// For whoever has no bucket.
    const NOTHING: Self = Self([None; 2]);
}

impl Sketch {
    /// Full buckets.
    fn new(rate: Rate, buckets: usize) -> Self {
        let table = || {
            let full = (0..buckets).map(|_| Bucket::default()).collect();
            (RandomState::new(), full)
        };
        Self {
            measure: Measure::new(rate),
            tables: [table(), table()],
        }
    }

    /// Pays in both tables; refuses where neither bucket holds enough.
    fn pay(&self, key: &impl Hash, amount: u32, now: u64) -> Option<Paid> {
        let cost = self.measure.cost(amount);
        let paid = self.tables.each_ref().map(|(hasher, buckets)| {
            let index = hasher.hash_one(key) as usize % buckets.len();
            let paid = buckets[index].pay(&self.measure, amount, now);
            paid.then_some((index, cost))
        });
        paid.iter().any(Option::is_some).then_some(Paid(paid))
    }

    /// Puts back what was taken for a request that was refused after all.
    fn put_back(&self, paid: &Paid) {
        for ((_, buckets), paid) in self.tables.iter().zip(paid.0) {
            if let Some((index, cost)) = paid {
                buckets[index].put_back(cost);
            }
        }
    }
}

/// The size of a bucket, in the time it takes to fill.
struct Measure {
    /// How much comes in a second.
    per_second: u32,
    /// The most a bucket holds.
    burst: u32,
}

impl Measure {
    /// Of a rate; at least one token a second, and one at once.
    fn new(rate: Rate) -> Self {
        Self {
            per_second: rate.per_second.max(1),
            burst: rate.burst.max(1),
        }
    }

    /// Nanoseconds in which so many tokens come in. More than a full bucket holds costs a
    /// full one.
    fn cost(&self, amount: u32) -> u64 {
        u64::from(amount.min(self.burst)) * 1_000_000_000 / u64::from(self.per_second)
    }
}

/// A token bucket, as the time at which it is full again if nobody takes anything: the
/// generic cell rate algorithm (ITU-T I.371). That one number can be put back, too.
#[derive(Default)]
struct Bucket {
    /// Nanoseconds since the start; in the past, it is full.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes tokens out, where it holds enough of them.
    fn pay(&self, measure: &Measure, amount: u32, now: u64) -> bool {
        let latest = now.saturating_add(measure.cost(measure.burst));
        let cost = measure.cost(amount);
        let taken = |full_at: u64| {
            let full_at = full_at.max(now).saturating_add(cost);
            (full_at <= latest).then_some(full_at)
        };
        let paid = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        paid.is_ok()
    }

    /// Puts back what [`Self::pay`] took.
    fn put_back(&self, cost: u64) {
        let less = |full_at: u64| Some(full_at.saturating_sub(cost));
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
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
    fn a_site_that_is_refused_takes_nothing_from_anybody_else() {
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
    fn a_subscriber_that_is_refused_takes_nothing_from_its_neighbours() {
        let rates = rates(None);
        allowed(&rates, 10_000, |_| ip("2001:db8:0:1::1"));
        let count = allowed(&rates, 10, |_| ip("2001:db8:0:2::1"));
        assert_eq!(count, 10);
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
