//! How the operator reaches rooms: commands, a look into one room, announcements to all.

use super::{message::RoomMessage, registry::Rooms};
use crate::server::rooms::core::{
    command::Command,
    operator::{Attendee, OperatorCommand},
    room::Room,
};
use crate::{
    protocol::{ChatText, HostKey, Mode, RoomName},
    server::{authority::HostKeyHash, sfu::ConnectionReport},
};
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// How long a room or a media thread may take to answer. 1 s: a busy one answers within
/// milliseconds, and the page shows the rest without it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A room as the operator sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomReport {
    /// Everybody here, in order of arrival.
    pub people: Vec<Attendee>,
    /// Whether the call's media goes browser to browser.
    pub mode: Mode,
    /// The connections to the SFU; at most 200.
    pub connections: Vec<ConnectionReport>,
}

/// The answer of a room's actor, before the SFU has answered.
pub struct Inspection {
    /// Everybody here, in order of arrival.
    people: Vec<Attendee>,
    /// The topology of the call's media.
    mode: Mode,
    /// The answer of the SFU; none where the room has no media there.
    connections: Option<oneshot::Receiver<Vec<ConnectionReport>>>,
}

impl Inspection {
    /// The state of a room, and the answer of the SFU.
    pub(super) fn of(
        room: &Room,
        connections: Option<oneshot::Receiver<Vec<ConnectionReport>>>,
    ) -> Self {
        let (people, mode) = room.attendees();
        Self {
            people,
            mode,
            connections,
        }
    }
}

impl Rooms {
    /// Runs a command of the operator in an open room. Returns whether that changed anything.
    pub async fn operate(&self, name: &RoomName, command: OperatorCommand) -> bool {
        let (reply, replied) = oneshot::channel();
        let message = RoomMessage::Operator { command, reply };
        let Some(mailbox) = self.open_mailbox(name) else {
            return false;
        };
        let asked = async { mailbox.send(message).await.is_ok() && replied.await == Ok(true) };
        timeout(ANSWER_TIMEOUT, asked).await.unwrap_or(false)
    }

    /// Gives a room that is open or stored a new host key. Returns whether there is such a room.
    pub async fn set_host_key(&self, name: &RoomName, key: &HostKey) -> bool {
        let Some(room) = self.find(name).await else {
            return false;
        };
        let command = OperatorCommand::SetHostKey(HostKeyHash::of(key));
        let set = timeout(ANSWER_TIMEOUT, room.operate(command)).await;
        matches!(set, Ok(Ok(true)))
    }

    /// An open room as the operator sees it; nothing for a room that is not open.
    pub async fn inspect(&self, name: &RoomName) -> Option<RoomReport> {
        let mailbox = self.open_mailbox(name)?;
        let (reply, replied) = oneshot::channel();
        let asked = async {
            mailbox.send(RoomMessage::Inspect(reply)).await.ok()?;
            replied.await.ok()
        };
        let Inspection {
            people,
            mode,
            connections,
        } = timeout(ANSWER_TIMEOUT, asked).await.ok().flatten()?;
        let connections = match connections {
            Some(connections) => timeout(ANSWER_TIMEOUT, connections).await,
            None => Ok(Ok(Vec::new())),
        };
        Some(RoomReport {
            people,
            mode,
            connections: connections.ok().and_then(Result::ok).unwrap_or_default(),
        })
    }

    /// Sends an announcement to every open room. Returns the number of rooms.
    pub async fn announce(&self, text: &ChatText) -> usize {
        let mailboxes: Vec<_> = {
            let open = self.lock();
            open.rooms
                .values()
                .map(|entry| entry.mailbox.clone())
                .collect()
        };
        let mut rooms = 0;
        for mailbox in mailboxes {
            let command = Command::Operator(OperatorCommand::Announce(text.clone()));
            let sent = mailbox.send_timeout(RoomMessage::Command(command), ANSWER_TIMEOUT);
            rooms += usize::from(sent.await.is_ok());
        }
        rooms
    }

    /// The mailbox of an open room.
    fn open_mailbox(&self, name: &RoomName) -> Option<mpsc::Sender<RoomMessage>> {
        let open = self.lock();
        open.rooms.get(name).map(|entry| entry.mailbox.clone())
    }
}
