//! The schema of the database, and the migrations from older versions.

use super::{StoreError, checkpoint::WAL_KEPT_BYTES, operator, schema_check::harden};
use crate::{
    protocol::{Epoch, RoomName},
    server::{files::FileKey, identity::new_epoch, invites::InviteKey},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig};
use std::{path::Path, time::Duration};

/// How long a statement waits for a lock held by another process (a backup, a shell).
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The key in `meta` of the secret that signs invites.
const INVITE_KEY: &str = "invite_key";
/// The key in `meta` of the secret that signs the links of files.
const FILE_KEY: &str = "file_key";

/// The schema of version 1, created by the first migration.
pub(super) const FIRST_VERSION: &str = "
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
";

/// Bytes that a message counts besides its texts. In a file of 100,000 short messages the row and
/// its index entries take 97; the rest is for the search index. [`COUNT_BYTES`] repeats the value.
pub(super) const MESSAGE_BYTES: u64 = 160;
/// Bytes that a reaction counts besides its texts. More than the 18 measured, because rows inserted
/// in random order leave pages half full. [`COUNT_BYTES`] repeats the value.
pub(super) const REACTION_BYTES: u64 = 64;

/// Counts the stored bytes of each room and of all rooms. Triggers count every write: messages,
/// edits, deletions, sweeps, and writes of a shell. The reactions of a deleted message are deleted
/// before it, while the trigger can still find their room.
const COUNT_BYTES: &str = "
    ALTER TABLE rooms ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE usage (bytes INTEGER NOT NULL);
    UPDATE rooms SET bytes = coalesce((
        SELECT sum(160 + octet_length(author) + octet_length(nickname) + octet_length(text))
        FROM messages WHERE room_id = rooms.id
    ), 0) + coalesce((
        SELECT sum(64 + octet_length(reactions.emoji) + octet_length(reactions.author))
        FROM messages JOIN reactions ON reactions.message_id = messages.id
        WHERE messages.room_id = rooms.id
    ), 0);
    INSERT INTO usage (bytes) SELECT coalesce(sum(bytes), 0) FROM rooms;
    CREATE TRIGGER rooms_counted AFTER UPDATE OF bytes ON rooms BEGIN
        UPDATE usage SET bytes = bytes + new.bytes - old.bytes;
    END;
    CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
        UPDATE rooms SET bytes = bytes + 160 + octet_length(new.author)
            + octet_length(new.nickname) + octet_length(new.text)
        WHERE id = new.room_id;
    END;
    CREATE TRIGGER messages_recounted AFTER UPDATE OF text ON messages BEGIN
        UPDATE rooms SET bytes = bytes + octet_length(new.text) - octet_length(old.text)
        WHERE id = new.room_id;
    END;
    CREATE TRIGGER messages_uncounted BEFORE DELETE ON messages BEGIN
        DELETE FROM reactions WHERE message_id = old.id;
        UPDATE rooms SET bytes = bytes - 160 - octet_length(old.author)
            - octet_length(old.nickname) - octet_length(old.text)
        WHERE id = old.room_id;
    END;
    CREATE TRIGGER reactions_counted AFTER INSERT ON reactions BEGIN
        UPDATE rooms SET bytes = bytes + 64 + octet_length(new.emoji) + octet_length(new.author)
        WHERE id = (SELECT room_id FROM messages WHERE id = new.message_id);
    END;
    CREATE TRIGGER reactions_uncounted AFTER DELETE ON reactions BEGIN
        UPDATE rooms SET bytes = bytes - 64 - octet_length(old.emoji) - octet_length(old.author)
        WHERE id = (SELECT room_id FROM messages WHERE id = old.message_id);
    END;
";

/// The version of the database that has the operator's tables.
pub(super) const OPERATOR_VERSION: i64 = 7;

/// The operator (one row at most), the sessions and the log of actions.
const OPERATOR: &str = "
    CREATE TABLE operator (
        id         INTEGER PRIMARY KEY CHECK (id = 1),
        salt       BLOB NOT NULL,
        hash       BLOB NOT NULL,
        memory_kib INTEGER NOT NULL,
        passes     INTEGER NOT NULL
    );
    CREATE TABLE operator_sessions (
        id         INTEGER PRIMARY KEY,
        secret     BLOB NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        used_at    INTEGER NOT NULL,
        address    TEXT NOT NULL,
        agent      TEXT NOT NULL
    );
    CREATE TABLE operator_log (
        id      INTEGER PRIMARY KEY,
        at      INTEGER NOT NULL,
        action  TEXT NOT NULL,
        subject TEXT NOT NULL
    );
";

/// The version of the database that has the tables of files.
pub(super) const FILES_VERSION: i64 = 9;

/// Bytes that a file counts besides its name and its content. [`FILES`] repeats the value.
pub(super) const FILE_ROW_BYTES: u64 = 256;

/// The files of messages. Triggers count their bytes, the content apart from the rows, and note the
/// content of deleted rows for [`super::content`]. `file_parts` is empty except in a backup, which
/// holds the content there.
const FILES: &str = "
    ALTER TABLE messages ADD COLUMN files INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN file_bytes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE usage ADD COLUMN file_bytes INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE files (
        id         TEXT PRIMARY KEY,
        message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
        place      INTEGER NOT NULL,
        hash       TEXT NOT NULL,
        size       INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        name       TEXT NOT NULL,
        width      INTEGER,
        height     INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX files_of_message ON files (message_id);
    CREATE INDEX files_of_hash ON files (hash);
    CREATE TABLE removed_files (hash TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE file_parts (
        hash  TEXT NOT NULL,
        part  INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (hash, part)
    );
    CREATE TRIGGER room_files_counted AFTER UPDATE OF file_bytes ON rooms BEGIN
        UPDATE usage SET file_bytes = file_bytes + new.file_bytes - old.file_bytes;
    END;
    CREATE TRIGGER files_counted AFTER INSERT ON files BEGIN
        UPDATE rooms SET bytes = bytes + 256 + octet_length(new.name),
            file_bytes = file_bytes + new.size
        WHERE id = (SELECT room_id FROM messages WHERE id = new.message_id);
    END;
    CREATE TRIGGER files_uncounted AFTER DELETE ON files BEGIN
        UPDATE rooms SET bytes = bytes - 256 - octet_length(old.name),
            file_bytes = file_bytes - old.size
        WHERE id = (SELECT room_id FROM messages WHERE id = old.message_id);
        INSERT OR IGNORE INTO removed_files (hash) VALUES (old.hash);
    END;
    CREATE TRIGGER files_forgotten BEFORE DELETE ON messages BEGIN
        DELETE FROM files WHERE message_id = old.id;
    END;
";

/// Undoes [`FILES`] in a database without files.
#[cfg(test)]
pub(super) const WITHOUT_FILES: &str = "
    DROP TRIGGER files_forgotten;
    DROP TRIGGER room_files_counted;
    DROP TABLE files;
    DROP TABLE removed_files;
    DROP TABLE file_parts;
    ALTER TABLE messages DROP COLUMN files;
    ALTER TABLE rooms DROP COLUMN file_bytes;
    ALTER TABLE usage DROP COLUMN file_bytes
";

/// The event by which a host pinned a message; 0 if it is not pinned.
const PINS: &str = "
    ALTER TABLE messages ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX messages_pinned ON messages (room_id, pinned) WHERE pinned > 0;
";

/// Undoes [`PINS`] in a database of any content.
#[cfg(test)]
pub(super) const WITHOUT_PINS: &str = "
    DROP INDEX messages_pinned;
    ALTER TABLE messages DROP COLUMN pinned
";

/// The people whom a message mentions, as the JSON of [`crate::protocol::Mention`]s; empty for nobody.
/// Triggers count its bytes.
const MENTIONS: &str = "
    ALTER TABLE messages ADD COLUMN mentions TEXT NOT NULL DEFAULT '';
    CREATE TRIGGER mentions_counted AFTER INSERT ON messages WHEN new.mentions <> '' BEGIN
        UPDATE rooms SET bytes = bytes + octet_length(new.mentions) WHERE id = new.room_id;
    END;
    CREATE TRIGGER mentions_recounted AFTER UPDATE OF mentions ON messages BEGIN
        UPDATE rooms SET bytes = bytes + octet_length(new.mentions) - octet_length(old.mentions)
        WHERE id = new.room_id;
    END;
    CREATE TRIGGER mentions_uncounted BEFORE DELETE ON messages WHEN old.mentions <> '' BEGIN
        UPDATE rooms SET bytes = bytes - octet_length(old.mentions) WHERE id = old.room_id;
    END;
";

/// Undoes [`MENTIONS`] in a database of any content.
#[cfg(test)]
pub(super) const WITHOUT_MENTIONS: &str = "
    DROP TRIGGER mentions_counted;
    DROP TRIGGER mentions_recounted;
    DROP TRIGGER mentions_uncounted;
    ALTER TABLE messages DROP COLUMN mentions
";

/// Who may do what in each room, as the JSON of [`crate::server::authority::Authority`]; empty for
/// the default. A trigger counts its bytes.
const AUTHORITY: &str = "
    ALTER TABLE rooms ADD COLUMN authority TEXT NOT NULL DEFAULT '';
    CREATE TRIGGER authority_counted AFTER UPDATE OF authority ON rooms BEGIN
        UPDATE rooms SET bytes = bytes + octet_length(new.authority)
            - octet_length(old.authority)
        WHERE id = new.id;
    END;
";

/// The migrations. Each takes the database from the version that is its index to the next version.
/// A released migration never changes.
const MIGRATIONS: [&str; 11] = [
    FIRST_VERSION,
    // A message has a row id, to which the search index refers, the times of its changes, and
    // reactions.
    "
    CREATE TABLE messages_2 (
        id        INTEGER PRIMARY KEY,
        room_id   INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        seq       INTEGER NOT NULL,
        client_id BLOB NOT NULL,
        author    TEXT NOT NULL,
        nickname  TEXT NOT NULL,
        text      TEXT NOT NULL,
        at        INTEGER NOT NULL,
        reply_to  BLOB,
        edited_at INTEGER,
        changed   INTEGER NOT NULL DEFAULT 0,
        UNIQUE (room_id, seq),
        UNIQUE (room_id, client_id)
    );
    INSERT INTO messages_2 (room_id, seq, client_id, author, nickname, text, at)
        SELECT room_id, seq, client_id, author, nickname, text, at FROM messages;
    DROP TABLE messages;
    ALTER TABLE messages_2 RENAME TO messages;
    CREATE INDEX messages_changed ON messages (room_id, changed) WHERE changed > 0;
    CREATE TABLE reactions (
        message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
        emoji      TEXT NOT NULL,
        author     TEXT NOT NULL,
        place      INTEGER NOT NULL,
        PRIMARY KEY (message_id, emoji, author)
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5 (
        room, text, content = '', contentless_delete = 1, tokenize = 'ascii'
    );
    CREATE TRIGGER messages_forget AFTER DELETE ON messages BEGIN
        DELETE FROM words WHERE rowid = old.id;
    END;
",
    // Messages are indexed after their commit; `indexed` is the newest indexed row id.
    "
    INSERT OR REPLACE INTO meta (key, value)
        SELECT 'indexed', coalesce(max(rowid), 0) FROM words;
",
    // The new index has no positions, and is a quarter as large. The former index may be large, so
    // its tables are only renamed here; `cleanup` deletes them in steps. All messages are indexed
    // again.
    "
    DROP TRIGGER messages_forget;
    ALTER TABLE words_data RENAME TO former_words_data;
    ALTER TABLE words_docsize RENAME TO former_words_docsize;
    DROP TABLE words;
    CREATE VIRTUAL TABLE words USING fts5 (
        pairs, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
    );
    CREATE TRIGGER messages_forget AFTER DELETE ON messages BEGIN
        DELETE FROM words WHERE rowid = old.id;
    END;
    INSERT OR REPLACE INTO meta (key, value) VALUES ('indexed', '0'), ('cleanup', 'requested');
",
    COUNT_BYTES,
    // Texts and queries are in normal form NFC. `search::renormalize_next` finds the indexed
    // messages in another form, and indexes them again in steps.
    "
    INSERT OR REPLACE INTO meta (key, value)
        SELECT 'uncomposed', value FROM meta WHERE key = 'indexed' AND CAST(value AS INTEGER) > 0;
",
    OPERATOR,
    AUTHORITY,
    FILES,
    PINS,
    MENTIONS,
];

/// Opens a connection to read and write.
pub fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    harden(&connection)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL, not NORMAL: NORMAL may lose committed messages on a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    // Overwrite deleted rows with zeros, instead of only unlinking them.
    connection.pragma_update(None, "secure_delete", "ON")?;
    Ok(connection)
}

/// The version of a database; 0 for a new one.
///
/// # Errors
/// [`StoreError::TooNew`] if this binary does not know the version.
pub fn version(connection: &Connection) -> Result<i64, StoreError> {
    let known = newest();
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found > known {
        true => Err(StoreError::TooNew { found, known }),
        false => Ok(found),
    }
}

/// The version to which this binary migrates a database.
pub fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Opens a connection to read only, while a server may write.
pub fn connect_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    harden(&connection)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Gives the database and every room in it a new epoch, so that no client resumes from a `seq` of
/// the former epoch, and ends the operator's sessions, which may have ended since the backup.
pub fn renew_epochs(connection: &mut Connection) -> Result<(), StoreError> {
    let epoch = new_epoch();
    let transaction = connection.transaction()?;
    transaction.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?1)",
        [epoch.as_str()],
    )?;
    transaction.execute("UPDATE rooms SET epoch = ?1", [epoch.as_str()])?;
    operator::end_all_sessions(&transaction)?;
    Ok(transaction.commit()?)
}

/// Gives one room a new epoch: its clients start over from a snapshot.
pub fn renew_epoch(
    connection: &mut Connection,
    room: &RoomName,
    epoch: &Epoch,
) -> Result<(), StoreError> {
    let query = "UPDATE rooms SET epoch = ?2 WHERE name = ?1";
    connection.execute(query, [room.as_str(), epoch.as_str()])?;
    Ok(())
}

/// Migrates the database to the newest version.
pub fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    migrate_to(connection, newest())?;
    if found < newest() {
        let version = newest();
        tracing::info!(found, version, "the database is at version {version}");
    }
    Ok(())
}

/// Migrates the database to the version `wanted`, in one transaction for each migration.
pub(super) fn migrate_to(connection: &mut Connection, wanted: i64) -> Result<(), StoreError> {
    let found = version(connection)?;
    // The migrations change the shadow tables of the index, which defensive mode forbids.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    for (version, step) in (1_i64..=wanted).zip(MIGRATIONS) {
        if version > found {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(())
}

/// The epoch of this database, drawn at random when it was created.
pub fn epoch(connection: &Connection) -> Result<Epoch, StoreError> {
    if read_meta(connection, "epoch")?.is_none() {
        let insert = "INSERT OR IGNORE INTO meta (key, value) VALUES ('epoch', ?1)";
        connection.execute(insert, [new_epoch().as_str()])?;
    }
    let text = read_meta(connection, "epoch")?.unwrap_or_default();
    Ok(Epoch::from_stored(&text))
}

/// The key of this database's invites, drawn at random by the first version that knows invites. A
/// backup keeps it, so that links stay valid after a restore. A damaged key is replaced: the links of
/// before are refused, and hosts make others.
pub fn invite_key(connection: &Connection) -> Result<InviteKey, StoreError> {
    Ok(InviteKey::new(secret(connection, INVITE_KEY)?))
}

/// The key of this database's links of files, drawn at random by the first version that knows files.
pub fn file_key(connection: &Connection) -> Result<FileKey, StoreError> {
    Ok(FileKey::new(secret(connection, FILE_KEY)?))
}

/// The 32 secret bytes under a key of `meta`. Missing or damaged ones are drawn at random.
fn secret(connection: &Connection, key: &str) -> Result<[u8; 32], StoreError> {
    let stored = read_meta(connection, key)?.and_then(|text| {
        let secret = BASE64_STANDARD.decode(text).ok()?;
        secret.try_into().ok()
    });
    if let Some(secret) = stored {
        return Ok(secret);
    }
    let secret = rand::random::<[u8; 32]>();
    let insert = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    connection.execute(insert, [key, &BASE64_STANDARD.encode(secret)])?;
    Ok(secret)
}

/// A value of the table `meta`.
pub fn read_meta(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(select.query_row([key], |row| row.get(0)).optional()?)
}
