//! The way back: media goes to the address that the peer's own media comes from.
//!
//! ICE would say so, too, but late. A controlled agent keeps the pair that was nominated
//! first until its checks have been missing for 15 s, and behind a NAT that has forgotten a
//! mapping, or when a phone changes from one network to the other, that is 15 s of silence.
//! The browser has chosen by then: what it sends comes by the pair it has selected. Nothing
//! is trusted that ICE has not verified: media is let in from verified addresses only.

use crate::server::sfu::shard::core::OutgoingDatagram;
use std::net::{IpAddr, SocketAddr};
use str0m::net::{Protocol, Transmit};

/// A verified address of a peer, and our side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPath {
    /// By which protocol.
    pub proto: Protocol,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The address of this machine it came to, where the system says so.
    pub local_ip: Option<IpAddr>,
    /// Our candidate it came to.
    pub local_candidate: SocketAddr,
}

impl NetworkPath {
    /// What tells it from a peer's other ways.
    pub fn key(&self) -> (Protocol, SocketAddr) {
        (self.proto, self.remote)
    }

    /// Sends a datagram by it.
    pub fn address(self, transmit: Transmit) -> OutgoingDatagram {
        OutgoingDatagram {
            local_ip: self.local_ip,
            transmit: Transmit {
                proto: self.proto,
                source: self.local_candidate,
                destination: self.remote,
                contents: transmit.contents,
            },
        }
    }
}
