//! What can go wrong, as programs read it: error codes and close codes.

use serde::{Deserialize, Serialize};

/// The stable code of an `error` message. The sentence beside it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not a JSON object, or a field has the wrong shape.
    BadMessage,
    /// `type` names nothing the server knows.
    UnknownType,
    /// Something other than `join`, `watch_rooms` or `ping` came before `join`.
    NotJoined,
    /// `join` came a second time on one socket, or `watch_rooms` after it.
    AlreadyJoined,
    /// The room name breaks a rule.
    BadRoomName,
    /// The nickname breaks a rule.
    BadNickname,
    /// The message is empty after trimming.
    MessageEmpty,
    /// The message has more than 4000 characters.
    MessageTooLong,
    /// The message holds control characters.
    MessageNotAllowed,
    /// The message named is not in this room (any more).
    NoSuchMessage,
    /// Only its author changes or deletes a message.
    NotYours,
    /// Not one emoji.
    BadEmoji,
    /// The message holds as many reactions as it may.
    TooManyReactions,
    /// More messages than the limit; the refused one may be sent again later.
    TooManyMessages,
    /// More joins from this address than the limit; try again in a moment.
    TooManyJoins,
    /// The room holds as many people as it may.
    RoomFull,
    /// The call holds as many people as it may.
    CallFull,
    /// The server keeps as many rooms as it may.
    TooManyRooms,
    /// A call message from somebody who is not in the call.
    NotInCall,
    /// The addressed participant is not in this call (any more).
    NoSuchPerson,
    /// Somebody else cannot take more just now; the refused signal may be sent again later.
    Busy,
    /// A signal from or to somebody whose address is hidden.
    AddressesHidden,
    /// A description or candidate larger than the server routes.
    SignalTooLong,
    /// An offer the SFU cannot make sense of, or one out of turn.
    BadOffer,
    /// The room holds as many bytes as it may; what is deleted makes space.
    RoomStorageFull,
    /// The server holds as many bytes as it may, or its disk is nearly full.
    ServerStorageFull,
    /// The message could not be stored; nothing was lost, send it again.
    Unavailable,
}

/// Why the server closed a socket (RFC 6455 7.4, private range from 4000).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1012: the server restarts; come back soon.
    Restarting,
    /// 4400: the protocol was broken.
    ProtocolBroken,
    /// 4403: a host removed this person.
    Removed,
    /// 4408: frames are read too slowly, or nothing was heard for too long.
    TooSlow,
    /// 4409: the same session came in by another socket.
    Replaced,
    /// 4413: a frame larger than [`super::MAX_FRAME_BYTES`].
    FrameTooLarge,
    /// 4429: far more messages than the limit.
    TooManyMessages,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Restarting => 1012,
            Self::ProtocolBroken => 4400,
            Self::Removed => 4403,
            Self::TooSlow => 4408,
            Self::Replaced => 4409,
            Self::FrameTooLarge => 4413,
            Self::TooManyMessages => 4429,
        }
    }

    /// The reason on the wire, for people who read logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Restarting => "server restarting",
            Self::ProtocolBroken => "protocol broken",
            Self::Removed => "removed by a host",
            Self::TooSlow => "too slow",
            Self::Replaced => "session continues elsewhere",
            Self::FrameTooLarge => "frame too large",
            Self::TooManyMessages => "too many messages",
        }
    }
}
