//! What a request sees of a room.
//!
//! A stranger does not learn whether a hidden room exists, neither by the answer nor by the time
//! that the answer takes. A name that was never used, a hidden room that is stored and a hidden
//! room that is open take the same path: one look into the registry and one read of the row of the
//! name, which [`Store::room`] does in the same time for each. The answer is that for a name that
//! was never used. A room that is not hidden shows itself to everybody, so its path may differ.
//!
//! [`Store::room`]: crate::server::store::Store::room

use super::{message::RoomMessage, registry::Rooms};
use crate::{
    protocol::{ErrorCode, ParticipantId, RoomName},
    server::{
        authority::Authority,
        clock::Moment,
        log_throttle::{self, LogThrottle},
        rooms::{Reader, RoomError, RoomSnapshot, core::room::Visibility},
        store::{RoomRow, StoreError},
    },
};
use tokio::sync::{mpsc, oneshot};

/// What a reader finds under a name.
enum Found {
    /// No room, or one that is hidden from the reader.
    Nothing,
    /// An open room, by the mailbox of its actor.
    Open(mpsc::Sender<RoomMessage>),
    /// A stored room that is not open.
    Stored(RoomRow),
}

impl Rooms {
    /// Any room as a reader sees it. A room that is hidden from the reader is empty, like an unknown
    /// one and one that cannot be read.
    pub async fn snapshot(&self, name: &RoomName, reader: Option<&Reader>) -> RoomSnapshot {
        let read = self.try_snapshot(name, reader).await;
        let seen = read.ok().flatten();
        seen.unwrap_or_else(|| self.new_room(name).snapshot())
    }

    /// Whether there is a room of this name that a reader may see.
    ///
    /// # Errors
    /// [`RoomError::Unavailable`] if the store cannot be read.
    pub async fn is_visible(
        &self,
        name: &RoomName,
        reader: Option<&Reader>,
    ) -> Result<bool, RoomError> {
        match self.find_for(name, reader).await? {
            Found::Open(_) | Found::Stored(_) => Ok(true),
            Found::Nothing => Ok(false),
        }
    }

    /// Whether a participant has entered a room. Everybody else gets the same answer, whether or not
    /// there is such a room, and a hidden room is asked only about those whom it is not hidden from.
    ///
    /// # Errors
    /// [`RoomError::Unavailable`] if the store cannot be read.
    pub async fn is_here(&self, name: &RoomName, reader: &Reader) -> Result<bool, RoomError> {
        let Found::Open(mailbox) = self.find_for(name, Some(reader)).await? else {
            return Ok(false);
        };
        let (reply, replied) = oneshot::channel();
        let id = reader.id.clone();
        let _ = mailbox.send(RoomMessage::IsHere { id, reply }).await;
        Ok(replied.await.unwrap_or(false))
    }

    /// Whether a participant may upload a file for a room. Everybody who has not entered gets the
    /// same answer, whether or not there is such a room.
    ///
    /// # Errors
    /// Why they may not.
    pub async fn may_upload(&self, name: &RoomName, id: &ParticipantId) -> Result<(), ErrorCode> {
        let mailbox = {
            let open = self.lock();
            open.rooms.get(name).map(|entry| entry.mailbox.clone())
        };
        let mailbox = mailbox.ok_or(ErrorCode::NotJoined)?;
        let (reply, replied) = oneshot::channel();
        let id = id.clone();
        let _ = mailbox.send(RoomMessage::MayUpload { id, reply }).await;
        replied.await.unwrap_or(Err(ErrorCode::NotJoined))
    }

    /// A room as a reader sees it; nothing if there is none for the reader.
    async fn try_snapshot(
        &self,
        name: &RoomName,
        reader: Option<&Reader>,
    ) -> Result<Option<RoomSnapshot>, RoomError> {
        let row = match self.find_for(name, reader).await? {
            Found::Nothing => None,
            Found::Stored(row) => Some(row),
            Found::Open(mailbox) => {
                let (reply, replied) = oneshot::channel();
                let message = RoomMessage::Snapshot {
                    reader: reader.cloned(),
                    reply,
                };
                let _ = mailbox.send(message).await;
                if let Ok(snapshot) = replied.await {
                    return Ok(snapshot);
                }
                // The actor has ended meanwhile.
                self.stored_for(name, reader, false).await?
            }
        };
        let Some(row) = row else {
            return Ok(None);
        };
        let room = self.load_log(name, row).await?;
        Ok(Some(room.snapshot()))
    }

    /// Finds a room for a reader.
    async fn find_for(&self, name: &RoomName, reader: Option<&Reader>) -> Result<Found, RoomError> {
        let (mailbox, is_inside) = {
            let open = self.lock();
            match open.rooms.get(name) {
                None => (None, false),
                Some(entry) => {
                    let mailbox = entry.mailbox.clone();
                    match &entry.visibility {
                        Visibility::Everybody => return Ok(Found::Open(mailbox)),
                        Visibility::Inside(people) => {
                            let is_inside = reader.is_some_and(|one| people.contains(&one.id));
                            (Some(mailbox), is_inside)
                        }
                    }
                }
            }
        };
        let row = self.stored_for(name, reader, is_inside).await?;
        Ok(match (row, mailbox) {
            (None, _) => Found::Nothing,
            (Some(_), Some(mailbox)) => Found::Open(mailbox),
            (Some(row), None) => Found::Stored(row),
        })
    }

    /// Reads the row of a room, unless the room is hidden from the reader. A room whose authority
    /// cannot be read is hidden from everybody.
    async fn stored_for(
        &self,
        name: &RoomName,
        reader: Option<&Reader>,
        is_inside: bool,
    ) -> Result<Option<RoomRow>, RoomError> {
        static UNREADABLE: LogThrottle = LogThrottle::new();
        let row = match self.inner.store.room(name).await {
            Ok(row) => row,
            Err(error @ StoreError::BadRow(_)) => {
                log_throttle::error(&UNREADABLE, &error, "a room is hidden");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let now_ms = Moment::now().wall_ms;
        let is_known = |authority: &Authority| {
            reader.is_some_and(|one| authority.knows(&one.id, one.network, now_ms))
        };
        let is_visible = |row: &RoomRow| match &row.authority {
            Some(authority) => is_inside || !authority.is_hidden() || is_known(authority),
            None => true,
        };
        Ok(row.filter(is_visible))
    }
}
