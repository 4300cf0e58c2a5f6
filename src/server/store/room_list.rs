//! The stored rooms with their sizes, for the operator.

use super::{StoreError, quota::unsigned, reader::stored_text};
use crate::protocol::RoomName;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Messages of a room that are counted, at most. 10,000: a hundred such rooms take some tens of
/// milliseconds.
pub const COUNTED: u64 = 10_000;

/// A room as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRoom {
    /// The name of the room.
    pub name: RoomName,
    /// Its stored bytes, as the quota counts them.
    pub bytes: u64,
    /// The number of its messages, [`COUNTED`] at most.
    pub messages: u64,
}

/// The named rooms, as far as they are stored, and the largest others; at most `limit` of these.
pub fn rooms(
    connection: &Connection,
    named: &[RoomName],
    limit: u32,
) -> Result<Vec<StoredRoom>, StoreError> {
    let mut found = Vec::new();
    let mut by_name =
        connection.prepare_cached("SELECT id, name, bytes FROM rooms WHERE name = ?1")?;
    for name in named {
        let row = by_name.query_row([name.as_str()], columns).optional()?;
        found.extend(row);
    }
    let query = "SELECT id, name, bytes FROM rooms ORDER BY bytes DESC, name LIMIT ?1";
    let mut largest = connection.prepare_cached(query)?;
    for row in largest.query_map([limit], columns)? {
        let row = row?;
        if !found.iter().any(|(id, _, _)| *id == row.0) {
            found.push(row);
        }
    }
    let query = "SELECT count(*) FROM (SELECT 1 FROM messages WHERE room_id = ?1 LIMIT ?2)";
    let mut count = connection.prepare_cached(query)?;
    let most = i64::try_from(COUNTED).unwrap_or(i64::MAX);
    let rooms = found.into_iter().map(|(id, name, bytes)| {
        Ok(StoredRoom {
            name,
            bytes,
            messages: unsigned(count.query_row(params![id, most], |row| row.get(0))?),
        })
    });
    rooms.collect()
}

/// Row id, name and bytes of a room.
fn columns(row: &Row<'_>) -> rusqlite::Result<(i64, RoomName, u64)> {
    let name = RoomName::from_stored(&stored_text(row, "name")?);
    Ok((row.get("id")?, name, unsigned(row.get("bytes")?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::{Store, StoreOptions, tests::message};

    #[tokio::test]
    async fn named_rooms_come_first_and_the_largest_others_follow() {
        let home = tempfile::tempdir().expect("tempdir");
        let database = home.path().join("data/noom.db");
        let store = Store::open(&database, &StoreOptions::default()).expect("opens");
        let name = |text: &str| RoomName::parse(text).expect("valid");
        for (room, messages) in [("small", 1), ("large", 5), ("larger", 9)] {
            for number in 0..messages {
                let stored = store
                    .append(&name(room), message(number, "a message"))
                    .await;
                stored.expect("stored");
            }
        }
        let named = vec![name("small"), name("unknown")];
        let rooms = store.room_list(named, 2).await.expect("read");
        let found: Vec<_> = rooms
            .iter()
            .map(|room| (room.name.as_str(), room.messages))
            .collect();
        assert_eq!(found, [("small", 1), ("larger", 9), ("large", 5)]);
        assert!(rooms[1].bytes > rooms[2].bytes && rooms[0].bytes > 160);
    }
}
