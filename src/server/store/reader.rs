//! The reader pool: a few connections, each used by one blocking task at a time, and the queries of
//! messages.

use super::{Page, StoreError, files, lock::DataLock, schema};
use crate::protocol::{
    ChatMessage, ChatText, Emoji, Epoch, MAX_PINS, Mention, MessageId, Nickname, ParticipantId,
    Person, Reaction, RoomName, Seq, text::marks,
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Semaphore;

/// The columns of a message, under the names by which [`message`] reads them.
pub const COLUMNS: &str = "messages.id AS id, messages.seq AS seq, client_id, author, nickname, \
                           messages.text AS text, at, reply_to, edited_at, changed, \
                           messages.files AS file_count, pinned, mentions";

/// The text of mentions as they are stored; empty for none.
pub fn mentions_text(mentions: &[Mention]) -> String {
    match mentions {
        [] => String::new(),
        mentions => serde_json::to_string(mentions).unwrap_or_default(),
    }
}

/// A message without what has rows of its own.
#[derive(Debug)]
pub struct MessageRow {
    /// The row id of the message.
    id: i64,
    /// The message without reactions and files.
    message: ChatMessage,
    /// Whether the message has files.
    has_files: bool,
}

/// A pool of connections. A task waits while all of them are in use. Cloning is cheap.
#[derive(Clone)]
pub struct Readers {
    /// One permit for each connection.
    permits: Arc<Semaphore>,
    /// The number of connections.
    count: usize,
    /// The connections not in use. Locked for a push or a pop only.
    idle: Arc<Mutex<Idle>>,
}

/// The connections not in use, and the lock of the data directory.
struct Idle {
    /// Open connections that no task uses.
    connections: Vec<Connection>,
    /// Held by one pool while the database is open.
    _lock: Option<DataLock>,
}

impl Readers {
    /// Opens `count` connections. Keeps the lock until they are closed.
    pub fn open(path: &Path, count: usize, lock: Option<DataLock>) -> Result<Self, StoreError> {
        let connections = (0..count)
            .map(|_| schema::connect(path))
            .collect::<Result<Vec<_>, _>>()?;
        let _lock = lock;
        Ok(Self {
            permits: Arc::new(Semaphore::new(count)),
            count,
            idle: Arc::new(Mutex::new(Idle { connections, _lock })),
        })
    }

    /// Waits for running queries, then closes all connections and releases the lock.
    pub async fn close(&self) {
        let all = u32::try_from(self.count).unwrap_or(u32::MAX);
        let Ok(_everybody) = self.permits.acquire_many(all).await else {
            return;
        };
        self.permits.close();
        let mut idle = lock(&self.idle);
        idle.connections.clear();
        idle._lock = None;
    }

    /// Runs a query on a blocking thread.
    pub async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = self.permits.clone();
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let idle = self.idle.clone();
        let work = move || {
            let mut connection = lock(&idle).connections.pop().ok_or(StoreError::Closed)?;
            let answer = query(&mut connection);
            lock(&idle).connections.push(connection);
            drop(permit);
            answer
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or(Err(StoreError::Closed))
    }
}

/// Locks the idle connections. A poisoned lock is usable: each change is one step.
fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The newest messages before `before`, oldest first.
pub fn page(
    connection: &Connection,
    room: &RoomName,
    before: Option<Seq>,
    limit: u32,
) -> Result<Page, StoreError> {
    let query = format!(
        "SELECT {COLUMNS} FROM messages
         WHERE room_id = (SELECT id FROM rooms WHERE name = ?1) AND seq < ?2
         ORDER BY seq DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&query)?;
    // One more row than requested shows whether there are older messages.
    let rows = statement.query_map(
        params![room.as_str(), seq_before(before), i64::from(limit) + 1],
        message,
    )?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut page = complete(connection, rows, limit)?;
    page.messages.reverse();
    Ok(page)
}

/// `before` as an SQL parameter: without one, every message is before it.
pub fn seq_before(before: Option<Seq>) -> i64 {
    before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX))
}

/// Truncates rows to `limit`, sets `more`, and adds the reactions and files.
pub fn complete(
    connection: &Connection,
    mut rows: Vec<MessageRow>,
    limit: u32,
) -> Result<Page, StoreError> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let MessageRow {
            id, mut message, ..
        } = row;
        // Only changed messages can have reactions.
        if message.changed > 0 {
            message.reactions = reactions(connection, id)?;
        }
        if row.has_files {
            message.files = files::of_message(connection, id)?;
        }
        messages.push(message);
    }
    Ok(Page { messages, more })
}

/// The reactions of a message, in order of first use.
fn reactions(connection: &Connection, id: i64) -> Result<Vec<Reaction>, StoreError> {
    let query = "SELECT emoji, author FROM reactions WHERE message_id = ?1 ORDER BY place";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([id])?;
    let mut reactions: Vec<Reaction> = Vec::new();
    while let Some(row) = rows.next()? {
        let emoji = Emoji::from_stored(&stored_text(row, "emoji")?);
        let by = ParticipantId::from_stored(&stored_text(row, "author")?);
        match reactions.iter_mut().find(|known| known.emoji == emoji) {
            Some(known) => known.by.push(by),
            None => reactions.push(Reaction {
                emoji,
                by: vec![by],
            }),
        }
    }
    Ok(reactions)
}

/// The row id of a stored room.
pub fn room_id(connection: &Connection, room: &RoomName) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM rooms WHERE name = ?1")?;
    Ok(statement
        .query_row([room.as_str()], |row| row.get(0))
        .optional()?)
}

/// A message by its row id.
pub fn by_row(connection: &Connection, id: i64) -> Result<Option<ChatMessage>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM messages WHERE messages.id = ?1");
    let mut statement = connection.prepare_cached(&query)?;
    let row = statement.query_row([id], message).optional()?;
    let page = complete(connection, row.into_iter().collect(), 1)?;
    Ok(page.messages.into_iter().next())
}

/// The last changed messages, in the order of their last change, at most `limit`.
pub fn changes(connection: &Connection, room: &RoomName, limit: u32) -> Result<Page, StoreError> {
    let query = format!(
        "SELECT {COLUMNS} FROM messages
         WHERE room_id = (SELECT id FROM rooms WHERE name = ?1) AND changed > 0
         ORDER BY changed DESC LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(params![room.as_str(), i64::from(limit) + 1], message)?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut page = complete(connection, rows, limit)?;
    page.messages.reverse();
    Ok(page)
}

/// The pinned messages, in the order of pinning.
pub fn pinned(connection: &Connection, room: &RoomName) -> Result<Vec<ChatMessage>, StoreError> {
    let query = format!(
        "SELECT {COLUMNS} FROM messages
         WHERE room_id = (SELECT id FROM rooms WHERE name = ?1) AND pinned > 0
         ORDER BY pinned LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(params![room.as_str(), MAX_PINS], message)?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(complete(connection, rows, MAX_PINS)?.messages)
}

/// The oldest messages after `seq`, oldest first.
pub fn after(
    connection: &Connection,
    room: &RoomName,
    seq: Seq,
    limit: u32,
) -> Result<Vec<ChatMessage>, StoreError> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let query = format!(
        "SELECT {COLUMNS} FROM messages
         WHERE room_id = (SELECT id FROM rooms WHERE name = ?1) AND seq > ?2
         ORDER BY seq LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(params![room.as_str(), seq, limit], message)?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(complete(connection, rows, limit)?.messages)
}

/// Counts the messages after a position that are not deleted, up to `limit`; 0 if the room has another
/// log by now.
pub fn unread(
    connection: &Connection,
    room: &RoomName,
    epoch: &Epoch,
    seq: Seq,
    limit: u32,
) -> Result<u32, StoreError> {
    let query = "SELECT count(*) FROM (
            SELECT 1 FROM messages
            WHERE room_id = (SELECT id FROM rooms WHERE name = ?1 AND epoch = ?2) AND seq > ?3
                AND (text <> '' OR files > 0)
            LIMIT ?4
        )";
    let mut statement = connection.prepare_cached(query)?;
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let count = statement.query_row(params![room.as_str(), epoch.as_str(), seq, limit], |row| {
        row.get(0)
    });
    Ok(count?)
}

/// Epoch and newest `seq` of a stored room.
pub fn head(connection: &Connection, room: &RoomName) -> Result<Option<(Epoch, Seq)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT epoch, seq FROM rooms WHERE name = ?1")?;
    let row = statement.query_row([room.as_str()], epoch_and_seq);
    Ok(row.optional()?)
}

/// Reads epoch and newest `seq` from a row of `rooms`.
pub fn epoch_and_seq(row: &Row<'_>) -> rusqlite::Result<(Epoch, Seq)> {
    let epoch = Epoch::from_stored(&stored_text(row, "epoch")?);
    Ok((epoch, stored_number(row, "seq")?.unsigned_abs()))
}

/// Checks that the tables can be read.
pub fn check(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    Ok(())
}

/// Reads one row of [`COLUMNS`]. Accepts any content, because one unreadable row of a former version
/// must not keep a room from being opened.
pub fn message(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    let id = stored_number(row, "id")?;
    let text = stored_text(row, "text")?;
    let text = (!text.is_empty()).then(|| ChatText::from_stored(&text));
    let message = ChatMessage {
        seq: stored_number(row, "seq")?.unsigned_abs(),
        // Two rows with unreadable ids are two messages.
        id: MessageId(
            stored_uuid(row, "client_id")?
                .unwrap_or_else(|| uuid::Uuid::from_u64_pair(u64::MAX, id.unsigned_abs())),
        ),
        from: Person::new(
            ParticipantId::from_stored(&stored_text(row, "author")?),
            Nickname::from_stored(&stored_text(row, "nickname")?),
        ),
        marks: text
            .as_ref()
            .map_or_else(Vec::new, |text| marks(text.as_str())),
        text,
        at: stored_number(row, "at")?,
        files: Vec::new(),
        reply_to: stored_uuid(row, "reply_to")?.map(MessageId),
        edited_at: row.get_ref("edited_at")?.as_i64().ok(),
        reactions: Vec::new(),
        changed: stored_number(row, "changed")?.unsigned_abs(),
        pinned: stored_number(row, "pinned")?.unsigned_abs(),
    };
    // What cannot be read mentions nobody.
    let mentions = stored_text(row, "mentions")?;
    let mentions: Vec<Mention> = serde_json::from_str(&mentions).unwrap_or_default();
    let message = message.with_mentions(&mentions);
    Ok(MessageRow {
        id,
        message,
        has_files: stored_number(row, "file_count")? > 0,
    })
}

/// A column as text, whatever its type.
pub fn stored_text(row: &Row<'_>, column: &str) -> rusqlite::Result<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    })
}

/// A column as an integer; 0 if it is none.
fn stored_number(row: &Row<'_>, column: &str) -> rusqlite::Result<i64> {
    Ok(row.get_ref(column)?.as_i64().unwrap_or(0))
}

/// A column as a UUID; nothing if it is none.
fn stored_uuid(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<uuid::Uuid>> {
    let bytes = row.get_ref(column)?.as_blob().ok();
    Ok(bytes.and_then(|bytes| uuid::Uuid::from_slice(bytes).ok()))
}
