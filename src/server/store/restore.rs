//! A backup in place of the database.
//!
//! The backup is copied beside the database, checked and given a new epoch there, so that
//! clients who have seen more than it holds start anew. Only then it takes the place of
//! the former database, in one step; that one stays beside it under another name.

use super::{
    StoreError,
    backup::copy,
    file::{FileError, NewFile, directory, refuse_database, sync, with_end},
    lock::DataLock,
    rights::{make_directory, make_private},
    schema, schema_check,
};
use rusqlite::Connection;
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Rooms in it.
    pub rooms: u64,
    /// Messages in it.
    pub messages: u64,
    /// Where the former database is kept, if there was one.
    pub former: Option<PathBuf>,
}

/// Puts a backup in place of the database. No server may run on it.
///
/// # Errors
/// Any [`FileError`]; the database is as it was.
pub fn restore(database: &Path, file: &Path) -> Result<Restored, FileError> {
    let home = directory(database);
    fs::metadata(file).map_err(FileError::io(file))?;
    refuse_database(database, file)?;
    make_directory(home).map_err(FileError::io(home))?;
    let _lock = DataLock::take(database).map_err(|error| match error {
        StoreError::InUse => FileError::InUse(home.to_owned()),
        error => FileError::database(home)(error),
    })?;
    let new = NewFile::beside(database)?;
    let source = schema::connect_to_read(file).map_err(FileError::database(file))?;
    copy(&source, new.path()).map_err(not_noom(file))?;
    let (rooms, messages) = prepare(new.path(), file)?;
    let model = if database.exists() { database } else { home };
    new.give_to_owner_of(model);
    let former = set_aside(database)?;
    new.put()?;
    Ok(Restored {
        rooms,
        messages,
        former,
    })
}

/// A file that is no database at all is no backup; anything else is SQLite's to say.
fn not_noom(file: &Path) -> impl FnOnce(StoreError) -> FileError {
    let file = file.to_owned();
    move |error| match &error {
        StoreError::Database(cause)
            if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) =>
        {
            FileError::NotNoom(file)
        }
        _ => FileError::database(&file)(error),
    }
}

/// Checks the copy of `file` and gives it a new epoch; answers rooms and messages.
fn prepare(copy: &Path, file: &Path) -> Result<(u64, u64), FileError> {
    let failed = |error: StoreError| FileError::database(file)(error);
    let mut connection = Connection::open(copy).map_err(|error| failed(error.into()))?;
    schema_check::harden(&connection).map_err(failed)?;
    if schema::version(&connection).map_err(failed)? == 0 {
        return Err(FileError::NotNoom(file.to_owned()));
    }
    // Before anything else: checking the pages runs what indexes are made of.
    match schema_check::check_schema(&connection) {
        Err(error) if error.is_damage() => Err(damaged(file, &error.to_string())),
        other => other.map_err(failed),
    }?;
    check(&connection, file)?;
    let count = |table: &str| {
        let query = format!("SELECT count(*) FROM {table}");
        let count = connection.query_row(&query, [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs)
    };
    let not_noom = |_| FileError::NotNoom(file.to_owned());
    let counts = (
        count("rooms").map_err(not_noom)?,
        count("messages").map_err(not_noom)?,
    );
    schema::renew_epochs(&mut connection).map_err(failed)?;
    connection
        .close()
        .map_err(|(_, error)| failed(error.into()))?;
    Ok(counts)
}

/// Asks SQLite whether every page is sound and every index complete.
fn check(connection: &Connection, file: &Path) -> Result<(), FileError> {
    let finding: Result<String, _> =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match finding {
        Ok(finding) if finding == "ok" => Ok(()),
        Ok(finding) => Err(damaged(file, &finding)),
        Err(error) => Err(damaged(file, &error.to_string())),
    }
}

/// A backup that is not sound; one line of what SQLite says.
fn damaged(file: &Path, finding: &str) -> FileError {
    FileError::Damaged {
        path: file.to_owned(),
        finding: finding.lines().next().unwrap_or_default().to_owned(),
    }
}

/// Gives the former database a second name, and takes away what belongs to it and would
/// be taken for the new one's. Until the new one is in place, the former is still there.
fn set_aside(database: &Path) -> Result<Option<PathBuf>, FileError> {
    if !database.exists() {
        return Ok(None);
    }
    checkpoint(database);
    let former = free_name(database);
    // Where the file system has no second names, a copy does.
    fs::hard_link(database, &former)
        .or_else(|_| fs::copy(database, &former).map(drop))
        .map_err(FileError::io(&former))?;
    make_private(&former).map_err(FileError::io(&former))?;
    sync(&former)?;
    for end in ["-wal", "-journal"] {
        match fs::rename(with_end(database, end), with_end(&former, end)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(FileError::io(database)(error));
            }
            _ => {}
        }
    }
    let _ = fs::remove_file(with_end(database, "-shm"));
    Ok(Some(former))
}

/// Folds a crashed server's log into the former database, so that it is one file. One that
/// is too broken for that keeps its log beside it.
fn checkpoint(database: &Path) {
    let folded = schema::connect(database).and_then(|connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error.into())
    });
    if let Err(error) = folded {
        tracing::warn!(%error, "the former database keeps its log beside it");
    }
}

/// A name for the former database that nothing has yet.
fn free_name(database: &Path) -> PathBuf {
    let name = |number: u32| with_end(database, &format!(".former-{number}"));
    let free = (1..).map(name).find(|name| !name.exists());
    free.unwrap_or_else(|| name(0))
}
