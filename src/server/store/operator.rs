//! The rows of the operator: password, sessions, and the log of actions.
//!
//! The server reads them with each request, so a change by the command `noom admin reset` beside a
//! running server has effect at once.

use super::{StoreError, file::FileError, reader::stored_text, schema, schema_check};
use crate::server::password_hasher::PasswordHash;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::path::Path;

/// The key in `meta` of the number of resets.
const RESETS: &str = "operator_resets";
/// Entries that the log of actions keeps, the newest.
const LOG_ENTRIES: i64 = 1_000;
/// Sessions at once; the next one ends the one that was used longest ago.
const MAX_SESSIONS: i64 = 20;

/// The SHA-256 of a session's secret.
pub type SecretHash = [u8; 32];

/// A session of the operator. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSession {
    /// The number by which the list names the session; no secret.
    pub id: i64,
    /// When the operator signed in.
    pub created_at: i64,
    /// When the session was used last, to a minute.
    pub used_at: i64,
    /// The address that signed in.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// A session to store.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The hash of its secret.
    pub secret: SecretHash,
    /// When the operator signed in, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The address that signed in.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// An entry in the log of actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedAction {
    /// When it was done, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The code of the action.
    pub action: String,
    /// The room, the person or the file; empty for an action without one.
    pub subject: String,
}

/// What a request needs to know about the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorState {
    /// Whether there is an operator.
    pub exists: bool,
    /// How often the operator was removed.
    pub resets: u64,
    /// The session of the secret, whatever its age.
    pub session: Option<OperatorSession>,
}

/// A write of the operator's rows. Each is one transaction.
#[derive(Debug, Clone)]
pub enum OperatorWrite {
    /// Make the operator, if there is none.
    Create(PasswordHash),
    /// Store a session.
    StartSession(NewSession),
    /// Store when a session was used.
    UseSession {
        /// The number of the session.
        id: i64,
        /// The time, in milliseconds since the Unix epoch.
        at: i64,
    },
    /// End a session.
    EndSession {
        /// The number of the session.
        id: i64,
    },
    /// Append to the log of actions.
    Log(LoggedAction),
}

/// The operator, and the session of a secret.
pub fn state(
    connection: &Connection,
    secret: Option<&SecretHash>,
) -> Result<OperatorState, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM operator)";
    let exists = connection
        .prepare_cached(query)?
        .query_row([], |row| row.get(0))?;
    let resets = schema::read_meta(connection, RESETS)?.and_then(|text| text.parse().ok());
    let query = "SELECT id, created_at, used_at, address, agent FROM operator_sessions
                 WHERE secret = ?1";
    let session = match secret {
        Some(secret) => connection
            .prepare_cached(query)?
            .query_row([secret.as_slice()], session)
            .optional()?,
        None => None,
    };
    Ok(OperatorState {
        exists,
        resets: resets.unwrap_or(0),
        session,
    })
}

/// The password of the operator; nothing if there is no operator.
pub fn password(connection: &Connection) -> Result<Option<PasswordHash>, StoreError> {
    let query = "SELECT salt, hash, memory_kib, passes FROM operator";
    let password = connection.prepare_cached(query)?.query_row([], |row| {
        Ok(PasswordHash {
            salt: row.get("salt")?,
            hash: row.get("hash")?,
            memory_kib: row.get("memory_kib")?,
            passes: row.get("passes")?,
        })
    });
    Ok(password.optional()?)
}

/// The sessions, the one used last first.
pub fn sessions(connection: &Connection) -> Result<Vec<OperatorSession>, StoreError> {
    let query = "SELECT id, created_at, used_at, address, agent FROM operator_sessions
                 ORDER BY used_at DESC, id DESC LIMIT ?1";
    let mut select = connection.prepare_cached(query)?;
    let sessions = select.query_map([MAX_SESSIONS], session)?;
    Ok(sessions.collect::<Result<_, _>>()?)
}

/// The newest entries of the log of actions, the newest first.
pub fn actions(connection: &Connection, limit: u32) -> Result<Vec<LoggedAction>, StoreError> {
    let query = "SELECT at, action, subject FROM operator_log ORDER BY id DESC LIMIT ?1";
    let mut select = connection.prepare_cached(query)?;
    let actions = select.query_map([limit], |row| {
        Ok(LoggedAction {
            at: row.get("at")?,
            action: stored_text(row, "action")?,
            subject: stored_text(row, "subject")?,
        })
    })?;
    Ok(actions.collect::<Result<_, _>>()?)
}

/// A session of a row.
fn session(row: &Row<'_>) -> rusqlite::Result<OperatorSession> {
    Ok(OperatorSession {
        id: row.get("id")?,
        created_at: row.get("created_at")?,
        used_at: row.get("used_at")?,
        address: stored_text(row, "address")?,
        agent: stored_text(row, "agent")?,
    })
}

/// Runs a write in a transaction. Returns the number of rows that it changed.
pub fn write(connection: &mut Connection, write: &OperatorWrite) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = match write {
        OperatorWrite::Create(password) => {
            let PasswordHash {
                salt,
                hash,
                memory_kib,
                passes,
            } = password;
            let query = "INSERT OR IGNORE INTO operator (id, salt, hash, memory_kib, passes)
                         VALUES (1, ?1, ?2, ?3, ?4)";
            transaction.execute(query, params![salt, hash, memory_kib, passes])?
        }
        OperatorWrite::StartSession(new) => start_session(&transaction, new)?,
        OperatorWrite::UseSession { id, at } => {
            let query = "UPDATE operator_sessions SET used_at = ?2 WHERE id = ?1";
            transaction.execute(query, params![id, at])?
        }
        OperatorWrite::EndSession { id } => {
            transaction.execute("DELETE FROM operator_sessions WHERE id = ?1", [id])?
        }
        OperatorWrite::Log(entry) => {
            let query = "INSERT INTO operator_log (at, action, subject) VALUES (?1, ?2, ?3)";
            let row = params![entry.at, entry.action, entry.subject];
            let rows = transaction.execute(query, row)?;
            let query = "DELETE FROM operator_log
                         WHERE id <= (SELECT max(id) FROM operator_log) - ?1";
            transaction.execute(query, [LOG_ENTRIES])?;
            rows
        }
    };
    transaction.commit()?;
    Ok(rows)
}

/// Stores a session of an existing operator, and ends those beyond [`MAX_SESSIONS`].
fn start_session(transaction: &Transaction<'_>, new: &NewSession) -> Result<usize, StoreError> {
    let NewSession {
        secret,
        at,
        address,
        agent,
    } = new;
    let query = "INSERT INTO operator_sessions (secret, created_at, used_at, address, agent)
                 SELECT ?1, ?2, ?2, ?3, ?4 FROM operator";
    let rows = transaction.execute(query, params![secret.as_slice(), at, address, agent])?;
    let query = "DELETE FROM operator_sessions WHERE id NOT IN (
                     SELECT id FROM operator_sessions ORDER BY used_at DESC, id DESC LIMIT ?1
                 )";
    transaction.execute(query, [MAX_SESSIONS])?;
    Ok(rows)
}

/// Ends every session. A database of before the operator has none.
pub fn end_all_sessions(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    if schema::version(transaction)? >= schema::OPERATOR_VERSION {
        transaction.execute("DELETE FROM operator_sessions", [])?;
    }
    Ok(())
}

/// Removes the operator and every session. A server may run on the database: it prints a new
/// one-time link. Returns whether there was an operator.
///
/// # Errors
/// Any [`FileError`]; nothing was removed.
pub fn reset_operator(database: &Path) -> Result<bool, FileError> {
    if !database.exists() {
        return Err(FileError::NoDatabase(database.to_owned()));
    }
    let reset = || {
        let mut connection = schema::connect(database)?;
        schema_check::check_schema(&connection)?;
        // A server of a former version may run on it, so it is not migrated here.
        if schema::version(&connection)? < schema::OPERATOR_VERSION {
            return Ok(false);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("DELETE FROM operator_sessions", [])?;
        let removed = transaction.execute("DELETE FROM operator", [])?;
        let query = "INSERT INTO meta (key, value) VALUES (?1, '1')
                     ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1";
        transaction.execute(query, [RESETS])?;
        transaction.commit()?;
        Ok(removed > 0)
    };
    reset().map_err(FileError::database::<StoreError>(database))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::RoomName,
        server::store::{Store, StoreOptions, backup, restore, tests::message},
    };

    fn open(database: &Path) -> Store {
        Store::open(database, &StoreOptions::default()).expect("opens")
    }

    fn password_hash() -> PasswordHash {
        PasswordHash {
            salt: vec![1; 16],
            hash: vec![2; 32],
            memory_kib: 8,
            passes: 1,
        }
    }

    fn new_session(number: u8) -> OperatorWrite {
        OperatorWrite::StartSession(NewSession {
            secret: [number; 32],
            at: i64::from(number),
            address: "192.0.2.1".to_owned(),
            agent: "a browser".to_owned(),
        })
    }

    async fn write(store: &Store, write: OperatorWrite) -> usize {
        store.write_operator(write).await.expect("stored")
    }

    #[tokio::test]
    async fn there_is_one_operator_and_the_newest_twenty_sessions() {
        let home = tempfile::tempdir().expect("tempdir");
        let store = open(&home.path().join("data/noom.db"));
        assert_eq!(write(&store, new_session(1)).await, 0, "nobody to sign in");
        let create = || OperatorWrite::Create(password_hash());
        assert_eq!(write(&store, create()).await, 1);
        assert_eq!(write(&store, create()).await, 0, "the first one stays");
        let password = store.operator_password().await.expect("read");
        assert_eq!(password, Some(password_hash()));
        for number in 1..=25 {
            write(&store, new_session(number)).await;
        }
        let sessions = store.operator_sessions().await.expect("read");
        let times: Vec<i64> = sessions.iter().map(|session| session.used_at).collect();
        assert_eq!(times, (6..=25).rev().collect::<Vec<_>>());
        let state = store.operator(Some([5; 32])).await.expect("read");
        assert!(state.exists && state.session.is_none(), "the oldest ended");
        let state = store.operator(Some([6; 32])).await.expect("read");
        let id = state.session.expect("a session").id;
        assert_eq!(
            write(&store, OperatorWrite::UseSession { id, at: 99 }).await,
            1
        );
        assert_eq!(
            store.operator_sessions().await.expect("read")[0].used_at,
            99
        );
        assert_eq!(write(&store, OperatorWrite::EndSession { id }).await, 1);
        let state = store.operator(Some([6; 32])).await.expect("read");
        assert_eq!(state.session, None);
    }

    #[tokio::test]
    async fn the_log_of_actions_keeps_the_newest_thousand() {
        let home = tempfile::tempdir().expect("tempdir");
        let store = open(&home.path().join("data/noom.db"));
        let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500)
                    INSERT INTO operator_log (at, action, subject) SELECT n, 'x', '' FROM n";
        store
            .on_writer(move |connection| {
                connection.execute(fill, []).expect("runs");
            })
            .await;
        let entry = LoggedAction {
            at: 1501,
            action: "announce".to_owned(),
            subject: "hello".to_owned(),
        };
        write(&store, OperatorWrite::Log(entry.clone())).await;
        let log = store.operator_actions(5_000).await.expect("read");
        assert_eq!((log.len(), &log[0]), (1_000, &entry));
        assert_eq!(log[999].at, 502);
    }

    #[tokio::test]
    async fn a_reset_beside_a_running_server_removes_the_operator_and_all_sessions() {
        let home = tempfile::tempdir().expect("tempdir");
        let database = home.path().join("data/noom.db");
        assert!(matches!(
            reset_operator(&database),
            Err(FileError::NoDatabase(_))
        ));
        let store = open(&database);
        write(&store, OperatorWrite::Create(password_hash())).await;
        write(&store, new_session(1)).await;
        assert!(reset_operator(&database).expect("reset"));
        let state = store.operator(Some([1; 32])).await.expect("read");
        let gone = OperatorState {
            exists: false,
            resets: 1,
            session: None,
        };
        assert_eq!(state, gone);
        assert!(!reset_operator(&database).expect("reset"), "nobody is left");
        assert_eq!(store.operator(None).await.expect("read").resets, 2);
    }

    #[tokio::test]
    async fn a_restored_backup_keeps_the_operator_and_no_session() {
        let home = tempfile::tempdir().expect("tempdir");
        let database = home.path().join("data/noom.db");
        let store = open(&database);
        write(&store, OperatorWrite::Create(password_hash())).await;
        write(&store, new_session(1)).await;
        let copy = home.path().join("copy.db");
        backup(&database, &copy, false).expect("copied");
        store.close().await;
        restore(&database, &copy).expect("restored");
        let state = open(&database).operator(Some([1; 32])).await.expect("read");
        assert!(state.exists && state.session.is_none());
    }

    #[tokio::test]
    async fn a_backup_of_before_the_operator_is_restored_and_migrated() {
        let home = tempfile::tempdir().expect("tempdir");
        let (database, old) = (
            home.path().join("data/noom.db"),
            home.path().join("old/noom.db"),
        );
        let store = open(&old);
        let room = RoomName::parse("team").expect("valid");
        store
            .append(&room, message(1, "kept"))
            .await
            .expect("stored");
        store.close().await;
        let connection = Connection::open(&old).expect("opens");
        let undo = format!(
            "DROP TABLE operator; DROP TABLE operator_sessions; DROP TABLE operator_log;
             DROP TRIGGER authority_counted; ALTER TABLE rooms DROP COLUMN authority;
             {};
             {};
             {};
             PRAGMA user_version = {}",
            schema::WITHOUT_MENTIONS,
            schema::WITHOUT_PINS,
            schema::WITHOUT_FILES,
            schema::OPERATOR_VERSION - 1
        );
        connection.execute_batch(&undo).expect("undone");
        drop(connection);
        let copy = home.path().join("copy.db");
        backup(&old, &copy, false).expect("copied");
        restore(&database, &copy).expect("restored");
        let store = open(&database);
        let page = store.page(&room, None, 10).await.expect("read");
        assert_eq!(page.messages[0].words(), "kept");
        assert!(!store.operator(None).await.expect("read").exists);
        write(&store, OperatorWrite::Create(password_hash())).await;
        assert!(store.operator(None).await.expect("read").exists);
    }
}
