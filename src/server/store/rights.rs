//! Who may read what lasts: the user the server runs as, and nobody else on the machine.
//!
//! The directory is made with 0700 and the files with 0600, whatever the umask. What is there
//! already and looser is refused in one line that says the command to mend it, unless the
//! operator wants it so ([`Rights::Any`]). SQLite gives the write-ahead log and the index of
//! it the rights of the database.

use super::{
    StoreError,
    file::{directory, with_end},
};
use std::{
    fs::{self, DirBuilder, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rights of a directory: its owner only.
const DIRECTORY_MODE: u32 = 0o700;
/// Rights of a file: its owner reads and writes.
pub const FILE_MODE: u32 = 0o600;
/// What others than the owner may have.
const OTHERS: u32 = 0o077;

/// Which rights a data directory may have that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rights {
    /// It and its files belong to the user the server runs as, who alone may use them.
    #[default]
    Private,
    /// Any: who else may read it is the operator's choice.
    Any,
}

/// Why the rights of a data directory are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RightsError {
    /// Others may use it.
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
    /// Somebody else can change it at any time.
    #[error(
        "\"{path}\" belongs to user {owner}, and the server runs as user {user}; \
         run: chown -R {user} {directory} (or give --data-dir-rights any)"
    )]
    Foreign {
        /// The directory or the file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs the server.
        user: u32,
        /// The directory as a shell reads it.
        directory: String,
    },
    /// What it leads to may be anybody's.
    #[error(
        "\"{0}\" is a symbolic link; put the file itself there, or make a link to the whole \
         directory (or give --data-dir-rights any)"
    )]
    Link(PathBuf),
    /// SQLite cannot use it.
    #[error("\"{0}\" is no file; move it away")]
    NoFile(PathBuf),
}

/// Makes the directory of a database where there is none, and looks at what is there already.
pub fn prepare(database: &Path, rights: Rights) -> Result<(), StoreError> {
    let failed = |error| StoreError::Directory(Arc::new(error));
    let home = directory(database);
    make_directory(home).map_err(failed)?;
    match rights {
        Rights::Any => Ok(()),
        Rights::Private => check(home, database).map_err(failed)?.map_err(Into::into),
    }
}

/// Makes a directory, and those above it, for their owner only.
pub fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY_MODE);
    builder.create(path)
}

/// Makes an empty file for its owner only, where there is none. SQLite takes it for a new
/// database; it would make one for everybody itself.
pub fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// Takes a file away from everybody but its owner.
pub fn make_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
}

/// Looks at the directory and at the files of the database.
fn check(home: &Path, database: &Path) -> io::Result<Result<(), RightsError>> {
    let user = rustix::process::geteuid().as_raw();
    // A link to the directory is fine: what it leads to is looked at.
    let mut found = vec![(home.to_owned(), fs::metadata(home)?)];
    let lock = database.with_extension("lock");
    let files = ["", "-wal", "-shm", "-journal"].map(|end| with_end(database, end));
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

/// What matters of a file.
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
    /// What the operating system says.
    fn of(metadata: &Metadata) -> Self {
        Self {
            link: metadata.is_symlink(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }
    }
}

/// Why a directory or file is refused. An administrator may use what is somebody else's:
/// whoever runs a server as one can read everything anyway.
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

/// A path as one word of a shell.
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

    /// The rights of a path.
    fn mode(path: &Path) -> u32 {
        let metadata = fs::metadata(path).expect("there");
        metadata.mode() & 0o7777
    }

    /// Sets the rights of a path.
    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    /// Opens a database by the rule of the defaults.
    fn open(database: &Path) -> Result<Store, StoreError> {
        Store::open(database, &StoreOptions::default())
    }

    #[tokio::test]
    async fn what_the_server_makes_is_for_its_owner_only() {
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
        // A copy that somebody made readable, and a database of an older build.
        set(&copy, 0o644);
        set(&database, 0o644);
        let former = restore(&database, &copy).expect("restored").former;
        assert_eq!(mode(&database), 0o600);
        assert_eq!(mode(&former.expect("kept")), 0o600);
    }

    #[tokio::test]
    async fn what_others_may_read_is_refused_in_one_line_with_the_command_that_mends_it() {
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
        let store = Store::open(&database, &any).expect("told so");
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
        assert!(line.to_string().contains("is no file"), "{line}");
        let linked = home.path().join("linked");
        symlink(&there, &linked).expect("linked");
        let store = open(&linked.join("noom.db")).expect("opens");
        store.close().await;
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused_unless_an_administrator_serves() {
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
