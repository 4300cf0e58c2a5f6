//! Messages of a client.

use super::{
    ChatDraft, Devices, Epoch, ErrorCode, Leg, MediaOffer, MessageId, Obstacle, ParticipantId, Seq,
    SessionToken, Signal, Wanted,
};
use serde::{Deserialize, Serialize};

/// How long somebody counts as typing after `typing`, in milliseconds.
pub const TYPING_LASTS_MS: u32 = 5_000;
/// How often a client repeats `typing` meanwhile, in milliseconds.
pub const TYPING_EVERY_MS: u32 = 3_000;

/// One frame from a client.
///
/// Texts are plain strings here and parsed by the handler, so that a refusal can
/// name the message it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Subscribe to the list of open rooms. Allowed outside a room only.
    WatchRooms,
    /// Enter a room. Once a socket.
    Join {
        /// Which room; it is made where there is none.
        room: String,
        /// The wished nickname.
        nickname: String,
        /// Resumes the session of a former connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<Resume>,
    },
    /// Send a chat message.
    Chat(ChatDraft<String>),
    /// Edit a message of one's own.
    Edit {
        /// Id of the message.
        id: MessageId,
        /// What it is to say.
        text: String,
    },
    /// Delete a message of one's own.
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
    /// Announce that this person is typing; expires after [`TYPING_LASTS_MS`].
    Typing,
    /// Change the nickname.
    Nickname {
        /// The new nickname.
        nickname: String,
    },
    /// Ask for older messages.
    History {
        /// Only messages before this one.
        before: Seq,
        /// At most so many; default 50, at most 200.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Enter the call, or continue with the same leg after a lost connection.
    EnterCall {
        /// A number drawn by the client for this stay.
        leg: Leg,
        /// The devices that are on.
        devices: Devices,
        /// Whether no other client may learn this client's addresses: the call runs
        /// through the SFU for as long.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hide_address: bool,
    },
    /// Leave the call and stay in the room.
    LeaveCall,
    /// Announce which devices are on.
    Devices {
        /// The devices that are on.
        devices: Devices,
    },
    /// Signal to one person in the call.
    Signal {
        /// Id of the person at the other end.
        to: ParticipantId,
        /// Which stay of theirs.
        leg: Leg,
        /// A description or candidate of the sender.
        signal: Signal,
    },
    /// Offer one's connection to the SFU; answered by `answer`.
    Offer(MediaOffer),
    /// Close the connection to the SFU and stay in the call.
    CloseMedia {
        /// Number of the connection, counted by the client.
        connection: u32,
    },
    /// Subscribe to what is on the screen; replaces the subscription before it.
    Subscribe {
        /// The pictures and voices to receive, in any order.
        tiles: Vec<Wanted>,
    },
    /// Report to the operator that media does not get through.
    MediaBlocked {
        /// The part of the connection that fails.
        obstacle: Obstacle,
    },
    /// Asks for a `pong`.
    Ping,
}

impl From<&ChatDraft> for ClientMessage {
    fn from(draft: &ChatDraft) -> Self {
        Self::Chat(draft.clone().into())
    }
}

/// Resumes the session of a former connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The secret of the former connection.
    pub session: SessionToken,
    /// The log its `seq` counts in.
    pub epoch: Epoch,
    /// The last event seen.
    pub seq: Seq,
}

/// What a frame turned out to be.
#[derive(Debug)]
pub enum Decoded {
    /// A frame that decodes.
    Message(ClientMessage),
    /// No message, with the code to answer and, where it could be read, the id of
    /// the chat message that is refused.
    Refused(ErrorCode, Option<MessageId>),
}

/// Reads just enough of a frame that could not be decoded to say why.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<serde_json::Value>,
}

/// Every `type` a client may send; holds the same names as [`ClientMessage`].
const KINDS: [&str; 18] = [
    "watch_rooms",
    "join",
    "chat",
    "edit",
    "delete",
    "react",
    "typing",
    "nickname",
    "history",
    "enter_call",
    "leave_call",
    "devices",
    "signal",
    "offer",
    "close_media",
    "subscribe",
    "media_blocked",
    "ping",
];

/// Decodes one text frame. Never panics; nesting is bounded by serde_json (128).
pub fn decode(frame: &str) -> Decoded {
    if let Ok(message) = serde_json::from_str(frame) {
        return Decoded::Message(message);
    }
    let Ok(envelope) = serde_json::from_str::<Envelope>(frame) else {
        return Decoded::Refused(ErrorCode::BadMessage, None);
    };
    let id = envelope.id.and_then(|id| serde_json::from_value(id).ok());
    match KINDS.contains(&envelope.kind.as_str()) {
        true => Decoded::Refused(ErrorCode::BadMessage, id),
        false => Decoded::Refused(ErrorCode::UnknownType, id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(frame: &str) -> ErrorCode {
        match decode(frame) {
            Decoded::Refused(code, _) => code,
            Decoded::Message(message) => panic!("{frame} became {message:?}"),
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_types_named() {
        let join = r#"{"type":"join","room":"team","nickname":"Ann","colour":"red"}"#;
        assert!(matches!(
            decode(join),
            Decoded::Message(ClientMessage::Join { .. })
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
        let all = [
            ClientMessage::WatchRooms,
            ClientMessage::Join {
                room: "r".into(),
                nickname: "n".into(),
                resume: None,
            },
            ClientMessage::Chat(ChatDraft {
                id: MessageId(uuid::Uuid::nil()),
                text: "t".into(),
                reply_to: None,
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
            ClientMessage::Devices { devices },
            ClientMessage::Signal {
                to: ParticipantId::parse("p_1").expect("valid"),
                leg: 1,
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
            ClientMessage::Ping,
        ];
        let kinds = all.iter().map(|message| {
            let value = serde_json::to_value(message).expect("serialises");
            value["type"].as_str().map(str::to_owned).expect("tagged")
        });
        assert_eq!(kinds.collect::<Vec<_>>(), KINDS);
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
