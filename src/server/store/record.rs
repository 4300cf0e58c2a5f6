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
use std::hint::black_box;

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
    let mut after = match known {
        Some(_) => row(transaction, room)?
            .and_then(|row| row.authority)
            .unwrap_or_default(),
        None => Authority::default(),
    };
    match after.apply(&new.event, new.at) {
        Ok(true) => {}
        Ok(false) => return Ok(Recorded::Unchanged),
        Err(code) => return Ok(Recorded::Refused(code)),
    }
    let json = after.to_json();
    // A stored room is not refused: its authority is bounded, and a full room needs its hosts most.
    if known.is_none()
        && let Some(full) = refusal_of_new_room(transaction, *allowance, bytes(&json))?
    {
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
        AuthorityEvent::Claim { .. } => None,
        AuthorityEvent::Settings { .. }
        | AuthorityEvent::Password { .. }
        | AuthorityEvent::Admit(_)
        | AuthorityEvent::Invite(_)
        | AuthorityEvent::RevokeInvite(_)
        | AuthorityEvent::UseInvite { .. }
        | AuthorityEvent::Visit { .. }
        | AuthorityEvent::Role { .. }
        | AuthorityEvent::Ban(_)
        | AuthorityEvent::LiftBan(_)
        | AuthorityEvent::Dismiss(_) => Some(next_seq(transaction, room_id)?),
    }))
}

/// The limit that refuses one more room of so many bytes; nothing if none does.
fn refusal_of_new_room(
    transaction: &Transaction<'_>,
    allowance: Allowance,
    bytes: u64,
) -> Result<Option<Full>, StoreError> {
    match allowance.refuses_room() {
        Some(full) => Ok(Some(full)),
        None => allowance.refuses(transaction, 0, bytes),
    }
}

/// The row of a room, except what is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// The log that `seq` counts in.
    pub epoch: Epoch,
    /// The `seq` of the newest event.
    pub seq: Seq,
    /// Who may do what in the room; nothing for a room that nobody has claimed yet.
    pub authority: Option<Authority>,
}

/// The row of a stored room. An unknown name takes as long as a room of ordinary size: the row of
/// another room and a sample of an authority are read and dropped. A room that was stored before rooms had hosts has an empty text for
/// its authority, and the default.
///
/// # Errors
/// [`StoreError::BadRow`] for a text that this version cannot read: such a room does not open, so
/// that no lock and no ban is lost.
pub fn row(connection: &Connection, room: &RoomName) -> Result<Option<RoomRow>, StoreError> {
    let query = "SELECT name, epoch, seq, authority FROM rooms WHERE id = coalesce(
        (SELECT id FROM rooms WHERE name >= ?1 ORDER BY name LIMIT 1),
        (SELECT max(id) FROM rooms))";
    let mut select = connection.prepare_cached(query)?;
    let found = select.query_row([room.as_str()], |row| {
        let (epoch, seq) = reader::epoch_and_seq(row)?;
        let [name, json] = ["name", "authority"].map(|column| reader::stored_text(row, column));
        Ok((epoch, seq, name?, json?))
    });
    let found = found.optional()?;
    let Some((epoch, seq, _, json)) = found.filter(|(_, _, name, _)| name == room.as_str()) else {
        drop(black_box(parse(Authority::stored_sample())));
        return Ok(None);
    };
    let authority = parse(&json)?;
    Ok(Some(RoomRow {
        epoch,
        seq,
        authority,
    }))
}

/// Reads the stored text of an authority.
fn parse(json: &str) -> Result<Option<Authority>, StoreError> {
    if json.is_empty() {
        return Ok(Some(Authority::default()));
    }
    let unreadable = || StoreError::BadRow("the authority of a room cannot be read".to_owned());
    let authority = Authority::from_json(json).ok_or_else(unreadable)?;
    Ok((authority != Authority::default()).then_some(authority))
}
