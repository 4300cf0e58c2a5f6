//! Permissions of the data directory: only the user that runs the server may use it.
//!
//! The directory is created with mode 0700 and the files with 0600, whatever the umask. Existing
//! files with wider permissions are refused in one line with the command that repairs them, unless
//! the operator allows them ([`Rights::Any`]). SQLite creates the write-ahead log and its
//! shared-memory file with the permissions of the database.

use super::{
    StoreError,
    file::{directory, with_suffix},
};
use std::{
    fs::{self, DirBuilder, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Mode of the data directory: its owner only.
const DIRECTORY_MODE: u32 = 0o700;
/// Mode of files: their owner reads and writes.
pub const FILE_MODE: u32 = 0o600;
/// Mask of the permission bits of the group and of others.
const OTHERS: u32 = 0o077;

/// Which permissions an existing data directory may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rights {
    /// The directory and its files belong to the server's user, and no other user may use them.
    #[default]
    Private,
    /// Any permissions: the operator decides who else may read the files.
    Any,
}

/// Why a data directory is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RightsError {
    /// The permissions let other users use a file.
    #[error(
        "other users of this machine may use \"{path}\", which has the rights {mode:04o}; \
         run: chmod -R go= {directory} (or give --data-dir-rights any)"
    )]
    Loose {
        /// The directory or the file.
        path: PathBuf,
        /// The permission bits of `path`.
        mode: u32,
        /// The directory as a shell reads it.
        directory: String,
    },
    /// Another user owns a file, and can change it at any time.
    #[error(
        "\"{path}\" belongs to user {owner}, and the server runs as user {user}; \
         run: chown -R {user} {directory} (or give --data-dir-rights any)"
    )]
    Foreign {
        /// The directory or the file.
        path: PathBuf,
        /// The user id of the owner.
        owner: u32,
        /// The user id that the server runs as.
        user: u32,
        /// The directory as a shell reads it.
        directory: String,
    },
    /// A file is a symbolic link, whose target may belong to another user.
    #[error(
        "\"{0}\" is a symbolic link; put the file itself there, or make a link to the whole \
         directory (or give --data-dir-rights any)"
    )]
    Link(PathBuf),
    /// A directory, socket or device has the name of a file.
    #[error("\"{0}\" is not a file; move it away")]
    NoFile(PathBuf),
}

/// Creates the directory of a database if it is missing, and checks an existing one.
pub fn prepare(database: &Path, rights: Rights) -> Result<(), StoreError> {
    let failed = |error| StoreError::Directory(Arc::new(error));
    let home = directory(database);
    make_directory(home).map_err(failed)?;
    match rights {
        Rights::Any => Ok(()),
        Rights::Private => check(home, database).map_err(failed)?.map_err(Into::into),
    }
}

/// Checks the rights of an existing data directory, as the start of a server does. Creates nothing.
///
/// # Errors
/// The rights are refused. A directory that is missing or cannot be read is no error here.
pub fn check_rights(database: &Path, rights: Rights) -> Result<(), RightsError> {
    match rights {
        Rights::Any => Ok(()),
        Rights::Private => check(directory(database), database).unwrap_or(Ok(())),
    }
}

/// Creates a directory and its missing parents with mode 0700.
pub fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY_MODE);
    builder.create(path)
}

/// Creates an empty file with mode 0600 if it is missing. SQLite treats an empty file as a new
/// database; SQLite itself would create it with mode 0644.
pub fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// Sets mode 0600 on a file.
pub fn make_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
}

/// Checks the directory and the files of the database.
fn check(home: &Path, database: &Path) -> io::Result<Result<(), RightsError>> {
    let user = rustix::process::geteuid().as_raw();
    // The directory may be a link: its target is checked.
    let mut found = vec![(home.to_owned(), fs::metadata(home)?)];
    let lock = database.with_extension("lock");
    let files = ["", "-wal", "-shm", "-journal"].map(|end| with_suffix(database, end));
    for path in files.into_iter().chain([lock]) {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if !metadata.is_symlink() && !metadata.is_file() => {
                return Ok(Err(RightsError::NoFile(path)));
            }
            Ok(metadata) => found.push((path, metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let refused = found
        .iter()
        .find_map(|(path, metadata)| refusal(home, path, Facts::of(metadata), user));
    Ok(refused.map_or(Ok(()), Err))
}

/// The metadata that decides whether a file is refused.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// Whether it is a symbolic link.
    link: bool,
    /// The user id of the owner.
    owner: u32,
    /// The permission bits.
    mode: u32,
}

impl Facts {
    /// Extracts the facts from the metadata of a file.
    fn of(metadata: &Metadata) -> Self {
        Self {
            link: metadata.is_symlink(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }
    }
}

/// Why a directory or file is refused; nothing if it is not. User 0 may use files of other owners,
/// because it can read every file anyway.
fn refusal(home: &Path, path: &Path, facts: Facts, user: u32) -> Option<RightsError> {
    let Facts { link, owner, mode } = facts;
    let path = path.to_owned();
    let directory = quoted(home);
    if link {
        return Some(RightsError::Link(path));
    }
    if owner != user && user != 0 {
        return Some(RightsError::Foreign {
            path,
            owner,
            user,
            directory,
        });
    }
    (mode & OTHERS != 0).then_some(RightsError::Loose {
        path,
        mode,
        directory,
    })
}

/// A path quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match text.chars().all(plain) && !text.starts_with('-') {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::RoomName,
        server::store::{Store, StoreOptions, backup, restore, tests::message},
    };
    use std::os::unix::fs::symlink;

    /// The permission bits of a path.
    fn mode(path: &Path) -> u32 {
        let metadata = fs::metadata(path).expect("there");
        metadata.mode() & 0o7777
    }

    /// Sets the permission bits of a path.
    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    /// Opens a store with the default options.
    fn open(database: &Path) -> Result<Store, StoreError> {
        Store::open(database, &StoreOptions::default())
    }

    #[tokio::test]
    async fn files_of_the_server_are_accessible_to_their_owner_only() {
        let home = tempfile::tempdir().expect("tempdir");
        set(home.path(), 0o755);
        let directory = home.path().join("very/deep");
        let database = directory.join("noom.db");
        let store = open(&database).expect("opens");
        let room = RoomName::parse("a").expect("valid");
        store
            .append(&room, message(1, "one"))
            .await
            .expect("stored");
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&home.path().join("very")), 0o700);
        for file in ["noom.db", "noom.db-wal", "noom.db-shm", "noom.lock"] {
            assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
        }
        let copy = home.path().join("copy.db");
        backup(&database, &copy, false).expect("copied");
        assert_eq!(mode(&copy), 0o600);
        store.close().await;
        // Wider permissions of a copied backup, and of a database of an older build.
        set(&copy, 0o644);
        set(&database, 0o644);
        let former = restore(&database, &copy).expect("restored").former;
        assert_eq!(mode(&database), 0o600);
        assert_eq!(mode(&former.expect("kept")), 0o600);
    }

    #[tokio::test]
    async fn wide_permissions_are_refused_in_one_line_with_the_command_that_repairs_them() {
        let home = tempfile::tempdir().expect("tempdir");
        let directory = home.path().join("it's data");
        let database = directory.join("noom.db");
        open(&database).expect("opens").close().await;
        for (path, loose) in [
            (&directory, 0o755),
            (&directory, 0o710),
            (&database, 0o644),
            (&directory.join("noom.lock"), 0o620),
        ] {
            set(path, loose);
            let line = open(&database).err().expect("refused").to_string();
            assert!(!line.contains('\n') && line.contains("any"), "{line}");
            assert!(line.contains(&format!("{loose:04o}")), "{line}");
            let (_, command) = line.split_once("run: ").expect("a command");
            let (command, _) = command.split_once(" (or").expect("an end");
            let mut shell = std::process::Command::new("sh");
            let done = shell.args(["-c", command]).status().expect("runs");
            assert!(done.success(), "{command}");
            open(&database).expect("opens now").close().await;
        }
        set(&directory, 0o755);
        let any = StoreOptions {
            rights: Rights::Any,
            ..StoreOptions::default()
        };
        let store = Store::open(&database, &any).expect("allowed");
        store.close().await;
        assert_eq!(mode(&directory), 0o755, "left as it is");
    }

    #[tokio::test]
    async fn a_database_that_is_a_link_to_elsewhere_is_refused_and_a_linked_directory_is_not() {
        let home = tempfile::tempdir().expect("tempdir");
        let (here, there) = (home.path().join("here"), home.path().join("there"));
        let elsewhere = there.join("noom.db");
        open(&elsewhere).expect("opens").close().await;
        make_directory(&here).expect("made");
        for name in ["noom.db", "noom.db-wal", "noom.lock"] {
            let link = here.join(name);
            symlink(&elsewhere, &link).expect("linked");
            let line = open(&here.join("noom.db")).err().expect("refused");
            assert!(line.to_string().contains("symbolic link"), "{line}");
            fs::remove_file(link).expect("removed");
        }
        make_directory(&here.join("noom.db-shm")).expect("made");
        let line = open(&here.join("noom.db")).err().expect("refused");
        assert!(line.to_string().contains("is not a file"), "{line}");
        let linked = home.path().join("linked");
        symlink(&there, &linked).expect("linked");
        let store = open(&linked.join("noom.db")).expect("opens");
        store.close().await;
    }

    #[test]
    fn files_of_another_owner_are_refused_unless_root_runs_the_server() {
        let refused = |owner, user| {
            let facts = Facts {
                link: false,
                owner,
                mode: 0o700,
            };
            refusal(Path::new("/data"), Path::new("/data"), facts, user)
        };
        assert_eq!((refused(7, 7), refused(7, 0)), (None, None));
        let line = refused(7, 8).expect("refused").to_string();
        assert!(line.contains("chown -R 8 /data"), "{line}");
        assert!(refused(0, 8).is_some());
    }
}
