//! Copies the whole database, and the content of its files, into one file while a server writes it.
//!
//! A read transaction covers the whole copy, so the copy is of one moment, the write-ahead log
//! included. In WAL mode a read transaction does not block the writer.

use super::{
    StoreError,
    content::ContentStore,
    file::{FileError, NewFile, refuse_database},
    file_parts, schema,
    schema_check::harden,
};
use rusqlite::{Connection, backup::Backup};
use std::{path::Path, time::Duration};

/// Pages copied at once, 4 KiB each.
const PAGES: i32 = 1024;

/// Copies the database and the content of its files into a new file. Returns the size of the file in bytes. A server may run.
///
/// # Errors
/// Any [`FileError`]; no file was created or replaced.
pub fn backup(database: &Path, file: &Path, force: bool) -> Result<u64, FileError> {
    if !database.exists() {
        return Err(FileError::NoDatabase(database.to_owned()));
    }
    refuse_database(database, file)?;
    refuse_existing(file, force)?;
    let source = schema::connect_to_read(database).map_err(FileError::database(database))?;
    let new = NewFile::beside(file)?;
    copy(&source, new.path()).map_err(FileError::database(database))?;
    file_parts::fill(new.path(), &ContentStore::beside(database))?;
    let size = std::fs::metadata(new.path()).map_err(FileError::io(new.path()))?;
    refuse_existing(file, force)?;
    new.persist()?;
    Ok(size.len())
}

/// Checks that the file does not exist, unless `force` is set.
pub fn refuse_existing(file: &Path, force: bool) -> Result<(), FileError> {
    match file.symlink_metadata().is_ok() && !force {
        true => Err(FileError::Exists(file.to_owned())),
        false => Ok(()),
    }
}

/// Copies the database of `source` into `file`, which has no write-ahead log afterwards.
pub fn copy(source: &Connection, file: &Path) -> Result<(), StoreError> {
    let mut copy = Connection::open(file)?;
    harden(&copy)?;
    // Without a transaction, each write of the server would restart the copy.
    let snapshot = source.unchecked_transaction()?;
    schema::version(&snapshot)?;
    Backup::new(&snapshot, &mut copy)?.run_to_completion(PAGES, Duration::ZERO, None)?;
    drop(snapshot);
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error.into())
}
