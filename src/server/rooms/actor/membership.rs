//! [`Membership`]: the place of one socket in a room.

use super::message::RoomMessage;
use crate::protocol::ParticipantId;
use crate::server::rooms::core::command::{Command, ConnectionId, Departure, RoomRequest};
use tokio::sync::{mpsc, oneshot};

/// The place of a socket in a room. Its holder reports the end of the socket by
/// [`Membership::leave`]; a drop without it (a panic unwound the task) counts as a lost connection.
pub struct Membership {
    connection: ConnectionId,
    /// Id of the person.
    id: ParticipantId,
    /// The mailbox of the actor. A full mailbox makes this socket wait, and no other one.
    mailbox: mpsc::Sender<RoomMessage>,
    /// Whether the end was reported.
    left: bool,
}

impl Membership {
    /// The membership of a socket that was not refused. Its person may still wait to enter.
    pub(super) fn new(
        connection: ConnectionId,
        id: ParticipantId,
        mailbox: mpsc::Sender<RoomMessage>,
    ) -> Self {
        Self {
            connection,
            id,
            mailbox,
            left: false,
        }
    }

    /// Sends a request to the room.
    pub async fn request(&self, request: RoomRequest) {
        let connection = self.connection;
        self.send(Command::Member {
            connection,
            request,
        })
        .await;
    }

    /// Whether the person has entered: whoever waits reads nothing of the room.
    pub async fn has_entered(&self) -> bool {
        let (reply, replied) = oneshot::channel();
        let id = self.id.clone();
        let _ = self.mailbox.send(RoomMessage::IsHere { id, reply }).await;
        replied.await.unwrap_or(false)
    }

    /// Reports the end of the socket.
    pub async fn leave(mut self, departure: Departure) {
        let connection = self.connection;
        self.left = true;
        self.send(Command::Disconnected {
            connection,
            departure,
        })
        .await;
    }

    /// Waits until the actor has ended. The actor of a room with members ends only by a panic or
    /// because the server stops.
    pub async fn ended(&self) {
        self.mailbox.closed().await;
    }

    /// Sends a command. Does nothing if the actor has ended.
    async fn send(&self, command: Command) {
        let _ = self.mailbox.send(RoomMessage::Command(command)).await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let command = Command::Disconnected {
            connection: self.connection,
            departure: Departure::Lost,
        };
        let mailbox = self.mailbox.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let message = RoomMessage::Command(command);
            runtime.spawn(async move { drop(mailbox.send(message).await) });
        }
    }
}
