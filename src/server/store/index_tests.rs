//! Tests of the search index: its size, its migrations, its results, and the erasure of text.

use super::{
    corpus::{Language, Writer},
    *,
};
use crate::{
    protocol::{ChatText, MessageId, Nickname},
    server::identity::{new_session_token, participant_id},
    tests::harness::data_directory,
};

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("valid")
}

fn message(text: &str) -> NewMessage {
    NewMessage {
        draft: ChatDraft {
            id: MessageId(uuid::Uuid::from_u128(rand::random())),
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

/// Stores texts, a few hundred at a time.
async fn store_texts(store: &Store, room: &RoomName, texts: &[String]) {
    for some in texts.chunks(500) {
        let stored = some.iter().map(|text| store.append(room, message(text)));
        for row in futures::future::join_all(stored).await {
            row.expect("stored");
        }
    }
}

/// Bytes of the index in the file for each byte of text.
async fn size_of_index(texts: &[String]) -> f64 {
    let directory = data_directory();
    let store =
        Store::open(&directory.path().join("noom.db"), &StoreOptions::default()).expect("opens");
    store_texts(&store, &room("a"), texts).await;
    store.index().await.expect("indexed");
    let (tell, told) = tokio::sync::oneshot::channel();
    let ask = move |connection: &rusqlite::Connection| {
        let query = "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'words%'";
        let size = connection.query_row(query, [], |row| row.get::<_, i64>(0));
        tell.send(size.expect("measured")).expect("awaited");
    };
    store.on_writer(ask).await;
    let bytes: usize = texts.iter().map(String::len).sum();
    told.await.expect("told") as f64 / bytes as f64
}

#[tokio::test]
async fn the_index_is_no_larger_than_twice_the_text() {
    for language in [Language::English, Language::Korean] {
        let mut writer = Writer::new(language);
        let chat: Vec<_> = (0..5_000).map(|_| writer.chat()).collect();
        let long: Vec<_> = (0..150).map(|_| writer.message(300)).collect();
        for (shape, texts) in [("chat", chat), ("long messages", long)] {
            let size = size_of_index(&texts).await;
            assert!(
                size <= 2.0,
                "{language:?}, {shape}: {size:.2} times the text"
            );
        }
    }
}

#[tokio::test]
async fn rare_letters_do_not_make_the_index_larger_than_twice_the_text() {
    let mut seed = 7_u32;
    let mut letter = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_u32(0xac00 + (seed >> 8) % 11_172).expect("Hangul")
    };
    let texts: Vec<String> = (0..300)
        .map(|_| (0..1_000).map(|_| letter()).collect())
        .collect();
    let size = size_of_index(&texts).await;
    assert!(size <= 2.0, "{size:.2} times the text");
}

/// The number of tables of a former index.
async fn former_tables(store: &Store) -> i64 {
    let query = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'former_%' AND type = 'table'";
    ask(store, query).await
}

/// Runs a query for one number on the writer's connection.
async fn ask(store: &Store, query: &'static str) -> i64 {
    let (tell, told) = tokio::sync::oneshot::channel();
    let ask = move |connection: &rusqlite::Connection| {
        let number = connection.query_row(query, [], |row| row.get(0));
        tell.send(number.expect("answered")).expect("awaited");
    };
    store.on_writer(ask).await;
    told.await.expect("told")
}

/// The number of messages that a search finds.
async fn found(store: &Store, query: &str) -> usize {
    let page = store.search(&room("a"), query, None, 100).await;
    page.expect("searched").messages.len()
}

#[tokio::test]
async fn an_index_of_the_former_form_is_replaced_in_steps_and_found_by_meanwhile() {
    let directory = data_directory();
    let path = directory.path().join("noom.db");
    rights::make_file(&path).expect("made");
    let mut connection = schema::connect(&path).expect("opens");
    schema::migrate_to(&mut connection, 3).expect("migrates");
    let author = participant_id(&new_session_token());
    let rows = format!(
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO messages (room_id, seq, client_id, author, nickname, text, at)
         SELECT 1, i, CAST(printf('%016d', i) AS BLOB), '{}', 'Ann', '옛날 이야기 ' || i, 5 FROM n;
         INSERT INTO words (rowid, room, text)
         SELECT id, 'r1', '옛날 날 · 이야 야기 기 · ' || replace(text, ' ', '') FROM messages;
         INSERT OR REPLACE INTO meta VALUES ('indexed', '3000');",
        author.as_str()
    );
    let rooms = "INSERT INTO rooms VALUES (1, 'a', 'e', 3000);";
    connection
        .execute_batch(&format!("{rooms}{rows}"))
        .expect("messages");
    drop(connection);
    let store = Store::open(&path, &StoreOptions::default())
        .expect("migrates")
        .with_search_within(HOUR);
    assert_eq!(former_tables(&store).await, 2, "not deleted at the start");
    assert_eq!(found(&store, "이야 1234").await, 1);
    let mut steps = 0;
    while store.writer.clean_up(false).await.expect("cleaned") {
        steps += 1;
        if former_tables(&store).await > 0 {
            assert_eq!(found(&store, "이야 1234").await, 1);
        }
    }
    assert!(steps > 3, "{steps} steps");
    assert_eq!(former_tables(&store).await, 0);
    store.index().await.expect("indexed");
    let (indexed, rows) = ("SELECT value + 0 FROM meta WHERE key = 'indexed'", 3000);
    assert_eq!(ask(&store, indexed).await, rows);
    assert_eq!(found(&store, "이야 1234").await, 1);
    assert_eq!(found(&store, "날이").await, 0);
    assert_eq!(found(&store, "야기").await, 100);
    let sound = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'";
    assert_eq!(ask(&store, sound).await, 1);
    store.close().await;
}

/// A time limit that no test reaches.
const HOUR: Duration = Duration::from_secs(3600);

/// The reference for [`Store::search`]: whether the words of a text contain all words of the query.
fn matches_query(text: &str, query: &str) -> bool {
    let (text, query) = (text.to_lowercase(), query.to_lowercase());
    let split = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let words = split(&text);
    let is_there = |part: &String| words.iter().any(|word| word.contains(part));
    split(&query).iter().all(is_there)
}

/// Pseudo-random numbers with a fixed seed.
struct Dice(u32);

impl Dice {
    fn number_below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % end
    }

    /// A text over a small alphabet, so that its parts occur in many other texts.
    fn text(&mut self, most: u32) -> String {
        let letters: Vec<char> = "ab가나 Ćć,b".chars().collect();
        let length = 1 + self.number_below(most);
        let count = letters.len() as u32;
        (0..length)
            .map(|_| letters[self.number_below(count) as usize])
            .collect()
    }
}

#[tokio::test]
async fn a_search_finds_what_reading_every_message_finds_newest_first() {
    let directory = data_directory();
    let store = Store::open(&directory.path().join("noom.db"), &StoreOptions::default())
        .expect("opens")
        .with_search_within(HOUR);
    let mut dice = Dice(11);
    let mut rooms = [const { Vec::<(Seq, NewMessage)>::new() }; 2];
    for step in 0..900 {
        let at = dice.number_below(2) as usize;
        let name = room(["a", "b"][at]);
        let kept = &mut rooms[at];
        match dice.number_below(6) {
            0 if !kept.is_empty() => {
                let chosen = dice.number_below(kept.len() as u32) as usize;
                let (_, message) = &mut kept[chosen];
                let edit = match ChatText::parse(&dice.text(12)) {
                    Ok(text) => {
                        message.draft.text = text.clone();
                        Edit::Text(text)
                    }
                    Err(_) => Edit::Delete,
                };
                let deleted = edit == Edit::Delete;
                let (id, by) = (message.draft.id, message.from.id.clone());
                let change = Change {
                    id,
                    by,
                    at: 9,
                    edit,
                    moderates: false,
                };
                store.change(&name, change).await.expect("changed");
                if deleted {
                    kept.remove(chosen);
                }
            }
            _ => {
                let Ok(text) = ChatText::parse(&dice.text(12)) else {
                    continue;
                };
                let new = message(text.as_str());
                let stored = store.append(&name, new.clone()).await.expect("stored");
                kept.push((stored.message.seq, new));
            }
        }
        // Index at random times, so that any number of messages is not indexed.
        if step % 97 == 0 {
            store.index().await.expect("indexed");
        }
        let query = dice.text(5);
        let before = (dice.number_below(3) == 0).then(|| u64::from(dice.number_below(400)));
        let page = store.search(&name, &query, before, 7).await;
        let page = page.expect("searched");
        let reached = |seq: Seq| before.is_none_or(|before| seq < before);
        let is_query = query.chars().any(char::is_alphanumeric);
        let matches = kept.iter().rev();
        let matches = matches.filter(|(seq, message)| {
            is_query && reached(*seq) && matches_query(message.draft.text.as_str(), &query)
        });
        let all: Vec<Seq> = matches.map(|(seq, _)| *seq).collect();
        let seqs: Vec<Seq> = page.messages.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, all[..all.len().min(7)], "{query:?} before {before:?}");
        assert_eq!(page.more, all.len() > 7);
    }
}

#[tokio::test]
async fn a_search_interrupted_anywhere_reports_it_and_changes_nothing() {
    let directory = data_directory();
    let store =
        Store::open(&directory.path().join("noom.db"), &StoreOptions::default()).expect("opens");
    let mut writer = Writer::new(Language::English);
    let texts: Vec<_> = (0..3_000).map(|_| writer.chat()).collect();
    store_texts(&store, &room("a"), &texts).await;
    store.index().await.expect("indexed");
    let mut stopped = 0;
    for step in 0..200 {
        let within = Duration::from_micros(step * 50);
        let store = store.clone().with_search_within(within);
        // Every bigram of the query is in many texts, the whole query in none.
        for query in ["theoto", "q"] {
            match store.search(&room("a"), query, None, 9).await {
                Ok(page) => assert!(page.messages.len() <= 9),
                Err(StoreError::SearchTimedOut) => stopped += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(stopped > 0);
    let store = store.with_search_within(HOUR);
    assert!(found(&store, "the").await > 0);
}

/// The marks that the files of the database contain.
fn remaining<'a>(directory: &Path, marks: &'a [String]) -> Vec<&'a String> {
    let files = ["noom.db", "noom.db-wal"].map(|file| directory.join(file));
    let bytes = files.map(|file| std::fs::read(file).unwrap_or_default());
    let found: std::collections::BTreeSet<&[u8]> = bytes
        .iter()
        .flat_map(|bytes| bytes.windows(12))
        .filter(|part| part.starts_with(b"mark"))
        .collect();
    let is_there = |mark: &&String| found.contains(mark.as_bytes());
    marks.iter().filter(is_there).collect()
}

#[tokio::test]
async fn no_page_keeps_a_copy_of_text_that_was_deleted_or_replaced() {
    let directory = data_directory();
    let store =
        Store::open(&directory.path().join("noom.db"), &StoreOptions::default()).expect("opens");
    let mut dice = Dice(5);
    let mut marks = 0..;
    let mut text = move |dice: &mut Dice| {
        let mark = format!("mark{:08}", marks.next().expect("endless"));
        let most = [20, 200, 4_000][dice.number_below(3) as usize];
        let filler = "x".repeat(dice.number_below(most - 15) as usize);
        (
            mark.clone(),
            ChatText::parse(&format!("{mark}{filler}")).expect("valid"),
        )
    };
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..1_500 {
        if dice.number_below(2) == 0 || kept.is_empty() {
            let (mark, text) = text(&mut dice);
            let new = message(text.as_str());
            store.append(&room("a"), new.clone()).await.expect("stored");
            kept.push((mark, new));
            continue;
        }
        let chosen = dice.number_below(kept.len() as u32) as usize;
        let (mark, new) = kept.swap_remove(chosen);
        gone.push(mark);
        let edit = match dice.number_below(2) {
            0 => Edit::Delete,
            _ => {
                let (mark, text) = text(&mut dice);
                kept.push((mark, new.clone()));
                Edit::Text(text)
            }
        };
        let (id, by) = (new.draft.id, new.from.id);
        let change = Change {
            id,
            by,
            at: 9,
            edit,
            moderates: false,
        };
        store.change(&room("a"), change).await.expect("changed");
    }
    store.index().await.expect("indexed");
    store.clean_up().await.expect("cleaned");
    let kept: Vec<_> = kept.into_iter().map(|(mark, _)| mark).collect();
    assert!(remaining(directory.path(), &gone).is_empty());
    assert_eq!(remaining(directory.path(), &kept).len(), kept.len());
    store.close().await;
    assert!(remaining(directory.path(), &gone).is_empty());
}

/// The pages of the index, as bytes.
async fn index_pages(store: &Store) -> Vec<Vec<u8>> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let ask = move |connection: &rusqlite::Connection| {
        // Smaller ids are the totals and the list of segments.
        let query = "SELECT block FROM words_data WHERE id > 10 ORDER BY id";
        let mut select = connection.prepare(query).expect("prepares");
        let pages = select.query_map([], |row| row.get(0)).expect("selects");
        let pages = pages.collect::<Result<Vec<Vec<u8>>, _>>().expect("read");
        tell.send(pages).expect("awaited");
    };
    store.on_writer(ask).await;
    told.await.expect("told")
}

/// Stores texts, deletes or replaces two of three, and cleans up. `index_first` indexes the texts
/// before that. Returns the pages of the index.
async fn pages_after_changes(texts: &[String], index_first: bool) -> Vec<Vec<u8>> {
    let directory = data_directory();
    let store =
        Store::open(&directory.path().join("noom.db"), &StoreOptions::default()).expect("opens");
    let a = room("a");
    let messages: Vec<_> = texts.iter().map(|text| message(text)).collect();
    for message in &messages {
        store.append(&a, message.clone()).await.expect("stored");
    }
    if index_first {
        store.index().await.expect("indexed");
    }
    for (number, message) in messages.iter().enumerate() {
        let edit = match number % 3 {
            0 => Edit::Delete,
            1 => Edit::Text(ChatText::parse(&format!("changed {number}")).expect("valid")),
            _ => continue,
        };
        let (id, by) = (message.draft.id, message.from.id.clone());
        let change = Change {
            id,
            by,
            at: 9,
            edit,
            moderates: false,
        };
        store.change(&a, change).await.expect("changed");
    }
    store.index().await.expect("indexed");
    store.clean_up().await.expect("cleaned");
    index_pages(&store).await
}

#[tokio::test]
async fn the_index_equals_one_that_never_held_deleted_text() {
    let mut writer = Writer::new(Language::Korean);
    let texts: Vec<_> = (0..300).map(|_| writer.chat()).collect();
    let pages = pages_after_changes(&texts, true).await;
    assert!(pages.len() > 1);
    assert!(pages == pages_after_changes(&texts, false).await);
}

#[tokio::test]
async fn a_change_that_is_refused_does_not_merge_the_index() {
    let directory = data_directory();
    let store =
        Store::open(&directory.path().join("noom.db"), &StoreOptions::default()).expect("opens");
    store.clean_up().await.expect("cleaned");
    let (first, second) = (message("first words"), message("second words"));
    for message in [&first, &second] {
        let stored = store.append(&room("a"), message.clone()).await;
        stored.expect("stored");
        store.index().await.expect("indexed");
    }
    let before = index_pages(&store).await;
    for (by, is_refused) in [(&second, true), (&first, false)] {
        let (id, by) = (first.draft.id, by.from.id.clone());
        let edit = Edit::Delete;
        let change = Change {
            id,
            by,
            at: 9,
            edit,
            moderates: false,
        };
        let changed = store.change(&room("a"), change).await.expect("answered");
        assert_eq!(matches!(changed, Changed::Refused(_)), is_refused);
        store.clean_up().await.expect("cleaned");
        assert_eq!(index_pages(&store).await == before, is_refused);
    }
}

#[tokio::test]
async fn a_restart_continues_the_cleanup_that_a_deletion_requested() {
    let requests = "SELECT count(*) FROM meta WHERE key = 'cleanup'";
    let directory = data_directory();
    let path = directory.path().join("noom.db");
    let store = Store::open(&path, &StoreOptions::default()).expect("opens");
    store.clean_up().await.expect("cleaned");
    assert_eq!(ask(&store, requests).await, 0);
    let said = message("something to be deleted");
    let stored = store.append(&room("a"), said.clone()).await;
    stored.expect("stored");
    store.index().await.expect("indexed");
    assert!(!index_pages(&store).await.is_empty());
    let (id, by) = (said.draft.id, said.from.id);
    let edit = Edit::Delete;
    let change = Change {
        id,
        by,
        at: 9,
        edit,
        moderates: false,
    };
    store.change(&room("a"), change).await.expect("deleted");
    assert_eq!(ask(&store, requests).await, 1);
    store.close().await;
    let store = Store::open(&path, &StoreOptions::default()).expect("opens");
    let cleaned = async {
        while ask(&store, requests).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(180), cleaned);
    within.await.expect("cleaned up by itself");
    assert!(index_pages(&store).await.is_empty());
}

#[tokio::test]
async fn messages_stored_in_nfd_by_an_older_build_are_found_in_nfc_and_only_they_are_indexed_again()
{
    let directory = data_directory();
    let path = directory.path().join("noom.db");
    rights::make_file(&path).expect("made");
    let mut connection = schema::connect(&path).expect("opens");
    schema::migrate_to(&mut connection, 5).expect("migrates");
    let author = participant_id(&new_session_token());
    // What the former build put into the index of a text in NFD were pairs of its jamo and marks;
    // none of them is a pair of the same text in NFC. Each row stands under one such pair here.
    let rows = format!(
        "INSERT INTO rooms (id, name, epoch, seq) VALUES (1, 'a', 'e', 3000);
         WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO messages (room_id, seq, client_id, author, nickname, text, at)
         SELECT 1, i, CAST(printf('%016d', i) AS BLOB), '{}', 'Ann',
             CASE i % 1000 WHEN 7 THEN '\u{1112}\u{116c}\u{110b}\u{1174}\u{1109}\u{1175}\u{11af}'
                 WHEN 8 THEN 'cafe\u{301}' WHEN 9 THEN '커피 caf\u{e9}' ELSE 'x' END, 5 FROM n;
         INSERT INTO words (rowid, pairs) SELECT id, 'room1 fffff' FROM messages;
         INSERT OR REPLACE INTO meta VALUES ('indexed', '3000');",
        author.as_str()
    );
    connection.execute_batch(&rows).expect("messages");
    drop(connection);
    let store = Store::open(&path, &StoreOptions::default())
        .expect("migrates")
        .with_search_within(HOUR);
    store.index().await.expect("indexed");
    for query in ["회의", "회의실", "의실", "CAFÉ"] {
        assert_eq!(found(&store, query).await, 3, "{query}");
    }
    // Those that were in NFC stand where they stood: under a pair that nobody looks for.
    assert_eq!(found(&store, "커피").await, 0);
    let left = "SELECT count(*) FROM meta WHERE key IN ('composed', 'uncomposed')";
    assert_eq!(ask(&store, left).await, 0, "done once");
}

#[tokio::test]
async fn a_text_in_nfd_that_is_not_in_the_index_yet_is_found_in_nfc() {
    let directory = data_directory();
    let store =
        Store::open(&directory.path().join("noom.db"), &StoreOptions::default()).expect("opens");
    store_texts(&store, &room("a"), &["first".to_owned()]).await;
    let decompose = |connection: &rusqlite::Connection| {
        let text = "UPDATE messages SET text = 'the \u{1112}\u{116c}\u{110b}\u{1174} begins'";
        connection.execute(text, []).expect("changed");
    };
    store.on_writer(decompose).await;
    assert_eq!(found(&store, "회의").await, 1);
    assert_eq!(found(&store, "회").await, 1, "without an index");
}

#[tokio::test]
async fn texts_in_nfd_are_indexed_again_in_steps_of_64() {
    let directory = data_directory();
    let store =
        Store::open(&directory.path().join("noom.db"), &StoreOptions::default()).expect("opens");
    let texts: Vec<String> = (0..150).map(|number| format!("text {number}")).collect();
    store_texts(&store, &room("a"), &texts).await;
    store.index().await.expect("indexed");
    let steps = |connection: &mut rusqlite::Connection| {
        let text = "UPDATE messages SET text = 'cafe\u{301}';
             INSERT INTO meta SELECT 'uncomposed', max(id) FROM messages;";
        connection.execute_batch(text).expect("changed");
        let mut steps = Vec::new();
        loop {
            let more = search::renormalize_next(connection).expect("a step");
            steps.push(search::unnormalized(connection).expect("readable"));
            if !more {
                return steps;
            }
        }
    };
    let path = directory.path().join("noom.db");
    let steps = steps(&mut schema::connect(&path).expect("opens"));
    assert_eq!(steps, [Some((64, 150)), Some((128, 150)), None]);
    assert_eq!(found(&store, "CAFÉ").await, 100);
}
