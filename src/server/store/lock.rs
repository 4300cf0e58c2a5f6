//! One server a data directory, and none while a backup is put into it.
//!
//! The lock is on `noom.lock` beside the database (`flock`), so the kernel gives it back
//! however its holder ends. The file itself means nothing and stays.

use super::{StoreError, rights::FILE_MODE};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a server waits for the one before it, which may still be ending. Default 2 s.
const WAIT: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// The data directory is ours until this is dropped.
#[derive(Debug)]
pub struct DataLock {
    /// Locked; closing it unlocks it.
    _file: File,
}

impl DataLock {
    /// Takes the lock of a database, waiting a little for whoever has it.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or the directory cannot be written.
    pub fn wait_for(database: &Path) -> Result<Self, StoreError> {
        let until = Instant::now() + WAIT;
        loop {
            match Self::take(database) {
                Err(StoreError::InUse) if Instant::now() < until => std::thread::sleep(PAUSE),
                other => return other,
            }
        }
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

/// The lock file, made where it is missing. One that another user made needs no writing.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(FILE_MODE);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => File::open(path),
        other => other,
    }
}
