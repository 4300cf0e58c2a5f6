//! A network path: a verified remote address and our side of it.

use super::datagram::OutgoingDatagram;
use std::net::{IpAddr, SocketAddr};
use str0m::net::{Protocol, Transmit};

/// A verified remote address of a peer, and the local side that it reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPath {
    /// The transport protocol: UDP or TCP.
    pub proto: Protocol,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The address of this machine, where the system says so.
    pub local_ip: Option<IpAddr>,
    /// Our candidate for that address.
    pub local_candidate: SocketAddr,
}

impl NetworkPath {
    /// Identifies the path among those of all peers.
    pub fn key(&self) -> (Protocol, SocketAddr) {
        (self.proto, self.remote)
    }

    /// Addresses a datagram to this path.
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
