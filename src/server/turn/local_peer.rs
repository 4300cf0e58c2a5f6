//! The short way between clients and the SFU: inside the process, through no socket.

use super::{
    engine::Engine,
    options::{MAX_FRAME_BYTES, RELAY_PORTS},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Instant,
};

/// The SFU, as the TURN server sees it.
pub trait LocalPeer: Send + Sync + 'static {
    /// Whether this is one of the addresses the SFU is reached by. Answers at once and waits
    /// for nothing: it is asked while the table of allocations is held.
    fn owns(&self, address: SocketAddr) -> bool;

    /// Hands over a packet of the client behind the relay address `from`. Never blocks; drops
    /// it when full.
    fn deliver(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]);
}

/// The SFU's way to clients; cloning it is cheap, and any thread may use it.
#[derive(Clone)]
pub struct RelaySender {
    /// The server, while there is one. Weak, since the server holds the SFU and the SFU holds
    /// this.
    engine: Weak<Engine>,
}

impl RelaySender {
    /// The way into this server.
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::downgrade(engine),
        }
    }

    /// Whether this is a relay address of ours, given to somebody or not.
    pub fn owns(&self, address: SocketAddr) -> bool {
        // Few real ports lie in this range, so the rest is seldom looked at.
        RELAY_PORTS.contains(&address.port())
            && self
                .engine
                .upgrade()
                .is_some_and(|engine| engine.external.owns(address.ip()))
    }

    /// Sends a packet to the client behind a relay address. Never blocks: answers whether it
    /// was on its way, which it is not where the client has no permission for `from`, has got
    /// all it may or does not read.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> bool {
        // Room for the headers of a Data indication.
        let fits = payload.len() <= MAX_FRAME_BYTES - 64;
        let engine = self.engine.upgrade().filter(|_| fits);
        engine.is_some_and(|engine| engine.relay_media(from, to, payload, Instant::now()))
    }
}
