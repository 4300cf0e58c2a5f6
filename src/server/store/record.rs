//! Records changes of a room's [`Authority`] in the row of the room.

use super::{
    StoreError,
    append::{known_room, next_seq},
    quota::{Allowance, Full, bytes},
    reader,
};
use crate::{
    protocol::{Epoch, ErrorCode, RoomName, Seq},
    server::authority::{Authority, AuthorityEvent},
};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// A change of a room's authority that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The change to apply.
    pub event: AuthorityEvent,
    /// When the server received it, in milliseconds since the Unix epoch.
    pub at: i64,
}

/// The outcome of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The change is durable, as the event of this `seq`. The host key takes no `seq`: nobody but
    /// its holder learns of it.
    Applied(Option<Seq>),
    /// The room was in this state already.
    Unchanged,
    /// The change is not possible, with the reason.
    Refused(ErrorCode),
}

/// Applies a change. The first record of a room stores the room; it is counted in `allowance`.
pub fn record(
    transaction: &Transaction<'_>,
    room: &RoomName,
    new: &NewRecord,
    epoch: &Epoch,
    allowance: &mut Allowance,
) -> Result<Recorded, StoreError> {
    let known = known_room(transaction, room)?;
    let before = match known {
        Some(_) => read(transaction, room)?.unwrap_or_default(),
        None => Authority::default(),
    };
    let mut after = before.clone();
    match after.apply(&new.event, new.at) {
        Ok(true) => {}
        Ok(false) => return Ok(Recorded::Unchanged),
        Err(code) => return Ok(Recorded::Refused(code)),
    }
    let json = after.to_json();
    let more = match known {
        Some(_) => bytes(&json).saturating_sub(bytes(&before.to_json())),
        None => bytes(&json),
    };
    let room_bytes = known.map_or(0, |known| known.bytes);
    if let Some(full) = refusal(transaction, *allowance, known.is_none(), room_bytes, more)? {
        return Ok(Recorded::Refused(full.code()));
    }
    let room_id = match known {
        Some(known) => known.id,
        None => {
            allowance.stored_rooms += 1;
            let query = "INSERT INTO rooms (name, epoch, seq) VALUES (?1, ?2, 0)";
            let mut insert = transaction.prepare_cached(query)?;
            insert.insert(params![room.as_str(), epoch.as_str()])?
        }
    };
    let query = "UPDATE rooms SET authority = ?2 WHERE id = ?1";
    transaction
        .prepare_cached(query)?
        .execute(params![room_id, json])?;
    Ok(Recorded::Applied(match &new.event {
        AuthorityEvent::HostKey(_) => None,
        AuthorityEvent::Settings { .. }
        | AuthorityEvent::Role { .. }
        | AuthorityEvent::Ban(_)
        | AuthorityEvent::LiftBan(_) => Some(next_seq(transaction, room_id)?),
    }))
}

/// The limit that refuses a record of `more` bytes; nothing if none does.
fn refusal(
    transaction: &Transaction<'_>,
    allowance: Allowance,
    is_new: bool,
    room_bytes: u64,
    more: u64,
) -> Result<Option<Full>, StoreError> {
    match is_new.then(|| allowance.refuses_room()).flatten() {
        Some(full) => Ok(Some(full)),
        None => allowance.refuses(transaction, room_bytes, more),
    }
}

/// The authority of a stored room; nothing for a room without a row. A text that this version
/// cannot read counts as a room without a host.
pub fn read(connection: &Connection, room: &RoomName) -> Result<Option<Authority>, StoreError> {
    let query = "SELECT authority FROM rooms WHERE name = ?1";
    let mut select = connection.prepare_cached(query)?;
    let json = select
        .query_row([room.as_str()], |row| reader::stored_text(row, "authority"))
        .optional()?;
    Ok(json.map(|json| Authority::from_json(&json).unwrap_or_default()))
}
