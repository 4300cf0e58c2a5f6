//! Between the rooms and the store: a room loads the end of its log when it opens, appends to it,
//! and removes the messages that the retention has deleted.

use super::{message::RoomMessage, registry::Rooms};
use crate::server::rooms::{core::command::Command, core::history::History, core::room::Room};
use crate::{
    protocol::{Epoch, MAX_HISTORY_PAGE, RoomName, Seq},
    server::authority::Authority,
    server::store::{Appended, Change, Changed, NewMessage, Page, RoomRow, StoreError},
};
use std::sync::atomic::Ordering;

impl Rooms {
    /// Loads a room with the end of its log.
    pub(super) async fn load(&self, name: &RoomName) -> Result<Room, StoreError> {
        match self.inner.store.room(name).await? {
            Some(row) => self.load_log(name, row).await,
            None => Ok(self.new_room(name)),
        }
    }

    /// Loads the end of the log of a stored room.
    pub(super) async fn load_log(&self, name: &RoomName, row: RoomRow) -> Result<Room, StoreError> {
        let store = &self.inner.store;
        let RoomRow {
            epoch,
            seq,
            authority,
        } = row;
        let newest = store.page(name, None, MAX_HISTORY_PAGE).await?;
        let changes = store.changes(name, MAX_HISTORY_PAGE).await?;
        // Events before the oldest of each page are unknown.
        let said = newest.messages.first().filter(|_| newest.more);
        let changed = changes.messages.first().filter(|_| changes.more);
        let floor = said.map_or(0, |message| message.seq - 1);
        let floor = changed.map_or(floor, |message| floor.max(message.changed - 1));
        let pinned = store.pinned(name).await?;
        let history = History::new(seq, floor, newest, changes.messages).with_pins(&pinned);
        Ok(self.with_log(name, epoch, history, authority))
    }

    /// A room that is not stored.
    pub(super) fn new_room(&self, name: &RoomName) -> Room {
        let epoch = self.inner.store.fresh_epoch();
        let empty = History::new(0, 0, Page::default(), Vec::new());
        self.with_log(name, epoch, empty, None)
    }

    /// A room without members.
    fn with_log(
        &self,
        name: &RoomName,
        epoch: Epoch,
        history: History,
        authority: Option<Authority>,
    ) -> Room {
        let rules = self.inner.rules.clone();
        let is_hostless = |authority: &Authority| *authority == Authority::default();
        let authority = authority.filter(|known| !(rules.claim_rooms && is_hostless(known)));
        Room::new(name.clone(), epoch, history, authority, rules)
    }

    /// Changes a stored message.
    pub(super) async fn change(
        &self,
        name: &RoomName,
        change: Change,
    ) -> Result<Changed, StoreError> {
        self.inner.store.change(name, change).await
    }

    /// Stores a message and counts it.
    pub(super) async fn append(
        &self,
        name: &RoomName,
        message: NewMessage,
    ) -> Result<Appended, StoreError> {
        let appended = self.inner.store.append(name, message).await?;
        if !appended.duplicate {
            self.inner.messages.fetch_add(1, Ordering::Relaxed);
        }
        Ok(appended)
    }

    /// Removes messages that were deleted from the log from the room, if it is open.
    pub async fn on_deleted(&self, name: &RoomName, deleted: Vec<Seq>) {
        let mailbox = self
            .lock()
            .rooms
            .get(name)
            .map(|entry| entry.mailbox.clone());
        if let Some(mailbox) = mailbox {
            let _ = mailbox
                .send(RoomMessage::Command(Command::Deleted(deleted)))
                .await;
        }
    }
}
