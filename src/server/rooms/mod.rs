//! The rooms: who is here, what is said, who is in the call.
//!
//! * [`core`] the thinking: a value that is told commands and answers with effects.
//! * [`actor`] the task that owns one room, the registry that finds and makes rooms, and the
//!   handles by which everybody else talks to them.
//! * [`fanout`] from a room to its sockets: shared frames and a bounded queue towards each.

mod actor;
mod core;
mod fanout;

pub use actor::handle::{Membership, RoomHandle};
pub use actor::registry::{Relays, Rooms, Totals};
pub use actor::summaries::Summaries;
pub use core::command::{Departure, RoomRequest};
pub use core::history::trim_to_frame;
pub use core::room::RoomRules;
pub use fanout::frames::Frames;
pub use fanout::outbox::{Outbox, OutboxReader, outbox, wait_for_close_code};

use crate::{
    protocol::{CallPerson, ChatMessage, Epoch, ErrorCode, Person, RoomName, Seq},
    server::store::{Full, StoreError},
};

/// A room as a page shows it before its socket is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// Its name.
    pub name: RoomName,
    /// Everybody here, in order of arrival.
    pub people: Vec<Person>,
    /// The newest messages, oldest first; at most 50.
    pub messages: Vec<ChatMessage>,
    /// Whether there are older ones.
    pub more: bool,
    /// The log `seq` counts in.
    pub epoch: Epoch,
    /// The newest event.
    pub seq: Seq,
    /// Everybody in the call.
    pub call: Vec<CallPerson>,
    /// Whether nobody else may come in.
    pub full: bool,
}

/// Why a room did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// The server keeps as many rooms as it may.
    #[error("the server keeps as many rooms as it may")]
    TooManyRooms,
    /// The room holds as many people as it may.
    #[error("the room is full")]
    Full,
    /// More messages than the limit; the refused one may be sent again later.
    #[error("too many messages")]
    TooManyMessages,
    /// The room or the server holds as many bytes as it may.
    #[error("no space: {0}")]
    StorageFull(Full),
    /// The store failed or the server stops; nothing was stored, asking again is safe.
    #[error("the room is not available now")]
    Unavailable,
}

impl RoomError {
    /// The code that crosses the wire.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::TooManyRooms => ErrorCode::TooManyRooms,
            Self::Full => ErrorCode::RoomFull,
            Self::TooManyMessages => ErrorCode::TooManyMessages,
            Self::StorageFull(full) => full.code(),
            Self::Unavailable => ErrorCode::Unavailable,
        }
    }
}

impl From<StoreError> for RoomError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(full) => Self::StorageFull(full),
            StoreError::Database(_)
            | StoreError::Busy
            | StoreError::InUse
            | StoreError::Rights(_)
            | StoreError::Closed
            | StoreError::BadRow(_)
            | StoreError::SearchTimedOut
            | StoreError::SearchBusy
            | StoreError::Foreign(_)
            | StoreError::TooNew { .. }
            | StoreError::Directory(_) => Self::Unavailable,
        }
    }
}
