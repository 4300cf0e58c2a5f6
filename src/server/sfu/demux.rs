//! Whose datagram is it? By the address it comes from, else by the ICE username in it.
//!
//! An address is learned only from a connectivity check whose integrity the peer itself
//! has verified (RFC 8445 7.3), so that a stranger's packet never reaches DTLS or SRTP
//! (trust T17).

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};
use str0m::net::Protocol;

/// Addresses one peer may come from. 16: two families, two protocols, and a few networks.
const MAX_ADDRESSES: usize = 16;

/// Where a known address leads to.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The peer behind it.
    pub peer: usize,
    /// The address of this machine it talks to, where the system says so.
    pub local: Option<IpAddr>,
}

/// Who is behind which address and which username.
#[derive(Debug, Default)]
pub struct Demux {
    /// By the address and protocol of verified checks.
    routes: HashMap<(Protocol, SocketAddr), Route>,
    /// By the local half of the ICE username (RFC 8445 7.2.2).
    ufrags: HashMap<String, usize>,
}

impl Demux {
    /// A peer can be asked for by this name.
    pub fn name(&mut self, ufrag: String, peer: usize) {
        self.ufrags.insert(ufrag, peer);
    }

    /// Whom a connectivity check names.
    pub fn by_ufrag(&self, ufrag: &str) -> Option<usize> {
        self.ufrags.get(ufrag).copied()
    }

    /// Who is behind an address.
    pub fn route(&self, proto: Protocol, address: SocketAddr) -> Option<Route> {
        self.routes.get(&(proto, address)).copied()
    }

    /// Takes in a verified address of a peer; `known` are the peer's own, oldest first.
    pub fn learn(
        &mut self,
        proto: Protocol,
        address: SocketAddr,
        route: Route,
        known: &mut Vec<(Protocol, SocketAddr)>,
    ) {
        let before = self.routes.insert((proto, address), route);
        if before.is_some_and(|before| before.peer == route.peer) {
            return;
        }
        known.retain(|other| *other != (proto, address));
        known.push((proto, address));
        if known.len() > MAX_ADDRESSES {
            self.routes.remove(&known.remove(0));
        }
    }

    /// Forgets a peer and everything that leads to it.
    pub fn forget(&mut self, peer: usize, ufrags: &[String], known: &[(Protocol, SocketAddr)]) {
        for ufrag in ufrags {
            self.ufrags.remove(ufrag);
        }
        for address in known {
            if self.routes.get(address).is_some_and(|r| r.peer == peer) {
                self.routes.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn a_peer_keeps_its_newest_addresses_and_takes_all_with_it() {
        let (mut demux, mut known) = (Demux::default(), Vec::new());
        let route = Route {
            peer: 3,
            local: None,
        };
        for port in 0..40 {
            demux.learn(Protocol::Udp, address(port), route, &mut known);
        }
        assert_eq!(known.len(), MAX_ADDRESSES);
        assert!(demux.route(Protocol::Udp, address(0)).is_none());
        assert!(demux.route(Protocol::Tcp, address(39)).is_none());
        assert_eq!(
            demux.route(Protocol::Udp, address(39)).map(|r| r.peer),
            Some(3)
        );
        demux.name("abcd".into(), 3);
        demux.forget(3, &["abcd".into()], &known);
        assert!(demux.by_ufrag("abcd").is_none() && demux.routes.is_empty());
    }

    #[test]
    fn an_address_that_came_to_another_peer_stays_with_it() {
        let mut demux = Demux::default();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        demux.learn(
            Protocol::Udp,
            address(1),
            Route {
                peer: 1,
                local: None,
            },
            &mut ours,
        );
        demux.learn(
            Protocol::Udp,
            address(1),
            Route {
                peer: 2,
                local: None,
            },
            &mut theirs,
        );
        demux.forget(1, &[], &ours);
        assert_eq!(
            demux.route(Protocol::Udp, address(1)).map(|r| r.peer),
            Some(2)
        );
    }
}
