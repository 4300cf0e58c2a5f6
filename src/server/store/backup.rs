//! A copy of the whole database in one file, beside a server that goes on writing it.
//!
//! The copy is what the database held at one moment, the write-ahead log included: a read
//! transaction holds that moment for as long as the copying takes, and keeps nobody from
//! writing.

use super::{
    StoreError,
    file::{FileError, NewFile, refuse_database},
    schema,
    schema_check::harden,
};
use rusqlite::{Connection, backup::Backup};
use std::{path::Path, time::Duration};

/// Pages copied at once, 4 KiB each.
const PAGES: i32 = 1024;

/// Copies the database into a file of its own; answers its size in bytes. A server may run.
///
/// # Errors
/// Any [`FileError`]; no file was made or replaced.
pub fn backup(database: &Path, file: &Path, force: bool) -> Result<u64, FileError> {
    if !database.exists() {
        return Err(FileError::NoDatabase(database.to_owned()));
    }
    refuse_database(database, file)?;
    refuse_existing(file, force)?;
    let source = schema::connect_to_read(database).map_err(FileError::database(database))?;
    let new = NewFile::beside(file)?;
    copy(&source, new.path()).map_err(FileError::database(database))?;
    let size = std::fs::metadata(new.path()).map_err(FileError::io(new.path()))?;
    refuse_existing(file, force)?;
    new.put()?;
    Ok(size.len())
}

/// Refuses to overwrite, unless asked to.
pub fn refuse_existing(file: &Path, force: bool) -> Result<(), FileError> {
    match file.symlink_metadata().is_ok() && !force {
        true => Err(FileError::Exists(file.to_owned())),
        false => Ok(()),
    }
}

/// Copies everything into a database of one file, which needs no log beside it.
pub fn copy(source: &Connection, file: &Path) -> Result<(), StoreError> {
    let mut copy = Connection::open(file)?;
    harden(&copy)?;
    // Without a transaction, each write of the server would start the copying anew.
    let moment = source.unchecked_transaction()?;
    schema::version(&moment)?;
    Backup::new(&moment, &mut copy)?.run_to_completion(PAGES, Duration::ZERO, None)?;
    drop(moment);
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error.into())
}
