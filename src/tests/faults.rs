//! A disk that is full, a database that somebody else holds: refused, told, recovered.

use super::harness::{Client, TestApp, new_id};
use crate::protocol::{ChatMessage, ClientMessage, ErrorCode, MessageId, ServerMessage};
use rusqlite::Connection;
use std::{io::Write, path::Path, process::Command, sync::Arc, time::Duration};

/// Says something that may be refused.
async fn tries(client: &mut Client, id: MessageId, text: &str) -> Result<ChatMessage, ErrorCode> {
    let (text, reply_to) = (text.to_owned(), None);
    let chat = ClientMessage::Chat { id, text, reply_to };
    client.sends(&chat).await;
    let answer = client.waits_for(|message| match message {
        ServerMessage::Chat(chat) if chat.id == id => Some(Ok(chat)),
        ServerMessage::Error {
            code,
            id: Some(about),
            ..
        } if about == id => Some(Err(code)),
        _ => None,
    });
    answer.await
}

/// Says long things until one is refused; answers its id, and how many were taken.
async fn fills(app: &TestApp, room: &str) -> (MessageId, u64) {
    let long = "가".repeat(4000);
    let mut taken = 0;
    loop {
        // A socket each, because one may say only so much at once.
        let mut client = app.join(room, "Filler").await;
        for _ in 0..40 {
            let id = new_id();
            match tries(&mut client, id, &long).await {
                Ok(_) => taken += 1,
                Err(ErrorCode::Unavailable) => return (id, taken),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(taken < 10_000, "it never gets full");
    }
}

/// What `/readyz` says is wrong, or nothing.
async fn problems(app: &TestApp) -> Vec<String> {
    let answer = app.get("/readyz").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let problems = body["problems"].as_object().expect("an object");
    let status = if problems.is_empty() { "200" } else { "503" };
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    problems.keys().cloned().collect()
}

/// Lets the database hold this many pages more than now.
async fn allow_pages(app: &TestApp, more: i64) {
    app.context
        .store
        .on_writer(move |connection| {
            let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            let pages = connection.query_row("PRAGMA page_count", [], count);
            let most = pages.expect("pages") + more;
            let query = format!("PRAGMA max_page_count = {most}");
            connection.query_row(&query, [], count).expect("set");
        })
        .await;
}

#[tokio::test]
async fn a_full_database_refuses_is_told_and_stores_again_when_there_is_space() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let first = ann.says("before").await;
    allow_pages(&app, 60).await;
    assert_eq!(problems(&app).await, [""; 0]);
    let (refused, taken) = fills(&app, "other").await;
    assert!(taken > 0);
    assert_eq!(problems(&app).await, ["disk"]);
    let again = tries(&mut ann, refused, &"가".repeat(4000)).await;
    assert_eq!(again, Err(ErrorCode::Unavailable));
    // What is there can be read all the while.
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().history, [first]);
    allow_pages(&app, 10_000).await;
    assert_eq!(problems(&app).await, [""; 0]);
    let said = tries(&mut ann, refused, "after").await.expect("stored");
    assert_eq!(said.seq, 2, "what was refused took no number");
}

#[tokio::test]
async fn a_database_that_somebody_else_holds_refuses_and_comes_back_by_itself() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let hasty = |connection: &Connection| {
        let set = connection.busy_timeout(Duration::from_millis(20));
        set.expect("set");
    };
    app.context.store.on_writer(hasty).await;
    let other = Connection::open(app.database()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let id = new_id();
    let refused = tries(&mut ann, id, "now").await;
    assert_eq!(refused, Err(ErrorCode::Unavailable));
    assert_eq!(problems(&app).await, ["database"]);
    other.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(tries(&mut ann, id, "now").await.expect("stored").seq, 1);
    assert_eq!(problems(&app).await, [""; 0]);
}

#[tokio::test]
async fn a_slow_database_delays_and_keeps_the_order() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let other = Connection::open(app.database()).expect("opens");
    for round in 0..3 {
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        for number in 0..5 {
            let (text, reply_to) = (format!("{round} {number}"), None);
            let id = new_id();
            let chat = ClientMessage::Chat { id, text, reply_to };
            ann.sends(&chat).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.execute_batch("ROLLBACK").expect("unlocked");
        for number in 0..5 {
            let seen = ann.sees(&format!("{round} {number}")).await;
            assert_eq!(seen.seq, round * 5 + number + 1);
        }
    }
}

#[tokio::test]
async fn the_log_beside_the_database_shrinks_again_after_somebody_read_for_long() {
    let app = TestApp::start().await;
    let log = app.data().join("noom.db-wal");
    let bytes = || std::fs::metadata(&log).expect("a log").len();
    app.join("team", "Ann").await.says("first").await;
    let reader = Connection::open(app.database()).expect("opens");
    reader
        .execute_batch("BEGIN; SELECT * FROM meta")
        .expect("reads");
    // Each in a room of its own: a room is told only so much at once.
    let mut rooms = 0;
    while bytes() < 8 * 1024 * 1024 {
        rooms += 1;
        let mut filler = app.join(&format!("room {rooms}"), "Filler").await;
        for _ in 0..40 {
            filler.says(&"가".repeat(4000)).await;
        }
    }
    reader.execute_batch("COMMIT").expect("has read");
    let mut ann = app.join("team", "Ann").await;
    for _ in 0..3 {
        ann.says("more").await;
    }
    assert!(bytes() <= 4 * 1024 * 1024 + 4096, "{}", bytes());
}

/// A small file system on a directory, gone when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts it, where we may.
    fn mount(on: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(on);
        let mounted = mount.output().is_ok_and(|done| done.status.success());
        mounted.then_some(Self(on))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).output();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_is_told_and_stores_again_when_there_is_space() {
    let data = Arc::new(tempfile::tempdir().expect("tempdir"));
    let Some(_disk) = SmallDisk::mount(data.path(), "8m") else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: this user may not mount a tmpfs"
        );
        return;
    };
    let app = TestApp::start_in(data.clone()).await;
    let mut ann = app.join("team", "Ann").await;
    let first = ann.says("before").await;
    assert_eq!(problems(&app).await, [""; 0]);
    let filler = data.path().join("filler");
    let mut file = std::fs::File::create(&filler).expect("made");
    while file.write_all(&[0; 4096]).is_ok() {}
    assert_eq!(problems(&app).await, ["disk"]);
    let (refused, _) = fills(&app, "other").await;
    assert_eq!(problems(&app).await, ["disk"]);
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().history, [first]);
    std::fs::remove_file(&filler).expect("removed");
    drop(file);
    let said = tries(&mut ann, refused, "after").await.expect("stored");
    assert_eq!(said.seq, 2);
    assert_eq!(problems(&app).await, [""; 0]);
    app.restart_after(|database| {
        let connection = Connection::open(database).expect("opens");
        let query = "PRAGMA integrity_check";
        let check = connection.query_row(query, [], |row| row.get::<_, String>(0));
        assert_eq!(check.expect("checked"), "ok");
    })
    .await;
}
