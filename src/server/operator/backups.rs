//! The backups in the data directory, which the operator makes, downloads and deletes.

use crate::server::{
    clock::Moment,
    disk,
    store::{self, ContentStore, FileError, make_directory},
};
use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};
use time::OffsetDateTime;
use tokio::task::spawn_blocking;

/// Backups in the directory, at most.
pub const MAX_BACKUPS: usize = 10;
/// The directory below the data directory.
const DIRECTORY: &str = "backups";
/// Bytes of a download that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Start and end of the name of a backup; between them are digits and a hyphen.
const PREFIX: &str = "noom-";
const SUFFIX: &str = ".db";
/// Letters between the two: `20261129-234500`.
const STAMP_LETTERS: usize = 15;

/// The name of a backup, which names a file of the directory and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName(String);

impl BackupName {
    /// Parses a name.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp = text.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let is_stamp = stamp.len() == STAMP_LETTERS
            && stamp
                .bytes()
                .enumerate()
                .all(|(place, letter)| match place {
                    8 => letter == b'-',
                    _ => letter.is_ascii_digit(),
                });
        is_stamp.then(|| Self(text.to_owned()))
    }

    /// The name of a backup that is made at this time.
    fn of_time(at: OffsetDateTime) -> Self {
        let (date, time) = (at.date(), at.time());
        let (month, day) = (u8::from(date.month()), date.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        let year = date.year().clamp(0, 9999);
        Self(format!(
            "{PREFIX}{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}{SUFFIX}"
        ))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A backup in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// The name of the file.
    pub name: BackupName,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, in milliseconds since the Unix epoch; 0 where the system does not say.
    pub made_ms: i64,
}

/// Why there is no new backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There are [`MAX_BACKUPS`] already.
    #[error("there are as many backups as may be")]
    Full,
    /// The disk has too little free for a copy of the database.
    #[error("the disk has {free} bytes free, and a backup needs {needed}")]
    NoSpace {
        /// The free bytes.
        free: u64,
        /// The size of the copy, and what stays free for messages.
        needed: u64,
    },
    /// The database or the disk refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The directory of the backups of a data directory.
pub fn directory(data: &Path) -> PathBuf {
    data.join(DIRECTORY)
}

/// The backups, the newest first; none where the directory cannot be read.
pub fn list(directory: &Path) -> Vec<BackupFile> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        let name = BackupName::parse(entry.file_name().to_str()?)?;
        let metadata = fs::symlink_metadata(entry.path()).ok()?;
        let made = metadata.modified().ok();
        let made = made.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let made_ms = made.and_then(|since| i64::try_from(since.as_millis()).ok());
        metadata.is_file().then_some(BackupFile {
            name,
            bytes: metadata.len(),
            made_ms: made_ms.unwrap_or(0),
        })
    });
    let mut files: Vec<_> = files.collect();
    files.sort_by(|a, b| b.name.cmp(&a.name));
    files
}

/// Makes a backup of the database, which leaves `reserve` bytes of the disk free. Blocks while the
/// database is copied.
pub fn make(database: &Path, directory: &Path, reserve: u64) -> Result<BackupName, BackupError> {
    if list(directory).len() >= MAX_BACKUPS {
        return Err(BackupError::Full);
    }
    make_directory(directory).map_err(FileError::io(directory))?;
    remove_unfinished(directory);
    let files = ContentStore::beside(database).bytes();
    let needed = copied_bytes(database).saturating_add(files);
    let needed = needed.saturating_add(reserve);
    // Without an answer of the system the copy is tried.
    let free = disk::free_bytes(directory).unwrap_or(u64::MAX);
    if free < needed {
        return Err(BackupError::NoSpace { free, needed });
    }
    let seconds = Moment::now().wall_ms.div_euclid(1000);
    let at = OffsetDateTime::from_unix_timestamp(seconds);
    let name = BackupName::of_time(at.unwrap_or(OffsetDateTime::UNIX_EPOCH));
    store::backup(database, &directory.join(name.as_str()), false)?;
    Ok(name)
}

/// Bytes that a copy of a database has at most: its pages, and those of the write-ahead log.
fn copied_bytes(database: &Path) -> u64 {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let sizes =
        [database, Path::new(&log)].map(|path| fs::metadata(path).map_or(0, |file| file.len()));
    sizes.iter().sum()
}

/// Removes the copies of backups that the end of a process interrupted. One backup is made at a
/// time, so none of them is in use.
fn remove_unfinished(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    for path in paths.filter(|path| path.extension().is_some_and(|end| end == "partial")) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, "an unfinished backup cannot be removed");
        }
    }
}

/// Deletes a backup. Returns whether there was one of this name.
pub fn delete(directory: &Path, name: &BackupName) -> io::Result<bool> {
    match fs::remove_file(directory.join(name.as_str())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The body of a download with its length, read as the client takes it.
pub fn open(directory: &Path, name: &BackupName) -> io::Result<(Body, u64)> {
    let path = directory.join(name.as_str());
    if !fs::symlink_metadata(&path)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let chunks = stream::try_unfold(file, |mut file| async move {
        let read = move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            let count = file.read(&mut chunk)?;
            chunk.truncate(count);
            Ok::<_, io::Error>((count > 0).then(|| (Bytes::from(chunk), file)))
        };
        spawn_blocking(read).await.map_err(io::Error::other)?
    });
    Ok((Body::from_stream(chunks), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_backups_are_names() {
        let name = BackupName::of_time(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(name.as_str(), "noom-19700101-000000.db");
        assert_eq!(BackupName::parse(name.as_str()), Some(name));
        for text in [
            "",
            "noom.db",
            "noom-.db",
            "noom-19700101_000000.db",
            "noom-19700101-00000.db",
            "noom-19700101-000000.db-wal",
            "../noom-19700101-000000.db",
            "noom-../../../00000.db",
            "noom-١٩٧٠٠١٠١-00.db",
        ] {
            assert_eq!(BackupName::parse(text), None, "{text}");
        }
    }
}
