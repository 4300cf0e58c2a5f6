//! Checks that the content of kept files is on the disk, while a server may store and delete.

use super::{
    StoreError,
    content::{ContentStore, is_referenced},
    file_parts::{has_files, parse_hash},
    schema,
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Missing contents at which the check ends. 1,000: somebody removed the directory.
const MAX_MISSING: usize = 1_000;

/// The content of the files of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesCheck {
    /// The number of contents that are there with their size.
    pub found: u64,
    /// The paths of contents that are missing or have another size.
    pub missing: Vec<PathBuf>,
    /// Whether every content was looked up.
    pub is_finished: bool,
}

/// Looks up the content of each file for at most `within`. It reads names and sizes, no content.
/// Blocks meanwhile.
///
/// # Errors
/// The database cannot be opened or read.
pub fn check_files(database: &Path, within: Duration) -> Result<FilesCheck, StoreError> {
    let until = Instant::now() + within;
    let connection = schema::connect_to_read(database)?;
    if !has_files(&connection)? {
        return Ok(FilesCheck {
            is_finished: true,
            ..FilesCheck::default()
        });
    }
    let store = ContentStore::beside(database);
    let mut check = FilesCheck::default();
    let mut missing = Vec::new();
    let mut select = connection.prepare("SELECT DISTINCT hash, size FROM files ORDER BY hash")?;
    let mut rows = select.query([])?;
    check.is_finished = loop {
        let Some(row) = rows.next()? else { break true };
        let (hex, size): (String, i64) = (row.get(0)?, row.get(1)?);
        let hash = parse_hash(&hex)?;
        match std::fs::metadata(store.path(&hash)) {
            Ok(content) if i64::try_from(content.len()) == Ok(size) => check.found += 1,
            _ => missing.push(hash),
        }
        if missing.len() >= MAX_MISSING || Instant::now() >= until {
            break false;
        }
    };
    drop(rows);
    // The rows were those of the beginning: content that was deleted meanwhile is not missing.
    for hash in missing {
        if is_referenced(&connection, &hash)? {
            check.missing.push(store.path(&hash));
        }
    }
    Ok(check)
}
