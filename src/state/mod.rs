//! State of the page, as plain data that [`ServerMessage`]s change.
//!
//! [`RoomState::apply`] is pure: no clock, no socket, no signal. In the browser the parts are
//! fields of a store, and [`apply_to_store`] notifies the subscribers of the changed parts
//! only, so that a chat message does not redraw the list of people.

pub mod alert;
pub mod announce;
pub mod batch;
pub mod call;
pub mod check;
pub mod codecs;
pub mod completion;
pub mod connection;
pub mod devices;
pub mod duplicate_names;
pub mod emoji;
pub mod entry;
pub mod export;
pub mod files;
pub mod invites;
pub mod layers;
pub mod log;
pub mod mention;
pub mod migration;
pub mod minify_sdp;
pub mod moderation;
pub mod negotiation;
pub mod outbox;
pub mod pictures;
pub mod prejoin;
pub mod reachability;
pub mod read_marker;
pub mod rows;
pub mod slash;
pub mod standing;
pub mod statistics;
pub mod transfers;
pub mod transport;
pub mod uploads;

use crate::protocol::{Epoch, Joined, Nickname, ParticipantId, Person, Seq, ServerMessage};
use connection::ConnectionState;
use entry::Entry;
use leptos::prelude::*;
use log::Log;
use reactive_stores::Store;
use read_marker::ReadMarker;
use serde::{Deserialize, Serialize};
use standing::Standing;

/// A room as one participant sees it; the call is in [`call::CallState`].
#[derive(Debug, Clone, PartialEq, Default, Store)]
pub struct RoomState {
    /// The participants of the room, and which of them is this one.
    pub people: People,
    /// Messages and notices.
    pub log: Log,
    /// State of the connection to the server.
    pub connection: ConnectionState,
    /// What the server said about entering the room.
    pub entry: Entry,
    /// Other participants who are typing. The controller removes them after a timeout.
    pub typing: Typing,
    /// The read position.
    pub read_marker: ReadMarker,
    /// Roles, settings and mutes.
    pub standing: Standing,
}

/// The participants who are typing, in order of their start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Typing(pub Vec<ParticipantId>);

impl Typing {
    /// Applies a message of the server. Returns whether anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Typing { id } if !self.0.contains(id) => {
                self.0.push(id.clone());
                true
            }
            ServerMessage::Chat(message) => self.stop(&message.from.id),
            ServerMessage::Left { person, .. } => self.stop(&person.id),
            ServerMessage::Joined(_) => !std::mem::take(&mut self.0).is_empty(),
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Typing { .. }
            | ServerMessage::Entered { .. }
            | ServerMessage::Renamed { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::Announcement { .. }
            | ServerMessage::RoleChanged { .. }
            | ServerMessage::RoomChanged { .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Denied { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Hosts { .. }
            | ServerMessage::Invites { .. }
            | ServerMessage::History { .. }
            | ServerMessage::Call { .. }
            | ServerMessage::MediaMode { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::MediaClosed { .. }
            | ServerMessage::Slots { .. }
            | ServerMessage::Layers { .. }
            | ServerMessage::Codec { .. }
            | ServerMessage::Speakers { .. }
            | ServerMessage::Qualities { .. }
            | ServerMessage::CallEntered { .. }
            | ServerMessage::CallLeft { .. }
            | ServerMessage::Devices { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => false,
        }
    }

    /// Removes a participant. Returns whether they were typing.
    pub fn stop(&mut self, id: &ParticipantId) -> bool {
        let before = self.0.len();
        self.0.retain(|known| known != id);
        self.0.len() != before
    }
}

/// The participants of the room, in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct People {
    /// Id of this participant; `None` before the room is joined.
    pub me: Option<ParticipantId>,
    /// All participants, this one included once joined.
    pub here: Vec<Person>,
}

/// A position in a room's log, sent in `resume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The log that `seq` belongs to.
    pub epoch: Epoch,
    /// Sequence number of the newest event that the client has.
    pub seq: Seq,
}

impl People {
    /// A participant of the room.
    fn person(&self, id: &ParticipantId) -> Option<&Person> {
        self.here.iter().find(|person| person.id == *id)
    }

    /// The nickname of a participant of the room.
    pub fn nickname(&self, id: &ParticipantId) -> Option<&Nickname> {
        self.person(id).map(|person| &person.nickname)
    }

    /// This participant, once joined.
    pub fn myself(&self) -> Option<&Person> {
        self.me.as_ref().and_then(|me| self.person(me))
    }

    /// This participant's nickname, once joined.
    pub fn my_nickname(&self) -> Option<&Nickname> {
        self.myself().map(|person| &person.nickname)
    }

    /// Whether `id` is this participant.
    pub fn is_me(&self, id: &ParticipantId) -> bool {
        self.me.as_ref().is_some_and(|me| me.is_author(id))
    }

    /// Applies a message of the server. Returns whether anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(joined) => self.replace(joined),
            ServerMessage::Entered { person, .. } => self.enter(person),
            ServerMessage::Renamed { person, .. } => self.rename(person),
            ServerMessage::Left { person, .. } => self.leave(&person.id),
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Chat(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Typing { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::Announcement { .. }
            | ServerMessage::RoleChanged { .. }
            | ServerMessage::RoomChanged { .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Denied { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Hosts { .. }
            | ServerMessage::Invites { .. }
            | ServerMessage::History { .. }
            | ServerMessage::Call { .. }
            | ServerMessage::MediaMode { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::MediaClosed { .. }
            | ServerMessage::Slots { .. }
            | ServerMessage::Layers { .. }
            | ServerMessage::Codec { .. }
            | ServerMessage::Speakers { .. }
            | ServerMessage::Qualities { .. }
            | ServerMessage::CallEntered { .. }
            | ServerMessage::CallLeft { .. }
            | ServerMessage::Devices { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => false,
        }
    }

    fn replace(&mut self, joined: &Joined) -> bool {
        let next = Self {
            me: Some(joined.me.clone()),
            here: joined.people.clone(),
        };
        let changed = *self != next;
        *self = next;
        changed
    }

    fn enter(&mut self, person: &Person) -> bool {
        if self.here.iter().any(|known| known.id == person.id) {
            return self.rename(person);
        }
        self.here.push(person.clone());
        true
    }

    fn rename(&mut self, person: &Person) -> bool {
        let known = self.here.iter_mut().find(|known| known.id == person.id);
        match known {
            Some(known) if known != person => {
                *known = person.clone();
                true
            }
            _ => false,
        }
    }

    fn leave(&mut self, id: &ParticipantId) -> bool {
        let before = self.here.len();
        self.here.retain(|person| person.id != *id);
        self.here.len() != before
    }
}

impl RoomState {
    /// Applies one message of the server.
    pub fn apply(&mut self, message: &ServerMessage) {
        let notice = self.standing.notice_of(message, &self.people);
        self.people.apply(message);
        self.log.apply(message);
        if let Some(notice) = notice {
            self.log.add(notice);
        }
        self.connection.apply(message);
        self.entry.apply(message);
        self.typing.apply(message);
        self.standing.apply(message);
    }
}

/// [`RoomState::apply`] on a store: only changed parts notify their subscribers.
pub fn apply_to_store(state: Store<RoomState>, message: &ServerMessage) {
    let notice = {
        let (standing, people) = (state.standing(), state.people());
        let (standing, people) = (standing.read_untracked(), people.read_untracked());
        standing.notice_of(message, &people)
    };
    state.people().maybe_update(|people| people.apply(message));
    state.log().maybe_update(|log| {
        let has_changed = log.apply(message);
        notice.map_or(has_changed, |notice| log.add(notice))
    });
    state
        .connection()
        .maybe_update(|connection| connection.apply(message));
    state.entry().maybe_update(|entry| entry.apply(message));
    state.typing().maybe_update(|typing| typing.apply(message));
    state
        .standing()
        .maybe_update(|standing| standing.apply(message));
}

#[cfg(test)]
mod tests;
