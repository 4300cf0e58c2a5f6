//! The external addresses, which relayed addresses are made of. They can change while the server
//! runs.

use std::{
    net::IpAddr,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};
use turn_server::codec::message::attributes::address::{IpAddrExt, IpFamily};

/// Most former addresses that stay owned. 16: an allocation can outlive a dynamic address, and
/// packets to its relayed address must not leave the process.
const MAX_FORMER_ADDRESSES: usize = 16;

/// The external addresses. The lock is held for a look-up or a change only.
#[derive(Default)]
pub struct ExternalAddresses(RwLock<AddressLists>);

/// The addresses behind the lock.
#[derive(Default)]
struct AddressLists {
    /// The current addresses, the best first.
    current: Vec<IpAddr>,
    /// The former addresses, the newest last; at most [`MAX_FORMER_ADDRESSES`].
    former: Vec<IpAddr>,
}

impl ExternalAddresses {
    /// A set of current addresses without former ones.
    pub fn new(current: Vec<IpAddr>) -> Self {
        let former = Vec::new();
        Self(RwLock::new(AddressLists { current, former }))
    }

    /// Replaces the current addresses. Existing allocations keep their relayed addresses.
    pub fn replace(&self, current: Vec<IpAddr>) {
        let mut addresses = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut addresses.current, current);
        addresses.former.extend(before);
        let AddressLists { current, former } = &mut *addresses;
        former.retain(|ip| !current.contains(ip));
        former.drain(..former.len().saturating_sub(MAX_FORMER_ADDRESSES));
    }

    /// The current addresses, the best first.
    pub fn current(&self) -> Vec<IpAddr> {
        self.read().current.clone()
    }

    /// The best address of a family.
    pub fn of_family(&self, family: IpFamily) -> Option<IpAddr> {
        let addresses = self.read();
        addresses
            .current
            .iter()
            .copied()
            .find(|ip| ip.family() == family)
    }

    /// Whether this is a current or former external address.
    pub fn owns(&self, ip: IpAddr) -> bool {
        let addresses = self.read();
        addresses.current.contains(&ip) || addresses.former.contains(&ip)
    }

    /// Locks the addresses to read them.
    fn read(&self) -> RwLockReadGuard<'_, AddressLists> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_addresses_stay_owned_up_to_a_limit() {
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        let external = ExternalAddresses::new(vec![ip(0)]);
        for last in 1..=40 {
            external.replace(vec![ip(last)]);
        }
        assert_eq!(external.current(), [ip(40)]);
        assert!(external.owns(ip(40)) && external.owns(ip(24)));
        assert!(!external.owns(ip(23)) && !external.owns(ip(41)));
        external.replace(vec![ip(39)]);
        assert_eq!(external.of_family(IpFamily::V4), Some(ip(39)));
        assert_eq!(external.of_family(IpFamily::V6), None);
    }
}
