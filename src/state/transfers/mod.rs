//! Files that go from browser to browser over a data channel, as plain data and pure functions.
//!
//! [`frame`] is what travels, [`outgoing`] and [`incoming`] are the two sides of one transfer, and
//! [`book`] holds the transfers of a page with their limits. Whoever holds the data channels and the
//! files runs them.

pub mod book;
pub mod frame;
pub mod incoming;
pub mod outgoing;
pub mod progress;

#[cfg(test)]
mod tests;

use crate::protocol::{FileName, ParticipantId};
use frame::Reason;

/// What a transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The receiver has not answered yet.
    Offered,
    /// Accepted: the bytes are on their way.
    Moving,
    /// It has ended.
    Ended(Ending),
}

impl Stage {
    /// Whether the transfer has ended.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The receiver has the whole file.
    Done,
    /// The receiver refused.
    Refused(Reason),
    /// The other side ended it.
    Cancelled(Reason),
    /// This person ended it.
    Stopped,
    /// This page ended it.
    Failed(Reason),
}

/// Which way a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From this participant.
    Outgoing,
    /// To this participant.
    Incoming,
}

/// To whom files are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To one participant.
    Person(ParticipantId),
    /// To everybody in the room.
    Everybody,
}

/// To whom the open dialog shares files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// To whom the files go.
    pub target: Target,
    /// The participant's nickname; empty for everybody.
    pub nickname: String,
}

/// A transfer as the page shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferRow {
    /// The number of the row.
    pub row: u32,
    /// Which way the file goes.
    pub direction: Direction,
    /// The other participant.
    pub person: ParticipantId,
    /// The other participant's nickname when the transfer began.
    pub nickname: String,
    /// Name of the file.
    pub name: FileName,
    /// Size of the file in bytes.
    pub size: u64,
    /// Bytes that are stored at the receiver.
    pub bytes: u64,
    /// Bytes a second.
    pub speed: f64,
    /// What the transfer does.
    pub stage: Stage,
    /// Whether the connection is up.
    pub is_connected: bool,
    /// The link by which a received file is saved, where the browser has not saved it yet.
    pub link: Option<String>,
}

/// What the page shows of its transfers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transfers {
    /// Whether the code of the list and the dialog is loaded.
    pub is_loaded: bool,
    /// Whether that code could not be loaded.
    pub load_failed: bool,
    /// To whom the open dialog shares files.
    pub sharing: Option<Sharing>,
    /// The transfers, oldest first.
    pub rows: Vec<TransferRow>,
    /// The row that began or ended last.
    pub noticed: Option<u32>,
    /// Why a file was not offered.
    pub problem: Option<Reason>,
    /// Whether the server offers no relay: then nobody who hides the address can be reached.
    pub lacks_relay: bool,
}

/// Characters that change the direction of text: a name with them looks like another one.
const DIRECTION_MARKS: [char; 12] = [
    '\u{61C}', '\u{200E}', '\u{200F}', '\u{202A}', '\u{202B}', '\u{202C}', '\u{202D}', '\u{202E}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// The name of a file by the rules of kept files. Other clients are not trusted to have applied them.
pub fn clean_name(name: &str) -> FileName {
    FileName::clean(&name.replace(DIRECTION_MARKS, ""))
}
