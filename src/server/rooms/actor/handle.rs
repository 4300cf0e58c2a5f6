//! How everybody else talks to a room: [`RoomHandle`] from outside, [`Membership`] from inside.

use super::{message::RoomMessage, registry::Rooms};
use crate::server::rooms::{
    RoomError, RoomSnapshot,
    core::command::{Command, ConnectionId, Departure, Join, RoomRequest},
    fanout::outbox::Outbox,
};
use crate::{
    protocol::{
        ChatMessage, ChatText, Epoch, ErrorCode, MessageId, Nickname, Person, RoomName, Seq,
        SessionToken,
    },
    server::identity::participant_id,
};
use tokio::sync::{mpsc, oneshot};

/// How often one knocks at a room that retires just then before giving up.
const MAX_ATTEMPTS: usize = 4;

/// A room by its name; cloning it is cheap. A room that has retired is made anew.
#[derive(Clone)]
pub struct RoomHandle {
    /// Where the room is found.
    rooms: Rooms,
    /// Its name.
    name: RoomName,
}

impl RoomHandle {
    /// A handle; the room itself is found when it is needed.
    pub(super) fn new(rooms: Rooms, name: RoomName) -> Self {
        Self { rooms, name }
    }

    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// The room as a page shows it.
    ///
    /// # Errors
    /// [`RoomError::Unavailable`] where the store cannot be read; the person reloads.
    pub async fn snapshot(&self) -> Result<RoomSnapshot, RoomError> {
        self.rooms.try_snapshot(&self.name).await
    }

    /// Says something without a socket; durable and told to everybody when this returns.
    /// The same id again answers the first message.
    ///
    /// # Errors
    /// Any [`RoomError`]; nothing was stored, the person sends it again.
    pub async fn post(
        &self,
        author: &SessionToken,
        nickname: Nickname,
        id: MessageId,
        text: ChatText,
    ) -> Result<ChatMessage, RoomError> {
        let from = Person::new(participant_id(author), nickname);
        let message = |answer| RoomMessage::Post {
            from: from.clone(),
            id,
            text: text.clone(),
            answer,
        };
        self.ask(message).await?.0
    }

    /// Takes a seat in the room for a socket. `joined` comes through the outbox.
    ///
    /// # Errors
    /// The code to answer; the socket stays open and may try again.
    pub async fn join(
        &self,
        session: &SessionToken,
        nickname: &Nickname,
        seen: Option<&(Epoch, Seq)>,
        outbox: &Outbox,
    ) -> Result<Membership, ErrorCode> {
        let join = Join {
            connection: self.rooms.next_connection_id(),
            session: session.clone(),
            id: participant_id(session),
            nickname: nickname.clone(),
            seen: seen.cloned(),
        };
        let message = |answer| RoomMessage::Join {
            join: join.clone(),
            outbox: outbox.clone(),
            answer,
        };
        let (answer, mailbox) = self.ask(message).await.map_err(RoomError::code)?;
        answer.map(|()| Membership {
            connection: join.connection,
            mailbox,
            left: false,
        })
    }

    /// Sends a letter and waits for its answer; knocks again where the room retired
    /// between finding it and its opening the letter.
    async fn ask<T>(
        &self,
        message: impl Fn(oneshot::Sender<T>) -> RoomMessage,
    ) -> Result<(T, mpsc::Sender<RoomMessage>), RoomError> {
        for _ in 0..MAX_ATTEMPTS {
            let mailbox = self.rooms.mailbox(&self.name)?;
            let (answer, answered) = oneshot::channel();
            if mailbox.send(message(answer)).await.is_ok()
                && let Ok(answer) = answered.await
            {
                return Ok((answer, mailbox));
            }
            // The one who retires may need the turn to take its name down.
            tokio::task::yield_now().await;
        }
        Err(RoomError::Unavailable)
    }
}

/// A socket's place in a room. Whoever holds it reports its end with [`Membership::leave`]; a
/// seat that is just dropped (a bug unwound its task) counts as a lost line.
pub struct Membership {
    /// Which socket.
    connection: ConnectionId,
    /// The room's actor; full means waiting, which slows this socket only.
    mailbox: mpsc::Sender<RoomMessage>,
    /// Whether the end has been reported.
    left: bool,
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let (connection, departure) = (self.connection, Departure::Lost);
        let mailbox = self.mailbox.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let message = RoomMessage::Command(Command::Disconnected {
                connection,
                departure,
            });
            runtime.spawn(async move { drop(mailbox.send(message).await) });
        }
    }
}

impl Membership {
    /// Passes on what the socket wants.
    pub async fn request(&self, request: RoomRequest) {
        let connection = self.connection;
        self.send(Command::Member {
            connection,
            request,
        })
        .await;
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

    /// Waits until the room has ended, which it does under a joined socket only by a bug
    /// or because the server stops.
    pub async fn ended(&self) {
        self.mailbox.closed().await;
    }

    /// Sends a command; a room that has ended needs none.
    async fn send(&self, command: Command) {
        let _ = self.mailbox.send(RoomMessage::Command(command)).await;
    }
}
