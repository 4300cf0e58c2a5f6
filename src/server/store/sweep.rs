//! Selects expired messages, and deletes them.
//!
//! A deleted row is overwritten (`secure_delete`). [`super::cleanup`] erases its text from the
//! search index and the write-ahead log.

use super::{StoreError, cleanup, reader, search};
use crate::protocol::{RoomName, Seq};
use rusqlite::{Connection, TransactionBehavior, params};

/// Which messages of a room are expired: those that either limit selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Messages received before this time, in milliseconds since the Unix epoch.
    pub before_ms: Option<i64>,
    /// All but this many newest messages.
    pub newest: Option<u32>,
}

/// An expired message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// The row id of the message.
    pub(super) row: i64,
    /// Its position in the log of the room.
    pub seq: Seq,
}

/// A stored room, and the retention that its hosts have set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRetention {
    /// The row id of the room.
    pub row: i64,
    /// The name of the room.
    pub name: RoomName,
    /// For how many days its hosts want messages to be kept.
    pub keep_days: Option<u32>,
}

/// The retention that the hosts of a room have set, or `NULL`. A text that is not JSON has none.
const KEEP_DAYS: &str =
    "CASE WHEN json_valid(authority) THEN authority ->> '$.settings.retention_days' END";

/// Stored rooms, in ascending order of their row ids after `after`.
pub fn rooms(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> Result<Vec<RoomRetention>, StoreError> {
    let query = format!(
        "SELECT id, name, {KEEP_DAYS} AS keep_days FROM rooms WHERE id > ?1 ORDER BY id LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rooms = statement.query_map(params![after, limit], |row| {
        Ok(RoomRetention {
            row: row.get("id")?,
            name: RoomName::from_stored(&reader::stored_text(row, "name")?),
            // A value that is no number is none.
            keep_days: row.get::<_, Option<u32>>("keep_days").unwrap_or_default(),
        })
    })?;
    Ok(rooms.collect::<Result<Vec<_>, _>>()?)
}

/// Whether the hosts of any room want its messages to be deleted by age.
pub fn any_keeps_days(connection: &Connection) -> Result<bool, StoreError> {
    let query = format!("SELECT EXISTS (SELECT 1 FROM rooms WHERE {KEEP_DAYS} IS NOT NULL)");
    let mut statement = connection.prepare_cached(&query)?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// The oldest expired messages of a room.
pub fn expired(
    connection: &Connection,
    room: &RoomName,
    expiry: Expiry,
    limit: u32,
) -> Result<Vec<Expired>, StoreError> {
    let Some(room_id) = reader::room_id(connection, room)? else {
        return Ok(Vec::new());
    };
    let last = match expiry.newest {
        Some(newest) => seq_beyond(connection, room_id, newest)?,
        None => 0,
    };
    // Each message expires by its own time, not by its order: a clock that was once wrong neither
    // keeps nor deletes later messages.
    let query = "SELECT id, seq FROM messages
                 WHERE room_id = ?1 AND (at < ?2 OR seq <= ?3) ORDER BY seq LIMIT ?4";
    let mut statement = connection.prepare_cached(query)?;
    let before = expiry.before_ms.unwrap_or(i64::MIN);
    let rows = statement.query_map(params![room_id, before, last, limit], |row| {
        Ok(Expired {
            row: row.get("id")?,
            seq: row.get::<_, i64>("seq")?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// The number of messages of a room that expire by age alone, and the number of all.
pub fn due(
    connection: &Connection,
    room: &RoomName,
    expiry: Expiry,
) -> Result<(u64, u64), StoreError> {
    let Some(room_id) = reader::room_id(connection, room)? else {
        return Ok((0, 0));
    };
    let last = match expiry.newest {
        Some(newest) => seq_beyond(connection, room_id, newest)?,
        None => 0,
    };
    let query = "SELECT count(*) FILTER (WHERE at < ?2 AND seq > ?3) AS due, count(*) AS total
                 FROM messages WHERE room_id = ?1";
    let mut statement = connection.prepare_cached(query)?;
    let before = expiry.before_ms.unwrap_or(i64::MIN);
    let count =
        |row: &rusqlite::Row<'_>, column: &str| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(statement.query_row(params![room_id, before, last], |row| {
        Ok((count(row, "due")?, count(row, "total")?))
    })?)
}

/// The `seq` of the newest message beyond the `newest` ones; 0 if there is none.
fn seq_beyond(connection: &Connection, room_id: i64, newest: u32) -> Result<i64, StoreError> {
    let query = "SELECT seq FROM messages WHERE room_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params![room_id, newest])?;
    Ok(rows.next()?.map_or(Ok(0), |row| row.get(0))?)
}

/// Deletes messages by their row ids.
pub fn delete(connection: &mut Connection, rows: &[i64]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut delete = transaction.prepare_cached("DELETE FROM messages WHERE id = ?1")?;
    for row in rows {
        delete.execute([row])?;
    }
    drop(delete);
    search::forget_newest(&transaction)?;
    cleanup::request(&transaction)?;
    Ok(transaction.commit()?)
}
