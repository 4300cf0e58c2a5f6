//! The store: one SQLite database with one writer thread, a pool of readers and a pool for
//! searches.
//!
//! A message is acknowledged only after its commit. WAL with `synchronous=FULL` loses no commit in
//! a crash of the process, nor in a power cut if the disk honours fsync. Jobs that wait at the same
//! time share one commit ([`thread`]); reads never wait for writes ([`reader`]). No content of the
//! database makes this module panic: callers get a [`StoreError`] and decide.

mod append;
mod backup;
mod change;
mod checkpoint;
mod cleanup;
mod content;
#[cfg(test)]
mod corpus;
mod error;
mod export;
mod file;
mod file_parts;
mod files;
mod files_check;
mod forget;
#[cfg(test)]
mod index_tests;
mod integrity;
mod lock;
mod operator;
mod quota;
mod reader;
mod record;
mod restore;
mod rights;
mod room_list;
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
mod upgrade_copy;
mod writer;

pub use backup::backup;
pub use change::{Change, Changed, Edit};
pub use content::ContentStore;
pub use error::StoreError;
pub use export::{ExportWriter, Format, export, export_to};
pub use file::{FileError, NewFile, refuse_database};
pub use files::StoredFile;
pub use files_check::{FilesCheck, check_files};
pub use integrity::{Integrity, integrity, is_in_use};
pub use operator::{
    LoggedAction, NewSession, OperatorSession, OperatorState, OperatorWrite, SecretHash,
    reset_operator,
};
pub use quota::{Full, Quota, Usage};
pub use record::{NewRecord, Recorded, RoomRow};
pub use restore::{Restored, restore};
pub use rights::{Rights, RightsError, check_rights, make_directory};
pub use room_list::{COUNTED, StoredRoom};
pub use status::{Cause, FailedCommit};
pub use sweep::{Expired, Expiry, RoomRetention};
pub use sweep_record::{SweepRecord, WaitingSweep, confirm_sweep};

use crate::protocol::{ChatDraft, ChatMessage, Epoch, FileId, Mention, Person, RoomName, Seq};
use crate::server::files::{ContentHash, FileKey, UploadLimits, Uploads};
use crate::server::password_hasher::PasswordHash;
use crate::server::{invites::InviteKey, limits::READERS, metrics::StoreMetrics};
use lock::DataLock;
use reader::Readers;
use search_pool::SearchPool;
use status::StoreStatus;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use writer::{PreparedMessage, Writer};

/// Default time limit of a search. 200 ms: forty times what a search in a room of 30,000 messages
/// takes.
pub const SEARCH_WITHIN: Duration = Duration::from_millis(200);

/// The epoch of new rooms. A clone is a handle to the same value.
#[derive(Clone)]
struct FreshEpoch(Arc<RwLock<Epoch>>);

impl FreshEpoch {
    /// A handle to this epoch.
    fn new(epoch: Epoch) -> Self {
        Self(Arc::new(RwLock::new(epoch)))
    }

    /// The epoch now.
    fn get(&self) -> Epoch {
        let epoch = self.0.read().unwrap_or_else(PoisonError::into_inner);
        epoch.clone()
    }

    /// Replaces the epoch.
    fn set(&self, epoch: Epoch) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = epoch;
    }
}

/// A message that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Id, text and the message it answers. The id is unique in the room.
    pub draft: ChatDraft,
    /// The author, under the current nickname.
    pub from: Person,
    /// When the server received it, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The people whom it mentions.
    pub mentions: Vec<Mention>,
}

/// A durable message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The message with its `seq`.
    pub message: ChatMessage,
    /// Whether the id was stored before; `message` is the first one then.
    pub duplicate: bool,
}

/// A part of a room's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Messages, oldest first unless the query says otherwise.
    pub messages: Vec<ChatMessage>,
    /// Whether the log has more of them.
    pub more: bool,
}

/// The operator's settings of the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreOptions {
    /// Which rights an existing data directory may have.
    pub rights: Rights,
    /// Limits of what is stored.
    pub quota: Quota,
    /// Bytes of one file; 0 is no files at all.
    pub max_file_bytes: u64,
}

/// A handle to the store. Cloning is cheap.
#[derive(Clone)]
pub struct Store {
    /// The thread that writes.
    writer: Writer,
    /// Connections that read.
    readers: Readers,
    /// Connections that search.
    searches: SearchPool,
    /// The time limit of a search.
    search_within: Duration,
    /// The epoch of every room without a stored message. The writer's thread renews it.
    epoch: FreshEpoch,
    /// The key that signs the invites of all rooms.
    invite_key: InviteKey,
    /// The key that signs the links of files.
    file_key: FileKey,
    /// The content of files.
    content: ContentStore,
    /// The uploads that no message has yet.
    uploads: Uploads,
    /// The state of the writer, for health checks and metrics.
    status: Arc<StoreStatus>,
    /// Counts commits and what waits for them.
    metrics: StoreMetrics,
}

impl Store {
    /// Opens the database. Creates it, its directory and missing tables, and runs migrations, before
    /// which it keeps a copy of the database.
    ///
    /// # Errors
    /// Any [`StoreError`]; the server does not start, and the operator repairs the cause.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        rights::prepare(path, options.rights)?;
        let lock = DataLock::wait_for(path)?;
        rights::make_file(path).map_err(|error| StoreError::Directory(Arc::new(error)))?;
        let mut connection = schema::connect(path)?;
        schema_check::check_schema(&connection)?;
        upgrade_copy::keep_if_older(&connection, path)?;
        schema::migrate(&mut connection)?;
        room_names::normalize(&mut connection)?;
        let epoch = FreshEpoch::new(schema::epoch(&connection)?);
        let invite_key = schema::invite_key(&connection)?;
        let file_key = schema::file_key(&connection)?;
        let content = ContentStore::beside(path);
        let removed = content.sweep(&connection)?;
        if removed > 0 {
            tracing::info!(removed, "{removed} files that no message has were removed");
        }
        let limits = UploadLimits {
            max_file_bytes: options.max_file_bytes,
            disk_reserve: options.quota.disk_reserve,
        };
        let uploads = Uploads::open(&content.incoming(), limits)?;
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
            invite_key,
            file_key,
            content,
            uploads,
            status,
            metrics,
        })
    }

    /// The counters of this store.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    /// The same store with another time limit of searches.
    pub fn with_search_within(self, search_within: Duration) -> Self {
        Self {
            search_within,
            ..self
        }
    }

    /// Appends a message. The message is durable when this returns. A known id returns its first
    /// message.
    ///
    /// # Errors
    /// Nothing was stored; a retry with the same id is safe.
    pub async fn append(
        &self,
        room: &RoomName,
        message: NewMessage,
    ) -> Result<Appended, StoreError> {
        let ids = message.draft.files.clone();
        let files = match ids.is_empty() {
            true => Some(Vec::new()),
            false => self.uploads.finished(&ids, &message.from.id, room),
        };
        // Uploads of somebody else are not forgotten, whatever a message names.
        let used = files.as_ref().map_or(Vec::new(), |_| ids);
        let prepared = PreparedMessage { message, files };
        let mut appended = self.writer.append(room.clone(), prepared).await?;
        self.uploads.forget(&used);
        self.file_key.sign([&mut appended.message]);
        Ok(appended)
    }

    /// Changes a stored message. The change is durable when this returns.
    ///
    /// # Errors
    /// Nothing was changed; a retry is safe.
    pub async fn change(&self, room: &RoomName, change: Change) -> Result<Changed, StoreError> {
        let mut changed = self.writer.change(room.clone(), change).await?;
        match &mut changed {
            Changed::Applied(message) | Changed::Unchanged(message) => {
                self.file_key.sign([message]);
            }
            Changed::Refused(_) => {}
        }
        Ok(changed)
    }

    /// Changes the authority of a room. The change is durable when this returns.
    ///
    /// # Errors
    /// Nothing was changed; a retry is safe.
    pub async fn record(&self, room: &RoomName, record: NewRecord) -> Result<Recorded, StoreError> {
        self.writer.record(room.clone(), record).await
    }

    /// The newest messages that contain every word of `query`, also as parts of words; newest first.
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
        self.searches
            .run(self.search_within, search)
            .await
            .map(|page| self.signed(page))
    }

    /// The last changed messages, in the order of their last change.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn changes(&self, room: &RoomName, limit: u32) -> Result<Page, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| reader::changes(connection, &room, limit))
            .await
            .map(|page| self.signed(page))
    }

    /// The pinned messages of a room, in the order of pinning.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn pinned(&self, room: &RoomName) -> Result<Vec<ChatMessage>, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| reader::pinned(connection, &room))
            .await
    }

    /// The newest messages before `before`, or of all; at most `limit`, oldest first.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
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
            .map(|page| self.signed(page))
    }

    /// The numbers of messages after these positions, each at most `limit`, in their order.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn unread(
        &self,
        positions: impl Iterator<Item = (&RoomName, &Epoch, Seq)>,
        limit: u32,
    ) -> Result<Vec<u32>, StoreError> {
        let positions = positions.map(|(room, epoch, seq)| (room.clone(), epoch.clone(), seq));
        let positions: Vec<_> = positions.collect();
        self.readers
            .run(move |connection| {
                let counts = positions
                    .iter()
                    .map(|(room, epoch, seq)| reader::unread(connection, room, epoch, *seq, limit));
                counts.collect()
            })
            .await
    }

    /// The oldest messages after `seq`, at most `limit`.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
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
            .map(|mut messages| {
                self.file_key.sign(&mut messages);
                messages
            })
    }

    /// As [`Self::after`], but the links of files are left out: for exports, which outlive them.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn after_without_links(
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

    /// Epoch and newest `seq` of a room; nothing for a room without a stored message.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn head(&self, room: &RoomName) -> Result<Option<(Epoch, Seq)>, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| reader::head(connection, &room))
            .await
    }

    /// Epoch, newest `seq` and authority of a stored room, in one read.
    ///
    /// # Errors
    /// The database failed, and a retry is safe; or the authority cannot be read.
    pub async fn room(&self, room: &RoomName) -> Result<Option<RoomRow>, StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| record::row(connection, &room))
            .await
    }

    /// The epoch of rooms without a stored message. A room keeps it with its first message, so an
    /// epoch that a client received stays valid.
    pub fn fresh_epoch(&self) -> Epoch {
        self.epoch.get()
    }

    /// Gives the files of a page fresh links.
    fn signed(&self, mut page: Page) -> Page {
        self.file_key.sign(&mut page.messages);
        page
    }

    /// The key that signs the links of files. The same as long as the database lives.
    pub fn file_key(&self) -> &FileKey {
        &self.file_key
    }

    /// The uploads that no message has yet.
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// A stored file.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn file(&self, id: FileId) -> Result<Option<StoredFile>, StoreError> {
        self.readers
            .run(move |connection| files::find(connection, &id))
            .await
    }

    /// The path of the content of a stored file.
    pub fn content_path(&self, hash: &ContentHash) -> PathBuf {
        self.content.path(hash)
    }

    /// The stored bytes of the content of all files, and those of a room.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn file_bytes(&self, room: &RoomName) -> Result<(u64, u64), StoreError> {
        let room = room.clone();
        self.readers
            .run(move |connection| quota::file_bytes(connection, &room))
            .await
    }

    /// The stored bytes of the content of all files, as of the last commit.
    pub fn stored_file_bytes(&self) -> u64 {
        self.status.stored_file_bytes()
    }

    /// The key that signs the invites of all rooms. The same as long as the database lives.
    pub fn invite_key(&self) -> InviteKey {
        self.invite_key.clone()
    }

    /// Stored rooms, in ascending order of their row ids after `after`. Row ids start at 1.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn rooms(&self, after: i64, limit: u32) -> Result<Vec<RoomRetention>, StoreError> {
        self.readers
            .run(move |connection| sweep::rooms(connection, after, limit))
            .await
    }

    /// Whether the hosts of any room want its messages to be deleted by age.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn any_keeps_days(&self) -> Result<bool, StoreError> {
        self.readers
            .run(|connection| sweep::any_keeps_days(connection))
            .await
    }

    /// Expired messages of a room, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
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

    /// The number of messages of a room that expire by age alone, and the number of all.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
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

    /// Stored rooms without messages with their row ids, in ascending order after `after`.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn empty_rooms(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, RoomName)>, StoreError> {
        self.readers
            .run(move |connection| forget::empty_rooms(connection, after, limit))
            .await
    }

    /// Deletes the row of a room without messages. Returns whether there was one. The room may not
    /// be open: its next message is the first one of another log.
    ///
    /// # Errors
    /// Nothing was deleted; a retry is safe.
    pub async fn forget(&self, room: &RoomName) -> Result<bool, StoreError> {
        self.writer.forget(room.clone()).await
    }

    /// The record of the last sweeps.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn sweep_record(&self) -> Result<SweepRecord, StoreError> {
        self.readers
            .run(|connection| sweep_record::read(connection))
            .await
    }

    /// The time of the operator's last confirmation, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn sweep_confirmed_at(&self) -> Result<Option<i64>, StoreError> {
        self.readers
            .run(|connection| sweep_record::confirmed_at(connection))
            .await
    }

    /// Stores the record of the last sweeps.
    ///
    /// # Errors
    /// The record was not stored; the next sweep may wait although it need not.
    pub async fn write_sweep_record(&self, record: SweepRecord) -> Result<(), StoreError> {
        self.writer.write_sweep_record(record).await
    }

    /// The operator, and the session whose secret has this hash.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn operator(&self, secret: Option<SecretHash>) -> Result<OperatorState, StoreError> {
        self.readers
            .run(move |connection| operator::state(connection, secret.as_ref()))
            .await
    }

    /// The password of the operator; nothing if there is no operator.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn operator_password(&self) -> Result<Option<PasswordHash>, StoreError> {
        self.readers
            .run(|connection| operator::password(connection))
            .await
    }

    /// The sessions of the operator, the one used last first; at most 20.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn operator_sessions(&self) -> Result<Vec<OperatorSession>, StoreError> {
        self.readers
            .run(|connection| operator::sessions(connection))
            .await
    }

    /// The newest entries in the log of the operator's actions, the newest first.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn operator_actions(&self, limit: u32) -> Result<Vec<LoggedAction>, StoreError> {
        self.readers
            .run(move |connection| operator::actions(connection, limit))
            .await
    }

    /// Changes the operator's rows; durable when this returns. Returns the number of rows.
    ///
    /// # Errors
    /// Nothing was changed; a retry is safe.
    pub async fn write_operator(&self, write: OperatorWrite) -> Result<usize, StoreError> {
        self.writer.write_operator(write).await
    }

    /// These rooms, as far as they are stored, and the largest others; at most `limit` of these.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn room_list(
        &self,
        named: Vec<RoomName>,
        limit: u32,
    ) -> Result<Vec<StoredRoom>, StoreError> {
        self.readers
            .run(move |connection| room_list::rooms(connection, &named, limit))
            .await
    }

    /// Gives a room another epoch, so that its clients start over from a snapshot.
    ///
    /// # Errors
    /// Nothing was changed; a retry is safe.
    pub async fn renew_epoch(&self, room: &RoomName, epoch: &Epoch) -> Result<(), StoreError> {
        self.writer.renew_epoch(room.clone(), epoch.clone()).await
    }

    /// Deletes messages with their reactions and index entries in one transaction. The deletion is
    /// durable when this returns.
    ///
    /// # Errors
    /// Nothing was deleted; a retry is safe.
    pub async fn delete(&self, expired: &[Expired]) -> Result<(), StoreError> {
        let rows = expired.iter().map(|expired| expired.row).collect();
        self.writer.delete(rows).await
    }

    /// Erases deleted text from the search index and the write-ahead log, in steps between
    /// messages, even if the process is busy.
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

    /// The stored bytes of all rooms, and of the largest ones; at most `limit`.
    ///
    /// # Errors
    /// The database failed; a retry is safe.
    pub async fn usage(&self, limit: u32) -> Result<Usage, StoreError> {
        self.readers
            .run(move |connection| quota::usage(connection, limit))
            .await
    }

    /// The stored bytes of all rooms, as of the last commit.
    pub fn stored_bytes(&self) -> u64 {
        self.status.stored_bytes()
    }

    /// The number of stored rooms, as of the last commit.
    pub fn stored_rooms(&self) -> u64 {
        self.status.stored_rooms()
    }

    /// The last failed commit since the start, of any job.
    pub fn last_failure(&self) -> Option<FailedCommit> {
        self.status.last_failure()
    }

    /// Whether the last messages were not stored, for a reason that [`Self::check`] cannot detect.
    pub fn appends_fail(&self) -> bool {
        self.status.appends_fail()
    }

    /// Checks that messages can be read and stored, for `/readyz`.
    ///
    /// # Errors
    /// The error that a read or a write gets.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.readers
            .run(|connection| reader::check(connection))
            .await?;
        self.writer.check().await
    }

    /// Waits until the writer's thread takes a job, whether it succeeds or not. A thread that is
    /// stuck takes none, one with a full queue does. `false` if the thread has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn writer_answers(&self) -> bool {
        self.writer.takes_a_job().await
    }

    /// Indexes every message.
    #[cfg(test)]
    pub async fn index(&self) -> Result<(), StoreError> {
        self.writer.index().await
    }

    /// Runs a closure on the writer's connection.
    #[cfg(test)]
    pub async fn on_writer(&self, work: impl FnOnce(&rusqlite::Connection) + Send + 'static) {
        self.writer.test(work).await;
    }

    /// Commits queued jobs, checkpoints the WAL, closes the database and unlocks the data
    /// directory. Later calls get [`StoreError::Closed`].
    pub async fn close(&self) {
        self.writer.close().await;
        self.searches.close().await;
        self.readers.close().await;
    }
}
