//! The resources of a client while it handles an input, and the events that it reports.

use super::counters::Counters;
use crate::media::net::{
    impairment::{Direction, NetworkEmulator},
    socket_pool::SocketPool,
};
use std::{collections::BTreeMap, net::SocketAddr, time::Instant};
use tokio::sync::mpsc;

/// The kind of a client's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// ICE and DTLS are connected.
    Connected,
    /// The first media packet arrived.
    FirstMedia,
    /// The first packet of another simulcast layer arrived.
    LayerChanged(u8),
    /// The connection has closed.
    Closed,
}

/// An event of a client.
#[derive(Debug, Clone, Copy)]
pub struct ClientEvent {
    /// Index of the client.
    pub index: u32,
    /// The event and its details.
    pub kind: EventKind,
    /// When it happened.
    pub at: Instant,
}

/// Borrows everything that a client uses while it handles one input.
pub struct ClientContext<'a> {
    /// The sockets of all clients.
    pub sockets: &'a SocketPool,
    /// The emulated network between sockets and clients.
    pub emulator: &'a mut NetworkEmulator,
    /// The counters of the current window.
    pub counters: &'a mut Counters,
    /// Receives the events of all clients.
    pub events: &'a mpsc::UnboundedSender<ClientEvent>,
    /// The current time.
    pub now: Instant,
}

impl ClientContext<'_> {
    /// Sends a datagram of a client through the emulated network.
    pub fn send(&mut self, client: u32, to: SocketAddr, bytes: &[u8]) {
        if !self
            .emulator
            .hold(Direction::Up, client, to, bytes, self.now)
        {
            self.sockets.send(client, to, bytes);
        }
    }

    /// Reports an event.
    pub fn report(&self, index: u32, kind: EventKind) {
        let at = self.now;
        // The receiver is gone once the run is over.
        let _ = self.events.send(ClientEvent { index, kind, at });
    }
}

/// When a client started to join, was connected, and received its first packet.
#[derive(Debug, Clone, Copy)]
pub struct JoinTimes {
    /// When its first signalling message was sent.
    pub started: Instant,
    /// When ICE and DTLS were connected.
    pub connected: Option<Instant>,
    /// When the first media packet arrived.
    pub first_media: Option<Instant>,
}

impl JoinTimes {
    /// A join that starts now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            connected: None,
            first_media: None,
        }
    }
}

/// The joins of all clients, by index.
pub type Joins = BTreeMap<u32, JoinTimes>;
