//! The messages of the room protocol, compiled into server and browser alike.
//!
//! A message is a variant of [`ClientMessage`] or [`ServerMessage`]; a new variant without a
//! handler does not compile. Text is parsed once into [`RoomName`], [`Nickname`] and
//! [`ChatText`], and no other module checks it again. Times are milliseconds since the Unix
//! epoch. `docs/protocol.md` specifies the same messages for authors of other clients.

/// Declares an enum without fields, and `ALL`, the list of its variants in order.
macro_rules! listed_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident,)+
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[$variant_attribute])* $variant,)+
        }

        impl $name {
            /// Every variant, in order.
            pub const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];
        }
    };
}

/// Implements the conversions that serde uses for each word.
macro_rules! word_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = &'static str;
            fn try_from(text: String) -> Result<Self, &'static str> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    )*};
}

mod call;
mod chat;
mod client;
mod errors;
mod files;
mod ids;
mod invites;
mod marks;
mod media;
mod names;
pub mod quality;
mod refusal;
mod roles;
mod room_settings;
mod server;
pub mod text;

pub use call::{
    CallPerson, Candidate, Devices, IceServer, Leg, MAX_CANDIDATE_BYTES, MAX_SDP_BYTES, Signal,
    without_related_address,
};
pub use chat::{
    ChatDraft, ChatMessage, Emoji, HISTORY_PAGE, MAX_HISTORY_PAGE, MAX_MENTIONS, MAX_PINS,
    MAX_REACTIONS, Mention, Pin, Reaction, Seq,
};
pub use client::{
    ClientMessage, Decoded, JoinRequest, MessageType, Resume, TYPING_EVERY_MS, TYPING_LASTS_MS,
    decode,
};
pub use errors::{CloseCode, ErrorCode};
pub use files::{Attachment, MAX_MESSAGE_FILES, MediaType, SESSION_HEADER};
pub use ids::{Epoch, FileId, HostKey, MessageId, ParticipantId, RoomPassword, SessionToken};
pub use invites::{
    Invite, InviteDraft, InviteId, InviteToken, Knock, LOBBY_WINDOW, MAX_INVITE_LASTS_S,
    MAX_INVITE_USES, MAX_KNOCK_CHARS,
};
pub use marks::{Mark, MarkKind, Node, nodes, plain};
pub use media::{
    Codec, MAX_MID_BYTES, MAX_OFFERED_TRACKS, MAX_WANTED, MediaOffer, Mode, Obstacle, OfferedTrack,
    PersonQuality, Quality, Slot, Source, Speaker, Wanted,
};
pub use names::{
    ChatText, FileName, MAX_ANNOUNCEMENT_CHARS, MAX_CHAT_CHARS, MAX_FILE_NAME_BYTES,
    MAX_NICKNAME_CHARS, MAX_REASON_CHARS, MAX_ROOM_NAME_CHARS, NameError, Nickname,
    PRIVATE_FRAGMENT, RoomName,
};
pub use refusal::{REFUSAL_HEADER, Refusal};
pub use roles::{Action, Denial, Feature, FeatureSet, Powers, Requirement, Role, permit};
pub use room_settings::{
    Access, Ban, MAX_CAPACITY, MAX_RETENTION_DAYS, RoleOf, RoomSettings, SettingsChange,
};
pub use server::{Joined, Person, RoomSummary, Rooms, RoomsChanged, ServerMessage};

/// Largest frame and message in either direction, in bytes.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;
