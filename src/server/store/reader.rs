//! Reading: a few connections, each used by one blocking task at a time.

use super::{Page, StoreError, schema};
use crate::{
    protocol::{
        ChatMessage, ChatText, Epoch, MessageId, Nickname, ParticipantId, Person, RoomName, Seq,
    },
    server::limits::READERS,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// The columns of a message, in the order [`message`] reads them.
pub const COLUMNS: &str = "seq, client_id, author, nickname, text, at";

/// The pool. As many tasks read at once as there are connections; others wait.
#[derive(Clone)]
pub struct Readers {
    /// One permit a connection.
    permits: Arc<Semaphore>,
    /// Those not in use. Locked for a push or a pop only.
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// Opens all connections.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let idle = (0..READERS)
            .map(|_| schema::connect(path))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            permits: Arc::new(Semaphore::new(READERS)),
            idle: Arc::new(Mutex::new(idle)),
        })
    }

    /// Runs a query on a blocking thread.
    pub async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = self.permits.clone();
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let idle = self.idle.clone();
        let work = move || {
            let connection = lock(&idle).pop().ok_or(StoreError::Closed)?;
            let answer = query(&connection);
            lock(&idle).push(connection);
            drop(permit);
            answer
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or(Err(StoreError::Closed))
    }
}

/// The idle connections; a poisoned lock is fine, a `Vec` of them has no half state.
fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The newest messages before `before`, oldest first.
pub fn page(
    connection: &Connection,
    room: &RoomName,
    before: Option<Seq>,
    limit: u32,
) -> Result<Page, StoreError> {
    let before = before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
    let query = format!(
        "SELECT {COLUMNS} FROM messages
         WHERE room_id = (SELECT id FROM rooms WHERE name = ?1) AND seq < ?2
         ORDER BY seq DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&query)?;
    // One more than asked for tells whether there are older ones.
    let rows = statement.query_map(
        params![room.as_str(), before, i64::from(limit) + 1],
        message,
    )?;
    let mut messages = rows.collect::<Result<Vec<_>, _>>()?;
    let more = messages.len() > limit as usize;
    messages.truncate(limit as usize);
    messages.reverse();
    Ok(Page { messages, more })
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
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// Epoch and newest `seq` of a stored room.
pub fn head(connection: &Connection, room: &RoomName) -> Result<Option<(Epoch, Seq)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT epoch, seq FROM rooms WHERE name = ?1")?;
    let row = statement
        .query_row([room.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((epoch, seq)) = row else {
        return Ok(None);
    };
    let epoch = Epoch::parse(&epoch).map_err(|rule| StoreError::BadRow(rule.to_owned()))?;
    Ok(Some((epoch, seq.unsigned_abs())))
}

/// Whether the tables can be read.
pub fn check(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    Ok(())
}

/// Reads one row of [`COLUMNS`].
pub fn message(row: &Row<'_>) -> rusqlite::Result<ChatMessage> {
    let from = Person {
        id: ParticipantId::parse(&row.get::<_, String>(2)?).map_err(|rule| bad(2, rule))?,
        nickname: Nickname::parse(&row.get::<_, String>(3)?).map_err(|rule| bad(3, rule))?,
    };
    let id: [u8; 16] = row.get(1)?;
    Ok(ChatMessage {
        seq: row.get::<_, i64>(0)?.unsigned_abs(),
        id: MessageId(uuid::Uuid::from_bytes(id)),
        from,
        text: ChatText::parse(&row.get::<_, String>(4)?).map_err(|rule| bad(4, rule))?,
        at: row.get(5)?,
    })
}

/// A stored text that breaks a rule of today.
fn bad(column: usize, rule: impl std::fmt::Display) -> rusqlite::Error {
    let reason = format!("column {column} {rule}");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.into())
}
