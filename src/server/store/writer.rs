//! Writing: one thread, one transaction for everything that has queued up meanwhile.
//!
//! The group is what came in while the last one was committed, at most
//! [`GROUP_ROWS`]; nobody waits for a group to fill, so a lonely message is as fast as
//! the disk. A commit that fails refuses every message of its group.

use super::{
    Appended, NewMessage, StoreError,
    change::{self, Change, Changed},
    reader, search,
};
use crate::{
    protocol::{ChatMessage, Epoch, RoomName, Seq},
    server::limits::{GROUP_ROWS, WRITER_QUEUE},
};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

/// Where an answer goes.
type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to do for the thread, in the order it came.
enum Job {
    /// Store a message.
    Append(RoomName, NewMessage, Answer<Appended>),
    /// Change one that is stored.
    Change(RoomName, Change, Answer<Changed>),
    /// Prove that the database can be written.
    Check(Answer<()>),
    /// Fold the WAL in and end.
    Close(oneshot::Sender<()>),
}

/// The handle to the thread, which ends on [`Writer::close`] or with the last handle.
#[derive(Clone)]
pub struct Writer {
    /// Bounded: a full queue refuses instead of growing.
    jobs: mpsc::SyncSender<Job>,
}

impl Writer {
    /// Starts the thread on its own connection.
    pub fn start(connection: Connection, epoch: Epoch) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::sync_channel(WRITER_QUEUE);
        std::thread::Builder::new()
            .name("noom-writer".to_owned())
            .spawn(move || run(connection, &queue, &epoch))
            .map_err(|error| StoreError::Directory(Arc::new(error)))?;
        Ok(Self { jobs })
    }

    /// Queues a message and waits for its commit.
    pub async fn append(
        &self,
        room: RoomName,
        message: NewMessage,
    ) -> Result<Appended, StoreError> {
        self.ask(|answer| Job::Append(room, message, answer)).await
    }

    /// Queues a change and waits for its commit.
    pub async fn change(&self, room: RoomName, change: Change) -> Result<Changed, StoreError> {
        self.ask(|answer| Job::Change(room, change, answer)).await
    }

    /// Waits for an empty write to be committed.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.ask(Job::Check).await
    }

    /// Waits for everything queued, then for the end of the thread's work.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let jobs = self.jobs.clone();
        // `send` blocks while the queue is full, so it has a thread of its own.
        let send = move || jobs.send(Job::Close(done)).is_ok();
        if tokio::task::spawn_blocking(send).await.unwrap_or(false) {
            let _ = closed.await;
        }
    }

    /// Queues a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs
            .try_send(job(answer))
            .map_err(|error| match error {
                mpsc::TrySendError::Full(_) => StoreError::Busy,
                mpsc::TrySendError::Disconnected(_) => StoreError::Closed,
            })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// The thread: takes a group, commits it, answers it.
fn run(mut connection: Connection, queue: &mpsc::Receiver<Job>, epoch: &Epoch) {
    let mut closing = None;
    while closing.is_none() {
        let Ok(first) = queue.recv() else { break };
        let mut group = vec![first];
        while group.len() < GROUP_ROWS
            && let Ok(job) = queue.try_recv()
        {
            group.push(job);
        }
        closing = serve(&mut connection, group, epoch);
    }
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log stays unfolded until the next start");
    }
    // Closed before it is reported, so that another process may open the file at once.
    drop(connection);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Commits a group and answers it; gives back whom to tell where it held a `Close`.
fn serve(
    connection: &mut Connection,
    group: Vec<Job>,
    epoch: &Epoch,
) -> Option<oneshot::Sender<()>> {
    let outcome = commit(connection, &group, epoch);
    if let Err(error) = &outcome {
        tracing::error!(%error, jobs = group.len(), "a group of messages was not stored");
    }
    let failed = outcome.as_ref().err().cloned();
    let mut done = outcome.unwrap_or_default().into_iter();
    let mut closing = None;
    for job in group {
        let done = done.next();
        let failed = || failed.clone().unwrap_or(StoreError::Closed);
        match (job, done) {
            (Job::Append(_, _, answer), Some(Done::Appended(row))) => drop(answer.send(Ok(row))),
            (Job::Append(_, _, answer), _) => drop(answer.send(Err(failed()))),
            (Job::Change(_, _, answer), Some(Done::Changed(what))) => drop(answer.send(Ok(what))),
            (Job::Change(_, _, answer), _) => drop(answer.send(Err(failed()))),
            (Job::Check(answer), Some(_)) => drop(answer.send(Ok(()))),
            (Job::Check(answer), None) => drop(answer.send(Err(failed()))),
            (Job::Close(done), _) => closing = Some(done),
        }
    }
    closing
}

/// What a job of a committed group came to.
enum Done {
    /// A message is stored.
    Appended(Appended),
    /// A message was changed, or not.
    Changed(Changed),
    /// Nothing to tell.
    Nothing,
}

/// One transaction for the whole group; one result a job, in order.
fn commit(
    connection: &mut Connection,
    group: &[Job],
    epoch: &Epoch,
) -> Result<Vec<Done>, StoreError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut done = Vec::with_capacity(group.len());
    for job in group {
        done.push(match job {
            Job::Append(room, message, _) => {
                Done::Appended(append(&transaction, room, message, epoch)?)
            }
            Job::Change(room, change, _) => {
                Done::Changed(change::apply(&transaction, room, change)?)
            }
            Job::Check(_) => {
                touch(&transaction)?;
                Done::Nothing
            }
            Job::Close(_) => Done::Nothing,
        });
    }
    transaction.commit()?;
    Ok(done)
}

/// Writes a row that changes nothing, so that a full or read-only disk shows.
fn touch(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('checked', '')",
        [],
    )?;
    Ok(())
}

/// Stores one message, or finds the one its id already names.
fn append(
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
pub(super) fn next_seq(transaction: &Transaction<'_>, room_id: i64) -> Result<Seq, StoreError> {
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
