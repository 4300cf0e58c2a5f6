//! What other threads send to a shard.

use crate::server::sfu::{
    command::{Command, Event},
    keys::RoomKey,
    report::ConnectionReport,
    transport::datagram::RelayedDatagram,
};
use std::{net::SocketAddr, sync::mpsc::Receiver};
use tokio::sync::{mpsc, oneshot};

/// A message to a shard.
pub enum ShardMessage {
    /// Opens a room.
    OpenRoom {
        /// The key of the new room.
        room: RoomKey,
        /// The queue of the room's actor.
        events: mpsc::Sender<Event>,
    },
    /// A command of a room.
    Command {
        /// The room that the command comes from.
        room: RoomKey,
        /// The command to run.
        command: Command,
    },
    /// Describes the connections of a room.
    Inspect {
        /// The room to describe.
        room: RoomKey,
        /// Receives a report of each connection.
        reply: oneshot::Sender<Vec<ConnectionReport>>,
    },
    /// Closes a room and its connections.
    CloseRoom {
        /// The room that ended.
        room: RoomKey,
    },
    /// Replaces the addresses at which browsers reach the shard.
    SetCandidates {
        /// The current addresses.
        candidates: Vec<SocketAddr>,
    },
    /// Answers a STUN Binding request of this transaction, for a short time.
    ExpectProbe {
        /// The transaction id, drawn at random.
        transaction: [u8; 12],
    },
    /// Stops the thread.
    Stop,
}

/// The queues of a shard. Datagrams have their own, so that a flood of them leaves room for
/// messages.
pub struct ShardInbox {
    /// Messages of rooms and of the process.
    pub messages: Receiver<ShardMessage>,
    /// Datagrams that came through our own TURN server.
    pub relayed: Receiver<RelayedDatagram>,
}
