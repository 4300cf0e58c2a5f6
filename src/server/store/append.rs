//! The SQL of a message: one row, its place in the room's order, its words in the index.

use super::{Appended, NewMessage, StoreError, reader, search};
use crate::protocol::{ChatMessage, Epoch, RoomName, Seq};
use rusqlite::{OptionalExtension, Transaction, params};

/// Stores one message, or finds the one its id already names.
pub fn append(
    transaction: &Transaction<'_>,
    room: &RoomName,
    new: &NewMessage,
    epoch: &Epoch,
) -> Result<Appended, StoreError> {
    let room_id = room_id(transaction, room, epoch)?;
    if let Some(message) = find(transaction, room_id, new)? {
        return Ok(Appended {
            message,
            duplicate: true,
        });
    }
    let seq = next_seq(transaction, room_id)?;
    let message = ChatMessage {
        reply_to: new.reply_to,
        ..ChatMessage::said(seq, new.id, new.from.clone(), new.text.clone(), new.at)
    };
    insert(transaction, room_id, &message)?;
    Ok(Appended {
        message,
        duplicate: false,
    })
}

/// The row of the room, made where there is none.
fn room_id(
    transaction: &Transaction<'_>,
    room: &RoomName,
    epoch: &Epoch,
) -> Result<i64, StoreError> {
    let mut insert = transaction
        .prepare_cached("INSERT OR IGNORE INTO rooms (name, epoch, seq) VALUES (?1, ?2, 0)")?;
    insert.execute(params![room.as_str(), epoch.as_str()])?;
    let mut select = transaction.prepare_cached("SELECT id FROM rooms WHERE name = ?1")?;
    Ok(select.query_row([room.as_str()], |row| row.get(0))?)
}

/// The message this id already names in the room.
fn find(
    transaction: &Transaction<'_>,
    room_id: i64,
    new: &NewMessage,
) -> Result<Option<ChatMessage>, StoreError> {
    let columns = reader::COLUMNS;
    let query = format!("SELECT {columns} FROM messages WHERE room_id = ?1 AND client_id = ?2");
    let mut select = transaction.prepare_cached(&query)?;
    let id = new.id.0.into_bytes();
    let row = select
        .query_row(params![room_id, id], reader::message)
        .optional()?;
    let page = reader::with_reactions(transaction, row.into_iter().collect(), 1)?;
    Ok(page.messages.into_iter().next())
}

/// Counts the room's log on by one.
pub fn next_seq(transaction: &Transaction<'_>, room_id: i64) -> Result<Seq, StoreError> {
    let query = "UPDATE rooms SET seq = seq + 1 WHERE id = ?1 RETURNING seq";
    let mut update = transaction.prepare_cached(query)?;
    let seq: i64 = update.query_row([room_id], |row| row.get(0))?;
    Ok(seq.unsigned_abs())
}

/// Writes the row, and its words into the index.
fn insert(
    transaction: &Transaction<'_>,
    room_id: i64,
    message: &ChatMessage,
) -> Result<(), StoreError> {
    let query = "INSERT INTO messages
        (room_id, seq, client_id, author, nickname, text, at, reply_to)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut statement = transaction.prepare_cached(query)?;
    let id = statement.insert(params![
        room_id,
        i64::try_from(message.seq).unwrap_or(i64::MAX),
        message.id.0.into_bytes(),
        message.from.id.as_str(),
        message.from.nickname.as_str(),
        message.words(),
        message.at,
        message.reply_to.map(|id| id.0.into_bytes()),
    ])?;
    search::index(transaction, room_id, id, message.words())
}
