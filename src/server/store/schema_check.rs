//! Protection against hostile database files: a foreign backup, or a file copied into the data
//! directory.
//!
//! SQLite executes the schema of a file: triggers, views, generated columns. So every connection
//! distrusts the schema and checks pages before it uses them ([`harden`]). A schema that differs
//! from the result of our migrations is refused before any other query ([`check_schema`]).

use super::{StoreError, schema};
use rusqlite::{Connection, config::DbConfig};
use std::collections::BTreeSet;

/// Prefix of tables that a migration renamed and [`super::cleanup`] deletes. They may be missing.
const FORMER_PREFIX: &str = "former_";

/// Hardens a connection: the schema calls no unsafe functions, statements change neither the schema
/// table nor shadow tables, and pages are checked when they are read.
pub fn harden(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    Ok(())
}

/// Checks that the schema is exactly the one of its version. A database of version 0 must be empty.
pub fn check_schema(connection: &Connection) -> Result<(), StoreError> {
    let version = schema::version(connection)?;
    let mut reference = Connection::open_in_memory()?;
    schema::migrate_to(&mut reference, version)?;
    let (ours, found) = (objects(&reference)?, objects(connection)?);
    let foreign = found.difference(&ours).next();
    let lacking = ours.difference(&found);
    let mut lacking = lacking.filter(|object| !object.name.starts_with(FORMER_PREFIX));
    let foreign = foreign.or_else(|| lacking.next());
    match foreign {
        Some(object) => Err(StoreError::Foreign(format!(
            "the {} {:?}",
            object.kind, object.name
        ))),
        None => Ok(()),
    }
}

/// An entry of the schema.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    /// The name of the object.
    name: String,
    /// The kind of the object: `table`, `index`, `trigger` or `view`.
    kind: String,
    /// The table it belongs to.
    table: String,
    /// The statement that created the object, normalised by [`comparable`].
    sql: String,
}

/// The objects of a schema, without the statistics tables of `ANALYZE`.
fn objects(connection: &Connection) -> Result<BTreeSet<Object>, StoreError> {
    let query = "SELECT name, type, tbl_name, coalesce(sql, '') AS sql FROM sqlite_schema
                 WHERE name NOT IN ('sqlite_stat1', 'sqlite_stat4')";
    let mut select = connection.prepare(query)?;
    let objects = select.query_map([], |row| {
        let sql: String = row.get("sql")?;
        Ok(Object {
            name: row.get("name")?,
            kind: row.get("type")?,
            table: row.get("tbl_name")?,
            sql: comparable(&sql),
        })
    })?;
    Ok(objects.collect::<Result<_, _>>()?)
}

/// A statement without the differences between versions of SQLite: the width of spaces, and quotes
/// around plain words.
fn comparable(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let words = words.join(" ");
    let mut parts = words.split('"');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(quoted) = parts.next() {
        let after = parts.next();
        let plain = !quoted.is_empty()
            && quoted.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            // A quote that is doubled is part of the name.
            && after.is_some_and(|after| !after.is_empty() || parts.clone().next().is_none());
        let quote = if plain { "" } else { "\"" };
        text.extend([quote, quoted, quote, after.unwrap_or_default()]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::{FileError, Store, StoreOptions, backup, export, restore, tests};
    use crate::{protocol::RoomName, server::store::Format};
    use std::path::{Path, PathBuf};

    fn room() -> RoomName {
        RoomName::parse("a").expect("valid")
    }

    /// The database of a stopped server with one message, and a backup of it.
    async fn database_and_backup(home: &Path) -> (PathBuf, PathBuf) {
        let database = home.join("data/noom.db");
        let store = Store::open(&database, &StoreOptions::default()).expect("opens");
        let stored = store.append(&room(), tests::message(1, "one")).await;
        stored.expect("stored");
        let copy = home.join("copy.db");
        backup(&database, &copy, false).expect("copied");
        store.close().await;
        (database, copy)
    }

    #[tokio::test]
    async fn a_backup_with_a_trigger_a_view_or_a_changed_table_is_refused_before_any_of_it_runs() {
        let home = tempfile::tempdir().expect("tempdir");
        let (database, copy) = database_and_backup(home.path()).await;
        for (name, sql) in [
            (
                "spy",
                "CREATE TRIGGER spy AFTER UPDATE ON rooms BEGIN DELETE FROM messages; END",
            ),
            (
                "later",
                "CREATE TRIGGER later AFTER INSERT ON messages BEGIN
                    UPDATE messages SET text = 'hacked' WHERE id = new.id; END",
            ),
            ("look", "CREATE VIEW look AS SELECT text FROM messages"),
            ("more", "CREATE TABLE more (x)"),
            ("more", "CREATE VIRTUAL TABLE more USING fts5 (x)"),
            (
                "reactions",
                "DROP TABLE reactions; CREATE VIEW reactions AS SELECT 1 AS message_id",
            ),
            (
                "epoch",
                "ALTER TABLE rooms RENAME COLUMN epoch TO \"epoch \"\" \"",
            ),
            ("messages_changed", "DROP INDEX messages_changed"),
            (
                "found",
                "CREATE INDEX found ON messages (abs(random()) + length(text)) WHERE 1",
            ),
        ] {
            let foreign = home.path().join("foreign.db");
            std::fs::copy(&copy, &foreign).expect("copied");
            let connection = Connection::open(&foreign).expect("opens");
            // SQLite refuses some of these, so no file contains them.
            if connection.execute_batch(sql).is_err() {
                continue;
            }
            drop(connection);
            let refused = restore(&database, &foreign).expect_err(sql).to_string();
            assert!(refused.contains("did not make"), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
            if !name.starts_with("epoch") {
                assert!(refused.contains(name), "{refused}");
            }
            // Neither a server nor an export opens it.
            let planted = home.path().join("planted/noom.db");
            crate::server::store::rights::make_directory(planted.parent().expect("a directory"))
                .expect("made");
            std::fs::copy(&foreign, &planted).expect("copied");
            crate::server::store::rights::make_private(&planted).expect("private");
            let opened = Store::open(&planted, &StoreOptions::default());
            let refused = opened.err().expect(sql).to_string();
            assert!(refused.contains("did not make"), "{refused}");
            let mut nowhere = std::io::sink();
            let written = export(&planted, &room(), Format::Json, &mut nowhere);
            assert!(
                matches!(written, Err(FileError::Database { .. })),
                "{written:?}"
            );
        }
        // Positive control: statistics are allowed, and the refused files changed nothing.
        let connection = Connection::open(&copy).expect("opens");
        connection.execute_batch("ANALYZE").expect("analysed");
        drop(connection);
        assert_eq!(restore(&database, &copy).expect("restored").messages, 1);
    }

    #[test]
    fn only_spaces_and_quotes_around_plain_words_make_no_difference() {
        let same = comparable("CREATE TABLE rooms (id)");
        assert_eq!(comparable("CREATE  TABLE\n\"rooms\" (\"id\")"), same);
        for other in [
            "CREATE TABLE rooms (\"id \")",
            "CREATE TABLE rooms (\"id\"\"\")",
            "CREATE TABLE rooms (\"id\"\"x\")",
            "CREATE TABLE \"\" (id)",
            "CREATE TABLE rooms (id, x)",
            "CREATE TABLE rooms (id\"",
        ] {
            assert_ne!(comparable(other), same, "{other}");
        }
    }

    #[tokio::test]
    async fn a_backup_with_a_corrupted_page_is_refused() {
        let home = tempfile::tempdir().expect("tempdir");
        let (database, copy) = database_and_backup(home.path()).await;
        let sound = std::fs::read(&copy).expect("read");
        let pages = sound.len() / 4096;
        let connection = Connection::open(&copy).expect("opens");
        let free = connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        let free = usize::try_from(free.expect("a number")).expect("few");
        drop(connection);
        assert!(pages > free + 5, "{pages} {free}");
        let mut refused = 0;
        for page in 0..pages {
            let mut bytes = sound.clone();
            // The first page begins with the head of the file.
            let start = if page == 0 { 100 } else { page * 4096 };
            bytes[start..(page + 1) * 4096].fill(0xa5);
            std::fs::write(&copy, bytes).expect("written");
            let line = match restore(&database, &copy) {
                // The page is free, so no check reads it.
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            assert!(!line.contains('\n') && line.contains("copy.db"), "{line}");
            refused += 1;
        }
        assert_eq!(refused, pages - free);
    }

    #[tokio::test]
    async fn every_connection_distrusts_the_schema() {
        let home = tempfile::tempdir().expect("tempdir");
        let database = home.path().join("data/noom.db");
        let store = Store::open(&database, &StoreOptions::default()).expect("opens");
        let distrusts = |connection: &Connection| {
            let pragma = |name: &str| {
                let query = format!("PRAGMA {name}");
                let value = connection.query_row(&query, [], |row| row.get::<_, i64>(0));
                value.expect("a number")
            };
            assert_eq!(
                (pragma("trusted_schema"), pragma("cell_size_check")),
                (0, 1)
            );
            let forged = connection.execute_batch(
                "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'usage'",
            );
            assert!(forged.is_err());
        };
        store.on_writer(distrusts).await;
        distrusts(&schema::connect_to_read(&database).expect("opens"));
        distrusts(&schema::connect(&database).expect("opens"));
    }
}
