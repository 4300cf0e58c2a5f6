//! Messages of the server.

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
    /// The changes of the list of open rooms.
    RoomsChanged(RoomsChanged),
    /// The answer to `join`: the room as it is.
    Joined(Joined),
    /// A chat message. The author's copy is the acknowledgement.
    Chat(ChatMessage),
    /// A message was edited, deleted or reacted to. The requester's copy is the
    /// acknowledgement.
    Changed {
        /// The place of this event in the room's order.
        seq: Seq,
        /// The whole message as it is now.
        message: ChatMessage,
    },
    /// Somebody added or removed a reaction: an event like `changed`, without the message.
    Reaction {
        /// The place of this event in the room's order.
        seq: Seq,
        /// Id of the message.
        id: MessageId,
        /// The emoji in question.
        emoji: Emoji,
        /// The person who gave it or took it back.
        from: ParticipantId,
        /// Whether it is added; otherwise it is removed.
        on: bool,
    },
    /// Somebody is typing.
    Typing {
        /// Id of the person.
        id: ParticipantId,
    },
    /// Somebody joined the room, or reconnected.
    Entered {
        /// The person, with their nickname now.
        person: Person,
        /// How many are in the room now.
        count: u32,
        /// Whether they were here a moment ago and only their line was down.
        #[serde(default, skip_serializing_if = "is_false")]
        back: bool,
    },
    /// Somebody changed their nickname.
    Renamed {
        /// Who, with the new nickname.
        person: Person,
        /// The nickname they had.
        was: Nickname,
    },
    /// Somebody left, or lost their connection.
    Left {
        /// The person, with their nickname now.
        person: Person,
        /// How many are in the room now.
        count: u32,
        /// Whether only their line is down: they keep their place for 120 s, and then
        /// comes `gone`.
        #[serde(default, skip_serializing_if = "is_false")]
        away: bool,
    },
    /// Somebody who was away did not reconnect.
    Gone {
        /// The person, with their nickname now.
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
    /// Media changes between browser to browser and the SFU.
    MediaMode {
        /// The mode from now on.
        mode: Mode,
    },
    /// The answer to `offer`.
    Answer {
        /// Number of the connection, counted by the client.
        connection: u32,
        /// Which offer of it.
        offer_id: u32,
        /// The description (RFC 8866), candidates included.
        sdp: String,
    },
    /// The SFU has no such connection (any more): one makes a fresh one.
    MediaClosed {
        /// Number of the connection, counted by the client.
        connection: u32,
    },
    /// The changed slots of the connection to the SFU.
    Slots {
        /// Only those that changed.
        slots: Vec<Slot>,
    },
    /// Which layers of pictures of one's own are watched by anybody.
    Layers {
        /// The source of this client.
        source: Source,
        /// Their `rid`s (RFC 8852), empty for one that is alone; the others may be switched
        /// off.
        rids: Vec<String>,
    },
    /// In which codec a source of one's own is to be sent from now on, by those who can
    /// change it.
    Codec {
        /// The source of this client.
        source: Source,
        /// The codec to encode in.
        codec: Codec,
    },
    /// The loudest speakers and the dominant one.
    Speakers {
        /// Loudest first.
        loudest: Vec<Speaker>,
        /// The dominant speaker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dominant: Option<ParticipantId>,
    },
    /// Changed ratings of people's connections.
    Qualities {
        /// Only those that changed.
        people: Vec<PersonQuality>,
    },
    /// Somebody entered the call, or came back to it with the same leg.
    CallEntered {
        /// The person, with the leg and devices of this stay.
        person: CallPerson,
    },
    /// Somebody left the call.
    CallLeft {
        /// Id of the person.
        id: ParticipantId,
        /// Which stay of theirs ended.
        leg: Leg,
        /// Whether only their line is down: a connection to them that works goes on.
        #[serde(default, skip_serializing_if = "is_false")]
        away: bool,
    },
    /// Somebody's devices changed.
    Devices {
        /// Id of the person.
        id: ParticipantId,
        /// Their devices now.
        devices: Devices,
    },
    /// Somebody in the call tells something about the connection to them.
    Signal {
        /// Who; set by the server.
        from: ParticipantId,
        /// Which stay of theirs; set by the server.
        leg: Leg,
        /// A description or candidate of the sender.
        signal: Signal,
    },
    /// Something was refused.
    Error {
        /// Stable code for programs.
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

/// The changes of the list of open rooms.
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
    /// Id of the person.
    pub id: ParticipantId,
    /// What they are called.
    pub nickname: Nickname,
    /// What the nickname looks like, where its [`super::text::key`] does not say so by
    /// itself. The ids tell people with the same look apart.
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
    /// Name of the room.
    pub name: RoomName,
    /// How many people are in it.
    pub people: u32,
    /// How many of them are in the call.
    pub in_call: u32,
}
