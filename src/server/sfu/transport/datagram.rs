//! Datagrams on their way in and out.

use std::net::{IpAddr, SocketAddr};
use str0m::net::{Protocol, Transmit};

/// A received datagram.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedDatagram<'a> {
    /// The transport protocol it arrived by: UDP or TCP.
    pub proto: Protocol,
    /// Whether it came through our own TURN server.
    pub is_relayed: bool,
    /// The sender's address.
    pub source: SocketAddr,
    /// The address of this machine it came to, where the system says so.
    pub local_ip: Option<IpAddr>,
    /// The payload, borrowed from the receive buffer.
    pub bytes: &'a [u8],
}

/// A datagram that waits for a shard, having come through our own TURN server.
pub struct RelayedDatagram {
    /// The relayed address of the sender.
    pub source: SocketAddr,
    /// The media address it was sent to.
    pub local: SocketAddr,
    /// The payload, without TURN framing.
    pub bytes: Vec<u8>,
}

/// A datagram to send.
pub struct OutgoingDatagram {
    /// The address of this machine to send from: the one that the peer talks to.
    pub local_ip: Option<IpAddr>,
    /// Destination and payload.
    pub transmit: Transmit,
}

/// Whether a datagram is STUN (RFC 7983 7).
pub fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4)
}
