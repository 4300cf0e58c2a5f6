//! Rooms without messages: finds and deletes their rows.
//!
//! A room has a row from the time it opens. The retention may delete every message; what stays
//! is the name, with the `seq` of the last event. A deleted row must not make a later log of the
//! same name look like the former one, so the epoch of new rooms is renewed with it.

use super::{StoreError, reader};
use crate::{
    protocol::{Epoch, RoomName},
    server::identity::new_epoch,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// Bytes of an authority that holds a host key and nothing else, at most. A room with settings,
/// roles or bans is kept.
const KEY_ONLY_BYTES: i64 = 96;

/// What became of a room that was to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// The room has messages, or no row.
    Nothing,
    /// The row was deleted, and the epoch of new rooms was renewed where `epoch` is set.
    Row {
        /// The epoch of new rooms, if events of the deleted room had numbers.
        epoch: Option<Epoch>,
    },
}

/// Stored rooms without messages with their row ids, in ascending order after `after`.
pub fn empty_rooms(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, RoomName)>, StoreError> {
    // The count of bytes is in the row; the messages are looked up where it says that there are
    // none.
    let query = "SELECT id, name FROM rooms WHERE id > ?1 AND bytes = octet_length(authority)
                     AND octet_length(authority) <= ?3
                     AND NOT EXISTS (SELECT 1 FROM messages WHERE room_id = rooms.id)
                 ORDER BY id LIMIT ?2";
    let mut statement = connection.prepare_cached(query)?;
    let rooms = statement.query_map(params![after, limit, KEY_ONLY_BYTES], |row| {
        let name = RoomName::from_stored(&reader::stored_text(row, "name")?);
        Ok((row.get("id")?, name))
    })?;
    Ok(rooms.collect::<Result<Vec<_>, _>>()?)
}

/// Deletes the row of a room without messages.
pub fn forget(connection: &mut Connection, room: &RoomName) -> Result<Forgotten, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // A trigger takes the bytes of the authority off the sum of all rooms.
    let uncount = "UPDATE rooms SET authority = ''
                   WHERE name = ?1 AND octet_length(authority) <= ?2
                       AND NOT EXISTS (SELECT 1 FROM messages WHERE room_id = rooms.id)";
    transaction
        .prepare_cached(uncount)?
        .execute(params![room.as_str(), KEY_ONLY_BYTES])?;
    let query = "DELETE FROM rooms WHERE name = ?1 AND authority = ''
                     AND NOT EXISTS (SELECT 1 FROM messages WHERE room_id = rooms.id)
                 RETURNING seq";
    let seq: Option<i64> = transaction
        .prepare_cached(query)?
        .query_row([room.as_str()], |row| row.get(0))
        .optional()?;
    let forgotten = match seq {
        None => Forgotten::Nothing,
        Some(0) => Forgotten::Row { epoch: None },
        Some(_) => {
            let epoch = new_epoch();
            let renew = "INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?1)";
            transaction.execute(renew, [epoch.as_str()])?;
            Forgotten::Row { epoch: Some(epoch) }
        }
    };
    transaction.commit()?;
    Ok(forgotten)
}
