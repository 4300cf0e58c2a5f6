//! Whose datagram is it? By the address it comes from, else by the ICE username in it.
//!
//! An address is learned only from a connectivity check whose integrity the peer itself
//! has verified (RFC 8445 7.3), so that a stranger's packet never reaches DTLS or SRTP
//! (trust T17).

use crate::server::sfu::transport::path::NetworkPath;
use std::{collections::HashMap, net::SocketAddr};
use str0m::net::Protocol;

/// Addresses one peer may come from. 16: two families, two protocols, and a few networks.
const MAX_ADDRESSES: usize = 16;

/// Who is behind which address and which username.
#[derive(Debug, Default)]
pub struct Demux {
    /// By the address and protocol of verified checks.
    peers: HashMap<(Protocol, SocketAddr), usize>,
    /// By the local half of the ICE username (RFC 8445 7.2.2).
    ufrags: HashMap<String, usize>,
}

impl Demux {
    /// A peer can be asked for by this name.
    pub fn add_ufrag(&mut self, ufrag: String, peer: usize) {
        self.ufrags.insert(ufrag, peer);
    }

    /// Nobody can be asked for by this name any more.
    pub fn remove_ufrag(&mut self, ufrag: &str) {
        self.ufrags.remove(ufrag);
    }

    /// Whom a connectivity check names.
    pub fn peer_by_ufrag(&self, ufrag: &str) -> Option<usize> {
        self.ufrags.get(ufrag).copied()
    }

    /// Who is behind an address.
    pub fn peer_by_address(&self, proto: Protocol, address: SocketAddr) -> Option<usize> {
        self.peers.get(&(proto, address)).copied()
    }

    /// How many names there are.
    #[cfg(test)]
    pub fn ufrag_count(&self) -> usize {
        self.ufrags.len()
    }

    /// Takes in a verified address of a peer; `known` are the peer's own, oldest first.
    pub fn add_address(&mut self, from: NetworkPath, peer: usize, known: &mut Vec<NetworkPath>) {
        let before = self.peers.insert(from.key(), peer);
        if before == Some(peer)
            && let Some(present) = known.iter_mut().find(|other| other.key() == from.key())
        {
            *present = from;
            return;
        }
        known.retain(|other| other.key() != from.key());
        known.push(from);
        if known.len() > MAX_ADDRESSES {
            self.remove_address(&known.remove(0), peer);
        }
    }

    /// An address leads to a peer no more, unless it leads to somebody else by now.
    fn remove_address(&mut self, from: &NetworkPath, peer: usize) {
        if self.peers.get(&from.key()) == Some(&peer) {
            self.peers.remove(&from.key());
        }
    }

    /// Forgets a peer and everything that leads to it.
    pub fn remove_peer(&mut self, peer: usize, ufrags: &[String], known: &[NetworkPath]) {
        for ufrag in ufrags {
            self.ufrags.remove(ufrag);
        }
        for from in known {
            self.remove_address(from, peer);
        }
    }
}

/// Whether a datagram is STUN (RFC 7983 7).
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> NetworkPath {
        NetworkPath {
            proto: Protocol::Udp,
            remote: address(port),
            local_ip: None,
            local_candidate: ([192, 0, 2, 9], 7882).into(),
        }
    }

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn a_peer_keeps_its_newest_addresses_and_takes_all_with_it() {
        let (mut demux, mut known) = (Demux::default(), Vec::new());
        for port in 0..40 {
            demux.add_address(from(port), 3, &mut known);
        }
        assert_eq!(known.len(), MAX_ADDRESSES);
        assert_eq!(demux.peer_by_address(Protocol::Udp, address(0)), None);
        assert_eq!(demux.peer_by_address(Protocol::Tcp, address(39)), None);
        assert_eq!(demux.peer_by_address(Protocol::Udp, address(39)), Some(3));
        demux.add_ufrag("abcd".into(), 3);
        demux.remove_peer(3, &["abcd".into()], &known);
        assert!(demux.peer_by_ufrag("abcd").is_none() && demux.peers.is_empty());
    }

    #[test]
    fn an_address_that_came_to_another_peer_stays_with_it() {
        let mut demux = Demux::default();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        demux.add_address(from(1), 1, &mut ours);
        demux.add_address(from(1), 2, &mut theirs);
        // It has many others, and forgets the oldest.
        for port in 2..40 {
            demux.add_address(from(port), 1, &mut ours);
        }
        assert_eq!(demux.peer_by_address(Protocol::Udp, address(1)), Some(2));
        demux.remove_peer(1, &[], &ours);
        assert_eq!(demux.peer_by_address(Protocol::Udp, address(1)), Some(2));
    }

    #[test]
    fn the_way_back_is_the_one_a_peer_took_last() {
        let (mut demux, mut known) = (Demux::default(), Vec::new());
        demux.add_address(from(1), 1, &mut known);
        let local = Some([198, 51, 100, 7].into());
        demux.add_address(
            NetworkPath {
                local_ip: local,
                ..from(1)
            },
            1,
            &mut known,
        );
        assert_eq!(
            known,
            [NetworkPath {
                local_ip: local,
                ..from(1)
            }]
        );
    }
}
