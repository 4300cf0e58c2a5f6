//! Searches under load, and the erasure of deleted text from the database files.

use super::harness::{TestApp, draft, long_timing};
use crate::{
    protocol::{ClientMessage, Nickname, Person, RoomName},
    server::{
        new_session_token, participant_id,
        store::{NewMessage, StoreError},
    },
};
use std::{path::Path, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

/// Stores `count` short messages, a few hundred at a time.
async fn fill(app: &TestApp, room: &str, count: usize) {
    let room = RoomName::parse(room).expect("valid");
    let from = Person::new(
        participant_id(&new_session_token()),
        Nickname::parse("Ann").expect("valid"),
    );
    let message = |number: usize| NewMessage {
        draft: draft(&format!("the thing {number} is a quick brown fox")),
        from: from.clone(),
        at: 1,
        mentions: Vec::new(),
    };
    for start in (0..count).step_by(500) {
        let stored = (start..count.min(start + 500)).map(message);
        let stored = stored.map(|message| app.context.store.append(&room, message));
        for row in futures::future::join_all(stored).await {
            row.expect("stored");
        }
    }
}

/// Requests a page, and does not read the response.
async fn request_page(app: &TestApp, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.address).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    stream
}

#[tokio::test]
async fn abandoned_searches_do_not_delay_joins_or_pages() {
    let app = TestApp::start().await;
    fill(&app, "team", 3_000).await;
    let letters: Vec<_> = ('a'..='z').cycle().take(48).map(String::from).collect();
    let words = "thequ uickt rownf ingth foxth";
    for query in [letters.join("+"), words.replace(' ', "+")] {
        let path = format!("/room/team?q={query}");
        for _ in 0..12 {
            drop(futures::future::join_all((0..4).map(|_| request_page(&app, &path))).await);
        }
        let others = async {
            let mut ann = app.join("other", "Ann").await;
            ann.send_chat("hello").await;
            let ben = app.join("team", "Ben").await;
            assert!(!ben.joined().history.is_empty());
            let page = app.get("/room/team").await;
            assert!(page.contains("brown fox"));
            let ready = app.get("/readyz").await;
            assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        };
        timeout(Duration::from_secs(8), others)
            .await
            .expect("joins and pages are answered at once");
    }
}

/// Whether a file of the database contains these bytes.
fn contains_bytes(data: &Path, bytes: &[u8]) -> bool {
    let files = ["noom.db", "noom.db-wal"].map(|file| data.join(file));
    files.iter().any(|file| {
        let content = std::fs::read(file).unwrap_or_default();
        content.windows(bytes.len()).any(|part| part == bytes)
    })
}

/// Text of a message that is deleted; no other text has these letters.
const DELETED: &str = "\u{a66e}\u{a66d}\u{a66e}";
/// Text of a message that is edited; no other text has these letters.
const REPLACED: &str = "\u{a64b}\u{a64d}\u{a64b}";
/// Text of a message that stays; no other text has these letters.
const KEPT: &str = "\u{a680}\u{a682}\u{a680}";

#[tokio::test]
async fn deleted_and_edited_text_leaves_the_files_while_the_server_runs_on() {
    let app = TestApp::start().await;
    // Run the cleanup that every new database requests, so that the next one is due to deletions.
    app.context.store.clean_up().await.expect("cleaned");
    let mut ann = app.join("team", "Ann").await;
    let deleted = ann.send_chat(DELETED).await.id;
    let replaced = ann.send_chat(REPLACED).await.id;
    ann.send_chat(KEPT).await;
    app.context.store.index().await.expect("indexed");
    assert!(
        contains_bytes(app.data(), DELETED.as_bytes())
            && contains_bytes(app.data(), REPLACED.as_bytes())
    );
    ann.send(&ClientMessage::Delete { id: deleted }).await;
    ann.send(&ClientMessage::Edit {
        id: replaced,
        text: KEPT.to_owned(),
    })
    .await;
    ann.received_so_far().await;
    let data = app.data().to_owned();
    let (deleted, replaced) = (&DELETED.as_bytes()[..3], &REPLACED.as_bytes()[..3]);
    let gone = async {
        while contains_bytes(&data, deleted) || contains_bytes(&data, replaced) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), gone)
        .await
        .expect("gone from table, index and log");
    assert!(
        contains_bytes(&data, &KEPT.as_bytes()[..3]),
        "the positive control"
    );
    let app = app.restart().await;
    assert!(!contains_bytes(app.data(), deleted) && !contains_bytes(app.data(), replaced));
    assert!(contains_bytes(app.data(), &KEPT.as_bytes()[..3]));
}

#[tokio::test]
async fn a_search_beyond_its_time_limit_says_so_on_the_page() {
    let app = TestApp::start_with(long_timing(), &["--search-ms", "10"]).await;
    let room = RoomName::parse("team").expect("valid");
    let from = Person::new(
        participant_id(&new_session_token()),
        Nickname::parse("Ann").expect("valid"),
    );
    let text = "가나".repeat(2_000);
    let message = || NewMessage {
        draft: draft(&text),
        from: from.clone(),
        at: 1,
        mentions: Vec::new(),
    };
    let stored = (0..1_000).map(|_| app.context.store.append(&room, message()));
    for row in futures::future::join_all(stored).await {
        row.expect("stored");
    }
    let page = app.get("/room/team?q=x&lang=en").await;
    assert!(page.contains("The search took too long"), "{page}");
    let page = app.get("/room/team?q=x&lang=ko").await;
    assert!(page.contains("검색이 너무 오래 걸려"), "{page}");
}

#[tokio::test]
async fn people_join_and_read_while_fifty_search() {
    let app = TestApp::start().await;
    fill(&app, "team", 3_000).await;
    let (stop, stopped) = watch::channel(false);
    let room = RoomName::parse("team").expect("valid");
    let search = async |query: &str| {
        let mut answers = 0;
        while !*stopped.borrow() {
            match app.context.store.search(&room, query, None, 50).await {
                Ok(_) | Err(StoreError::SearchBusy | StoreError::SearchTimedOut) => answers += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        answers
    };
    let queries = ["thequ", "foxth uickt", "z", "brown fox", "a b c d e"];
    let searches = (0..50).map(|number| search(queries[number % queries.len()]));
    let joins = async {
        for number in 0..20 {
            let ann = app.join("team", &format!("Ann {number}")).await;
            assert!(!ann.joined().history.is_empty());
        }
    };
    let joins = async {
        // Generous: each join waited for 17 s when searches shared its connections.
        let joined = timeout(Duration::from_secs(60), joins).await;
        stop.send_replace(true);
        joined
    };
    let (joined, answers) = futures::join!(joins, futures::future::join_all(searches));
    assert!(answers.into_iter().sum::<u32>() > 0);
    joined.expect("twenty joins are answered meanwhile");
}
