//! What can go wrong with the store.

use super::{quota::Full, rights::RightsError};
use std::sync::Arc;

/// Why the store did not do it. Nothing was stored; asking again later is safe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database said no: disk full, file gone, locked for too long.
    #[error("the database failed: {0}")]
    Database(Arc<rusqlite::Error>),
    /// More is waiting for the disk than the queue holds.
    #[error("the store is busy")]
    Busy,
    /// More searches wait than may, or this one waited too long.
    #[error("too many searches wait")]
    SearchBusy,
    /// A search took longer than it may.
    #[error("the search took too long")]
    SearchTimedOut,
    /// Another process holds the data directory.
    #[error("another Noom uses it")]
    InUse,
    /// Others may use the data directory, too.
    #[error(transparent)]
    Rights(#[from] RightsError),
    /// What is stored already is as much as may be, or the disk has only its reserve left.
    #[error(transparent)]
    Full(#[from] Full),
    /// The store was closed: the server stops.
    #[error("the store is closed")]
    Closed,
    /// A row holds what this version cannot read.
    #[error("a stored row cannot be read: {0}")]
    BadRow(String),
    /// The database holds what our own steps did not make.
    #[error("it holds {0}, or lacks it, which Noom did not make so; nothing was done with it")]
    Foreign(String),
    /// The database comes from a newer version of Noom.
    #[error("the database has version {found}, this binary knows {known}; use a newer binary")]
    TooNew {
        /// What the file says.
        found: i64,
        /// What this binary knows.
        known: i64,
    },
    /// The data directory cannot be made or written.
    #[error("it cannot be made or written: {0}")]
    Directory(Arc<std::io::Error>),
}

impl StoreError {
    /// Whether the progress handler of the connection ended it.
    pub fn is_interrupted(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
    }

    /// Whether there was no space for it on the disk.
    pub fn is_disk_full(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }

    /// Whether the file is damaged.
    pub fn is_damage(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
    }

    /// Whether another program held the database for too long.
    pub fn is_locked(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}
