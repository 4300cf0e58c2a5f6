//! The content of files in a backup, and back out of it.
//!
//! A backup is one file, so the content is in its table `file_parts`, in parts. A restore adds the
//! content to the directory of files before it replaces the database; content is named by its hash,
//! so nothing that is there changes.

use super::{
    StoreError,
    content::ContentStore,
    file::{FileError, NewFile, directory},
    rights::FILE_MODE,
    schema, schema_check,
};
use crate::server::files::ContentHash;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, chown},
    path::Path,
};

/// Bytes of a part. 1 MiB: the memory that a copy takes.
const PART_BYTES: usize = 1024 * 1024;

/// Writes the content of all files of a copy of a database into that copy. Content that was deleted
/// since the copy was made takes its rows along.
pub fn fill(copy: &Path, content: &ContentStore) -> Result<(), FileError> {
    let failed = |error: StoreError| FileError::database(copy)(error);
    let mut connection = open(copy).map_err(failed)?;
    if !has_files(&connection).map_err(failed)? {
        return Ok(());
    }
    for hash in hashes(&connection).map_err(failed)? {
        let path = content.path(&hash);
        match File::open(&path) {
            Ok(file) => write_parts(&mut connection, &hash, file).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                forget(&connection, &hash).map_err(failed)?;
            }
            Err(error) => return Err(FileError::io(&path)(error)),
        }
    }
    let clear = "DELETE FROM removed_files";
    let cleared = connection.execute(clear, []).map_err(StoreError::from);
    cleared.map_err(failed)?;
    connection
        .close()
        .map_err(|(_, error)| failed(error.into()))
}

/// Moves the content out of the copy of a backup into a directory of files. Content that the backup
/// does not hold is taken from `others`. Returns the number of contents that are nowhere; their rows
/// are deleted.
pub fn extract(
    copy: &Path,
    content: &ContentStore,
    others: &[ContentStore],
    backup: &Path,
) -> Result<u64, FileError> {
    let failed = |error: StoreError| FileError::database(backup)(error);
    let connection = open(copy).map_err(failed)?;
    if !has_files(&connection).map_err(failed)? {
        return Ok(0);
    }
    let mut missing = 0;
    for hash in hashes(&connection).map_err(failed)? {
        let path = content.path(&hash);
        if path.exists() {
            continue;
        }
        content
            .make(directory(&path))
            .map_err(FileError::io(directory(&path)))?;
        let there = match others.iter().find(|other| other.path(&hash).exists()) {
            _ if read_parts(&connection, &hash, &path, backup)? => true,
            Some(other) => {
                let from = other.path(&hash);
                link_or_copy(&from, &path).map_err(FileError::io(&from))?;
                true
            }
            None => false,
        };
        if !there {
            missing += 1;
            forget(&connection, &hash).map_err(failed)?;
        }
    }
    let has_parts = "SELECT EXISTS (SELECT 1 FROM file_parts)";
    let has_parts = connection
        .query_row(has_parts, [], |row| row.get::<_, bool>(0))
        .map_err(|error| failed(error.into()))?;
    let clear = match has_parts {
        true => "DELETE FROM removed_files; DELETE FROM file_parts; VACUUM",
        false => "DELETE FROM removed_files",
    };
    connection
        .execute_batch(clear)
        .map_err(|error| failed(error.into()))?;
    connection
        .close()
        .map_err(|(_, error)| failed(error.into()))?;
    Ok(missing)
}

/// Gives another directory these contents, without copying them where the file system has hard
/// links.
pub fn keep(content: &ContentStore, root: &Path, hashes: &[ContentHash]) -> io::Result<()> {
    let kept = ContentStore::at(root.to_owned());
    for hash in hashes {
        let path = kept.path(hash);
        kept.make(directory(&path))?;
        link_or_copy(&content.path(hash), &path)?;
    }
    Ok(())
}

/// Gives a directory of files to the owner of `model`, if this process may.
pub fn give_to_owner_of(content: &ContentStore, model: &Path) -> io::Result<()> {
    let Ok(owner) = fs::metadata(model) else {
        return Ok(());
    };
    let give = |path: &Path| drop(chown(path, Some(owner.uid()), Some(owner.gid())));
    for hash in content.all()? {
        let path = content.path(&hash);
        give(directory(&path));
        give(&path);
    }
    give(content.root());
    Ok(())
}

/// Opens a copy of a database to write.
fn open(copy: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(copy)?;
    schema_check::harden(&connection)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(connection)
}

/// Whether a database is of a version that knows files.
pub(super) fn has_files(connection: &Connection) -> Result<bool, StoreError> {
    Ok(schema::version(connection)? >= schema::FILES_VERSION)
}

/// The contents that files have, each once.
fn hashes(connection: &Connection) -> Result<Vec<ContentHash>, StoreError> {
    let mut select = connection.prepare("SELECT DISTINCT hash FROM files")?;
    let hashes = select.query_map([], |row| row.get::<_, String>(0))?;
    let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
    hashes.iter().map(|hex| parse_hash(hex)).collect()
}

/// The hash in the row of a file.
pub(super) fn parse_hash(hex: &str) -> Result<ContentHash, StoreError> {
    ContentHash::parse(hex).ok_or_else(|| StoreError::BadRow("the hash of a file".to_owned()))
}

/// Deletes the rows of files whose content is nowhere.
fn forget(connection: &Connection, hash: &ContentHash) -> Result<(), StoreError> {
    let hex = hash.hex();
    let query = "UPDATE messages SET files = files - (
                     SELECT count(*) FROM files WHERE message_id = messages.id AND hash = ?1)
                 WHERE id IN (SELECT message_id FROM files WHERE hash = ?1)";
    connection.execute(query, [&hex])?;
    connection.execute("DELETE FROM files WHERE hash = ?1", [&hex])?;
    Ok(())
}

/// Writes content into the table of parts.
fn write_parts(
    connection: &mut Connection,
    hash: &ContentHash,
    content: File,
) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    let query = "INSERT INTO file_parts (hash, part, bytes) VALUES (?1, ?2, ?3)";
    let mut insert = transaction.prepare_cached(query)?;
    for part in 0_i64.. {
        let mut bytes = Vec::with_capacity(PART_BYTES);
        let limit = PART_BYTES as u64;
        (&content).take(limit).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        insert.execute(params![hash.hex(), part, bytes])?;
    }
    drop(insert);
    Ok(transaction.commit()?)
}

/// Writes the parts of content into a file. Returns whether the backup has them.
///
/// # Errors
/// [`FileError::Damaged`] if they are not the content of this hash.
fn read_parts(
    connection: &Connection,
    hash: &ContentHash,
    path: &Path,
    backup: &Path,
) -> Result<bool, FileError> {
    let failed = |error: rusqlite::Error| FileError::database(backup)(error);
    let query = "SELECT bytes FROM file_parts WHERE hash = ?1 ORDER BY part";
    let mut select = connection.prepare_cached(query).map_err(failed)?;
    let mut rows = select.query([hash.hex()]).map_err(failed)?;
    let mut output = None;
    let mut hasher = Sha256::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let bytes: Vec<u8> = row.get("bytes").map_err(failed)?;
        let (file, _) = match &mut output {
            Some(output) => output,
            None => {
                let new = NewFile::beside(path)?;
                let mut options = OpenOptions::new();
                let file = options.write(true).mode(FILE_MODE).open(new.path());
                output.insert((file.map_err(FileError::io(path))?, new))
            }
        };
        hasher.update(&bytes);
        file.write_all(&bytes).map_err(FileError::io(path))?;
    }
    let Some((_, new)) = output else {
        return Ok(false);
    };
    if hasher.finalize()[..] != hash.0 {
        return Err(FileError::Damaged {
            path: backup.to_owned(),
            finding: "the content of a file has another hash".to_owned(),
        });
    }
    new.persist()?;
    Ok(true)
}

/// Links content to another name, or copies it.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(_) => fs::copy(from, to).map(drop)?,
        Ok(()) => {}
    }
    File::open(to)?.sync_all()?;
    File::open(directory(to))?.sync_all()
}
