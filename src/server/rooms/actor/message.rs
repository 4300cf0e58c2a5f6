//! [`RoomMessage`]: the messages that a room's actor accepts.

use super::operator::Inspection;
use crate::{
    protocol::{ChatDraft, ChatMessage, ErrorCode, ParticipantId, Person},
    server::{
        net::Network,
        password_hasher::PasswordHash,
        rooms::{
            Reader, RoomError, RoomSnapshot,
            core::command::{Command, Join, Visitor},
            core::lobby::VisitStatus,
            core::operator::OperatorCommand,
            fanout::outbox::Outbox,
        },
    },
};
use tokio::sync::oneshot;

/// A message to the actor of a room. The actor drops a message that it can no longer handle,
/// together with its reply channel, and the sender tries again.
pub enum RoomMessage {
    /// A socket asks to enter.
    Join {
        /// The session, id and nickname of the client.
        join: Join,
        /// The queue towards the socket.
        outbox: Outbox,
        /// Receives whether the socket was admitted.
        reply: oneshot::Sender<Result<(), ErrorCode>>,
    },
    /// A request of a member's socket, or its end.
    Command(Command),
    /// A plain form posts a message.
    Post {
        /// The author, who need not be in the room.
        from: Person,
        /// The network of the author; nothing for an address that is exempt from limits.
        network: Option<Network>,
        /// The message, its text already parsed.
        draft: ChatDraft,
        /// Whether the message opens a private room, if the room does not exist.
        opens_private: bool,
        /// Receives the durable message.
        reply: oneshot::Sender<Result<ChatMessage, RoomError>>,
    },
    /// The operator does something.
    Operator {
        /// What to do.
        command: OperatorCommand,
        /// Receives whether that changed anything.
        reply: oneshot::Sender<bool>,
    },
    /// The operator looks at the room.
    Inspect(oneshot::Sender<Inspection>),
    /// A socket or an export wants to read stored messages of the room.
    IsHere {
        /// The participant who asks.
        id: ParticipantId,
        /// Receives whether they have entered.
        reply: oneshot::Sender<bool>,
    },
    /// Somebody wants to upload a file for the room.
    MayUpload {
        /// The participant who asks.
        id: ParticipantId,
        /// Receives whether they may.
        reply: oneshot::Sender<Result<(), ErrorCode>>,
    },
    /// The author of a plain form, who need not be in the room, wants to send files with it.
    MayShare {
        /// The author of the message.
        id: ParticipantId,
        /// The network of the author; nothing for an address that is exempt from limits.
        network: Option<Network>,
        /// Receives whether they may.
        reply: oneshot::Sender<Result<(), RoomError>>,
    },
    /// Somebody shows a password, which is verified outside the room.
    Password(oneshot::Sender<Option<PasswordHash>>),
    /// Somebody with a page without script asks to enter.
    Visit {
        /// The person who asks.
        visitor: Visitor,
        /// Receives what they learn, or why they may not enter.
        reply: oneshot::Sender<Result<VisitStatus, ErrorCode>>,
    },
    /// Somebody with a page without script looks whether they may enter.
    VisitStatus {
        /// The person who looks.
        id: ParticipantId,
        /// Receives what they learn.
        reply: oneshot::Sender<VisitStatus>,
    },
    /// A page shows the room.
    Snapshot {
        /// Who asks, if the page shows that.
        reader: Option<Reader>,
        /// Receives the room; nothing if it is hidden from the reader.
        reply: oneshot::Sender<Option<RoomSnapshot>>,
    },
    /// Panic, so that a test sees what a bug in one room affects.
    #[cfg(test)]
    Fail,
}
