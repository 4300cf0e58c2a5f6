//! Finds the peer of a datagram: by its source address, or by the ICE username in it.
//!
//! An address is added only after str0m has verified the integrity of a connectivity check from it
//! (RFC 8445 7.3): a stranger's packet never reaches DTLS or SRTP.

use crate::server::sfu::transport::path::NetworkPath;
use std::{collections::HashMap, net::SocketAddr};
use str0m::net::Protocol;

/// Addresses of one peer. 16: two families, two protocols, and a few networks.
const MAX_ADDRESSES: usize = 16;

/// The peers by address and by ICE username.
#[derive(Debug, Default)]
pub struct Demux {
    /// By protocol and verified address.
    peers: HashMap<(Protocol, SocketAddr), usize>,
    /// By the local part of the ICE username (RFC 8445 7.2.2).
    ufrags: HashMap<String, usize>,
}

impl Demux {
    /// Adds an ICE username of a peer.
    pub fn add_ufrag(&mut self, ufrag: String, peer: usize) {
        self.ufrags.insert(ufrag, peer);
    }

    /// Removes an ICE username.
    pub fn remove_ufrag(&mut self, ufrag: &str) {
        self.ufrags.remove(ufrag);
    }

    /// The peer that a connectivity check names.
    pub fn peer_by_ufrag(&self, ufrag: &str) -> Option<usize> {
        self.ufrags.get(ufrag).copied()
    }

    /// The peer at a verified address.
    pub fn peer_by_address(&self, proto: Protocol, address: SocketAddr) -> Option<usize> {
        self.peers.get(&(proto, address)).copied()
    }

    /// The number of ICE usernames.
    #[cfg(test)]
    pub fn ufrag_count(&self) -> usize {
        self.ufrags.len()
    }

    /// Adds a verified address of a peer. `known`: the peer's addresses, oldest first; beyond
    /// [`MAX_ADDRESSES`] the oldest is removed.
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

    /// Removes an address of a peer, unless it belongs to another peer by now.
    fn remove_address(&mut self, from: &NetworkPath, peer: usize) {
        if self.peers.get(&from.key()) == Some(&peer) {
            self.peers.remove(&from.key());
        }
    }

    /// Removes the usernames and addresses of a peer.
    pub fn remove_peer(&mut self, peer: usize, ufrags: &[String], known: &[NetworkPath]) {
        for ufrag in ufrags {
            self.ufrags.remove(ufrag);
        }
        for from in known {
            self.remove_address(from, peer);
        }
    }
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
    fn an_address_that_is_added_again_updates_its_local_side() {
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
