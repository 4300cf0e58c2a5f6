//! The stored data of a room: identity, unsent messages, read position.

use crate::browser::dom::notification;
use crate::browser::dom::storage::{self, Identity};
use crate::browser::room::controller::RoomController;
use crate::protocol::{ClientMessage, ErrorCode, Nickname};
use crate::state::connection::Reason;
use crate::state::{Position, RoomStateStoreFields};
use leptos::prelude::*;

impl RoomController {
    /// Changes the nickname and stores it for the next room.
    pub fn rename(&self, nickname: Nickname) {
        storage::set_cookie(crate::api::NICKNAME_COOKIE, nickname.as_str());
        self.send(&ClientMessage::Nickname {
            nickname: nickname.to_string(),
        });
        *self.nickname.borrow_mut() = nickname;
        self.remember_identity();
        // The server refused the previous nickname: connect at once.
        let reason = self.state.connection().read_untracked().reason;
        if reason == Some(Reason::Join(ErrorCode::BadNickname)) {
            self.retry_now();
        }
    }

    pub(super) fn restore_pending(&self) {
        let pending = storage::pending(&self.room);
        if !pending.is_empty() {
            self.state.log().update(|log| log.pending = pending);
        }
    }

    pub(super) fn remember_identity(&self) {
        if let Some(session) = self.session.borrow().clone() {
            let nickname = self.nickname.borrow().clone();
            storage::set_identity(&self.room, Some(&Identity { session, nickname }));
        }
    }

    /// The page became visible or hidden.
    pub(super) fn on_visibility(&self, here: bool) {
        let newest = self.state.log().read_untracked().newest();
        let marker = self.state.read_marker();
        match here {
            true => {
                notification::close();
                marker.maybe_update(|marker| marker.on_visible(newest));
                self.probe();
            }
            false => {
                marker.maybe_update(|marker| marker.on_hidden(newest));
                self.remember_read();
            }
        }
    }

    /// Stores the read position.
    pub(super) fn remember_read(&self) {
        let log = self.state.log();
        let log = log.read_untracked();
        if let (Some(position), Some(seq)) = (&log.position, log.newest()) {
            let epoch = position.epoch.clone();
            storage::set_read(&self.room, &Position { epoch, seq });
        }
    }

    /// Restores the read position of an earlier visit.
    pub(super) fn restore_read(&self) {
        let log = self.state.log();
        let log = log.read_untracked();
        let epoch = log.position.as_ref().map(|position| &position.epoch);
        if let Some(read) = storage::read(&self.room).filter(|read| Some(&read.epoch) == epoch) {
            let newest = log.newest();
            self.state
                .read_marker()
                .update(|marker| marker.resume(read.seq, newest));
        }
    }
}
