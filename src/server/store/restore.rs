//! Replaces the database by a backup.
//!
//! The backup is copied beside the database and checked. The copy gets a new epoch, so that clients
//! who received newer messages than the backup holds load a snapshot. Then a rename replaces the
//! database by the copy; the former database stays beside it under another name.

use super::{
    StoreError,
    backup::copy,
    content::ContentStore,
    file::{FileError, NewFile, directory, refuse_database, sync, with_suffix},
    file_parts,
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

/// Ends the name of the directory with the files of a former database.
const FILES_SUFFIX: &str = ".files";

/// The contents of the restored database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The number of rooms.
    pub rooms: u64,
    /// The number of messages.
    pub messages: u64,
    /// The path of the former database, if there was one. Its files are beside it, in a directory
    /// whose name ends in `.files`.
    pub former: Option<PathBuf>,
    /// The number of contents of files that are neither in the backup nor beside it.
    pub missing_files: u64,
}

/// Replaces the database by a backup, and adds the content of its files. No server may run on it.
///
/// # Errors
/// Any [`FileError`]; the database is unchanged.
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
    let content = ContentStore::beside(database);
    let beside = ContentStore::beside(file);
    let of_former = ContentStore::at(with_suffix(file, FILES_SUFFIX));
    // Kept first, because the next start removes what the restored database does not have.
    let former_content = content.all().map_err(FileError::io(content.root()))?;
    let missing_files = file_parts::extract(new.path(), &content, &[of_former, beside], file)?;
    file_parts::give_to_owner_of(&content, model).map_err(FileError::io(content.root()))?;
    new.give_to_owner_of(model);
    let former = link_former(database)?;
    if let Some(former) = &former
        && !former_content.is_empty()
    {
        let root = with_suffix(former, FILES_SUFFIX);
        file_parts::keep(&content, &root, &former_content).map_err(FileError::io(&root))?;
    }
    new.persist()?;
    Ok(Restored {
        rooms,
        messages,
        former,
        missing_files,
    })
}

/// Maps an error of the copy: a file that is no database gets [`FileError::NotNoom`].
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

/// Checks the copy of `file` and gives it a new epoch. Returns the numbers of rooms and messages.
fn prepare(copy: &Path, file: &Path) -> Result<(u64, u64), FileError> {
    let failed = |error: StoreError| FileError::database(file)(error);
    let mut connection = Connection::open(copy).map_err(|error| failed(error.into()))?;
    schema_check::harden(&connection).map_err(failed)?;
    if schema::version(&connection).map_err(failed)? == 0 {
        return Err(FileError::NotNoom(file.to_owned()));
    }
    // The schema first, because the check of pages evaluates the expressions of indexes.
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

/// Checks every page and every index (`PRAGMA integrity_check`).
fn check(connection: &Connection, file: &Path) -> Result<(), FileError> {
    let finding: Result<String, _> =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match finding {
        Ok(finding) if finding == "ok" => Ok(()),
        Ok(finding) => Err(damaged(file, &finding)),
        Err(error) => Err(damaged(file, &error.to_string())),
    }
}

/// The error about a damaged backup, with the first line of SQLite's finding.
fn damaged(file: &Path, finding: &str) -> FileError {
    FileError::Damaged {
        path: file.to_owned(),
        finding: finding.lines().next().unwrap_or_default().to_owned(),
    }
}

/// Links the former database to a second name, and renames its log, which SQLite would otherwise
/// apply to the new database. The former database keeps its name until the new one replaces it.
/// Returns the second name.
fn link_former(database: &Path) -> Result<Option<PathBuf>, FileError> {
    if !database.exists() {
        return Ok(None);
    }
    checkpoint(database);
    let former = free_name(database);
    // Copy it if the file system has no hard links.
    fs::hard_link(database, &former)
        .or_else(|_| fs::copy(database, &former).map(drop))
        .map_err(FileError::io(&former))?;
    make_private(&former).map_err(FileError::io(&former))?;
    sync(&former)?;
    for end in ["-wal", "-journal"] {
        match fs::rename(with_suffix(database, end), with_suffix(&former, end)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(FileError::io(database)(error));
            }
            _ => {}
        }
    }
    let _ = fs::remove_file(with_suffix(database, "-shm"));
    Ok(Some(former))
}

/// Checkpoints the log of a crashed server into the former database, so that it is one file. If
/// that fails, the database keeps its log beside it.
fn checkpoint(database: &Path) {
    let folded = schema::connect(database).and_then(|connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error.into())
    });
    if let Err(error) = folded {
        tracing::warn!(%error, "the former database keeps its log beside it");
    }
}

/// An unused name for the former database.
fn free_name(database: &Path) -> PathBuf {
    let name = |number: u32| with_suffix(database, &format!(".former-{number}"));
    let free = (1..).map(name).find(|name| !name.exists());
    free.unwrap_or_else(|| name(0))
}
