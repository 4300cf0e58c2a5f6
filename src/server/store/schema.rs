//! The tables, and how an older database becomes the present one.

use super::StoreError;
use crate::{protocol::Epoch, server::identity::new_epoch};
use rusqlite::{Connection, OptionalExtension};
use std::{path::Path, time::Duration};

/// How long a statement waits for a lock held by another process (a backup, a shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Each step takes the database from the version of its index to the next one.
/// Steps are only ever added.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE rooms (
        id    INTEGER PRIMARY KEY,
        name  TEXT NOT NULL UNIQUE,
        epoch TEXT NOT NULL,
        seq   INTEGER NOT NULL
    );
    CREATE TABLE messages (
        room_id   INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        seq       INTEGER NOT NULL,
        client_id BLOB NOT NULL,
        author    TEXT NOT NULL,
        nickname  TEXT NOT NULL,
        text      TEXT NOT NULL,
        at        INTEGER NOT NULL,
        PRIMARY KEY (room_id, seq),
        UNIQUE (room_id, client_id)
    );
"];

/// Opens one connection with the settings all of them share.
pub fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL, not NORMAL: NORMAL may lose committed messages on a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(connection)
}

/// Brings the database to the newest version, one transaction a step.
pub fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (version, step) in (1_i64..).zip(MIGRATIONS) {
        if version > found {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
            tracing::info!(version, "the database is at version {version}");
        }
    }
    Ok(())
}

/// The epoch of this database, drawn when it was made.
pub fn epoch(connection: &Connection) -> Result<Epoch, StoreError> {
    let read = |connection: &Connection| {
        let query = "SELECT value FROM meta WHERE key = 'epoch'";
        connection
            .query_row(query, [], |row| row.get::<_, String>(0))
            .optional()
    };
    if read(connection)?.is_none() {
        let insert = "INSERT OR IGNORE INTO meta (key, value) VALUES ('epoch', ?1)";
        connection.execute(insert, [new_epoch().as_str()])?;
    }
    let text = read(connection)?.unwrap_or_default();
    Epoch::parse(&text).map_err(|rule| StoreError::BadRow(rule.to_owned()))
}
