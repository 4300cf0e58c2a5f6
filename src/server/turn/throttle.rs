//! How often strangers are answered.
//!
//! A table of fixed size: addresses share a bucket when they hash to the same place, so that
//! made-up addresses cost no memory. The hash is keyed anew in every process.

use super::options::{UNPROVEN_BURST, UNPROVEN_PER_SECOND};
use crate::server::network::network;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

/// Buckets. 4096 take some 200 KiB.
const PLACES: usize = 4096;

/// Counts what strangers are answered.
pub struct Throttle {
    /// The buckets.
    places: Vec<DefaultDirectRateLimiter>,
    /// Finds the bucket of an address.
    hasher: RandomState,
}

impl Throttle {
    /// Full buckets.
    pub fn new() -> Self {
        let quota = Quota::per_second(UNPROVEN_PER_SECOND).allow_burst(UNPROVEN_BURST);
        Self {
            places: (0..PLACES).map(|_| RateLimiter::direct(quota)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Whether another answer may go to this address. Loopback is not limited: behind it is a
    /// proxy for everybody, and nobody on the network can pretend to be it.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let place = self.hasher.hash_one(network(ip)) as usize % PLACES;
        ip.is_loopback() || self.places[place].check().is_ok()
    }
}
