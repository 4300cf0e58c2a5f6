//! Limits of the connections at once, of each network and in total.

use super::networks::{Network, SITE_FACTOR, networks_of};
use crate::protocol::{REFUSAL_HEADER, Refusal};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many permits may be held at once.
#[derive(Debug, Clone, Copy)]
pub struct PermitLimits {
    /// Permits of all addresses together.
    pub total: usize,
    /// Permits of one subscriber. A site (IPv6 /48) may hold [`SITE_FACTOR`] times as many.
    pub per_address: usize,
}

/// Why a permit is refused. The client tries again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitError {
    /// The address or its site has reached its limit.
    PerAddress,
    /// The total has reached its limit.
    Total,
}

/// Issues permits. Clones are cheap and share the counts. The permits that are held bound the
/// memory.
#[derive(Clone)]
pub struct Permits {
    /// The counts, shared with the permits.
    counts: Arc<Mutex<Counts>>,
    limits: PermitLimits,
}

/// The counts behind the lock.
#[derive(Default)]
struct Counts {
    /// Permits that are held.
    total: usize,
    /// Permits that are held, by network; only networks that hold one have an entry.
    by_network: HashMap<Network, usize>,
    /// Permits issued since the start; the number of the newest permit.
    issued: u64,
}

/// The right to one connection; dropping it returns it.
pub struct Permit {
    /// The counts that the drop decrements.
    permits: Permits,
    /// The networks that the permit counts under: subscriber and, for IPv6, site. Both are `None`
    /// for an exempt address.
    networks: [Option<Network>; 2],
    /// Number of the permit, from 1. No number is issued twice.
    pub number: u64,
}

impl Permits {
    /// A set of permits of which none is held.
    pub fn new(limits: PermitLimits) -> Self {
        Self {
            counts: Arc::default(),
            limits,
        }
    }

    /// Acquires a permit for a connection from this address. The total alone limits an exempt
    /// address (see [`super::is_exempt`]).
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn acquire(&self, ip: IpAddr) -> Result<Permit, PermitError> {
        let networks = networks_of(ip);
        let of_site = self.limits.per_address.saturating_mul(SITE_FACTOR as usize);
        let most = [self.limits.per_address, of_site];
        let mut counts = self.lock();
        let held = |network: &Network| counts.by_network.get(network).copied().unwrap_or(0);
        let mut limited = networks.iter().zip(most);
        if limited.any(|(network, most)| network.as_ref().is_some_and(|n| held(n) >= most)) {
            return Err(PermitError::PerAddress);
        }
        if counts.total >= self.limits.total {
            return Err(PermitError::Total);
        }
        counts.total += 1;
        counts.issued += 1;
        let number = counts.issued;
        for network in networks.into_iter().flatten() {
            *counts.by_network.entry(network).or_default() += 1;
        }
        drop(counts);
        Ok(Permit {
            permits: self.clone(),
            networks,
            number,
        })
    }

    /// The number of permits that are held.
    pub fn count(&self) -> usize {
        self.lock().total
    }

    /// Locks the counts. The caller must not await while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IntoResponse for PermitError {
    fn into_response(self) -> Response {
        let (status, why, text) = match self {
            Self::PerAddress => (
                StatusCode::TOO_MANY_REQUESTS,
                Refusal::TooManyConnections,
                "too many connections from your address",
            ),
            Self::Total => (
                StatusCode::SERVICE_UNAVAILABLE,
                Refusal::ServerFull,
                "too many connections; try again in a moment",
            ),
        };
        let headers = [
            (header::RETRY_AFTER.as_str(), "10"),
            (header::CACHE_CONTROL.as_str(), "no-store"),
            (REFUSAL_HEADER, why.code()),
        ];
        (status, headers, text).into_response()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.permits.lock();
        counts.total = counts.total.saturating_sub(1);
        for network in self.networks.into_iter().flatten() {
            if let Some(held) = counts.by_network.get_mut(&network) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    counts.by_network.remove(&network);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn permits(total: usize, per_address: usize) -> Permits {
        Permits::new(PermitLimits { total, per_address })
    }

    #[test]
    fn the_permits_of_an_address_are_limited() {
        let permits = permits(100, 1);
        let first = permits.acquire(ip("10.0.0.1"));
        assert!(first.is_ok());
        let again = permits.acquire(ip("::ffff:10.0.0.1"));
        assert_eq!(again.err(), Some(PermitError::PerAddress));
        assert!(permits.acquire(ip("10.0.0.2")).is_ok());
        drop(first);
        assert!(permits.acquire(ip("10.0.0.1")).is_ok());
    }

    #[test]
    fn a_site_holds_four_times_as_many_permits_as_a_subscriber() {
        let permits = permits(100, 2);
        let address = |network: usize, host: usize| ip(&format!("2001:db8:0:{network}::{host}"));
        let pairs = (0..9).flat_map(|network| [(network, 1), (network, 2), (network, 3)]);
        let held: Vec<_> = pairs
            .filter_map(|(network, host)| permits.acquire(address(network, host)).ok())
            .collect();
        assert_eq!(held.len(), 8);
        assert!(permits.acquire(ip("2001:db8:1::1")).is_ok(), "another site");
    }

    #[test]
    fn loopback_is_bounded_by_the_total_only() {
        let permits = permits(5, 1);
        let held: Vec<_> = (0..9)
            .filter_map(|_| permits.acquire(ip("127.0.0.1")).ok())
            .collect();
        assert_eq!(held.len(), 5);
        assert_eq!(
            permits.acquire(ip("10.0.0.1")).err(),
            Some(PermitError::Total)
        );
    }

    #[test]
    fn returned_permits_leave_no_state() {
        let permits = permits(1000, 10);
        for last in 0..=255 {
            let held = permits.acquire(ip(&format!("2001:db8:{last:x}::1")));
            assert!(held.is_ok());
        }
        assert_eq!(permits.count(), 0);
        assert!(permits.lock().by_network.is_empty());
    }
}
