//! How many sockets one address holds.

use http::HeaderMap;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Counts sockets by address; cloning it is cheap.
#[derive(Clone, Default)]
pub struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One counted socket; dropping it counts it out.
pub struct AddressSeat {
    /// Where it is counted.
    addresses: Addresses,
    /// Under which key; nothing for loopback, which is not limited.
    key: Option<IpAddr>,
}

impl Addresses {
    /// Counts a socket in, unless its address holds `most` already.
    pub fn enter(&self, address: IpAddr, most: usize) -> Option<AddressSeat> {
        let key = key(address);
        if let Some(key) = key {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(key).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        let addresses = self.clone();
        Some(AddressSeat { addresses, key })
    }
}

impl Drop for AddressSeat {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut counts = self
            .addresses
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

/// What an address is counted under: an IPv6 line has a /64 of its own, so that counts
/// as one. Loopback is not counted.
fn key(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Some(Ipv6Addr::from_bits(network).into())
        }
        address => Some(address),
    }
}

/// Whose socket it is: the peer, or behind a trusted proxy whom it names. Read from the
/// right, the first address that is no trusted proxy: everything left of it is hearsay.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    let peer = peer.to_canonical();
    if !is_trusted(&peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let words = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','));
    let mut client = peer;
    for word in words {
        let Ok(address) = word.trim().parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn an_address_holds_so_many_sockets_and_loopback_any_number() {
        let addresses = Addresses::default();
        let first = addresses.enter(ip("10.0.0.1"), 1);
        assert!(first.is_some() && addresses.enter(ip("10.0.0.1"), 1).is_none());
        assert!(
            addresses.enter(ip("::ffff:10.0.0.1"), 1).is_none(),
            "the same address"
        );
        let other = addresses.enter(ip("10.0.0.2"), 1);
        assert!(other.is_some());
        drop(first);
        assert!(addresses.enter(ip("10.0.0.1"), 1).is_some());
        let network = addresses.enter(ip("2001:db8::1"), 1);
        assert!(network.is_some() && addresses.enter(ip("2001:db8::2"), 1).is_none());
        let loopback: Vec<_> = (0..9)
            .filter_map(|_| addresses.enter(ip("127.0.0.1"), 1))
            .collect();
        assert_eq!(loopback.len(), 9);
    }

    #[test]
    fn only_a_trusted_proxy_may_say_whose_socket_it_is() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static("x-forwarded-for"),
                http::HeaderValue::from_static(value),
            )])
        };
        let proxies = [ip("10.0.0.9"), ip("10.0.0.8")];
        let client = |peer, value| client_address(ip(peer), &headers(value), &proxies);
        assert_eq!(client("1.1.1.1", "2.2.2.2"), ip("1.1.1.1"));
        assert_eq!(client("10.0.0.9", "6.6.6.6, 2.2.2.2"), ip("2.2.2.2"));
        assert_eq!(client("10.0.0.9", "2.2.2.2, 10.0.0.8"), ip("2.2.2.2"));
        assert_eq!(client("10.0.0.9", "2.2.2.2, rubbish"), ip("10.0.0.9"));
    }
}
