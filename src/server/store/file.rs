//! Atomic creation of files, and the errors about files that an operator names.

use super::{StoreError, rights::FILE_MODE};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, chown},
    path::{Path, PathBuf},
};

/// Why a command failed. Displayed as one line, from which the operator can repair the cause.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The database file does not exist.
    #[error("there is no database at \"{0}\"; give --data-dir (NOOM_DATA_DIR)")]
    NoDatabase(PathBuf),
    /// The database has no room of this name.
    #[error("there is no room \"{0}\" in the database")]
    NoRoom(String),
    /// The output of an export cannot be written.
    #[error("writing: {0}")]
    Output(io::Error),
    /// The output file exists, and `--force` is not given.
    #[error("\"{0}\" exists already; name another file, or replace it with --force")]
    Exists(PathBuf),
    /// The output file is the database or one of its companion files.
    #[error("\"{0}\" is the database itself; name another file")]
    IsDatabase(PathBuf),
    /// A running server holds the lock of the data directory.
    #[error("a server uses \"{0}\"; stop it first")]
    InUse(PathBuf),
    /// The file is not a database of Noom.
    #[error("\"{0}\" is not a Noom backup")]
    NotNoom(PathBuf),
    /// The file is a database with corrupted pages or incomplete indexes.
    #[error("\"{path}\" is damaged: {finding}")]
    Damaged {
        /// The path of the damaged file.
        path: PathBuf,
        /// The first finding of SQLite, in one line.
        finding: String,
    },
    /// A system call failed.
    #[error("\"{path}\": {error}")]
    Io {
        /// The path of the file or directory.
        path: PathBuf,
        /// The error of the system call.
        error: io::Error,
    },
    /// SQLite reported an error.
    #[error("\"{path}\": {error}")]
    Database {
        /// The path of the database.
        path: PathBuf,
        /// The error of SQLite or of the store.
        error: StoreError,
    },
}

impl FileError {
    /// Maps an I/O error to one that names `path`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }

    /// Maps an error of SQLite or the store to one that names `path`.
    pub fn database<E: Into<StoreError>>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |error| Self::Database {
            path,
            error: error.into(),
        }
    }
}

/// Checks that `file` is neither the database nor its lock, log or index.
///
/// # Errors
/// [`FileError::IsDatabase`].
pub fn refuse_database(database: &Path, file: &Path) -> Result<(), FileError> {
    let own =
        ["", "-wal", "-shm", "-journal"].map(|suffix| canonical(&with_suffix(database, suffix)));
    let lock = canonical(&database.with_extension("lock"));
    match own.contains(&canonical(file)) || lock == canonical(file) {
        true => Err(FileError::IsDatabase(file.to_owned())),
        false => Ok(()),
    }
}

/// A path with its symbolic links resolved. The file need not exist; its directory must.
fn canonical(path: &Path) -> Option<PathBuf> {
    let whole = fs::canonicalize(path);
    let beside = || {
        Some(
            fs::canonicalize(directory(path))
                .ok()?
                .join(path.file_name()?),
        )
    };
    whole.ok().or_else(beside)
}

/// The parent directory of a path, `.` for a bare file name.
pub fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A path with `suffix` appended to its file name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A temporary file beside its destination, readable by its owner only. Deleted when dropped,
/// unless it was [put in place](Self::persist).
#[derive(Debug)]
pub struct NewFile {
    /// The path to which [`Self::persist`] renames the file.
    destination: PathBuf,
    /// The temporary file, in the same directory, so that a rename is atomic.
    path: PathBuf,
}

impl NewFile {
    /// Creates the temporary file, empty.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn beside(destination: &Path) -> Result<Self, FileError> {
        let path = with_suffix(destination, &format!(".{}.partial", std::process::id()));
        // A former process with the same id may have left the file, or another user a link.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::io(&path)(error));
            }
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        options.open(&path).map_err(FileError::io(&path))?;
        let destination = destination.to_owned();
        Ok(Self { destination, path })
    }

    /// The path of the temporary file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the owner and group of `model`, if this process may: only an administrator can.
    pub fn give_to_owner_of(&self, model: &Path) {
        if let Ok(owner) = fs::metadata(model) {
            let _ = chown(&self.path, Some(owner.uid()), Some(owner.gid()));
        }
    }

    /// Renames the file to its destination, durably, and replaces an existing file.
    ///
    /// # Errors
    /// The disk failed; an existing file is unchanged.
    pub fn persist(self) -> Result<(), FileError> {
        sync(&self.path)?;
        fs::rename(&self.path, &self.destination).map_err(FileError::io(&self.destination))?;
        sync(directory(&self.destination))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

/// Syncs a file, or the entries of a directory, to the disk.
pub fn sync(path: &Path) -> Result<(), FileError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(FileError::io(path))
}
