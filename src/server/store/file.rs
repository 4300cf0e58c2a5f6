//! A file that is there whole or not at all, and what can be wrong with files an operator
//! names.

use super::{StoreError, rights::FILE_MODE};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, chown},
    path::{Path, PathBuf},
};

/// Why a command did nothing. One line for the operator, who mends it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing to read.
    #[error("there is no database at \"{0}\"; give --data-dir (NOOM_DATA_DIR)")]
    NoDatabase(PathBuf),
    /// Nothing was ever said there.
    #[error("there is no room \"{0}\" in the database")]
    NoRoom(String),
    /// What was read cannot be written.
    #[error("writing: {0}")]
    Output(io::Error),
    /// Something would be lost.
    #[error("\"{0}\" exists already; name another file, or replace it with --force")]
    Exists(PathBuf),
    /// The database would be lost.
    #[error("\"{0}\" is the database itself; name another file")]
    IsDatabase(PathBuf),
    /// A server would be pulled the ground from under it.
    #[error("a server uses \"{0}\"; stop it first")]
    InUse(PathBuf),
    /// Not made by Noom.
    #[error("\"{0}\" is no backup of Noom")]
    NotNoom(PathBuf),
    /// Made by Noom, and broken since.
    #[error("\"{path}\" is damaged: {finding}")]
    Damaged {
        /// The path of the damaged file.
        path: PathBuf,
        /// What SQLite found first.
        finding: String,
    },
    /// The operating system refused.
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
    /// The operating system's refusal about a file.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }

    /// SQLite's refusal about a database.
    pub fn database<E: Into<StoreError>>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |error| Self::Database {
            path,
            error: error.into(),
        }
    }
}

/// Refuses a name that is the database or one of the files that belong to it.
///
/// # Errors
/// [`FileError::IsDatabase`].
pub fn refuse_database(database: &Path, file: &Path) -> Result<(), FileError> {
    let own = ["", "-wal", "-shm", "-journal"].map(|end| real(&with_end(database, end)));
    let lock = real(&database.with_extension("lock"));
    match own.contains(&real(file)) || lock == real(file) {
        true => Err(FileError::IsDatabase(file.to_owned())),
        false => Ok(()),
    }
}

/// A path without links, also of a file that is not there yet.
fn real(path: &Path) -> Option<PathBuf> {
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

/// The directory a path is in.
pub fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A path with something at the end of its name.
pub fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// A file that is being written beside the place it is meant for, for its owner's eyes
/// only. It is gone when dropped, unless it was [put in place](Self::put).
#[derive(Debug)]
pub struct NewFile {
    /// Where it is meant for.
    place: PathBuf,
    /// Where it is written.
    path: PathBuf,
}

impl NewFile {
    /// Makes the empty file.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn beside(place: &Path) -> Result<Self, FileError> {
        let path = with_end(place, &format!(".{}.partial", std::process::id()));
        // What a former process of this number left; or a link that somebody put there.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::io(&path)(error));
            }
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        options.open(&path).map_err(FileError::io(&path))?;
        let place = place.to_owned();
        Ok(Self { place, path })
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it to whoever owns `model`, where we may (an administrator may).
    pub fn give_to_owner_of(&self, model: &Path) {
        if let Ok(owner) = fs::metadata(model) {
            let _ = chown(&self.path, Some(owner.uid()), Some(owner.gid()));
        }
    }

    /// Puts it in place in one step, durably, over whatever was there.
    ///
    /// # Errors
    /// The disk refused; what was there before is still there.
    pub fn put(self) -> Result<(), FileError> {
        sync(&self.path)?;
        fs::rename(&self.path, &self.place).map_err(FileError::io(&self.place))?;
        sync(directory(&self.place))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(with_end(&self.path, end));
        }
    }
}

/// Makes a file, or the names in a directory, durable.
pub fn sync(path: &Path) -> Result<(), FileError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(FileError::io(path))
}
