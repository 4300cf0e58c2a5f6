//! Rooms: presence, chat and calls.
//!
//! * [`core`] is the state of a room: commands in, effects out, no clock and no socket.
//! * [`actor`] is the task that owns one room, the registry that finds and starts actors, and the
//!   handles through which other tasks send them messages.
//! * [`fanout`] sends the output of a room to its sockets: shared frames, and a bounded queue for
//!   each socket.

mod actor;
mod core;
mod fanout;
mod passwords;

pub use actor::handle::{Entry, RoomHandle};
pub use actor::membership::Membership;
pub use actor::operator::RoomReport;
pub use actor::registry::{RelayUse, Relays, Rooms, Totals};
pub use actor::summaries::Summaries;
pub use core::command::{
    CallRequest, ChatRequest, Departure, DirectRequest, ModerationRequest, RoomRequest,
    ShownPassword, Visitor,
};
pub use core::history::trim_to_frame;
pub use core::lobby::VisitStatus;
pub use core::operator::{Attendance, Attendee, OperatorCommand};
pub use core::room::RoomRules;
pub use fanout::frames::Frames;
pub use fanout::outbox::{Outbox, OutboxReader, outbox, wait_for_close_code};
pub use passwords::RoomPasswords;

use crate::{
    protocol::{
        CallPerson, ChatMessage, Epoch, ErrorCode, ParticipantId, Person, Pin, RoomName, Seq,
    },
    server::{
        net::Network,
        store::{Full, StoreError},
    },
};

/// A room as its page shows it before the page has a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// The name of the room.
    pub name: RoomName,
    /// Everybody here, in order of arrival.
    pub people: Vec<Person>,
    /// The newest messages, oldest first; at most 50.
    pub messages: Vec<ChatMessage>,
    /// The pinned messages, in the order of pinning.
    pub pins: Vec<Pin>,
    /// Whether there are older messages.
    pub more: bool,
    /// The log that `seq` counts in.
    pub epoch: Epoch,
    /// The `seq` of the newest event.
    pub seq: Seq,
    /// Everybody in the call.
    pub call: Vec<CallPerson>,
    /// Whether the room has as many people as it may.
    pub full: bool,
}

/// Who asks to see a room by a request of their own, without a socket in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The participant whose session or device sent the request.
    pub id: ParticipantId,
    /// The network of the request; nothing for an address that is exempt from limits.
    pub network: Option<Network>,
}

/// Why a room refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// The server has as many open rooms as allowed.
    #[error("too many open rooms")]
    TooManyRooms,
    /// The room has as many people as allowed.
    #[error("the room is full")]
    Full,
    /// Beyond a rate limit; the refused message may be sent again later.
    #[error("too many messages")]
    TooManyMessages,
    /// The room or the server stores as many bytes as allowed.
    #[error("no space: {0}")]
    StorageFull(Full),
    /// The room does not allow it to the author.
    #[error("not allowed: {0:?}")]
    Denied(ErrorCode),
    /// The store failed or the server stops. Nothing was stored; a retry is safe.
    #[error("the room is not available")]
    Unavailable,
}

impl RoomError {
    /// The code on the wire.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::TooManyRooms => ErrorCode::TooManyRooms,
            Self::Full => ErrorCode::RoomFull,
            Self::TooManyMessages => ErrorCode::TooManyMessages,
            Self::StorageFull(full) => full.code(),
            Self::Denied(code) => code,
            Self::Unavailable => ErrorCode::Unavailable,
        }
    }
}

impl From<StoreError> for RoomError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(full) => Self::StorageFull(full),
            StoreError::NoSuchFile => Self::Denied(ErrorCode::NoSuchFile),
            StoreError::Database(_)
            | StoreError::Busy
            | StoreError::InUse
            | StoreError::Rights(_)
            | StoreError::Closed
            | StoreError::File(_)
            | StoreError::BadRow(_)
            | StoreError::SearchTimedOut
            | StoreError::SearchBusy
            | StoreError::Foreign(_)
            | StoreError::TooNew { .. }
            | StoreError::NoSpaceForCopy { .. }
            | StoreError::NotCopied(_)
            | StoreError::Directory(_) => Self::Unavailable,
        }
    }
}
