//! What an actor is sent.

use crate::protocol::{ChatMessage, ChatText, ErrorCode, MessageId, Person};
use crate::server::rooms::{
    RoomError, RoomSnapshot,
    core::command::{Command, Join},
    fanout::outbox::Outbox,
};
use tokio::sync::oneshot;

/// What an actor is sent. A letter it cannot take any more is dropped with its answer,
/// and the sender knocks again.
pub enum RoomMessage {
    /// Somebody comes in.
    Join {
        /// Who.
        join: Join,
        /// How to reach them.
        outbox: Outbox,
        /// Whether they may.
        answer: oneshot::Sender<Result<(), ErrorCode>>,
    },
    /// Something a joined socket wants, or its end.
    Command(Command),
    /// A plain form says something.
    Post {
        /// Who.
        from: Person,
        /// The id made for it.
        id: MessageId,
        /// What.
        text: ChatText,
        /// The durable message.
        answer: oneshot::Sender<Result<ChatMessage, RoomError>>,
    },
    /// A page wants to show the room.
    Snapshot(oneshot::Sender<RoomSnapshot>),
    /// Fail as by a bug, so that a test sees what it takes down.
    #[cfg(test)]
    Fail,
}
