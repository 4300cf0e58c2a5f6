//! Error codes and close codes.

use serde::{Deserialize, Serialize};

/// The stable code of an `error` message. The message beside it is English text for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not a JSON object, or a field has the wrong shape.
    BadMessage,
    /// The server does not know this `type`.
    UnknownType,
    /// A message other than `join`, `watch_rooms` or `ping` arrived before `join`.
    NotJoined,
    /// A second `join` on one socket, or `watch_rooms` after `join`.
    AlreadyJoined,
    /// The room name breaks a rule.
    BadRoomName,
    /// The nickname breaks a rule.
    BadNickname,
    /// The message is empty after trimming.
    MessageEmpty,
    /// The message has more than 4000 characters.
    MessageTooLong,
    /// The message contains control characters.
    MessageNotAllowed,
    /// No message with this id is in the room, or it was deleted.
    NoSuchMessage,
    /// Only the author may edit or delete a message.
    NotYours,
    /// The text is not exactly one emoji.
    BadEmoji,
    /// The message has reached the limit of reactions ([`super::MAX_REACTIONS`]).
    TooManyReactions,
    /// Message rate limit exceeded; the client may send the message again later.
    TooManyMessages,
    /// Join rate limit of this address exceeded; the client may retry after a moment.
    TooManyJoins,
    /// Too many new rooms were opened, by this address or by all; the client may retry later.
    TooManyNewRooms,
    /// The room has reached its limit of participants.
    RoomFull,
    /// The call has reached its limit of participants.
    CallFull,
    /// The server has reached its limit of open rooms, or of rooms that store messages.
    TooManyRooms,
    /// A call message from a participant who is not in the call.
    NotInCall,
    /// The addressed participant is not in the call, or not with this leg.
    NoSuchPerson,
    /// The receiver's queue is full; the client may send the signal again later.
    Busy,
    /// A signal from or to a participant whose address is hidden.
    AddressesHidden,
    /// A description or candidate larger than the server routes.
    SignalTooLong,
    /// The SFU cannot parse the offer, or the offer belongs to an older connection.
    BadOffer,
    /// The room has reached its storage limit; deleting messages frees space.
    RoomStorageFull,
    /// This address has stored as much as it may in a day.
    AddressStorageFull,
    /// The server has reached its storage limit, or its disk is nearly full.
    ServerStorageFull,
    /// The message could not be stored; the client may send it again.
    Unavailable,
    /// The role of the participant does not allow this, or the other participant's role is not
    /// below it.
    NotAllowed,
    /// The room admits nobody new.
    RoomLocked,
    /// A host keeps this participant out of the room.
    Banned,
    /// The reason or the announcement breaks a rule of texts.
    BadText,
    /// The room has as many roles, bans or invites as it keeps.
    TooManyEntries,
    /// The room has a password, and the `join` has none.
    PasswordRequired,
    /// The password of the `join` is not that of the room.
    WrongPassword,
    /// Too many passwords were tried, from this address or in this room; the client may try again
    /// later.
    TooManyGuesses,
    /// Only participants with an invite may enter the room.
    InviteRequired,
    /// The server does not know this invite, or a host has revoked it.
    BadInvite,
    /// The invite has expired.
    InviteExpired,
    /// As many participants as may have used the invite.
    InviteUsedUp,
    /// The room is not open at this time; `window` says when it is.
    NotOpen,
    /// As many people as may wait in the lobby.
    LobbyFull,
    /// Nobody admitted the participant in time.
    WaitedTooLong,
    /// A host turned this participant away a moment ago.
    TurnedAway,
    /// A setting of the room has a value that is not possible.
    BadSetting,
    /// This server keeps no files.
    FilesOff,
    /// The file is larger than the server keeps, or empty.
    FileTooLarge,
    /// No finished upload of this participant in this room has this id.
    NoSuchFile,
    /// The message names more than [`super::MAX_MESSAGE_FILES`] files.
    TooManyFiles,
    /// Too many uploads at once, or too many bytes of them; the client may retry later.
    TooManyUploads,
}

impl ErrorCode {
    /// The name of the code on the wire.
    pub fn name(self) -> String {
        let json = serde_json::to_value(self).unwrap_or_default();
        json.as_str().unwrap_or_default().to_owned()
    }
}

/// Why the server closed a socket (RFC 6455 7.4, private range from 4000).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1012: the server restarts; the client reconnects.
    Restarting,
    /// 4400: the client violated the protocol.
    ProtocolBroken,
    /// 4401: the participant may not be in this room any more.
    NotAllowed,
    /// 4403: a host or the operator removed this participant.
    Removed,
    /// 4408: the client reads too slowly, or sent no frame for too long.
    TooSlow,
    /// 4409: the same session joined on another socket.
    Replaced,
    /// 4410: a host ended the meeting, or the operator closed the room.
    RoomClosed,
    /// 4413: a frame exceeds [`super::MAX_FRAME_BYTES`].
    FrameTooLarge,
    /// 4429: the client exceeded the frame rate limit.
    TooManyMessages,
}

impl CloseCode {
    /// The status code in the close frame.
    pub const fn code(self) -> u16 {
        match self {
            Self::Restarting => 1012,
            Self::ProtocolBroken => 4400,
            Self::NotAllowed => 4401,
            Self::Removed => 4403,
            Self::TooSlow => 4408,
            Self::Replaced => 4409,
            Self::RoomClosed => 4410,
            Self::FrameTooLarge => 4413,
            Self::TooManyMessages => 4429,
        }
    }

    /// The reason in the close frame, for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Restarting => "server restarting",
            Self::ProtocolBroken => "protocol broken",
            Self::NotAllowed => "not allowed",
            Self::Removed => "removed",
            Self::TooSlow => "too slow",
            Self::Replaced => "session continues elsewhere",
            Self::RoomClosed => "room closed",
            Self::FrameTooLarge => "frame too large",
            Self::TooManyMessages => "too many messages",
        }
    }
}
