//! The path through our own TURN server.

use std::net::SocketAddr;

/// The path to peers behind our own TURN server. Datagrams to a relayed address never leave
/// the process.
pub trait RelayPath: Send + Sync {
    /// Whether this is a relayed address of ours.
    fn owns(&self, address: SocketAddr) -> bool;
    /// Sends a datagram to the holder of a relayed address. Returns false where it was dropped.
    fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool;
}
