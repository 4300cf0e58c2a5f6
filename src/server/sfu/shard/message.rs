//! What comes to a shard from other threads.

use crate::server::sfu::{
    RoomKey,
    command::{Command, Event},
};
use std::{net::SocketAddr, sync::mpsc::Receiver};
use tokio::sync::mpsc;

/// What a shard is sent.
pub enum ShardMessage {
    /// A room opens.
    OpenRoom {
        /// Which.
        room: RoomKey,
        /// Where it listens.
        events: mpsc::Sender<Event>,
    },
    /// A room says something.
    Command {
        /// Which.
        room: RoomKey,
        /// What.
        command: Command,
    },
    /// A room closes.
    CloseRoom {
        /// Which.
        room: RoomKey,
    },
    /// The addresses of this machine changed.
    SetCandidates {
        /// Where browsers reach the shard now.
        candidates: Vec<SocketAddr>,
    },
    /// The server stops.
    Stop,
}

/// A datagram that came through our own TURN server.
pub struct RelayedDatagram {
    /// The relayed address of whoever sent it.
    pub source: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// What comes to a shard from other threads. Each has its own queue, so that many datagrams
/// leave room for what rooms say.
pub struct ShardInbox {
    /// What rooms say.
    pub messages: Receiver<ShardMessage>,
    /// What came through our own TURN server.
    pub relayed: Receiver<RelayedDatagram>,
}
