//! How everybody else talks to a room: [`RoomHandle`] from outside, [`Seat`] from inside.

use super::{message::Letter, registry::Rooms};
use crate::server::rooms::{
    RoomError, RoomSnapshot,
    core::command::{Command, Departure, Intent, Join, LinkId},
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
const KNOCKS: usize = 4;

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
        let letter = |answer| Letter::Post {
            from: from.clone(),
            id,
            text: text.clone(),
            answer,
        };
        self.ask(letter).await?.0
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
    ) -> Result<Seat, ErrorCode> {
        let join = Join {
            link: self.rooms.next_link(),
            session: session.clone(),
            id: participant_id(session),
            nickname: nickname.clone(),
            seen: seen.cloned(),
        };
        let letter = |answer| Letter::Join {
            join: join.clone(),
            outbox: outbox.clone(),
            answer,
        };
        let (answer, mailbox) = self.ask(letter).await.map_err(RoomError::code)?;
        answer.map(|()| Seat {
            link: join.link,
            mailbox,
            left: false,
        })
    }

    /// Sends a letter and waits for its answer; knocks again where the room retired
    /// between finding it and its opening the letter.
    async fn ask<T>(
        &self,
        letter: impl Fn(oneshot::Sender<T>) -> Letter,
    ) -> Result<(T, mpsc::Sender<Letter>), RoomError> {
        for _ in 0..KNOCKS {
            let mailbox = self.rooms.mailbox(&self.name)?;
            let (answer, answered) = oneshot::channel();
            if mailbox.send(letter(answer)).await.is_ok()
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

/// A socket's place in a room. Whoever holds it reports its end with [`Seat::leave`]; a
/// seat that is just dropped (a bug unwound its task) counts as a lost line.
pub struct Seat {
    /// Which socket.
    link: LinkId,
    /// The room's actor; full means waiting, which slows this socket only.
    mailbox: mpsc::Sender<Letter>,
    /// Whether the end has been reported.
    left: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let (link, how) = (self.link, Departure::Lost);
        let mailbox = self.mailbox.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let letter = Letter::Command(Command::Gone { link, how });
            runtime.spawn(async move { drop(mailbox.send(letter).await) });
        }
    }
}

impl Seat {
    /// Passes on what the socket wants.
    pub async fn intend(&self, intent: Intent) {
        let link = self.link;
        self.send(Command::Member { link, intent }).await;
    }

    /// Reports the end of the socket.
    pub async fn leave(mut self, how: Departure) {
        let link = self.link;
        self.left = true;
        self.send(Command::Gone { link, how }).await;
    }

    /// Waits until the room has ended, which it does under a seated socket only by a bug
    /// or because the server stops.
    pub async fn ended(&self) {
        self.mailbox.closed().await;
    }

    /// Sends a command; a room that has ended needs none.
    async fn send(&self, command: Command) {
        let _ = self.mailbox.send(Letter::Command(command)).await;
    }
}
