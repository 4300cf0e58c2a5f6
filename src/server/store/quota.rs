//! Limits of what is stored: bytes of each room and of all rooms, a reserve of free disk space, and
//! the number of rooms.
//!
//! Triggers of the database count the stored bytes in the transaction that changes them
//! (`schema::COUNT_BYTES`).

use super::{
    StoreError, reader,
    schema::{MESSAGE_BYTES, REACTION_BYTES},
};
use crate::{
    protocol::{Emoji, ErrorCode, ParticipantId, RoomName},
    server::{disk, profile::Profile, store::NewMessage},
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Interval of checks of the free disk space while messages are stored. 1 s: the writer stores
/// some 30 MB in that time.
const DISK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of one mebibyte.
const MIB: u64 = 1024 * 1024;

/// The configured limits of what is stored. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of one room. 256 MiB: some million messages of ordinary length. Public: 64 MiB.
    pub room_bytes: u64,
    /// Bytes of all rooms. 8 GiB.
    pub history_bytes: u64,
    /// Bytes of the disk that messages may not use: the search index, the write-ahead log and
    /// backups need them. 64 MiB: twice the maximum size of the log. Public: 512 MiB, because a
    /// disk that strangers fill is looked at later.
    pub disk_reserve: u64,
    /// Bytes of the content of the files of one room. 1 GiB: forty of the largest files. Public: 256
    /// MiB.
    pub room_file_bytes: u64,
    /// Bytes of the content of all files. 8 GiB. Public: 4 GiB.
    pub file_bytes: u64,
    /// Rooms with a row. 100,000 take some 10 MB and are listed in milliseconds. Public: 20,000.
    pub stored_rooms: u64,
}

impl Quota {
    /// The limits of a profile.
    pub fn of(profile: Profile) -> Self {
        Self {
            room_bytes: profile.choose(256, 64) * MIB,
            history_bytes: 8 * 1024 * MIB,
            disk_reserve: profile.choose(64, 512) * MIB,
            room_file_bytes: profile.choose(1024, 256) * MIB,
            file_bytes: profile.choose(8, 4) * 1024 * MIB,
            stored_rooms: profile.choose(100_000, 20_000),
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

/// The limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The limit of one room.
    #[error("the room holds as many bytes as it may")]
    Room,
    /// The limit of all rooms together.
    #[error("the server holds as many bytes as it may")]
    Server,
    /// The limit of stored rooms.
    #[error("the server stores as many rooms as it may")]
    Rooms,
    /// The reserve of the disk: no other space is free.
    #[error("the disk has no more than its reserve free")]
    Disk,
}

impl Full {
    /// The code on the wire. Clients do not learn whether the disk or the server's limit is full.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Room => ErrorCode::RoomStorageFull,
            Self::Rooms => ErrorCode::TooManyRooms,
            Self::Server | Self::Disk => ErrorCode::ServerStorageFull,
        }
    }
}

/// The stored bytes, as [`Quota`] counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all rooms.
    pub bytes: u64,
    /// The largest rooms with their bytes, the largest first.
    pub rooms: Vec<(RoomName, u64)>,
}

/// The limits together with the state of the disk, for one group of writes.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// The configured limits.
    quota: Quota,
    /// Whether only the reserve of the disk is free.
    disk_is_low: bool,
    /// The stored rooms, those of this group included.
    pub stored_rooms: u64,
}

impl Allowance {
    /// The limit that refuses files of `more` bytes in a room; nothing if none does.
    pub fn refuses_files(
        self,
        connection: &Connection,
        room: &RoomName,
        more: u64,
    ) -> Result<Option<Full>, StoreError> {
        match more {
            0 => Ok(None),
            more => {
                let stored = file_bytes(connection, room)?;
                Ok(self.quota.refuses_files(stored, more))
            }
        }
    }

    /// The limit that refuses one more room; nothing if none does.
    pub fn refuses_room(self) -> Option<Full> {
        let most = self.quota.stored_rooms;
        (most > 0 && self.stored_rooms >= most).then_some(Full::Rooms)
    }

    /// The limit that refuses `more` bytes in a room of `room_bytes`; nothing if none does.
    pub fn refuses(
        self,
        connection: &Connection,
        room_bytes: u64,
        more: u64,
    ) -> Result<Option<Full>, StoreError> {
        let over = |bytes: u64, bound| bound > 0 && bytes.saturating_add(more) > bound;
        Ok(if more == 0 {
            None
        } else if self.disk_is_low {
            Some(Full::Disk)
        } else if over(room_bytes, self.quota.room_bytes) {
            Some(Full::Room)
        } else if self.quota.history_bytes > 0
            && over(all_bytes(connection)?, self.quota.history_bytes)
        {
            Some(Full::Server)
        } else {
            None
        })
    }
}

impl Quota {
    /// The limit that refuses files of `more` bytes where all rooms have files of `all` bytes and
    /// this one of `room`; nothing if none does.
    pub fn refuses_files(&self, (all, room): (u64, u64), more: u64) -> Option<Full> {
        let over = |bytes: u64, bound| bound > 0 && bytes.saturating_add(more) > bound;
        if over(room, self.room_file_bytes) {
            Some(Full::Room)
        } else if over(all, self.file_bytes) {
            Some(Full::Server)
        } else {
            None
        }
    }
}

/// Checks the limits for the writer's thread, and caches the state of the disk.
#[derive(Debug)]
pub struct QuotaGuard {
    /// The configured limits.
    quota: Quota,
    /// The data directory, whose file system is checked.
    directory: PathBuf,
    /// The time of the last check of the disk, and whether the disk was low.
    disk: Option<(Instant, bool)>,
    /// The stored rooms, as of the last commit.
    pub stored_rooms: u64,
}

impl QuotaGuard {
    /// A guard of the file system that holds `directory`, and of so many stored rooms.
    pub fn new(quota: Quota, directory: PathBuf, stored_rooms: u64) -> Self {
        let disk = None;
        Self {
            quota,
            directory,
            disk,
            stored_rooms,
        }
    }

    /// The limits and the state of the disk now.
    pub fn allowance(&mut self) -> Allowance {
        Allowance {
            quota: self.quota,
            disk_is_low: self.quota.disk_reserve > 0 && self.disk_is_low(),
            stored_rooms: self.stored_rooms,
        }
    }

    /// Whether only the reserve is free, cached for [`DISK_CHECK_INTERVAL`]. A failed check counts
    /// as enough space, because a write reports a full disk itself.
    fn disk_is_low(&mut self) -> bool {
        if let Some((asked, low)) = self.disk
            && asked.elapsed() < DISK_CHECK_INTERVAL
        {
            return low;
        }
        let free = disk::free_bytes(&self.directory);
        let low = free.is_ok_and(|free| free < self.quota.disk_reserve);
        self.disk = Some((Instant::now(), low));
        low
    }
}

/// The bytes that a new message adds to its room.
pub fn message_bytes(message: &NewMessage) -> u64 {
    let texts = [
        message.from.id.as_str(),
        message.from.nickname.as_str(),
        message.draft.text.as_str(),
    ];
    let mentions = reader::mentions_text(&message.mentions);
    texts.into_iter().map(bytes).sum::<u64>() + bytes(&mentions) + MESSAGE_BYTES
}

/// The bytes that a new reaction adds to its room.
pub fn reaction_bytes(emoji: &Emoji, by: &ParticipantId) -> u64 {
    bytes(emoji.as_str()) + bytes(by.as_str()) + REACTION_BYTES
}

/// The length of a text, in bytes.
pub fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The stored bytes of all rooms.
pub fn all_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached("SELECT bytes FROM usage")?;
    let bytes: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(unsigned(bytes.unwrap_or(0)))
}

/// The stored bytes of the content of all files.
pub fn all_file_bytes(connection: &Connection) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached("SELECT file_bytes FROM usage")?;
    let bytes: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(unsigned(bytes.unwrap_or(0)))
}

/// The stored bytes of the content of all files, and those of a room.
pub fn file_bytes(connection: &Connection, room: &RoomName) -> Result<(u64, u64), StoreError> {
    let mut select = connection.prepare_cached("SELECT file_bytes FROM rooms WHERE name = ?1")?;
    let of_room: Option<i64> = select
        .query_row([room.as_str()], |row| row.get(0))
        .optional()?;
    Ok((all_file_bytes(connection)?, unsigned(of_room.unwrap_or(0))))
}

/// The number of stored rooms.
pub fn stored_rooms(connection: &Connection) -> Result<u64, StoreError> {
    let count = connection.query_row("SELECT count(*) FROM rooms", [], |row| row.get(0))?;
    Ok(unsigned(count))
}

/// The stored bytes of a room, by its row id.
pub fn room_bytes(connection: &Connection, room_id: i64) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached("SELECT bytes FROM rooms WHERE id = ?1")?;
    Ok(unsigned(select.query_row([room_id], |row| row.get(0))?))
}

/// A count from the database; 0 if it is negative, which only a manual edit makes it.
pub fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The stored bytes of all rooms, and of the `limit` largest ones.
pub fn usage(connection: &Connection, limit: u32) -> Result<Usage, StoreError> {
    let query = "SELECT name, bytes FROM rooms ORDER BY bytes DESC, name LIMIT ?1";
    let mut select = connection.prepare_cached(query)?;
    let mut rows = select.query([limit])?;
    let mut usage = Usage {
        bytes: all_bytes(connection)?,
        rooms: Vec::new(),
    };
    while let Some(row) = rows.next()? {
        let name = RoomName::from_stored(&reader::stored_text(row, "name")?);
        usage.rooms.push((name, unsigned(row.get("bytes")?)));
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::authority::Authority;
    use crate::{
        protocol::ChatText,
        server::{
            files::UploadedFile,
            store::{
                Change, Changed, Edit, Expiry, Store, StoreOptions, tests::message,
                writer::PreparedMessage,
            },
        },
    };
    use proptest::prelude::*;

    /// A write to one of two rooms.
    #[derive(Debug, Clone)]
    enum Event {
        /// Appends the message of this number, with a text of this length.
        Append(u128, usize),
        /// Appends the message of this number with files of these contents.
        Share(u128, Vec<u8>),
        /// Edits the message of this number to a text of this length, as its author.
        Edit(u128, usize),
        /// Deletes the message of this number, as its author.
        Delete(u128),
        /// Adds or removes a reaction to a message, by the participant of the second number.
        React(u128, u128, bool),
        /// Sweeps all but this many newest messages of each room.
        Sweep(u32),
    }

    fn event() -> impl Strategy<Value = Event> {
        let id = || 1_u128..12;
        prop_oneof![
            4 => (id(), 1_usize..300).prop_map(|(id, length)| Event::Append(id, length)),
            3 => (id(), prop::collection::vec(0_u8..4, 1..4))
                .prop_map(|(id, files)| Event::Share(id, files)),
            2 => (id(), 1_usize..300).prop_map(|(id, length)| Event::Edit(id, length)),
            1 => id().prop_map(Event::Delete),
            4 => (id(), 1_u128..5, any::<bool>()).prop_map(|(id, by, on)| Event::React(id, by, on)),
            1 => (0_u32..8).prop_map(Event::Sweep),
        ]
    }

    fn room(id: u128) -> RoomName {
        RoomName::parse(if id.is_multiple_of(2) { "even" } else { "odd" }).expect("valid")
    }

    fn participant(number: u128) -> ParticipantId {
        ParticipantId::parse(&format!("p_{number}")).expect("valid")
    }

    /// Applies an event to the store.
    async fn apply(store: &Store, event: &Event) {
        let text = |length: usize| ChatText::parse(&"가a".repeat(length)).expect("valid");
        let change = async |id: u128, by: ParticipantId, edit: Edit| {
            let change = Change {
                id: crate::protocol::MessageId(uuid::Uuid::from_u128(id)),
                by,
                at: 1,
                edit,
                moderates: false,
            };
            let changed = store.change(&room(id), change).await;
            assert!(matches!(
                changed,
                Ok(Changed::Applied(_) | Changed::Unchanged(_) | Changed::Refused(_))
            ));
        };
        match event {
            Event::Append(id, length) => {
                let mut new = message(*id, "x");
                (new.from.id, new.draft.text) = (participant(0), text(*length));
                store.append(&room(*id), new).await.expect("stored");
            }
            Event::Share(id, contents) => {
                let home = tempfile::tempdir().expect("tempdir");
                let mut message = message(*id, "x");
                message.from.id = participant(0);
                let file =
                    |content: &u8| UploadedFile::of(home.path(), "이름.png", &[*content; 100]);
                let files: Vec<_> = contents.iter().map(file).collect();
                message.draft.files = files.iter().map(|file| file.id.clone()).collect();
                let files = Some(files);
                let prepared = PreparedMessage { message, files };
                let stored = store.writer.append(room(*id), prepared).await;
                stored.expect("stored");
            }
            Event::Edit(id, length) => change(*id, participant(0), Edit::Text(text(*length))).await,
            Event::Delete(id) => change(*id, participant(0), Edit::Delete).await,
            Event::React(id, by, on) => {
                let emoji = Emoji::parse("👍").expect("valid");
                change(*id, participant(*by), Edit::React { emoji, on: *on }).await;
            }
            Event::Sweep(newest) => {
                let expiry = Expiry {
                    before_ms: None,
                    newest: Some(*newest),
                };
                for room in [room(0), room(1)] {
                    let expired = store.expired(&room, expiry, 100).await.expect("read");
                    store.delete(&expired).await.expect("forgotten");
                }
            }
        }
    }

    /// The stored bytes of all rooms, recomputed from the rows.
    fn recount(connection: &Connection) -> u64 {
        let query = "SELECT
            (SELECT coalesce(sum(160 + octet_length(author) + octet_length(nickname)
                + octet_length(text) + octet_length(mentions)), 0) FROM messages)
            + (SELECT coalesce(sum(64 + octet_length(emoji) + octet_length(author)), 0)
                FROM reactions)
            + (SELECT coalesce(sum(256 + octet_length(name)), 0) FROM files)
            + (SELECT coalesce(sum(octet_length(authority)), 0) FROM rooms)";
        let bytes: i64 = connection
            .query_row(query, [], |row| row.get(0))
            .expect("sums");
        unsigned(bytes)
    }

    /// The bytes of all files and the number of contents, recomputed from the rows.
    fn recount_files(connection: &Connection) -> (u64, usize) {
        let query = "SELECT coalesce(sum(size), 0), count(DISTINCT hash) FROM files";
        let found = connection.query_row(query, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        let (bytes, contents) = found.expect("sums");
        (unsigned(bytes), usize::try_from(contents).expect("few"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn bytes_are_counted_exactly_whatever_happens_to_messages(
            events in prop::collection::vec(event(), 1..40),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            runtime.block_on(async {
                let home = tempfile::tempdir().expect("tempdir");
                let database = home.path().join("data/noom.db");
                let store = Store::open(&database, &StoreOptions::default()).expect("opens");
                let connection = Connection::open(&database).expect("opens");
                for event in &events {
                    apply(&store, event).await;
                    let usage = store.usage(9).await.expect("read");
                    assert_eq!(usage.bytes, recount(&connection), "{event:?}");
                    assert_eq!(usage.bytes, usage.rooms.iter().map(|room| room.1).sum::<u64>());
                    assert_eq!(usage.bytes, store.stored_bytes());
                    let (bytes, contents) = recount_files(&connection);
                    assert_eq!(store.stored_file_bytes(), bytes, "{event:?}");
                    let on_disk = store.content.all().expect("read");
                    assert_eq!(on_disk.len(), contents, "{event:?}");
                }
                apply(&store, &Event::Sweep(0)).await;
                assert_eq!(store.stored_bytes(), recount(&connection));
                assert_eq!(store.content.all().expect("read"), []);
                store.close().await;
            });
        }
    }

    #[test]
    fn expected_bytes_of_messages_and_reactions_equal_the_counted_bytes() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let home = tempfile::tempdir().expect("tempdir");
            let database = home.path().join("data/noom.db");
            let store = Store::open(&database, &StoreOptions::default()).expect("opens");
            let new = message(1, "가나다");
            store.append(&room(1), new.clone()).await.expect("stored");
            let authority = Authority::default().to_json().len() as u64;
            assert_eq!(store.stored_bytes(), message_bytes(&new) + authority);
            let before = store.stored_bytes();
            apply(&store, &Event::React(1, 3, true)).await;
            let reaction = reaction_bytes(&Emoji::parse("👍").expect("valid"), &participant(3));
            assert_eq!(store.stored_bytes(), before + reaction);
        });
    }
}
