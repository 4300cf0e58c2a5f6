//! The lock of a data directory: held by one server, or by a restore.
//!
//! The lock is a `flock` on `noom.lock` beside the database, so the kernel releases it even if its
//! holder crashes. The file is empty and is never deleted.

use super::{StoreError, rights::FILE_MODE};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a new server waits for a former one that is still stopping. 2 s.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// Interval between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The lock of a data directory, held until this is dropped.
#[derive(Debug)]
pub struct DataLock {
    /// The locked file; closing it releases the lock.
    _file: File,
}

impl DataLock {
    /// Takes the lock of a database. Waits up to [`MAX_WAIT`] for another holder.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or the directory cannot be written.
    pub fn wait_for(database: &Path) -> Result<Self, StoreError> {
        let until = Instant::now() + MAX_WAIT;
        loop {
            match Self::take(database) {
                Err(StoreError::InUse) if Instant::now() < until => {
                    std::thread::sleep(RETRY_INTERVAL)
                }
                other => return other,
            }
        }
    }

    /// Whether somebody holds the lock of a database. Creates nothing.
    pub fn is_held(database: &Path) -> bool {
        let file = File::open(database.with_extension("lock"));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Takes the lock of a database.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or the directory cannot be written.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Directory(Arc::new(error));
        let file = open(&database.with_extension("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// Opens the lock file, and creates it if it is missing. A file of another user is opened to read,
/// which suffices for a lock.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(FILE_MODE);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => File::open(path),
        other => other,
    }
}
