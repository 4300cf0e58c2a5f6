//! [`RoomHandle`]: sends messages to the actor of a room.

use super::{membership::Membership, message::RoomMessage, registry::Rooms};
use crate::{
    protocol::{
        ChatDraft, ChatMessage, ChatText, Epoch, ErrorCode, HostKey, InviteId, Nickname,
        ParticipantId, Person, RoomName, Seq, SessionToken, SettingsChange,
    },
    server::{
        authority::new_host_key,
        identity::participant_id,
        net::Network,
        password_hasher::PasswordHash,
        rooms::{
            RoomError,
            core::command::{Join, ShownPassword, Visitor},
            core::lobby::VisitStatus,
            core::operator::OperatorCommand,
            fanout::outbox::Outbox,
        },
    },
};
use tokio::sync::{mpsc, oneshot};

/// Attempts to reach a room whose actor retires at the same time.
const MAX_ATTEMPTS: usize = 4;

/// What a client shows when it enters a room.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Epoch and `seq` of the last event received, where a former connection is resumed.
    pub seen: Option<(Epoch, Seq)>,
    /// The host key of the room.
    pub host_key: Option<HostKey>,
    /// The invite to the room, which the server has signed.
    pub invite: Option<InviteId>,
    /// What the client shows about the password of the room.
    pub password: ShownPassword,
    /// What the hosts read where the person waits in the lobby.
    pub line: Option<ChatText>,
    /// The settings of the room, if this opens it.
    pub opening: SettingsChange,
    /// The network of the client; nothing for an address that is exempt from limits.
    pub network: Option<Network>,
}

/// A room by its name. A message to a room that has retired starts its actor again.
/// Cloning is cheap.
#[derive(Clone)]
pub struct RoomHandle {
    /// The registry that finds the actor.
    rooms: Rooms,
    /// The name of the room.
    name: RoomName,
}

impl RoomHandle {
    /// A handle. The actor is looked up with each message.
    pub(super) fn new(rooms: Rooms, name: RoomName) -> Self {
        Self { rooms, name }
    }

    /// The name of the room.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// Posts a message without a socket. The message is durable and broadcast when this returns.
    /// A known id returns its first message.
    ///
    /// # Errors
    /// Any [`RoomError`]; nothing was stored, and the same draft may be posted again.
    pub async fn post(
        &self,
        author: &SessionToken,
        nickname: Nickname,
        network: Option<Network>,
        draft: ChatDraft,
        opens_private: bool,
    ) -> Result<ChatMessage, RoomError> {
        let from = Person::new(participant_id(author), nickname);
        let message = |reply| RoomMessage::Post {
            from: from.clone(),
            network,
            draft: draft.clone(),
            opens_private,
            reply,
        };
        self.ask(message).await?.0
    }

    /// Whether the author of a plain form, who need not be in the room, may send files with it.
    ///
    /// # Errors
    /// The code of the refusal.
    pub async fn may_share(
        &self,
        id: ParticipantId,
        network: Option<Network>,
    ) -> Result<(), ErrorCode> {
        let message = |reply| RoomMessage::MayShare {
            id: id.clone(),
            network,
            reply,
        };
        let (allowed, _) = self.ask(message).await.map_err(RoomError::code)?;
        allowed.map_err(RoomError::code)
    }

    /// Enters the room with a socket. `joined` arrives through the outbox.
    ///
    /// # Errors
    /// The code of the refusal; the socket stays open and may try again.
    pub async fn join(
        &self,
        session: &SessionToken,
        nickname: &Nickname,
        entry: Entry,
        outbox: &Outbox,
    ) -> Result<Membership, ErrorCode> {
        let Entry {
            seen,
            host_key,
            invite,
            password,
            line,
            opening,
            network,
        } = entry;
        let join = Join {
            connection: self.rooms.next_connection_id(),
            visitor: Visitor {
                host_key,
                invite,
                password,
                line,
                network,
                ..Visitor::new(session.clone(), nickname.clone())
            },
            seen,
            fresh_key: new_host_key(),
            opening,
        };
        let message = |reply| RoomMessage::Join {
            join: join.clone(),
            outbox: outbox.clone(),
            reply,
        };
        let (admitted, mailbox) = self.ask(message).await.map_err(RoomError::code)?;
        admitted.map(|()| Membership::new(join.connection, join.visitor.id, mailbox))
    }

    /// Asks to enter for somebody with a page without script.
    ///
    /// # Errors
    /// The code of the refusal.
    pub async fn visit(&self, visitor: Visitor) -> Result<VisitStatus, ErrorCode> {
        let message = |reply| RoomMessage::Visit {
            visitor: visitor.clone(),
            reply,
        };
        self.ask(message).await.map_err(RoomError::code)?.0
    }

    /// What somebody with a page without script learns about their request to enter.
    ///
    /// # Errors
    /// Any [`RoomError`]; a retry is safe.
    pub async fn visit_status(&self, id: ParticipantId) -> Result<VisitStatus, RoomError> {
        let message = |reply| RoomMessage::VisitStatus {
            id: id.clone(),
            reply,
        };
        Ok(self.ask(message).await?.0)
    }

    /// Runs a command of the operator, in a room that need not be open. Returns whether that changed
    /// anything.
    ///
    /// # Errors
    /// Any [`RoomError`]; a retry is safe.
    pub async fn operate(&self, command: OperatorCommand) -> Result<bool, RoomError> {
        let message = |reply| RoomMessage::Operator {
            command: command.clone(),
            reply,
        };
        Ok(self.ask(message).await?.0)
    }

    /// The hash of the room's password, if it has one.
    ///
    /// # Errors
    /// Any [`RoomError`]; a retry is safe.
    pub async fn password(&self) -> Result<Option<PasswordHash>, RoomError> {
        Ok(self.ask(RoomMessage::Password).await?.0)
    }

    /// Sends a message and waits for the reply. Tries again if the actor retired between its
    /// look-up and the message.
    async fn ask<T>(
        &self,
        message: impl Fn(oneshot::Sender<T>) -> RoomMessage,
    ) -> Result<(T, mpsc::Sender<RoomMessage>), RoomError> {
        for _ in 0..MAX_ATTEMPTS {
            let mailbox = self.rooms.mailbox(&self.name)?;
            let (reply, replied) = oneshot::channel();
            if mailbox.send(message(reply)).await.is_ok()
                && let Ok(reply) = replied.await
            {
                return Ok((reply, mailbox));
            }
            // The retiring actor may need this thread to remove its name from the registry.
            tokio::task::yield_now().await;
        }
        Err(RoomError::Unavailable)
    }
}
