//! State of the page, as plain data that [`ServerMessage`]s change.
//!
//! [`RoomState::apply`] is the whole of it and is pure: no clock, no socket, no
//! signal. In the browser the same parts sit in a store, and [`apply_to_store`]
//! lets each part tell its own readers, so that a message never redraws the people.

pub mod announce;
pub mod batch;
pub mod call;
pub mod codecs;
pub mod connection;
pub mod devices;
pub mod duplicate_names;
pub mod layers;
pub mod log;
pub mod migration;
pub mod minify_sdp;
pub mod negotiation;
pub mod outbox;
pub mod prejoin;
pub mod reachability;
pub mod read_marker;
pub mod rows;
pub mod statistics;
pub mod transport;

use crate::protocol::{Epoch, Joined, Nickname, ParticipantId, Person, Seq, ServerMessage};
use connection::ConnectionState;
use leptos::prelude::*;
use log::Log;
use reactive_stores::Store;
use read_marker::ReadMarker;
use serde::{Deserialize, Serialize};

/// A room as one person sees it; the call is in [`call::CallState`].
#[derive(Debug, Clone, PartialEq, Default, Store)]
pub struct RoomState {
    /// The people of the room, and which of them is at this page.
    pub people: People,
    /// Messages and notices.
    pub log: Log,
    /// State of the connection to the server.
    pub connection: ConnectionState,
    /// Who is typing, except this person. The controller removes them after a timeout.
    pub typing: Typing,
    /// The read position.
    pub read_marker: ReadMarker,
}

/// Who is typing, in order of when they began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Typing(pub Vec<ParticipantId>);

impl Typing {
    /// Takes in what a message says of typing. True where anything changed.
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
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => false,
        }
    }

    /// Somebody stopped. True where they were typing.
    pub fn stop(&mut self, id: &ParticipantId) -> bool {
        let before = self.0.len();
        self.0.retain(|known| known != id);
        self.0.len() != before
    }
}

/// Who is here, in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct People {
    /// Oneself, once the server has said so.
    pub me: Option<ParticipantId>,
    /// Everybody, oneself included once joined.
    pub here: Vec<Person>,
}

/// Where a log stands; what `resume` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The log `seq` counts in.
    pub epoch: Epoch,
    /// The newest event seen.
    pub seq: Seq,
}

impl People {
    /// Somebody who is here.
    fn person(&self, id: &ParticipantId) -> Option<&Person> {
        self.here.iter().find(|person| person.id == *id)
    }

    /// The nickname of somebody who is here.
    pub fn nickname(&self, id: &ParticipantId) -> Option<&Nickname> {
        self.person(id).map(|person| &person.nickname)
    }

    /// Oneself, once joined.
    pub fn myself(&self) -> Option<&Person> {
        self.me.as_ref().and_then(|me| self.person(me))
    }

    /// One's own nickname, once joined.
    pub fn my_nickname(&self) -> Option<&Nickname> {
        self.myself().map(|person| &person.nickname)
    }

    /// Whether this is oneself.
    pub fn is_me(&self, id: &ParticipantId) -> bool {
        self.me.as_ref().is_some_and(|me| me.is_author(id))
    }

    /// Takes in what a message says of people. True where anything changed.
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
    /// Takes in one message.
    pub fn apply(&mut self, message: &ServerMessage) {
        self.people.apply(message);
        self.log.apply(message);
        self.connection.apply(message);
        self.typing.apply(message);
    }
}

/// [`RoomState::apply`] on a store: only the parts that changed tell their readers.
pub fn apply_to_store(state: Store<RoomState>, message: &ServerMessage) {
    state.people().maybe_update(|people| people.apply(message));
    state.log().maybe_update(|log| log.apply(message));
    state
        .connection()
        .maybe_update(|connection| connection.apply(message));
    state.typing().maybe_update(|typing| typing.apply(message));
}

#[cfg(test)]
mod tests;
