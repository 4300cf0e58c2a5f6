//! The addresses relay addresses are made of. They change while the server runs.

use std::{
    net::IpAddr,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};
use turn_server::codec::message::attributes::address::{IpAddrExt, IpFamily};

/// Former addresses that are remembered. 16: allocations live longer than an address of a
/// dial-up line, and what is sent to them must not leave the process.
const FORMER: usize = 16;

/// The external addresses. The lock is held for a look or a change only.
#[derive(Default)]
pub struct External(RwLock<Known>);

/// What is behind the lock.
#[derive(Default)]
struct Known {
    /// Now, the best first.
    current: Vec<IpAddr>,
    /// Before the addresses changed, the newest last.
    former: Vec<IpAddr>,
}

impl External {
    /// These, and none before.
    pub fn new(current: Vec<IpAddr>) -> Self {
        let former = Vec::new();
        Self(RwLock::new(Known { current, former }))
    }

    /// Others take their place; allocations keep the addresses they have.
    pub fn replace(&self, current: Vec<IpAddr>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut known.current, current);
        known.former.extend(before);
        let Known { current, former } = &mut *known;
        former.retain(|ip| !current.contains(ip));
        former.drain(..former.len().saturating_sub(FORMER));
    }

    /// The addresses now, the best first.
    pub fn current(&self) -> Vec<IpAddr> {
        self.read().current.clone()
    }

    /// The best address of a family.
    pub fn of_family(&self, family: IpFamily) -> Option<IpAddr> {
        let known = self.read();
        known
            .current
            .iter()
            .copied()
            .find(|ip| ip.family() == family)
    }

    /// Whether relay addresses are made of this one, or were.
    pub fn owns(&self, ip: IpAddr) -> bool {
        let known = self.read();
        known.current.contains(&ip) || known.former.contains(&ip)
    }

    /// What is known.
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_addresses_stay_ours_up_to_a_bound() {
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        let external = External::new(vec![ip(0)]);
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
