//! What the server says.

use super::{
    CallPerson, ChatMessage, Codec, Devices, Emoji, Epoch, ErrorCode, IceServer, Leg, MessageId,
    Mode, Nickname, ParticipantId, PersonQuality, RoomName, Seq, SessionToken, Signal, Slot,
    Source, Speaker,
};
use serde::{Deserialize, Serialize};

/// One frame from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The open rooms, fullest first; the answer to `watch_rooms`.
    Rooms(Rooms),
    /// What is different of the open rooms.
    RoomsChanged(RoomsChanged),
    /// The answer to `join`: the room as it is.
    Joined(Joined),
    /// Something was said. The author's own copy is the acknowledgement.
    Chat(ChatMessage),
    /// A message is different now: edited, deleted or reacted to. The copy of whoever
    /// asked for it is the acknowledgement.
    Changed {
        /// The place of this event in the room's order.
        seq: Seq,
        /// The whole message as it is now.
        message: ChatMessage,
    },
    /// Somebody gave a message an emoji, or took it back: an event like `changed`, told without
    /// the message.
    Reaction {
        /// The place of this event in the room's order.
        seq: Seq,
        /// Which message.
        id: MessageId,
        /// Which emoji.
        emoji: Emoji,
        /// Who.
        from: ParticipantId,
        /// Whether it is given.
        on: bool,
    },
    /// Somebody is typing.
    Typing {
        /// Who.
        id: ParticipantId,
    },
    /// Somebody came in, or came back.
    Entered {
        /// Who.
        person: Person,
        /// How many are in the room now.
        count: u32,
        /// Whether they were here a moment ago and only their line was down.
        #[serde(default, skip_serializing_if = "is_false")]
        back: bool,
    },
    /// Somebody is called something else now.
    Renamed {
        /// Who, with the new nickname.
        person: Person,
        /// The nickname they had.
        was: Nickname,
    },
    /// Somebody is gone, or their line is down.
    Left {
        /// Who.
        person: Person,
        /// How many are in the room now.
        count: u32,
        /// Whether only their line is down: they keep their place for 120 s, and then
        /// comes `gone`.
        #[serde(default, skip_serializing_if = "is_false")]
        away: bool,
    },
    /// Somebody who was away did not come back.
    Gone {
        /// Who.
        person: Person,
    },
    /// Older messages, the answer to `history`.
    History {
        /// Oldest first.
        messages: Vec<ChatMessage>,
        /// Whether there are older ones still.
        more: bool,
    },
    /// The answer to `enter_call`: the call as it is, oneself included.
    Call {
        /// Who is in it.
        people: Vec<CallPerson>,
        /// For `RTCPeerConnection`.
        ice_servers: Vec<IceServer>,
        /// How media goes at the moment.
        #[serde(default)]
        mode: Mode,
        /// The connection to the SFU that this stay has already, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<u32>,
    },
    /// Media goes another way from now on.
    MediaMode {
        /// How.
        mode: Mode,
    },
    /// The answer to `offer`.
    Answer {
        /// Which connection.
        connection: u32,
        /// Which offer of it.
        offer_id: u32,
        /// The description (RFC 8866), candidates included.
        sdp: String,
    },
    /// The SFU has no such connection (any more): one makes a fresh one.
    MediaClosed {
        /// Which.
        connection: u32,
    },
    /// What some slots of one's connection carry from now on.
    Slots {
        /// Those that are different now.
        slots: Vec<Slot>,
    },
    /// Which layers of pictures of one's own are watched by anybody.
    Layers {
        /// Which source.
        source: Source,
        /// Their `rid`s (RFC 8852), empty for one that is alone; the others may be switched
        /// off.
        rids: Vec<String>,
    },
    /// In which codec a source of one's own is to be sent from now on, by those who can
    /// change it.
    Codec {
        /// Which source.
        source: Source,
        /// The codec.
        codec: Codec,
    },
    /// Who is heard.
    Speakers {
        /// Loudest first; at most a handful.
        loudest: Vec<Speaker>,
        /// Who has the floor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dominant: Option<ParticipantId>,
    },
    /// How good the connections of some people are now.
    Qualities {
        /// Those that are different now.
        people: Vec<PersonQuality>,
    },
    /// Somebody entered the call, or came back to it with the same leg.
    CallEntered {
        /// Who.
        person: CallPerson,
    },
    /// Somebody left the call.
    CallLeft {
        /// Who.
        id: ParticipantId,
        /// Which stay of theirs ended.
        leg: Leg,
        /// Whether only their line is down: a connection to them that works goes on.
        #[serde(default, skip_serializing_if = "is_false")]
        away: bool,
    },
    /// Somebody switched a device on or off.
    Devices {
        /// Who.
        id: ParticipantId,
        /// What is on now.
        devices: Devices,
    },
    /// Somebody in the call tells something about the connection to them.
    Signal {
        /// Who; set by the server.
        from: ParticipantId,
        /// Which stay of theirs; set by the server.
        leg: Leg,
        /// What.
        signal: Signal,
    },
    /// Something was refused.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people, in English.
        message: String,
        /// The chat message it answers, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<MessageId>,
    },
    /// Yes, I am.
    Pong,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The open rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rooms {
    /// Fullest first, at most 100.
    pub rooms: Vec<RoomSummary>,
}

/// What is different of the open rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsChanged {
    /// Rooms with other numbers, or that are new in the list.
    pub rooms: Vec<RoomSummary>,
    /// Rooms that are not in the list any more.
    pub gone: Vec<RoomName>,
}

impl RoomsChanged {
    /// Makes the change in a list that is in order, and keeps it so: fullest first, then by
    /// name.
    pub fn apply(self, list: &mut Vec<RoomSummary>) {
        let changed = |known: &RoomSummary| {
            self.gone.contains(&known.name) || self.rooms.iter().any(|r| r.name == known.name)
        };
        list.retain(|known| !changed(known));
        for room in self.rooms {
            let comes_before =
                |known: &RoomSummary| (known.people, &room.name) > (room.people, &known.name);
            let place = list.iter().position(|known| !comes_before(known));
            list.insert(place.unwrap_or(list.len()), room);
        }
    }
}

/// The room as it is when one comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Who one is here.
    #[serde(rename = "self")]
    pub me: ParticipantId,
    /// The secret to come back with.
    pub session: SessionToken,
    /// The log `seq` counts in.
    pub epoch: Epoch,
    /// The newest event.
    pub seq: Seq,
    /// Whether this goes on where `resume` said; then `history` holds only what was missed.
    pub resumed: bool,
    /// Everybody here, oneself included, in order of arrival.
    pub people: Vec<Person>,
    /// Chat messages, oldest first.
    pub history: Vec<ChatMessage>,
    /// Where `resumed`: messages from before that are different now, as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChatMessage>,
    /// Whether there are messages older than `history` (or, resumed, than it was before).
    pub more: bool,
    /// Everybody in the call.
    pub call: Vec<CallPerson>,
}

/// Somebody, under the nickname of the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub id: ParticipantId,
    /// What they are called.
    pub nickname: Nickname,
    /// What the nickname looks like, where its [`super::text::key`] does not say so by
    /// itself. People with the same look are told apart by their ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
}

impl Person {
    /// Somebody under a nickname. Only the server knows looks: where this is called in the
    /// browser there is none.
    pub fn new(id: ParticipantId, nickname: Nickname) -> Self {
        #[cfg(feature = "ssr")]
        let look = super::text::look(nickname.as_str());
        #[cfg(not(feature = "ssr"))]
        let look = None;
        Self { id, nickname, look }
    }
}

/// An open room as the welcome page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSummary {
    /// Its name.
    pub name: RoomName,
    /// How many people are in it.
    pub people: u32,
    /// How many of them are in the call.
    pub in_call: u32,
}
