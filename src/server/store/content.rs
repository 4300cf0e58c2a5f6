//! The content of files on the disk, by its hash: `files/ab/cdef…` beside the database.
//!
//! Only the writer's thread places and removes content, so the two never meet. Content is placed and
//! durable before the transaction that refers to it commits; a crash between the two leaves content
//! without a row, which the next start removes. A transaction that deletes the row of a file notes
//! the hash in `removed_files`, and the thread removes the content after the commit, if no other row
//! has the hash.

use super::{StoreError, file::directory};
use crate::server::files::{ContentHash, UploadedFile};
use rusqlite::{Connection, OptionalExtension};
use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The directory of kept files, beside the database.
const DIRECTORY: &str = "files";
/// The directory of uploads within it.
const INCOMING: &str = "incoming";
/// Hashes freed in one step. 200: each unlink takes some microseconds to milliseconds.
const FREED_AT_ONCE: u32 = 200;

/// The content of files beside one database.
#[derive(Debug, Clone)]
pub struct ContentStore {
    /// The directory of kept files.
    root: PathBuf,
}

impl ContentStore {
    /// The content beside a database.
    pub fn beside(database: &Path) -> Self {
        Self {
            root: directory(database).join(DIRECTORY),
        }
    }

    /// The content in this directory.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of kept files.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of uploads.
    pub fn incoming(&self) -> PathBuf {
        self.root.join(INCOMING)
    }

    /// The path of content. It depends on nothing but the hash.
    pub fn path(&self, hash: &ContentHash) -> PathBuf {
        let hex = hash.hex();
        let (folder, name) = hex.split_at(2);
        self.root.join(folder).join(name)
    }

    /// Puts the content of an upload in its place, durably, unless it is there already. `false` if
    /// the upload has no content any more.
    pub fn place(&self, file: &UploadedFile) -> io::Result<bool> {
        let path = self.path(&file.hash);
        if path.exists() {
            return Ok(true);
        }
        let folder = directory(&path);
        self.make(folder)?;
        // A link, so that the upload is still there if the transaction fails. A file system without
        // links moves it.
        let placed = fs::hard_link(file.path(), &path).or_else(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::AlreadyExists => Err(error),
            _ => fs::rename(file.path(), &path),
        });
        match placed {
            Ok(()) => File::open(folder)?.sync_all().map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a folder of content, and its entry in the directory durable.
    pub fn make(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        File::open(&self.root)?.sync_all()
    }

    /// Removes content that no row has. Content that is not there counts as removed.
    pub fn remove_unreferenced(
        &self,
        connection: &Connection,
        hash: &ContentHash,
    ) -> Result<(), StoreError> {
        if is_referenced(connection, hash)? {
            return Ok(());
        }
        match fs::remove_file(self.path(hash)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::from(error)),
            _ => Ok(()),
        }
    }

    /// Removes the content of files whose rows were deleted. Returns whether there may be more.
    pub fn free_removed(&self, connection: &Connection) -> Result<bool, StoreError> {
        let query = "SELECT hash FROM removed_files LIMIT ?1";
        let mut select = connection.prepare_cached(query)?;
        let removed = select.query_map([FREED_AT_ONCE], |row| row.get::<_, String>(0))?;
        let removed = removed.collect::<Result<Vec<_>, _>>()?;
        let query = "DELETE FROM removed_files WHERE hash = ?1";
        for hex in &removed {
            if let Some(hash) = ContentHash::parse(hex) {
                self.remove_unreferenced(connection, &hash)?;
            }
            connection.prepare_cached(query)?.execute([hex])?;
        }
        Ok(removed.len() >= FREED_AT_ONCE as usize)
    }

    /// All content that is there. Other files are left out.
    pub fn all(&self) -> io::Result<Vec<ContentHash>> {
        let mut found = Vec::new();
        for folder in entries(&self.root)? {
            let Some(start) = folder.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if start.len() != 2 || !folder.is_dir() {
                continue;
            }
            for path in entries(&folder)? {
                let rest = path.file_name().and_then(|name| name.to_str());
                let hash = rest.and_then(|rest| ContentHash::parse(&format!("{start}{rest}")));
                found.extend(hash);
            }
        }
        Ok(found)
    }

    /// Bytes of all content.
    pub fn bytes(&self) -> u64 {
        let sizes = self.all().unwrap_or_default();
        let sizes = sizes.iter().map(|hash| fs::metadata(self.path(hash)));
        sizes.flatten().map(|content| content.len()).sum()
    }

    /// Removes all content without a row, which a crash has left. Other files are left alone.
    /// Returns the number of removed files.
    pub fn sweep(&self, connection: &Connection) -> Result<u64, StoreError> {
        let mut removed = 0;
        for hash in self.all()? {
            if !is_referenced(connection, &hash)? {
                fs::remove_file(self.path(&hash))?;
                removed += 1;
            }
        }
        connection.execute("DELETE FROM removed_files", [])?;
        Ok(removed)
    }
}

/// Whether a row has this content.
pub(super) fn is_referenced(
    connection: &Connection,
    hash: &ContentHash,
) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached("SELECT 1 FROM files WHERE hash = ?1 LIMIT 1")?;
    let found = select.query_row([hash.hex()], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// The entries of a directory; none if there is no directory.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::files::UploadedFile;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn content_has_a_path_that_depends_on_its_hash_only(
            name in r"(\PC|[./\\\x00]|\.\.|%2e|CON){0,40}",
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let home = tempfile::tempdir().expect("tempdir");
            let content = ContentStore::beside(&home.path().join("noom.db"));
            let file = UploadedFile::of(home.path(), &name, &bytes);
            prop_assert!(content.place(&file).expect("placed"));
            let path = content.path(&file.hash);
            let inside = path.strip_prefix(content.root()).expect("inside");
            let parts: Vec<_> = inside.iter().filter_map(|part| part.to_str()).collect();
            prop_assert_eq!(parts.concat(), file.hash.hex());
            prop_assert_eq!(parts.len(), 2);
            prop_assert_eq!(fs::read(&path).expect("read"), bytes);
            prop_assert_eq!(content.all().expect("read"), [file.hash]);
            prop_assert!(content.place(&file).expect("there"));
        }
    }
}
