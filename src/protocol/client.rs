//! Messages from a client to the server.

use super::{
    ChatDraft, Devices, Epoch, ErrorCode, HostKey, InviteDraft, InviteId, InviteToken, Leg,
    MediaOffer, MessageId, Obstacle, ParticipantId, Role, RoomPassword, Seq, SessionToken,
    SettingsChange, Signal, Source, Wanted,
};
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

/// How long a participant counts as typing after `typing`, in milliseconds.
pub const TYPING_LASTS_MS: u32 = 5_000;
/// Interval at which a client repeats `typing` while its user types, in milliseconds.
pub const TYPING_EVERY_MS: u32 = 3_000;

/// Declares the enum of messages, and a fieldless enum of the same variants that decodes the
/// `type` of a message alone.
macro_rules! tagged_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident: $tag:ident {
            $(
                $(#[$variant_attribute:meta])*
                $variant:ident $(($payload:ty))? $({ $($fields:tt)* })?,
            )+
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[$variant_attribute])* $variant $(($payload))? $({ $($fields)* })?,)+
        }

        listed_enum! {
            #[doc = concat!("The `type` of a [`", stringify!($name), "`].")]
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
            #[serde(rename_all = "snake_case")]
            pub enum $tag {
                $($(#[$variant_attribute])* $variant,)+
            }
        }
    };
}

tagged_enum! {
    /// One frame from a client.
    ///
    /// Texts are plain strings here. The handler parses them, so that an error can carry the id
    /// of the refused message.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    pub enum ClientMessage: MessageType {
        /// Subscribe to the list of open rooms. Allowed outside a room only.
        WatchRooms,
        /// Join a room. Allowed once per socket.
        Join(JoinRequest),
        /// Send a chat message.
        Chat(ChatDraft<String>),
        /// Edit a message of this participant.
        Edit {
            /// Id of the message.
            id: MessageId,
            /// The new text.
            text: String,
        },
        /// Delete a message of this participant.
        Delete {
            /// Id of the message.
            id: MessageId,
        },
        /// Add or remove a reaction.
        React {
            /// Id of the message.
            id: MessageId,
            /// The emoji in question.
            emoji: String,
            /// Whether it is added; otherwise it is removed.
            on: bool,
        },
        /// Pin a message above the log, or unpin it.
        Pin {
            /// Id of the message.
            id: MessageId,
            /// Whether it is pinned; otherwise it is unpinned.
            on: bool,
        },
        /// Announce that this participant is typing; expires after [`TYPING_LASTS_MS`].
        Typing,
        /// Change the nickname.
        Nickname {
            /// The new nickname.
            nickname: String,
        },
        /// Request older messages.
        History {
            /// Only messages with a smaller sequence number.
            before: Seq,
            /// Most messages to return: 50 by default, at most 200.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            limit: Option<u32>,
        },
        /// Enter the call, or continue with the same leg after a lost connection.
        EnterCall {
            /// A random number that the client draws for this stay.
            leg: Leg,
            /// The devices that are on.
            devices: Devices,
            /// Whether other clients must not learn this client's IP addresses. The call runs
            /// through the SFU as long as any participant hides them.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            hide_address: bool,
        },
        /// Leave the call and stay in the room.
        LeaveCall,
        /// Announce which devices are on.
        Devices {
            /// The devices that are on.
            devices: Devices,
            /// Whether the participant switches on what a host has switched off. Without it those
            /// devices stay off, because the message may have crossed `muted`.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            unmute: bool,
        },
        /// Send a signal to one participant: about the call, or about the direct connection that
        /// carries files.
        Signal {
            /// Id of the receiver.
            to: ParticipantId,
            /// The receiver's leg in the call; absent for the direct connection.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            leg: Option<Leg>,
            /// A description or candidate of the sender.
            signal: Signal,
        },
        /// Request the ICE servers of direct connections; the reply is `ice_servers`.
        IceServers,
        /// SDP offer to the SFU; the reply is `answer`.
        Offer(MediaOffer),
        /// Close the connection to the SFU and stay in the call.
        CloseMedia {
            /// Number of the connection, assigned by the client.
            connection: u32,
        },
        /// Subscribe to the tiles on the screen; replaces the previous subscription.
        Subscribe {
            /// The videos and pinned microphones to receive, in any order.
            tiles: Vec<Wanted>,
        },
        /// Report to the operator that media does not arrive.
        MediaBlocked {
            /// The part of the connection that fails.
            obstacle: Obstacle,
        },
        /// Switch a source of another participant off. The SFU forwards none of its packets until
        /// the participant switches it on again.
        Mute {
            /// Id of the participant; everybody whose role is lower if absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            who: Option<ParticipantId>,
            /// The source; the audio of a screen is switched off together with the screen.
            source: Source,
        },
        /// Ask another participant to switch the microphone on, and allow it.
        AskToUnmute {
            /// Id of the participant.
            who: ParticipantId,
        },
        /// Change the nickname of another participant.
        Rename {
            /// Id of the participant.
            who: ParticipantId,
            /// The new nickname.
            nickname: String,
        },
        /// Give another participant a role below one's own.
        SetRole {
            /// Id of the participant, who need not be in the room.
            who: ParticipantId,
            /// The new role.
            role: Role,
        },
        /// End the stay of another participant, who may come back.
        Remove {
            /// Id of the participant.
            who: ParticipantId,
            /// What the participant reads, at most [`super::MAX_REASON_CHARS`] characters.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
        },
        /// End the stay of another participant and keep them out.
        Ban {
            /// Id of the participant.
            who: ParticipantId,
            /// What the participant reads, at most [`super::MAX_REASON_CHARS`] characters.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
            /// Whether the participant's network address is kept out, too: an IPv4 address or an
            /// IPv6 network of 64 bits.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            address: bool,
        },
        /// Let a banned participant in again.
        LiftBan {
            /// Id of the participant.
            who: ParticipantId,
        },
        /// Request the list of bans; the reply is `bans`.
        Bans,
        /// Delete every message of the room.
        ClearMessages,
        /// Announce something to everybody in the room.
        Announce {
            /// The announcement, at most [`super::MAX_ANNOUNCEMENT_CHARS`] characters.
            text: String,
        },
        /// Change the settings of the room.
        SetRoom {
            /// The settings to change.
            #[serde(flatten)]
            change: SettingsChange,
        },
        /// Give the room a password, or none. Participants who are in the room stay.
        SetPassword {
            /// The new password, at least [`RoomPassword::MIN_CHARS`] characters; none if absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            password: Option<RoomPassword>,
        },
        /// Admit somebody from the lobby.
        Admit {
            /// Id of the person; everybody who waits if absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            who: Option<ParticipantId>,
        },
        /// Turn somebody in the lobby away.
        Deny {
            /// Id of the person; everybody who waits if absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            who: Option<ParticipantId>,
            /// What the person reads, at most [`super::MAX_REASON_CHARS`] characters.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
        },
        /// Make an invite; the reply is `invites`.
        CreateInvite(InviteDraft),
        /// Request the list of invites; the reply is `invites`. Whoever does not moderate receives
        /// their own.
        Invites,
        /// Revoke an invite; the reply is `invites`. Participants who have used it stay.
        RevokeInvite {
            /// Id of the invite.
            id: InviteId,
        },
        /// End the meeting: everybody's stay ends.
        EndMeeting,
        /// Request a `pong`.
        Ping,
    }
}

impl From<&ChatDraft> for ClientMessage {
    fn from(draft: &ChatDraft) -> Self {
        Self::Chat(draft.clone().into())
    }
}

/// A request to join a room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Name of the room. The server creates a room that does not exist.
    pub room: String,
    /// The nickname to use.
    pub nickname: String,
    /// Resumes the session of an earlier connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// The host key of the room, if the client has one. The first key that a new room
    /// receives becomes its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKey>,
    /// An invite to the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<InviteToken>,
    /// The password of the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<RoomPassword>,
    /// What the hosts read where the participant waits in the lobby, at most
    /// [`super::MAX_KNOCK_CHARS`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The settings of the room, if this `join` opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<SettingsChange>,
}

/// Resumes the session of an earlier connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The session token from the earlier `joined`.
    pub session: SessionToken,
    /// The log that `seq` belongs to.
    pub epoch: Epoch,
    /// Sequence number of the newest event that the client has.
    pub seq: Seq,
}

/// The result of decoding a frame.
#[derive(Debug)]
pub enum Decoded {
    /// A frame that decodes.
    Message(ClientMessage),
    /// The frame is not a valid message: the error code for the reply and, if the frame has
    /// a readable one, the id of the refused chat message.
    Refused(ErrorCode, Option<MessageId>),
}

/// The fields of an invalid frame from which the error reply is built.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<serde_json::Value>,
}

/// Decodes one text frame. Never panics; nesting is bounded by serde_json (128).
pub fn decode(frame: &str) -> Decoded {
    if let Ok(message) = serde_json::from_str(frame) {
        return Decoded::Message(message);
    }
    let Ok(envelope) = serde_json::from_str::<Envelope>(frame) else {
        return Decoded::Refused(ErrorCode::BadMessage, None);
    };
    let id = envelope.id.and_then(|id| serde_json::from_value(id).ok());
    match message_type(&envelope.kind) {
        Ok(_) => Decoded::Refused(ErrorCode::BadMessage, id),
        Err(_) => Decoded::Refused(ErrorCode::UnknownType, id),
    }
}

/// Decodes the `type` of a frame.
fn message_type(name: &str) -> Result<MessageType, serde::de::value::Error> {
    MessageType::deserialize(name.into_deserializer())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(frame: &str) -> ErrorCode {
        match decode(frame) {
            Decoded::Refused(code, _) => code,
            Decoded::Message(message) => panic!("{frame} decoded to {message:?}"),
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_types_named() {
        let join = r#"{"type":"join","room":"team","nickname":"Ann","colour":"red"}"#;
        assert!(matches!(
            decode(join),
            Decoded::Message(ClientMessage::Join(_))
        ));
        assert_eq!(refusal(r#"{"type":"dance"}"#), ErrorCode::UnknownType);
        assert_eq!(
            refusal(r#"{"type":"chat","text":5}"#),
            ErrorCode::BadMessage
        );
        assert_eq!(refusal("[]"), ErrorCode::BadMessage);
        assert_eq!(refusal(&"[".repeat(60_000)), ErrorCode::BadMessage);
    }

    #[test]
    fn a_refused_chat_message_is_named_by_its_id() {
        let id = uuid::Uuid::from_u128(7);
        let frame = format!(r#"{{"type":"chat","id":"{id}","text":null}}"#);
        assert!(
            matches!(decode(&frame), Decoded::Refused(_, Some(MessageId(found))) if found == id)
        );
    }

    #[test]
    fn every_message_is_known_by_its_type() {
        let devices = Devices::default();
        let who = ParticipantId::parse("p_1").expect("valid");
        let all = [
            ClientMessage::WatchRooms,
            ClientMessage::Join(JoinRequest {
                room: "r".into(),
                nickname: "n".into(),
                ..JoinRequest::default()
            }),
            ClientMessage::Chat(ChatDraft {
                id: MessageId(uuid::Uuid::nil()),
                text: "t".into(),
                reply_to: None,
                files: Vec::new(),
                mentions: Vec::new(),
            }),
            ClientMessage::Edit {
                id: MessageId(uuid::Uuid::nil()),
                text: "t".into(),
            },
            ClientMessage::Delete {
                id: MessageId(uuid::Uuid::nil()),
            },
            ClientMessage::React {
                id: MessageId(uuid::Uuid::nil()),
                emoji: "👍".into(),
                on: true,
            },
            ClientMessage::Pin {
                id: MessageId(uuid::Uuid::nil()),
                on: true,
            },
            ClientMessage::Typing,
            ClientMessage::Nickname {
                nickname: "n".into(),
            },
            ClientMessage::History {
                before: 1,
                limit: None,
            },
            ClientMessage::EnterCall {
                leg: 1,
                devices,
                hide_address: false,
            },
            ClientMessage::LeaveCall,
            ClientMessage::Devices {
                devices,
                unmute: false,
            },
            ClientMessage::Signal {
                to: ParticipantId::parse("p_1").expect("valid"),
                leg: Some(1),
                signal: Signal::Offer {
                    connection: 1,
                    sdp: String::new(),
                },
            },
            ClientMessage::Offer(MediaOffer {
                connection: 1,
                offer_id: 1,
                sdp: String::new(),
                tracks: vec![],
            }),
            ClientMessage::CloseMedia { connection: 1 },
            ClientMessage::Subscribe { tiles: vec![] },
            ClientMessage::MediaBlocked {
                obstacle: Obstacle::ServerIce,
            },
            ClientMessage::Mute {
                who: None,
                source: Source::Microphone,
            },
            ClientMessage::AskToUnmute { who: who.clone() },
            ClientMessage::Rename {
                who: who.clone(),
                nickname: "n".into(),
            },
            ClientMessage::SetRole {
                who: who.clone(),
                role: Role::Guest,
            },
            ClientMessage::Remove {
                who: who.clone(),
                reason: None,
            },
            ClientMessage::Ban {
                who: who.clone(),
                reason: None,
                address: false,
            },
            ClientMessage::LiftBan { who },
            ClientMessage::Bans,
            ClientMessage::ClearMessages,
            ClientMessage::Announce { text: "t".into() },
            ClientMessage::SetRoom {
                change: SettingsChange::default(),
            },
            ClientMessage::SetPassword { password: None },
            ClientMessage::Admit { who: None },
            ClientMessage::Deny {
                who: None,
                reason: None,
            },
            ClientMessage::CreateInvite(InviteDraft::default()),
            ClientMessage::Invites,
            ClientMessage::RevokeInvite {
                id: InviteId::parse("abcdefghijkl").expect("valid"),
            },
            ClientMessage::EndMeeting,
            ClientMessage::Ping,
        ];
        for message in &all {
            let value = serde_json::to_value(message).expect("serialises");
            let name = value["type"].as_str().expect("tagged");
            assert!(message_type(name).is_ok(), "{name}");
            let incomplete = format!(r#"{{"type":"{name}","devices":0}}"#);
            match decode(&incomplete) {
                Decoded::Message(decoded) => assert_eq!(&decoded, message),
                Decoded::Refused(code, _) => assert_eq!(code, ErrorCode::BadMessage, "{name}"),
            }
        }
    }

    #[test]
    fn every_obstacle_serialises_to_its_name_in_order() {
        for (place, obstacle) in Obstacle::ALL.into_iter().enumerate() {
            let name = serde_json::to_value(obstacle).expect("serialises");
            assert_eq!(name, obstacle.name());
            assert_eq!(obstacle as usize, place);
        }
    }
}
