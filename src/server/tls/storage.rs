//! Files of the server's own certificates, in `tls/` below the data directory.
//!
//! Only the server's user may read them. A file is written beside its place and renamed, so that a
//! crash leaves the former file or the new one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Size limit of a file, in bytes. 256 KiB: a chain with a hundred names takes a tenth.
const MAX_BYTES: u64 = 256 * 1024;

/// A directory of certificates and keys.
#[derive(Debug, Clone)]
pub struct Storage(PathBuf);

impl Storage {
    /// The directory below the data directory, created with mode 0700.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let directory = data_dir.join("tls");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        Ok(Self(directory))
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than any the server writes.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.len() > MAX_BYTES => Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => fs::read(path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file with mode 0600 in one step, durable when this returns.
    ///
    /// # Errors
    /// The file cannot be written; the former one is unchanged.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.0.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The names of the files that end with `suffix`.
    pub fn names(&self, suffix: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.ends_with(suffix)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_only_its_owner_may_read_it() {
        let data = tempfile::tempdir().expect("a directory");
        let storage = Storage::open(data.path()).expect("opened");
        assert_eq!(storage.read("a.pem").expect("readable"), None);
        for text in [&b"long text"[..], b"short"] {
            storage.write("a.pem", text).expect("written");
            let read = storage.read("a.pem").expect("readable");
            assert_eq!(read.as_deref(), Some(text));
        }
        let mode = |path: &str| {
            let found = fs::metadata(data.path().join(path)).expect("there");
            found.permissions().mode() & 0o777
        };
        assert_eq!((mode("tls"), mode("tls/a.pem")), (0o700, 0o600));
        assert_eq!(storage.names(".pem"), ["a.pem"]);
    }
}
