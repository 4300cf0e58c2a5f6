//! Changes of stored messages: edit, delete, react. Each is an event with a `seq` of its own; the
//! store keeps the current state of the message only.

use super::{
    StoreError,
    append::next_seq,
    quota::{self, Allowance},
    reader, search,
};
use crate::protocol::{
    ChatMessage, ChatText, Emoji, ErrorCode, MAX_PINS, MAX_REACTIONS, MessageId, ParticipantId,
    RoomName,
};
use rusqlite::{OptionalExtension, Transaction, params};

/// A change that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The message to change.
    pub id: MessageId,
    /// The person who asks for the change.
    pub by: ParticipantId,
    /// When the server received it, in milliseconds since the Unix epoch.
    pub at: i64,
    /// What to do with the message.
    pub edit: Edit,
    /// Whether the person may delete a message of another author.
    pub moderates: bool,
}

/// A change of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Replaces the text. Allowed to the author.
    Text(ChatText),
    /// Deletes the text and the files. Allowed to the author and to hosts.
    Delete,
    /// Adds or removes a reaction. Allowed to everybody.
    React {
        /// The emoji of the reaction.
        emoji: Emoji,
        /// Whether the reaction is added.
        on: bool,
    },
    /// Pins the message, or unpins it. Allowed to hosts.
    Pin(bool),
}

/// The outcome of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The message as changed; durable.
    Applied(ChatMessage),
    /// The message was in this state already.
    Unchanged(ChatMessage),
    /// The change is not allowed, with the reason.
    Refused(ErrorCode),
}

/// Applies a change. Writes nothing for a change without an effect, or a refused one.
pub fn apply(
    transaction: &Transaction<'_>,
    room: &RoomName,
    change: &Change,
    allowance: Allowance,
) -> Result<Changed, StoreError> {
    let Some(room_id) = reader::room_id(transaction, room)? else {
        return Ok(Changed::Refused(ErrorCode::NoSuchMessage));
    };
    let Some((id, before)) = find(transaction, room_id, change.id)? else {
        return Ok(Changed::Refused(ErrorCode::NoSuchMessage));
    };
    if let Some(code) = refusal(&before, change) {
        return Ok(Changed::Refused(code));
    }
    if has_no_effect(&before, change) {
        return Ok(Changed::Unchanged(before));
    }
    if change.edit == Edit::Pin(true) && pins(transaction, room_id)? >= MAX_PINS {
        return Ok(Changed::Refused(ErrorCode::TooManyEntries));
    }
    let room_bytes = quota::room_bytes(transaction, room_id)?;
    if let Some(full) = allowance.refuses(transaction, room_bytes, growth(&before, change))? {
        return Ok(Changed::Refused(full.code()));
    }
    let seq = i64::try_from(next_seq(transaction, room_id)?).unwrap_or(i64::MAX);
    write(transaction, room_id, id, seq, change)?;
    let query = "UPDATE messages SET changed = ?2 WHERE id = ?1";
    transaction
        .prepare_cached(query)?
        .execute(params![id, seq])?;
    let after = find(transaction, room_id, change.id)?;
    Ok(
        after.map_or(Changed::Refused(ErrorCode::NoSuchMessage), |(_, after)| {
            Changed::Applied(after)
        }),
    )
}

/// The number of pinned messages.
fn pins(transaction: &Transaction<'_>, room_id: i64) -> Result<u32, StoreError> {
    let query = "SELECT count(*) FROM messages WHERE room_id = ?1 AND pinned > 0";
    let mut count = transaction.prepare_cached(query)?;
    Ok(count.query_row([room_id], |row| row.get(0))?)
}

/// A message with its row id.
fn find(
    transaction: &Transaction<'_>,
    room_id: i64,
    id: MessageId,
) -> Result<Option<(i64, ChatMessage)>, StoreError> {
    let query = "SELECT id FROM messages WHERE room_id = ?1 AND client_id = ?2";
    let mut select = transaction.prepare_cached(query)?;
    let row: Option<i64> = select
        .query_row(params![room_id, id.0.into_bytes()], |row| row.get(0))
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let message = reader::by_row(transaction, row)?;
    Ok(message.map(|message| (row, message)))
}

/// Why a change is refused.
fn refusal(before: &ChatMessage, change: &Change) -> Option<ErrorCode> {
    let reactions: usize = before.reactions.iter().map(|r| r.by.len()).sum();
    let (is_author, is_deleted) = (change.by.is_author(&before.from.id), before.is_deleted());
    let is_full = reactions >= MAX_REACTIONS && !has_no_effect(before, change);
    match &change.edit {
        Edit::Text(_) if !is_author => Some(ErrorCode::NotYours),
        Edit::Delete if !is_author && !change.moderates => Some(ErrorCode::NotYours),
        Edit::Text(_) | Edit::React { on: true, .. } | Edit::Pin(true) if is_deleted => {
            Some(ErrorCode::NoSuchMessage)
        }
        Edit::React { on: true, .. } if is_full => Some(ErrorCode::TooManyReactions),
        Edit::Text(_) | Edit::Delete | Edit::React { .. } | Edit::Pin(_) => None,
    }
}

/// Whether the change has no effect.
fn has_no_effect(before: &ChatMessage, change: &Change) -> bool {
    match &change.edit {
        Edit::Text(text) => before.text.as_ref() == Some(text),
        Edit::Delete => before.is_deleted(),
        Edit::Pin(on) => (before.pinned > 0) == *on,
        Edit::React { emoji, on } => {
            let given = before.reactions.iter().find(|r| r.emoji == *emoji);
            given.is_some_and(|r| r.by.iter().any(|by| change.by.is_author(by))) == *on
        }
    }
}

/// Bytes by which a change makes the room larger; 0 if it does not.
fn growth(before: &ChatMessage, change: &Change) -> u64 {
    match &change.edit {
        Edit::Text(text) => {
            quota::bytes(text.as_str()).saturating_sub(quota::bytes(before.words()))
        }
        Edit::React { emoji, on: true } => quota::reaction_bytes(emoji, &change.by),
        Edit::Delete | Edit::React { on: false, .. } | Edit::Pin(_) => 0,
    }
}

/// Writes a change to the message, its reactions and the search index.
fn write(
    transaction: &Transaction<'_>,
    room_id: i64,
    id: i64,
    seq: i64,
    change: &Change,
) -> Result<(), StoreError> {
    match &change.edit {
        Edit::Text(text) => {
            let query = "UPDATE messages SET text = ?2, edited_at = ?3 WHERE id = ?1";
            transaction
                .prepare_cached(query)?
                .execute(params![id, text.as_str(), change.at])?;
            search::reindex(transaction, room_id, id)
        }
        Edit::Delete => {
            let query = "UPDATE messages
                 SET text = '', edited_at = NULL, files = 0, pinned = 0, mentions = '' WHERE id = ?1";
            transaction.prepare_cached(query)?.execute([id])?;
            for table in ["reactions", "files"] {
                let query = format!("DELETE FROM {table} WHERE message_id = ?1");
                transaction.prepare_cached(&query)?.execute([id])?;
            }
            search::reindex(transaction, room_id, id)
        }
        Edit::Pin(on) => {
            let query = "UPDATE messages SET pinned = ?2 WHERE id = ?1";
            let pinned = if *on { seq } else { 0 };
            transaction.prepare_cached(query)?.execute([id, pinned])?;
            Ok(())
        }
        Edit::React { emoji, on } => {
            let (emoji, by) = (emoji.as_str(), change.by.as_str());
            if *on {
                let query = "INSERT OR IGNORE INTO reactions (message_id, emoji, author, place)
                     VALUES (?1, ?2, ?3, ?4)";
                let row = params![id, emoji, by, seq];
                transaction.prepare_cached(query)?.execute(row)?;
            } else {
                let query = "DELETE FROM reactions
                     WHERE message_id = ?1 AND emoji = ?2 AND author IN (?3, ?4)";
                let row = params![id, emoji, by, change.by.former()];
                transaction.prepare_cached(query)?.execute(row)?;
            }
            Ok(())
        }
    }
}
