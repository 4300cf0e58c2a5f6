//! A copy of the database before its schema is upgraded, for the way back to the former binary.
//!
//! The copy of version 5 is `noom.db.v5` beside the database. It is durable before the first
//! migration starts. The last two copies are kept.

use super::{
    StoreError,
    backup::copy,
    checkpoint::WAL_KEPT_BYTES,
    file::{FileError, NewFile, directory, with_suffix},
    schema,
};
use crate::server::disk;
use rusqlite::Connection;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Copies that are kept, the last ones made.
const KEPT: usize = 2;

/// Keeps a copy of the database if this binary will upgrade it.
///
/// # Errors
/// No copy could be kept; the database is unchanged and must not be upgraded.
pub fn keep_if_older(connection: &Connection, database: &Path) -> Result<(), StoreError> {
    let version = schema::version(connection)?;
    // A database of version 0 is new, and empty.
    if version == 0 || version == schema::newest() {
        return Ok(());
    }
    let failed = |error| StoreError::Directory(Arc::new(error));
    remove_unfinished(database).map_err(failed)?;
    let free = disk::free_bytes(directory(database)).map_err(failed)?;
    let file = name(database, version);
    let bytes = size(connection)?;
    let (from, to) = (version, schema::newest());
    tracing::info!(bytes, copy = %file.display(), "version {from} of the database is copied first");
    keep(connection, database, &file, free)?;
    tracing::info!(copy = %file.display(), "the copy is kept; an upgrade to version {to} follows");
    if let Err(error) = remove_others(database, version) {
        tracing::warn!(%error, "older copies of the database stay beside it");
    }
    Ok(())
}

/// Writes the copy into `file`, of which an existing one is replaced. `free` are the free bytes of
/// the disk.
fn keep(
    connection: &Connection,
    database: &Path,
    file: &Path,
    free: u64,
) -> Result<(), StoreError> {
    let needed = size(connection)?.saturating_add(WAL_KEPT_BYTES.unsigned_abs());
    if free < needed {
        return Err(StoreError::NoSpaceForCopy { needed, free });
    }
    let failed = |error: FileError| StoreError::NotCopied(error.to_string());
    let new = NewFile::beside(file).map_err(failed)?;
    copy(connection, new.path())?;
    new.give_to_owner_of(database);
    new.persist().map_err(failed)
}

/// The size of the database in bytes, its write-ahead log included.
fn size(connection: &Connection) -> Result<u64, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, page) = (pragma("page_count")?, pragma("page_size")?);
    Ok(pages.unsigned_abs().saturating_mul(page.unsigned_abs()))
}

/// The name of the copy of a version.
fn name(database: &Path, version: i64) -> PathBuf {
    with_suffix(database, &format!(".v{version}"))
}

/// Deletes copies that a killed process did not finish. The lock of the directory is held, so nobody
/// writes one now.
fn remove_unfinished(database: &Path) -> io::Result<()> {
    let begins = with_suffix(database, ".v");
    for entry in fs::read_dir(directory(database))? {
        let path = entry?.path();
        let text = path.as_os_str().as_encoded_bytes();
        let begins = text.starts_with(begins.as_os_str().as_encoded_bytes());
        if begins && path.extension().is_some_and(|ending| ending == "partial") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Deletes all copies but the one of this version, and of the others the last one made.
fn remove_others(database: &Path, version: i64) -> io::Result<()> {
    let mut copies = Vec::new();
    for entry in fs::read_dir(directory(database))? {
        let entry = entry?;
        let path = entry.path();
        let of = path.extension().and_then(|ending| ending.to_str());
        let of: Option<i64> = of.and_then(|ending| ending.strip_prefix('v')?.parse().ok());
        if of.is_some_and(|of| of != version && name(database, of) == path) {
            copies.push((entry.metadata()?.modified()?, path));
        }
    }
    copies.sort_unstable();
    let old = (copies.len() + 1).saturating_sub(KEPT);
    let mut old = copies.iter().take(old);
    old.try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::RoomName,
        server::store::{Store, StoreOptions, restore, rights},
        tests::harness::data_directory,
    };
    use std::{
        fs::File,
        os::unix::fs::PermissionsExt,
        time::{Duration, SystemTime},
    };

    /// Replaces the database by one of this version with one message.
    fn place(database: &Path, version: i64) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(with_suffix(database, suffix));
        }
        rights::make_file(database).expect("made");
        let mut connection = schema::connect(database).expect("opens");
        schema::migrate_to(&mut connection, version).expect("migrates");
        let rows = format!(
            "INSERT INTO rooms (id, name, epoch, seq) VALUES (1, 'a', 'e', 1);
             INSERT INTO messages (room_id, seq, client_id, author, nickname, text, at)
             VALUES (1, 1, x'00000000000000000000000000000001', 'p', 'Ann', 'of v{version}', 5);"
        );
        connection.execute_batch(&rows).expect("a message");
    }

    /// Opens the database as the server does, and closes it.
    async fn upgrade(database: &Path) {
        let store = Store::open(database, &StoreOptions::default());
        store.expect("opens").close().await;
    }

    /// The version of a database and the texts of its messages.
    fn contents(file: &Path) -> (i64, Vec<String>) {
        let connection = schema::connect_to_read(file).expect("opens");
        let mut select = connection
            .prepare("SELECT text FROM messages")
            .expect("read");
        let texts = select.query_map([], |row| row.get(0)).expect("read");
        let texts = texts.collect::<Result<_, _>>().expect("texts");
        (schema::version(&connection).expect("read"), texts)
    }

    /// The names of the files beside the database that begin like it, in order.
    fn files(database: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory(database)).expect("read");
        let names = entries.map(|entry| entry.expect("read").file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("noom.db")).collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn an_upgrade_keeps_a_private_copy_of_the_former_version_that_can_be_restored() {
        let home = data_directory();
        let database = home.path().join("noom.db");
        place(&database, 5);
        upgrade(&database).await;
        let file = home.path().join("noom.db.v5");
        assert_eq!(files(&database), ["noom.db", "noom.db.v5"], "one file");
        assert_eq!(contents(&file), (5, vec!["of v5".to_owned()]));
        assert_eq!(contents(&database).0, schema::newest());
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        // No second copy without an upgrade, and none of a new database.
        fs::remove_file(&file).expect("removed");
        upgrade(&database).await;
        assert_eq!(files(&database), ["noom.db"]);
        let fresh = home.path().join("fresh/noom.db");
        upgrade(&fresh).await;
        assert_eq!(files(&fresh), ["noom.db"]);

        place(&database, 4);
        let unfinished = home.path().join("noom.db.v4.1234.partial");
        fs::write(&unfinished, "of a killed process").expect("written");
        upgrade(&database).await;
        assert!(!unfinished.exists());
        let restored = restore(&database, &home.path().join("noom.db.v4")).expect("restored");
        assert_eq!((restored.rooms, restored.messages), (1, 1));
        assert_eq!(contents(&database).0, 4);
        let store = Store::open(&database, &StoreOptions::default()).expect("opens");
        let room = RoomName::parse("a").expect("valid");
        let page = store.page(&room, None, 9).await.expect("read");
        assert_eq!(page.messages[0].words(), "of v4");
        store.close().await;
    }

    #[tokio::test]
    async fn the_last_two_copies_stay_and_other_files_are_left_alone() {
        let home = data_directory();
        let database = home.path().join("noom.db");
        let others = [
            "noom.db.v",
            "noom.db.v1.txt",
            "noom.db.former-1",
            "other.v1",
            "noom.db.v01",
        ];
        for other in others {
            fs::write(home.path().join(other), "x").expect("written");
        }
        let copy = |version| home.path().join(format!("noom.db.v{version}"));
        // The third one is of a lower version than the second: a restored backup.
        for (second, version, stay) in [(1, 2, vec![2]), (2, 5, vec![2, 5]), (3, 4, vec![4, 5])] {
            place(&database, version);
            upgrade(&database).await;
            let made = File::options().write(true).open(copy(version));
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            made.and_then(|file| file.set_modified(at)).expect("set");
            let found: Vec<i64> = (1..=schema::newest())
                .filter(|it| copy(*it).exists())
                .collect();
            assert_eq!(found, stay);
        }
        for other in others {
            assert!(home.path().join(other).exists(), "{other}");
        }
        // A copy of the same version is replaced by the newer contents.
        place(&database, 5);
        let connection = schema::connect(&database).expect("opens");
        let edit = "UPDATE messages SET text = 'later'";
        connection.execute_batch(edit).expect("edited");
        drop(connection);
        upgrade(&database).await;
        let copied = contents(&home.path().join("noom.db.v5"));
        assert_eq!(copied, (5, vec!["later".to_owned()]));
    }

    #[tokio::test]
    async fn without_a_copy_the_database_is_not_upgraded() {
        let home = data_directory();
        let database = home.path().join("noom.db");
        place(&database, 5);
        let file = home.path().join("noom.db.v5");
        let connection = schema::connect(&database).expect("opens");
        let needed = size(&connection).expect("read") + WAL_KEPT_BYTES.unsigned_abs();
        let refused = keep(&connection, &database, &file, needed - 1).expect_err("no space");
        let line = refused.to_string();
        assert!(
            line.contains(&needed.to_string()) && !line.contains('\n'),
            "{line}"
        );
        assert_eq!(files(&database), ["noom.db", "noom.db-shm", "noom.db-wal"]);
        keep(&connection, &database, &file, needed).expect("enough");
        fs::remove_file(&file).expect("removed");
        drop(connection);

        // A directory has the name of the copy, so that it cannot be put in place.
        fs::create_dir_all(file.join("full")).expect("made");
        let refused = Store::open(&database, &StoreOptions::default()).err();
        let line = refused.expect("refused").to_string();
        assert!(
            line.contains("noom.db.v5") && line.contains("nothing was changed"),
            "{line}"
        );
        assert_eq!(contents(&database), (5, vec!["of v5".to_owned()]));
    }
}
