//! Tests of the store on a real file.

use super::*;
use crate::{
    protocol::{ChatText, Emoji, ErrorCode, MessageId, Nickname, ParticipantId},
    server::{
        authority::Authority,
        identity::{new_session_token, participant_id},
    },
};

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("valid")
}

pub(super) fn message(id: u128, text: &str) -> NewMessage {
    NewMessage {
        draft: ChatDraft {
            id: MessageId(uuid::Uuid::from_u128(id)),
            text: ChatText::parse(text).expect("valid"),
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        },
        from: Person::new(
            participant_id(&new_session_token()),
            Nickname::parse("Ann").expect("valid"),
        ),
        at: 1,
        mentions: Vec::new(),
    }
}

fn open(directory: &tempfile::TempDir) -> Store {
    let database = directory.path().join("deep/noom.db");
    Store::open(&database, &StoreOptions::default()).expect("opens")
}

#[tokio::test]
async fn seq_counts_each_room_on_its_own_and_an_id_is_stored_once() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let first = store
        .append(&room("a"), message(1, "one"))
        .await
        .expect("stored");
    let other = store
        .append(&room("b"), message(1, "uno"))
        .await
        .expect("stored");
    let second = store
        .append(&room("a"), message(2, "two"))
        .await
        .expect("stored");
    let again = store
        .append(&room("a"), message(1, "changed"))
        .await
        .expect("stored");
    assert_eq!(
        (first.message.seq, other.message.seq, second.message.seq),
        (1, 1, 2)
    );
    assert!(again.duplicate && !other.duplicate);
    assert_eq!(again.message, first.message);
    store.check().await.expect("healthy");
}

#[tokio::test]
async fn pages_go_back_from_a_message_and_say_whether_there_is_more() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    for id in 1..=5 {
        store
            .append(&room("a"), message(id, "x"))
            .await
            .expect("stored");
    }
    let seqs = |page: &Page| page.messages.iter().map(|m| m.seq).collect::<Vec<_>>();
    let newest = store.page(&room("a"), None, 2).await.expect("read");
    assert_eq!((seqs(&newest), newest.more), (vec![4, 5], true));
    let oldest = store.page(&room("a"), Some(4), 3).await.expect("read");
    assert_eq!((seqs(&oldest), oldest.more), (vec![1, 2, 3], false));
    let after = store.after(&room("a"), 3, 1).await.expect("read");
    assert_eq!(after.iter().map(|m| m.seq).collect::<Vec<_>>(), [4]);
    assert_eq!(
        store.page(&room("none"), None, 9).await.expect("read"),
        Page::default()
    );
}

#[tokio::test]
async fn messages_and_the_epoch_survive_a_restart() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let handed_out = store.fresh_epoch();
    assert_eq!(store.head(&room("a")).await.expect("read"), None);
    store
        .append(&room("a"), message(1, "one"))
        .await
        .expect("stored");
    store.close().await;
    let refused = store.append(&room("a"), message(2, "two")).await;
    assert!(matches!(refused, Err(StoreError::Closed)));
    let store = open(&directory);
    assert_eq!(
        store.head(&room("a")).await.expect("read"),
        Some((handed_out, 1))
    );
    assert_eq!(
        store
            .page(&room("a"), None, 9)
            .await
            .expect("read")
            .messages
            .len(),
        1
    );
}

#[tokio::test]
async fn concurrent_writers_get_each_seq_once() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let name = room("a");
    let writes = (1..=300).map(|id| store.append(&name, message(id, "x")));
    let mut seqs: Vec<_> = futures::future::join_all(writes)
        .await
        .into_iter()
        .map(|row| row.expect("stored").message.seq)
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
}

fn change(id: u128, by: &ParticipantId, edit: Edit) -> Change {
    Change {
        id: MessageId(uuid::Uuid::from_u128(id)),
        by: by.clone(),
        at: 9,
        edit,
        moderates: false,
    }
}

fn edit(text: &str) -> Edit {
    Edit::Text(ChatText::parse(text).expect("valid"))
}

fn react_with_thumb(on: bool) -> Edit {
    let emoji = Emoji::parse("👍").expect("valid");
    Edit::React { emoji, on }
}

#[tokio::test]
async fn only_its_author_changes_a_message_and_each_change_has_its_place_in_the_order() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let (a, new) = (room("a"), message(1, "one"));
    let (ann, eve) = (new.from.id.clone(), message(9, "x").from.id);
    store.append(&a, new).await.expect("stored");
    let ask = async |id, by: &ParticipantId, edit| {
        let answer = store.change(&a, change(id, by, edit)).await;
        answer.expect("the store works")
    };
    let done = |changed: Changed| match changed {
        Changed::Applied(message) => message,
        other => panic!("{other:?}"),
    };
    let refused = |code| Changed::Refused(code);
    assert_eq!(
        ask(1, &eve, edit("two")).await,
        refused(ErrorCode::NotYours)
    );
    assert_eq!(
        ask(1, &eve, Edit::Delete).await,
        refused(ErrorCode::NotYours)
    );
    assert_eq!(
        ask(7, &ann, Edit::Delete).await,
        refused(ErrorCode::NoSuchMessage)
    );
    let edited = done(ask(1, &ann, edit("two")).await);
    assert_eq!(
        (edited.seq, edited.changed, edited.words(), edited.edited_at),
        (1, 2, "two", Some(9))
    );
    assert_eq!(ask(1, &ann, edit("two")).await, Changed::Unchanged(edited));
    let liked = done(ask(1, &eve, react_with_thumb(true)).await);
    assert_eq!((liked.changed, liked.reactions[0].by.len()), (3, 1));
    done(ask(1, &ann, react_with_thumb(true)).await);
    let left = done(ask(1, &eve, react_with_thumb(false)).await);
    assert_eq!(left.reactions[0].by, std::slice::from_ref(&ann));
    let deleted = done(ask(1, &ann, Edit::Delete).await);
    assert_eq!((deleted.text.as_ref(), deleted.reactions.len()), (None, 0));
    assert_eq!(
        ask(1, &ann, react_with_thumb(true)).await,
        refused(ErrorCode::NoSuchMessage)
    );
    let next = store.append(&a, message(2, "next")).await.expect("stored");
    assert_eq!(next.message.seq, 7);
    let page = store.page(&a, None, 9).await.expect("read").messages;
    assert_eq!(page, [deleted.clone(), next.message]);
    let changes = store.changes(&a, 9).await.expect("read").messages;
    assert_eq!(changes, [deleted]);
}

#[tokio::test]
async fn an_author_under_the_shorter_id_of_a_former_version_is_still_the_author() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let (a, new) = (room("a"), message(1, "one"));
    let (ann, eve) = (new.from.id.clone(), message(9, "x").from.id);
    let former = ParticipantId::parse(&ann.as_str()[..18]).expect("valid");
    assert_eq!(ann.as_str().len(), 28, "130 bits");
    let from = Person {
        id: former.clone(),
        ..new.from.clone()
    };
    store
        .append(&a, NewMessage { from, ..new })
        .await
        .expect("stored");
    let ask = async |by: &ParticipantId, edit| {
        let answer = store.change(&a, change(1, by, edit)).await;
        answer.expect("the store works")
    };
    assert!(matches!(
        ask(&former, react_with_thumb(true)).await,
        Changed::Applied(_)
    ));
    assert!(matches!(
        ask(&ann, react_with_thumb(true)).await,
        Changed::Unchanged(_)
    ));
    assert!(matches!(
        ask(&eve, edit("two")).await,
        Changed::Refused(ErrorCode::NotYours)
    ));
    assert!(matches!(ask(&ann, edit("two")).await, Changed::Applied(_)));
    let Changed::Applied(taken) = ask(&ann, react_with_thumb(false)).await else {
        panic!("taken back")
    };
    assert_eq!(taken.reactions, []);
    // Only the former, shorter form of an id matches; other prefixes of it do not.
    for letters in [3, 17, 19, 27] {
        let part = ParticipantId::parse(&ann.as_str()[..letters]).expect("valid");
        assert!(!ann.is_author(&part) && !part.is_author(&ann));
    }
    assert!(!former.is_author(&ann), "not the other way round");
}

#[tokio::test]
async fn a_message_holds_at_most_max_reactions() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let a = room("a");
    store.append(&a, message(1, "one")).await.expect("stored");
    for _ in 0..crate::protocol::MAX_REACTIONS {
        let somebody = participant_id(&new_session_token());
        let answer = store
            .change(&a, change(1, &somebody, react_with_thumb(true)))
            .await;
        assert!(matches!(answer, Ok(Changed::Applied(_))));
    }
    let late = participant_id(&new_session_token());
    let answer = store
        .change(&a, change(1, &late, react_with_thumb(true)))
        .await;
    assert_eq!(
        answer.expect("the store works"),
        Changed::Refused(ErrorCode::TooManyReactions)
    );
}

#[tokio::test]
async fn words_are_found_by_any_part_in_any_script_and_only_where_they_are() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let a = room("a");
    let said = [
        "내일 회의록을 공유할게요",
        "The Quarterly report, finally!",
        "나가 볼까",
        "xab bcx",
        "100% \"quoted\" (AND) *",
    ];
    let mut author = None;
    for (id, text) in (1_u128..).zip(said) {
        let new = message(id, text);
        author.get_or_insert(new.from.id.clone());
        store.append(&a, new).await.expect("stored");
    }
    store
        .append(&room("b"), message(1, "회의록"))
        .await
        .expect("stored");
    let find = async |query: &str| {
        let page = store.search(&a, query, None, 9).await.expect("searches");
        page.messages.iter().map(|m| m.seq).collect::<Vec<_>>()
    };
    for (query, found) in [
        ("회의", vec![1]),
        ("의록", vec![1]),
        ("회", vec![1]),
        ("가", vec![3]),
        ("회의 공유", vec![1]),
        ("회의 report", vec![]),
        ("quarter", vec![2]),
        ("ART", vec![2]),
        ("abc", vec![]),
        ("b", vec![4]),
        ("quoted and", vec![5]),
        ("\" OR room : *", vec![]),
        ("", vec![]),
        ("!?", vec![]),
    ] {
        assert_eq!(find(query).await, found, "{query}");
    }
    let older = store.search(&a, "a", Some(3), 1).await.expect("searches");
    assert_eq!((older.messages[0].seq, older.more), (2, false));
    let author = author.expect("somebody spoke");
    let changes = change(1, &author, edit("모레 만나요"));
    store.change(&a, changes).await.expect("stored");
    assert_eq!(find("회의").await, [0; 0]);
    assert_eq!(find("모레").await, [1]);
    store
        .change(&a, change(1, &author, Edit::Delete))
        .await
        .expect("stored");
    assert_eq!(find("모레").await, [0; 0]);
}

#[tokio::test]
async fn a_database_of_the_first_version_is_searched_after_it_was_migrated() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("deep/old.db");
    make_directory(&directory.path().join("deep")).expect("made");
    let connection = schema::connect(&path).expect("opens");
    connection
        .execute_batch(schema::FIRST_VERSION)
        .expect("the first schema");
    let author = participant_id(&new_session_token());
    connection
        .execute_batch(&format!(
            "INSERT INTO rooms VALUES (1, 'a', 'e', 1);
             INSERT INTO messages VALUES
                (1, 1, x'00000000000000000000000000000001', '{}', 'Ann', '옛날 이야기', 5);
             PRAGMA user_version = 1;",
            author.as_str()
        ))
        .expect("a message");
    drop(connection);
    rights::make_private(&path).expect("as it is made today");
    let store = Store::open(&path, &StoreOptions::default()).expect("migrates");
    let found = store.search(&room("a"), "이야", None, 9).await;
    let found = found.expect("searches").messages;
    assert_eq!((found.len(), found[0].words()), (1, "옛날 이야기"));
    // The migration counts the bytes of existing messages.
    let bytes = 160 + author.as_str().len() + "Ann".len() + "옛날 이야기".len();
    let bytes = u64::try_from(bytes).expect("few");
    let usage = store.usage(9).await.expect("read");
    assert_eq!(
        (usage.bytes, usage.rooms),
        (bytes, vec![(room("a"), bytes)])
    );
    assert_eq!(store.stored_bytes(), bytes);
}

/// A row whose texts and numbers all break the current rules.
const ODD_ROWS: &str = "
    INSERT INTO rooms (id, name, epoch, seq) VALUES (7, ' odd' || char(7), '', 4);
    INSERT INTO messages (room_id, seq, client_id, author, nickname, text, at) VALUES
        (7, 1, x'01', 'Ann Smith', char(8238) || 'a' || char(10), ' x' || char(7) || ' ', 1),
        (7, 2, x'02', '', '', CAST(x'ff41' AS TEXT), 'never'),
        (7, 3, x'00000000000000000000000000000003', 'p_1', printf('%.*c', 9999, 'n'),
            printf('%.*c', 99999, 't'), 1);
    UPDATE messages SET changed = 4 WHERE room_id = 7 AND seq = 1;
    INSERT INTO reactions VALUES
        ((SELECT id FROM messages WHERE room_id = 7 AND seq = 1), 'word', 'Ben B.', 4);
";

#[tokio::test]
async fn the_row_of_a_room_is_read_at_once_unless_its_authority_cannot_be_read() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    assert_eq!(store.room(&room("a")).await.expect("read"), None);
    let stored = store.append(&room("a"), message(1, "one")).await;
    stored.expect("stored");
    let set = |authority: &'static str| {
        store.on_writer(move |connection| {
            let query = "UPDATE rooms SET authority = ?1";
            connection.execute(query, [authority]).expect("stored");
        })
    };
    for (text, authority) in [
        ("", Some(Authority::default())),
        ("{}", None),
        (
            r#"{"settings":{"locked":true}}"#,
            Authority::from_json(r#"{"settings":{"locked":true}}"#),
        ),
    ] {
        set(text).await;
        let row = RoomRow {
            epoch: store.fresh_epoch(),
            seq: 1,
            authority,
        };
        assert_eq!(store.room(&room("a")).await.expect("read"), Some(row));
    }
    set("moon").await;
    let refused = store.room(&room("a")).await;
    assert!(matches!(refused, Err(StoreError::BadRow(_))), "{refused:?}");
    assert!(store.head(&room("a")).await.expect("read").is_some());
}

#[tokio::test]
async fn a_room_whose_rows_break_current_rules_can_be_read_swept_and_exported() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let stored = store.append(&room("a"), message(1, "one")).await;
    stored.expect("stored");
    store
        .on_writer(|connection| connection.execute_batch(ODD_ROWS).expect("stored"))
        .await;
    let odd = RoomName::from_stored(" odd\u{7}");
    let (epoch, seq) = store.head(&odd).await.expect("read").expect("there");
    assert_eq!((epoch.as_str(), seq), ("_", 4));
    let page = store.page(&odd, None, 9).await.expect("read");
    let texts: Vec<_> = page.messages.iter().map(|m| m.words()).collect();
    assert_eq!(texts[..2], [" x\u{FFFD} ", "\u{FFFD}A"]);
    assert_eq!(page.messages[0].from.nickname.as_str(), "\u{202E}a\u{FFFD}");
    assert_eq!(page.messages[0].reactions[0].by[0].as_str(), "p_Ben_B_");
    let ids: std::collections::HashSet<_> = page.messages.iter().map(|m| m.id).collect();
    assert_eq!(ids.len(), 3);
    // A browser can decode the messages, and they fit into a frame.
    for message in &page.messages {
        let json = serde_json::to_string(message).expect("serialises");
        assert!(json.len() < crate::protocol::MAX_FRAME_BYTES);
        let read: ChatMessage = serde_json::from_str(&json).expect("decodes");
        assert_eq!(read, *message);
    }
    assert_eq!(
        store.changes(&odd, 9).await.expect("read").messages.len(),
        1
    );
    assert_eq!(store.usage(9).await.expect("read").rooms[0].0, odd);
    let mut text = Vec::new();
    let database = directory.path().join("deep/noom.db");
    let written = export(&database, &odd, Format::Markdown, &mut text);
    assert_eq!(written.expect("written"), 3);
    let rooms = store.rooms(0, 9).await.expect("read");
    let names: Vec<_> = rooms.into_iter().map(|room| room.name).collect();
    assert_eq!(names, [room("a"), odd.clone()]);
    let expiry = Expiry {
        before_ms: None,
        newest: Some(0),
    };
    let expired = store.expired(&odd, expiry, 9).await.expect("read");
    store.delete(&expired).await.expect("forgotten");
    assert_eq!(store.page(&odd, None, 9).await.expect("read").messages, []);
}

#[tokio::test]
async fn of_many_rooms_that_begin_in_one_commit_as_many_are_stored_as_may_be() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = directory.path().join("deep/noom.db");
    let quota = Quota {
        stored_rooms: 3,
        ..Quota::default()
    };
    let options = StoreOptions {
        max_file_bytes: 0,
        quota,
        ..StoreOptions::default()
    };
    let store = Store::open(&database, &options).expect("opens");
    let names: Vec<_> = (0..20).map(|number| room(&number.to_string())).collect();
    let appended = names
        .iter()
        .map(|name| store.append(name, message(1, "hi")));
    let appended = futures::future::join_all(appended).await;
    let (stored, refused): (Vec<_>, Vec<_>) = appended.into_iter().partition(Result::is_ok);
    assert_eq!((stored.len(), refused.len()), (3, 17));
    for refused in refused {
        let full = matches!(refused, Err(StoreError::Full(Full::Rooms)));
        assert!(full, "{refused:?}");
    }
    assert_eq!(store.stored_rooms(), 3);
    assert_eq!(store.rooms(0, 100).await.expect("read").len(), 3);
    // Rooms that are stored go on, and the count is the same after a restart.
    let first = store.rooms(0, 1).await.expect("read").remove(0).name;
    store
        .append(&first, message(2, "more"))
        .await
        .expect("stored");
    store.close().await;
    let store = Store::open(&database, &options).expect("opens");
    assert_eq!(store.stored_rooms(), 3);
    assert!(store.append(&room("new"), message(1, "hi")).await.is_err());
}

#[tokio::test]
async fn only_a_room_without_messages_is_forgotten_and_its_former_log_ends() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let name = room("a");
    store
        .append(&name, message(1, "one"))
        .await
        .expect("stored");
    assert!(!store.forget(&name).await.expect("answers"));
    assert!(!store.forget(&room("unknown")).await.expect("answers"));
    assert_eq!(store.empty_rooms(0, 9).await.expect("read"), []);
    let (epoch, _) = store.head(&name).await.expect("read").expect("stored");
    assert_eq!(epoch, store.fresh_epoch());
    let all = Expiry {
        before_ms: Some(i64::MAX),
        newest: None,
    };
    let expired = store.expired(&name, all, 9).await.expect("read");
    store.delete(&expired).await.expect("deleted");
    let empty = store.empty_rooms(0, 9).await.expect("read");
    assert_eq!(empty, [(1, name.clone())]);
    assert!(store.forget(&name).await.expect("forgotten"));
    assert_eq!(store.head(&name).await.expect("read"), None);
    assert_ne!(store.fresh_epoch(), epoch);
    assert_eq!(store.stored_rooms(), 0);
    store
        .append(&name, message(1, "one"))
        .await
        .expect("stored");
    let (renewed, seq) = store.head(&name).await.expect("read").expect("stored");
    assert_eq!((renewed, seq), (store.fresh_epoch(), 1));
}

#[tokio::test]
async fn pins_stay_in_a_restored_backup_and_a_database_of_before_pins_takes_them() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = directory.path().join("deep/noom.db");
    let (store, name) = (open(&directory), room("a"));
    for (id, text) in [(1, "first"), (2, "second")] {
        let stored = store.append(&name, message(id, text)).await;
        stored.expect("stored");
    }
    let host = participant_id(&new_session_token());
    // In the order of pinning, not of the messages.
    for id in [2, 1] {
        let pinned = store
            .change(&name, change(id, &host, Edit::Pin(true)))
            .await;
        assert!(matches!(pinned, Ok(Changed::Applied(_))), "{pinned:?}");
    }
    let copy = directory.path().join("copy.db");
    backup(&database, &copy, false).expect("copied");
    let unpinned = store
        .change(&name, change(1, &host, Edit::Pin(false)))
        .await;
    assert!(matches!(unpinned, Ok(Changed::Applied(_))), "{unpinned:?}");
    store.close().await;
    restore(&database, &copy).expect("restored");
    let store = open(&directory);
    let pinned = store.pinned(&name).await.expect("read");
    let words: Vec<_> = pinned.iter().map(ChatMessage::words).collect();
    assert_eq!(words, ["second", "first"]);
    store.close().await;

    let connection = schema::connect(&database).expect("opens");
    let undo = format!(
        "{}; {}; PRAGMA user_version = 9",
        schema::WITHOUT_MENTIONS,
        schema::WITHOUT_PINS
    );
    connection.execute_batch(&undo).expect("undone");
    drop(connection);
    let store = open(&directory);
    assert_eq!(store.pinned(&name).await.expect("read"), []);
    let again = store.change(&name, change(2, &host, Edit::Pin(true))).await;
    assert!(matches!(again, Ok(Changed::Applied(_))), "{again:?}");
    let pinned = store.pinned(&name).await.expect("read");
    assert_eq!((pinned.len(), pinned[0].words()), (1, "second"));
    let connection = schema::connect_to_read(&database).expect("opens");
    let plan: String = connection
        .query_row(
            "EXPLAIN QUERY PLAN SELECT id FROM messages
             WHERE room_id = 1 AND pinned > 0 ORDER BY pinned LIMIT 3",
            [],
            |row| row.get("detail"),
        )
        .expect("planned");
    assert!(plan.contains("messages_pinned"), "{plan}");
}

/// The secret of the invite key as the database of `open` keeps it.
fn stored_invite_key(database: &Path) -> String {
    let connection = schema::connect_to_read(database).expect("opens");
    let stored = schema::read_meta(&connection, "invite_key").expect("read");
    stored.expect("a key")
}

#[tokio::test]
async fn links_of_invites_stay_valid_after_a_restart_and_in_a_restored_backup() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = directory.path().join("deep/noom.db");
    let (id, name) = (crate::server::invites::new_invite_id(), room("a"));
    let store = open(&directory);
    let token = store.invite_key().token(&name, &id);
    let copy = directory.path().join("copy.db");
    backup(&database, &copy, false).expect("copied");
    store.close().await;
    let again = open(&directory);
    assert_eq!(again.invite_key().verify(&name, &token), Some(id.clone()));
    again.close().await;
    std::fs::remove_dir_all(directory.path().join("deep")).expect("the disk is lost");
    let another = open(&directory);
    assert_eq!(another.invite_key().verify(&name, &token), None);
    another.close().await;
    restore(&database, &copy).expect("restored");
    assert_eq!(
        open(&directory).invite_key().verify(&name, &token),
        Some(id)
    );
}

#[tokio::test]
async fn a_damaged_invite_key_is_replaced_by_another_one() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = directory.path().join("deep/noom.db");
    open(&directory).close().await;
    let first = stored_invite_key(&database);
    for damaged in ["", "AAAA", "no base64", &first[1..]] {
        let connection = schema::connect(&database).expect("opens");
        let update = "UPDATE meta SET value = ?1 WHERE key = 'invite_key'";
        assert_eq!(connection.execute(update, [damaged]).expect("written"), 1);
        drop(connection);
        open(&directory).close().await;
        let replaced = stored_invite_key(&database);
        assert!(
            replaced != first && replaced.len() == first.len(),
            "{damaged}"
        );
    }
}

#[tokio::test]
async fn an_export_does_not_hold_the_invite_key() {
    let directory = tempfile::tempdir().expect("tempdir");
    let database = directory.path().join("deep/noom.db");
    let store = open(&directory);
    let stored = store.append(&room("a"), message(1, "one")).await;
    stored.expect("stored");
    let secret = stored_invite_key(&database);
    for format in [Format::Json, Format::Markdown] {
        let mut output = Vec::new();
        export(&database, &room("a"), format, &mut output).expect("exported");
        let output = String::from_utf8(output).expect("text");
        assert!(output.contains("one") && !output.contains(&secret));
    }
}
