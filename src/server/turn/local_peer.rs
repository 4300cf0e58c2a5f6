//! Packets between TURN clients and the SFU, inside the process and without a socket.

use super::{
    engine::Engine,
    options::{MAX_FRAME_BYTES, RELAY_PORTS},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Instant,
};

/// The SFU as a peer of TURN clients.
pub trait LocalPeer: Send + Sync + 'static {
    /// Whether this is an address of the SFU. Must not block: the caller holds the lock of the
    /// allocations.
    fn owns(&self, address: SocketAddr) -> bool;

    /// Delivers a packet from the relayed address `from` to the SFU. Must not block: drops the
    /// packet when the queue is full.
    fn deliver(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]);
}

/// Sends packets of the SFU to TURN clients, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct RelaySender {
    /// The TURN server. Weak, because the server owns the SFU's handle and the SFU owns this.
    engine: Weak<Engine>,
}

impl RelaySender {
    /// A sender into this server.
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::downgrade(engine),
        }
    }

    /// Whether this is a relayed address of this server, allocated or not.
    pub fn owns(&self, address: SocketAddr) -> bool {
        // The range of ports decides most cases without the lock.
        RELAY_PORTS.contains(&address.port())
            && self
                .engine
                .upgrade()
                .is_some_and(|engine| engine.external.owns(address.ip()))
    }

    /// Sends a packet to the client of a relayed address, without blocking. False where it was
    /// dropped: the client has no permission for `from`, exceeds its rate or does not read.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> bool {
        // 64: more than the headers of a Data indication.
        let fits = payload.len() <= MAX_FRAME_BYTES - 64;
        let engine = self.engine.upgrade().filter(|_| fits);
        engine.is_some_and(|engine| engine.relay_media(from, to, payload, Instant::now()))
    }
}
