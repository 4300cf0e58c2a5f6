//! What lasts: one SQLite database, one writer thread, a few readers, and some more for searches.
//!
//! A message is acknowledged only after the commit that holds it: WAL with
//! `synchronous=FULL` loses none on a crash of the process, nor on a power cut where
//! the disk honours fsync. Everything a group of writers asks for goes into one
//! commit ([`thread`]); reading never waits for writing ([`reader`]). Nothing here
//! panics on what the database says: callers get [`StoreError`] and decide.

mod append;
mod backup;
mod change;
mod checkpoint;
mod cleanup;
#[cfg(test)]
mod corpus;
mod error;
mod export;
mod file;
#[cfg(test)]
mod index_tests;
mod lock;
mod quota;
mod reader;
mod restore;
mod rights;
mod room_names;
mod schema;
mod schema_check;
mod search;
mod search_pool;
mod status;
mod sweep;
mod sweep_record;
#[cfg(test)]
mod tests;
mod thread;
mod writer;

pub use backup::backup;
pub use change::{Change, Changed, Edit};
pub use error::StoreError;
pub use export::{Format, export, export_to};
pub use file::{FileError, NewFile, refuse_database};
pub use quota::{Full, Quota, Usage};
pub use restore::{Restored, restore};
pub use rights::{Rights, RightsError};
pub use status::{Cause, FailedCommit};
pub use sweep::{Expired, Expiry};
pub use sweep_record::{SweepRecord, WaitingSweep, confirm_sweep};

use crate::protocol::{ChatDraft, ChatMessage, Epoch, Person, RoomName, Seq};
use crate::server::{limits::READERS, metrics::StoreMetrics};
use lock::DataLock;
use reader::Readers;
use search_pool::SearchPool;
use status::StoreStatus;
use std::{path::Path, sync::Arc, time::Duration};
use writer::Writer;

/// How long a search may take, unless the operator says otherwise. 200 ms: forty times what
/// one in a room of 30,000 messages takes.
pub const SEARCH_WITHIN: Duration = Duration::from_millis(200);

/// A message that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Id, text and the message it answers. The id is unique in the room.
    pub draft: ChatDraft,
    /// The author, under the current nickname.
    pub from: Person,
    /// When the server received it, in milliseconds since the Unix epoch.
    pub at: i64,
}

/// A message that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The message with its place in the room's order.
    pub message: ChatMessage,
    /// Whether this id had been stored before; then `message` is the first one.
    pub duplicate: bool,
}

/// Part of a room's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<ChatMessage>,
    /// Whether there are older ones still.
    pub more: bool,
}

/// What an operator may set of the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreOptions {
    /// Which rights the directory may have where it is there already.
    pub rights: Rights,
    /// How much may be stored.
    pub quota: Quota,
}

/// A handle to the store; cloning it is cheap.
#[derive(Clone)]
pub struct Store {
    /// The one who writes.
    writer: Writer,
    /// Those who read.
    readers: Readers,
    /// Those who search.
    searches: SearchPool,
    /// How long a search may take.
    search_within: Duration,
    /// The epoch of every room that has not stored anything yet.
    epoch: Epoch,
    /// What the writer tells.
    status: Arc<StoreStatus>,
    /// Counts commits and what waits for them.
    metrics: StoreMetrics,
}

impl Store {
    /// Opens the database, making it (and its directory) and migrating it where needed.
    ///
    /// # Errors
    /// Any [`StoreError`]; the operator mends it, the server does not start.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        rights::prepare(path, options.rights)?;
        let lock = DataLock::wait_for(path)?;
        rights::make_file(path).map_err(|error| StoreError::Directory(Arc::new(error)))?;
        let mut connection = schema::connect(path)?;
        schema_check::check_schema(&connection)?;
        schema::migrate(&mut connection)?;
        room_names::normalize(&mut connection)?;
        let epoch = schema::epoch(&connection)?;
        let readers = Readers::open(path, READERS, Some(lock))?;
        let searches = SearchPool::open(path)?;
        let status = Arc::default();
        let metrics = StoreMetrics::default();
        let quota = options.quota;
        let writer = Writer::start(
            connection,
            epoch.clone(),
            quota,
            (Arc::clone(&status), metrics.clone()),
        )?;
        Ok(Self {
            writer,
            readers,
            searches,
            search_within: SEARCH_WITHIN,
            epoch,
            status,
            metrics,
        })
    }

    /// The counters of this store.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    /// The same store, whose searches take so long at most.
    pub fn with_search_within(self, search_within: Duration) -> Self {
        Self {
            search_within,
            ..self
        }
    }

    /// Stores a message; durable when this returns. The same id again answers the first one.
    ///
    /// # Errors
    /// Nothing was stored; the author sends it again with the same id.
    pub async fn append(
        &self,
        room: &RoomName,
        message: NewMessage,
    ) -> Result<Appended, StoreError> {
        self.writer.append(room.clone(), message).await
    }

    /// Changes a stored message; durable when this returns.
    ///
    /// # Errors
    /// Nothing was stored; whoever asked asks again.
    pub async fn change(&self, room: &RoomName, change: Change) -> Result<Changed, StoreError> {
        self.writer.change(room.clone(), change).await
    }

    /// The newest messages that hold every word of `query`, newest first; parts of words
    /// count.
    ///
    /// # Errors
    /// [`StoreError::SearchTimedOut`] and [`StoreError::SearchBusy`], or the database failed.
    ///
    /// # Cancel safety
    /// The search ends soon after the future is dropped.
    pub async fn search(
        &self,
        room: &RoomName,
        query: &str,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let (room, query) = (room.clone(), query.to_owned());
        let search = move |connection: &_| search::search(connection, &room, &query, before, limit);
        self.searches.run(self.search_within, search).await
    }

    /// The messages that changed last, in the order of their last change.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn changes(&self, room: &RoomName, limit: u32) -> Result<Page, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| reader::changes(connection, &room, limit))
            .await
    }

    /// The newest messages before `before` (or of all), at most `limit`.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn page(
        &self,
        room: &RoomName,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| reader::page(connection, &room, before, limit))
            .await
    }

    /// The oldest messages after `seq`, at most `limit`.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn after(
        &self,
        room: &RoomName,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<ChatMessage>, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| reader::after(connection, &room, seq, limit))
            .await
    }

    /// Epoch and newest `seq` of a room that has stored something.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn head(&self, room: &RoomName) -> Result<Option<(Epoch, Seq)>, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| reader::head(connection, &room))
            .await
    }

    /// The epoch a room without a stored message has. It keeps it with its first one,
    /// so an epoch handed out stays true.
    pub fn fresh_epoch(&self) -> Epoch {
        self.epoch.clone()
    }

    /// Rooms that have stored something, each with its row, in order of the rows, after
    /// `after`; every row is more than 0.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn rooms(&self, after: i64, limit: u32) -> Result<Vec<(i64, RoomName)>, StoreError> {
        self.readers
            .run(move |connection| sweep::rooms(connection, after, limit))
            .await
    }

    /// Messages of a room that are not to be kept any more, oldest first.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn expired(
        &self,
        room: &RoomName,
        expiry: Expiry,
        limit: u32,
    ) -> Result<Vec<Expired>, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| sweep::expired(connection, &room, expiry, limit))
            .await
    }

    /// How many messages of a room are too old, not counting those that are too many anyway;
    /// and how many it has.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn count_due(
        &self,
        room: &RoomName,
        expiry: Expiry,
    ) -> Result<(u64, u64), StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| sweep::due(connection, &room, expiry))
            .await
    }

    /// What is remembered of the last sweeps.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn sweep_record(&self) -> Result<SweepRecord, StoreError> {
        self.readers
            .run(|connection| sweep_record::read(connection))
            .await
    }

    /// When the operator confirmed a sweep last, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn sweep_confirmed_at(&self) -> Result<Option<i64>, StoreError> {
        self.readers
            .run(|connection| sweep_record::confirmed_at(connection))
            .await
    }

    /// Remembers the last sweeps.
    ///
    /// # Errors
    /// It is not remembered; the next sweep is more careful than it need be.
    pub async fn write_sweep_record(&self, record: SweepRecord) -> Result<(), StoreError> {
        self.writer.write_sweep_record(record).await
    }

    /// Deletes messages in one transaction, their reactions and their words in the index
    /// with them. Durable when this returns.
    ///
    /// # Errors
    /// Nothing was deleted; the asker asks again.
    pub async fn delete(&self, expired: &[Expired]) -> Result<(), StoreError> {
        let rows = expired.iter().map(|expired| expired.row).collect();
        self.writer.delete(rows).await
    }

    /// Removes what deleted text left in the index of words and in the write-ahead log, in
    /// steps between messages, without waiting for a calm moment.
    ///
    /// # Errors
    /// The database failed; the store tries again by itself.
    pub async fn clean_up(&self) -> Result<(), StoreError> {
        let mut first = true;
        while self.writer.clean_up(first).await? {
            first = false;
        }
        Ok(())
    }

    /// How many bytes are stored, in all rooms and in the largest ones, at most `limit`.
    ///
    /// # Errors
    /// The database failed; the asker asks again.
    pub async fn usage(&self, limit: u32) -> Result<Usage, StoreError> {
        self.readers
            .run(move |connection| quota::usage(connection, limit))
            .await
    }

    /// Bytes stored in all rooms, as of the last commit.
    pub fn stored_bytes(&self) -> u64 {
        self.status.stored_bytes()
    }

    /// The last commit that failed since the start, of whatever it was.
    pub fn last_failure(&self) -> Option<FailedCommit> {
        self.status.last_failure()
    }

    /// Whether the last messages were not stored, for a reason that [`Self::check`] cannot
    /// see.
    pub fn appends_fail(&self) -> bool {
        self.status.appends_fail()
    }

    /// Whether messages can be read and stored; for `/readyz`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.readers
            .run(|connection| reader::check(connection))
            .await?;
        self.writer.check().await
    }

    /// Puts every message into the index of words.
    #[cfg(test)]
    pub async fn index(&self) -> Result<(), StoreError> {
        self.writer.index().await
    }

    /// Does something to the connection that writes.
    #[cfg(test)]
    pub async fn on_writer(&self, work: impl FnOnce(&rusqlite::Connection) + Send + 'static) {
        self.writer.test(work).await;
    }

    /// Stores what is queued, folds the WAL into the database, closes it and lets go of
    /// the data directory. Whoever asks afterwards gets [`StoreError::Closed`].
    pub async fn close(&self) {
        self.writer.close().await;
        self.searches.close().await;
        self.readers.close().await;
    }
}
