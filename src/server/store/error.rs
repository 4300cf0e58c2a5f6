//! The errors of the store.

use super::{quota::Full, rights::RightsError};
use std::sync::Arc;

/// Why an operation of the store failed. Nothing was stored; a retry is safe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite reported an error: the disk is full, the file is gone, or locked for too long.
    #[error("the database failed: {0}")]
    Database(Arc<rusqlite::Error>),
    /// The queue of the writer's thread is full.
    #[error("the store is busy")]
    Busy,
    /// Too many searches wait, or this one waited too long.
    #[error("too many searches wait")]
    SearchBusy,
    /// The search exceeded its time limit.
    #[error("the search took too long")]
    SearchTimedOut,
    /// Another process holds the lock of the data directory.
    #[error("another Noom uses it")]
    InUse,
    /// Other users may use the data directory, or own a part of it.
    #[error(transparent)]
    Rights(#[from] RightsError),
    /// A limit of stored bytes is reached, or the disk has only its reserve left.
    #[error(transparent)]
    Full(#[from] Full),
    /// A message names an upload that is not finished, or not there any more.
    #[error("a file of the message is not there")]
    NoSuchFile,
    /// The content of a file cannot be put in its place or removed.
    #[error("a file failed: {0}")]
    File(Arc<std::io::Error>),
    /// The store is closed because the server stops.
    #[error("the store is closed")]
    Closed,
    /// This version cannot read a stored row.
    #[error("a stored row cannot be read: {0}")]
    BadRow(String),
    /// The schema differs from the one that our migrations create; the text names the object.
    #[error("its schema has {0}, which Noom did not make so, or lacks it; nothing was changed")]
    Foreign(String),
    /// The database comes from a newer version of Noom.
    #[error("the database has version {found}, this binary knows {known}; use a newer binary")]
    TooNew {
        /// The version of the file.
        found: i64,
        /// The newest version that this binary knows.
        known: i64,
    },
    /// No copy of the database can be kept before an upgrade: the disk has too little space.
    #[error(
        "it is upgraded after a copy of it is kept, which takes {needed} bytes, and the disk has \
         {free} free; nothing was changed"
    )]
    NoSpaceForCopy {
        /// Bytes that must be free.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// No copy of the database can be kept before an upgrade, for the reason of the text.
    #[error("it is upgraded after a copy of it is kept, and that failed: {0}; nothing was changed")]
    NotCopied(String),
    /// The data directory cannot be created or written.
    #[error("it cannot be created or written: {0}")]
    Directory(Arc<std::io::Error>),
}

impl StoreError {
    /// Whether the progress handler of the connection interrupted the statement.
    pub fn is_interrupted(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
    }

    /// Whether the disk was full.
    pub fn is_disk_full(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }

    /// Whether the file is corrupted.
    pub fn is_damage(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
    }

    /// Whether another process locked the database for too long.
    pub fn is_locked(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::File(Arc::new(error))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}
