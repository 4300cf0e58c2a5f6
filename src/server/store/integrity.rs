//! Checks the pages of a database while a server may write it.

use super::{StoreError, lock::DataLock, schema};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Steps of SQLite's virtual machine between two looks at the clock.
const STEPS: std::ffi::c_int = 10_000;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// Every page and every row is sound.
    Sound,
    /// What was read within the time limit is sound.
    Unfinished,
    /// SQLite's first finding, in one line.
    Damaged(String),
}

/// Checks pages and rows (`PRAGMA quick_check`) for at most `within`. Blocks meanwhile.
///
/// # Errors
/// The database cannot be opened or read.
pub fn integrity(database: &Path, within: Duration) -> Result<Integrity, StoreError> {
    let until = Instant::now() + within;
    let mut connection = schema::connect_to_read(database)?;
    connection.progress_handler(STEPS, Some(move || Instant::now() >= until))?;
    let finding: Result<String, StoreError> = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(Into::into);
    match finding {
        Ok(finding) if finding == "ok" => Ok(Integrity::Sound),
        Ok(finding) => Ok(Integrity::Damaged(first_line(&finding))),
        Err(error) if error.is_interrupted() => Ok(Integrity::Unfinished),
        Err(error) if error.is_damage() => Ok(Integrity::Damaged(first_line(&error.to_string()))),
        Err(error) => Err(error),
    }
}

/// Whether a server or a restore uses the database now.
pub fn is_in_use(database: &Path) -> bool {
    DataLock::is_held(database)
}

/// The first line of a text.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        server::store::{Store, StoreOptions},
        tests::harness::data_directory,
    };

    #[tokio::test]
    async fn a_sound_database_is_sound_and_one_with_a_broken_page_is_damaged() {
        let directory = data_directory();
        let database = directory.path().join("noom.db");
        assert!(integrity(&database, Duration::from_secs(5)).is_err());
        assert!(!is_in_use(&database));
        let store = Store::open(&database, &StoreOptions::default()).expect("opens");
        let sound = integrity(&database, Duration::from_secs(5)).expect("readable");
        assert_eq!(sound, Integrity::Sound);
        assert!(is_in_use(&database), "the server holds it");
        let at_once = integrity(&database, Duration::ZERO).expect("readable");
        assert!(
            [Integrity::Unfinished, Integrity::Sound].contains(&at_once),
            "{at_once:?}"
        );
        store.close().await;
        assert!(!is_in_use(&database), "the server is gone");
        let mut bytes = std::fs::read(&database).expect("readable");
        let half = bytes.len() / 2;
        bytes[4096..half].fill(0xA5);
        std::fs::write(&database, bytes).expect("written");
        let broken = integrity(&database, Duration::from_secs(5));
        assert!(
            matches!(broken, Ok(Integrity::Damaged(_)) | Err(_)),
            "{broken:?}"
        );
    }
}
