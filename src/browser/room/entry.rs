//! Entering the room: the password, the invite and the lobby.

use crate::browser::dom::clock::now_ms;
use crate::browser::dom::{invite_link, storage};
use crate::browser::room::controller::RoomController;
use crate::protocol::{
    ErrorCode, InviteToken, Joined, Nickname, RoomName, RoomPassword, SessionToken,
};
use crate::state::RoomStateStoreFields;
use crate::state::entry::Barrier;
use leptos::prelude::*;

/// What the controller shows with each `join`, so that the room admits this participant.
#[derive(Default)]
pub(super) struct Credentials {
    /// The invite of a link. The tab keeps it.
    pub invite: Option<InviteToken>,
    /// The password that was typed, or that the tab keeps because it was right.
    pub password: Option<RoomPassword>,
    /// What the hosts read in the lobby.
    pub line: Option<String>,
}

impl Credentials {
    /// The invite of the link that opened this page, or what the tab keeps.
    pub fn of(room: &RoomName) -> Self {
        let of_link = invite_link::taken(room);
        if let Some(invite) = &of_link {
            storage::set_invite(room, Some(invite));
        }
        Self {
            invite: of_link.or_else(|| storage::invite(room)),
            password: storage::password(room),
            line: None,
        }
    }
}

impl RoomController {
    /// Asks to enter with a password.
    pub fn enter_with(&self, password: RoomPassword) {
        self.credentials.borrow_mut().password = Some(password);
        self.connect();
    }

    /// Asks to enter without the invite of this tab.
    pub fn drop_invite(&self) {
        self.credentials.borrow_mut().invite = None;
        storage::set_invite(&self.room, None);
        self.connect();
    }

    /// Asks to enter with this nickname and, in the lobby, with this line for the hosts.
    pub fn knock(&self, nickname: Nickname, line: Option<String>) {
        storage::set_cookie(crate::api::NICKNAME_COOKIE, nickname.as_str());
        *self.nickname.borrow_mut() = nickname;
        self.credentials.borrow_mut().line = line;
        self.remember_identity();
        self.state
            .entry()
            .update(|entry| entry.line_refused = false);
        self.connect();
    }

    /// The address got an invite while the page is open: joins again with it.
    pub(super) fn on_invite_link(&self) {
        if let Some(invite) = invite_link::take_from_address() {
            storage::set_invite(&self.room, Some(&invite));
            self.credentials.borrow_mut().invite = Some(invite);
            self.connect();
        }
    }

    /// A host has to admit this participant. The session keeps the place.
    pub(super) fn on_waiting(&self, session: &SessionToken) {
        self.on_live();
        *self.session.borrow_mut() = Some(session.clone());
        self.remember_identity();
        self.keep_password();
    }

    /// The room has admitted this participant: what was shown was right. An invite may have
    /// another nickname.
    pub(super) fn on_admitted(&self, joined: &Joined) {
        self.keep_password();
        let mut people = joined.people.iter();
        if let Some(me) = people.find(|person| person.id == joined.me) {
            *self.nickname.borrow_mut() = me.nickname.clone();
        }
    }

    fn keep_password(&self) {
        let password = self.credentials.borrow().password.clone();
        storage::set_password(&self.room, password.as_ref());
    }

    /// The room does not admit this participant.
    pub(super) fn on_outside(&self) {
        self.timers.borrow_mut().banner = None;
        self.cancel_upgrade();
        match self.state.connection().read_untracked().admission.barrier() {
            // The message with the times may be on its way.
            Some(Barrier::NotOpen) => return self.wait_for_opening(),
            Some(Barrier::WrongPassword) => {
                self.credentials.borrow_mut().password = None;
                storage::set_password(&self.room, None);
            }
            Some(_) | None => {}
        }
        self.transport.borrow_mut().take();
    }

    /// Tries again when the room opens, as far as that is known.
    pub(super) fn wait_for_opening(&self) {
        let window = self.state.entry().read_untracked().window;
        let attempts = self.state.connection().read_untracked().attempts;
        let delay = window.opening_delay(now_ms(), attempts, js_sys::Math::random());
        if let Some(delay) = delay {
            self.connect_in(delay);
        }
    }

    /// The server refused the line for the hosts: asks to enter without it. Returns whether the error
    /// concerns a line.
    pub(super) fn on_line_refused(&self, code: ErrorCode) -> bool {
        let is_line = code == ErrorCode::BadText && self.credentials.borrow().line.is_some();
        if is_line {
            self.credentials.borrow_mut().line = None;
            self.state.entry().update(|entry| entry.line_refused = true);
            self.connect();
        }
        is_line
    }
}
