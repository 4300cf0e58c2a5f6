//! Messages from the server to a client.

use super::{
    Ban, CallPerson, ChatMessage, ChatText, Codec, Devices, Emoji, Epoch, ErrorCode, HostKey,
    IceServer, Invite, InviteId, Knock, Leg, MessageId, Mode, Nickname, ParticipantId,
    PersonQuality, Pin, Role, RoleOf, RoomName, RoomSettings, Seq, SessionToken, Signal, Slot,
    Source, Speaker,
};
use serde::{Deserialize, Serialize};

/// One frame from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The open rooms, most participants first; the reply to `watch_rooms`.
    Rooms(Rooms),
    /// Changes to the list of open rooms.
    RoomsChanged(RoomsChanged),
    /// The reply to `join`: the room's current state.
    Joined(Joined),
    /// A chat message. The copy that the author receives is the acknowledgement.
    Chat(ChatMessage),
    /// A message was edited, deleted or reacted to. The copy that the requester receives is
    /// the acknowledgement.
    Changed {
        /// Sequence number of this event in the room's log.
        seq: Seq,
        /// The whole message after the change.
        message: ChatMessage,
    },
    /// A participant added or removed a reaction: an event like `changed`, without the
    /// message.
    Reaction {
        /// Sequence number of this event in the room's log.
        seq: Seq,
        /// Id of the message.
        id: MessageId,
        /// The emoji of the reaction.
        emoji: Emoji,
        /// The participant who reacted.
        from: ParticipantId,
        /// Whether the reaction is added; otherwise it is removed.
        on: bool,
    },
    /// A participant is typing.
    Typing {
        /// Id of the participant.
        id: ParticipantId,
    },
    /// A participant joined the room, or reconnected.
    Entered {
        /// The participant, with the current nickname.
        person: Person,
        /// Participants in the room after this event.
        count: u32,
        /// Whether the participant only reconnected after a lost connection.
        #[serde(default, skip_serializing_if = "is_false")]
        back: bool,
        /// The participant's role.
        #[serde(default, skip_serializing_if = "Role::is_default")]
        role: Role,
    },
    /// A participant changed their nickname.
    Renamed {
        /// The participant, with the new nickname.
        person: Person,
        /// The previous nickname.
        was: Nickname,
    },
    /// A participant left, or lost their connection.
    Left {
        /// The participant, with the current nickname.
        person: Person,
        /// Participants in the room after this event.
        count: u32,
        /// Whether only the connection was lost. The participant may resume within 120 s; `gone`
        /// follows if they do not.
        #[serde(default, skip_serializing_if = "is_false")]
        away: bool,
    },
    /// A participant who was away did not reconnect in time.
    Gone {
        /// The participant, with the current nickname.
        person: Person,
    },
    /// The operator of the server announces something in every open room, or a host in this one.
    /// Not in the log.
    Announcement {
        /// The announcement, at most [`super::MAX_ANNOUNCEMENT_CHARS`] characters.
        text: ChatText,
        /// The host; the operator if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Person>,
    },
    /// The role of a participant changed.
    RoleChanged {
        /// Sequence number of this event in the room's log; absent if the role lasts only while
        /// every host is away, or if a participant showed the host key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<Seq>,
        /// Id of the participant, who need not be in the room.
        id: ParticipantId,
        /// The new role.
        role: Role,
        /// Id of the participant who changed it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ParticipantId>,
    },
    /// The settings of the room changed.
    RoomChanged {
        /// Sequence number of this event in the room's log.
        seq: Seq,
        /// The settings from now on.
        room: RoomSettings,
        /// Id of the participant who changed them; absent for the operator.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ParticipantId>,
    },
    /// What hosts have muted of this participant changed. Muted devices are off.
    Muted {
        /// All muted sources; they replace those of the message before.
        sources: Vec<Source>,
        /// Whether this participant may switch the microphone on.
        may_unmute: bool,
        /// Id of the host, if one caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ParticipantId>,
    },
    /// A host asks this participant to switch the microphone on, which is allowed now.
    AskedToUnmute {
        /// Id of the host.
        by: ParticipantId,
    },
    /// The reply to `join` where a host has to admit the participant, and later news about it. The
    /// room sends nothing else until `joined`.
    Waiting {
        /// Id of the participant.
        #[serde(rename = "self")]
        me: ParticipantId,
        /// The secret with which the client keeps its place after a lost connection.
        session: SessionToken,
        /// The place in the lobby, from 1.
        place: u32,
        /// Whether anybody is in the room who can admit the participant.
        host_here: bool,
        /// When the wait ends, in milliseconds since the Unix epoch.
        until: i64,
    },
    /// A host turned this participant away from the lobby; the socket closes.
    Denied {
        /// The reason that the host wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ChatText>,
    },
    /// Who waits in the lobby, for those who may admit them.
    Lobby {
        /// How many people wait.
        count: u32,
        /// Those who wait longest, at most [`super::LOBBY_WINDOW`].
        people: Vec<Knock>,
    },
    /// When the room is open. Precedes the error `not_open`; sent to everybody in the room five
    /// minutes before it closes.
    Window {
        /// When the room opens, in milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opens: Option<i64>,
        /// When the room closes, in milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<i64>,
    },
    /// Whether a host is in the room, and which co-host acts as host meanwhile. Sent to everybody
    /// when that changes, and after `joined` while no host is there.
    Hosts {
        /// Whether a host is in the room.
        here: bool,
        /// Id of the co-host who acts as host, or does so from a time on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acting: Option<ParticipantId>,
        /// When the co-host starts to act as host, in milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<i64>,
    },
    /// The reply to `invites`, `create_invite` and `revoke_invite`.
    Invites {
        /// All invites that have not expired, oldest first.
        invites: Vec<Invite>,
        /// Id of the new invite, in the reply to `create_invite`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created: Option<InviteId>,
    },
    /// A host ends the stay of this participant; the socket closes.
    Removed {
        /// The reason that the host wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ChatText>,
        /// Id of the host.
        by: ParticipantId,
        /// Whether the participant is kept out of the room.
        #[serde(default, skip_serializing_if = "is_false")]
        banned: bool,
    },
    /// The reply to `bans`, and to a change of them.
    Bans {
        /// The bans that have not expired, oldest first.
        bans: Vec<Ban>,
    },
    /// Older messages, the reply to `history`.
    History {
        /// One page of messages, in order of `seq`.
        messages: Vec<ChatMessage>,
        /// Whether older messages remain.
        more: bool,
    },
    /// The reply to `enter_call`: the call's current state, this participant included.
    Call {
        /// The participants of the call.
        people: Vec<CallPerson>,
        /// The `iceServers` of the client's `RTCPeerConnection`.
        ice_servers: Vec<IceServer>,
        /// The current topology of the call's media.
        #[serde(default)]
        mode: Mode,
        /// Number of the connection to the SFU that this leg already has, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<u32>,
    },
    /// The call's media moves between browser to browser and the SFU.
    MediaMode {
        /// The mode from now on.
        mode: Mode,
    },
    /// The reply to `offer`.
    Answer {
        /// Number of the connection, assigned by the client.
        connection: u32,
        /// Number of the answered offer within that connection.
        offer_id: u32,
        /// The description (RFC 8866), candidates included.
        sdp: String,
    },
    /// The SFU has no connection of this number; the client opens a new one.
    MediaClosed {
        /// Number of the connection, assigned by the client.
        connection: u32,
    },
    /// The changed slots of the connection to the SFU.
    Slots {
        /// Only those that changed.
        slots: Vec<Slot>,
    },
    /// The simulcast layers of this client's video that any participant receives.
    Layers {
        /// The source that this client sends.
        source: Source,
        /// The `rid`s (RFC 8852) of these layers. Video without simulcast has one layer whose
        /// `rid` is empty. The client may stop sending layers that are not listed.
        rids: Vec<String>,
    },
    /// The codec in which this client encodes a source from now on, if it can change codecs.
    Codec {
        /// The source that this client sends.
        source: Source,
        /// The codec to encode in.
        codec: Codec,
    },
    /// The loudest speakers and the dominant one.
    Speakers {
        /// The loudest audible participants, in descending order of level.
        loudest: Vec<Speaker>,
        /// The dominant speaker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dominant: Option<ParticipantId>,
    },
    /// Changed ratings of participants' connections to the SFU.
    Qualities {
        /// Only those that changed.
        people: Vec<PersonQuality>,
    },
    /// A participant entered the call, or re-entered it with the same leg.
    CallEntered {
        /// The participant, with the leg and devices of this stay.
        person: CallPerson,
    },
    /// A participant left the call.
    CallLeft {
        /// Id of the participant.
        id: ParticipantId,
        /// The leg that ended.
        leg: Leg,
        /// Whether only the participant's socket was lost: a working peer connection stays open.
        #[serde(default, skip_serializing_if = "is_false")]
        away: bool,
    },
    /// A participant's devices changed.
    Devices {
        /// Id of the participant.
        id: ParticipantId,
        /// The participant's current devices.
        devices: Devices,
    },
    /// A signal from another participant.
    Signal {
        /// Id of the sender, set by the server.
        from: ParticipantId,
        /// The sender's leg in the call, set by the server; absent for the direct connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leg: Option<Leg>,
        /// A description or candidate of the sender.
        signal: Signal,
    },
    /// The reply to `ice_servers`.
    IceServers {
        /// The `iceServers` of the client's `RTCPeerConnection`s to other participants.
        ice_servers: Vec<IceServer>,
        /// Whether the operator hides every address: the client uses relayed candidates only.
        #[serde(default, skip_serializing_if = "is_false")]
        relay_only: bool,
    },
    /// The server refused a message.
    Error {
        /// Stable code for programs.
        code: ErrorCode,
        /// A description in English, for people.
        message: String,
        /// Id of the refused chat message, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<MessageId>,
    },
    /// The reply to `ping`.
    Pong,
}

impl ServerMessage {
    /// The chat messages that this one holds.
    pub fn chat_messages_mut(&mut self) -> Vec<&mut ChatMessage> {
        match self {
            Self::Chat(message) | Self::Changed { message, .. } => vec![message],
            Self::Joined(joined) => joined
                .history
                .iter_mut()
                .chain(&mut joined.changed)
                .collect(),
            Self::History { messages, .. } => messages.iter_mut().collect(),
            Self::Rooms(_)
            | Self::RoomsChanged(_)
            | Self::Reaction { .. }
            | Self::Typing { .. }
            | Self::Entered { .. }
            | Self::Renamed { .. }
            | Self::Left { .. }
            | Self::Gone { .. }
            | Self::Announcement { .. }
            | Self::RoleChanged { .. }
            | Self::RoomChanged { .. }
            | Self::Muted { .. }
            | Self::AskedToUnmute { .. }
            | Self::Waiting { .. }
            | Self::Denied { .. }
            | Self::Lobby { .. }
            | Self::Window { .. }
            | Self::Hosts { .. }
            | Self::Invites { .. }
            | Self::Removed { .. }
            | Self::Bans { .. }
            | Self::Call { .. }
            | Self::MediaMode { .. }
            | Self::Answer { .. }
            | Self::MediaClosed { .. }
            | Self::Slots { .. }
            | Self::Layers { .. }
            | Self::Codec { .. }
            | Self::Speakers { .. }
            | Self::Qualities { .. }
            | Self::CallEntered { .. }
            | Self::CallLeft { .. }
            | Self::Devices { .. }
            | Self::Signal { .. }
            | Self::IceServers { .. }
            | Self::Error { .. }
            | Self::Pong => Vec::new(),
        }
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_true(flag: &bool) -> bool {
    *flag
}

fn yes() -> bool {
    true
}

/// The open rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rooms {
    /// Most participants first, at most 100 rooms.
    pub rooms: Vec<RoomSummary>,
}

/// Changes to the list of open rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsChanged {
    /// Rooms whose counts changed, or that are new in the list.
    pub rooms: Vec<RoomSummary>,
    /// Rooms that left the list.
    pub gone: Vec<RoomName>,
}

impl RoomsChanged {
    /// Applies the changes to a sorted list and keeps its order: most participants first, then
    /// by name.
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

/// The state of the room for a participant who joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Id of the participant who joined.
    #[serde(rename = "self")]
    pub me: ParticipantId,
    /// The secret with which the client resumes.
    pub session: SessionToken,
    /// The log that `seq` belongs to.
    pub epoch: Epoch,
    /// Sequence number of the newest event.
    pub seq: Seq,
    /// Whether the session resumed: then `history` has only the messages after `resume.seq`.
    pub resumed: bool,
    /// The participants in the room, this one included, in order of arrival.
    pub people: Vec<Person>,
    /// Chat messages, oldest first.
    pub history: Vec<ChatMessage>,
    /// If `resumed`: the current form of older messages that have changed since `resume.seq`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChatMessage>,
    /// The pinned messages, in the order of pinning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Whether there are messages older than `history`. False if `resumed`.
    pub more: bool,
    /// The participants in the call.
    pub call: Vec<CallPerson>,
    /// The role of this participant.
    #[serde(default, skip_serializing_if = "Role::is_default")]
    pub role: Role,
    /// The participants in the room whose role is not guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleOf>,
    /// The settings of the room.
    #[serde(default)]
    pub room: RoomSettings,
    /// The sources of this participant that a host has switched off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted: Vec<Source>,
    /// Whether this participant may switch the microphone on without a host.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub may_unmute: bool,
    /// The key of the room, if this `join` opened it: the client keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKey>,
}

/// A participant, with the nickname at the time of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Id of the participant.
    pub id: ParticipantId,
    /// The participant's nickname.
    pub nickname: Nickname,
    /// The key of the nickname's skeleton (UTS 39), if it differs from the nickname's
    /// [`super::text::key`]. Clients show a part of the id for nicknames that look alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
}

impl Person {
    /// A participant with a nickname. `look` is `None` in the browser, which has no table of
    /// skeletons.
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
    /// Participants in the room.
    pub people: u32,
    /// Participants in the room's call.
    pub in_call: u32,
}
