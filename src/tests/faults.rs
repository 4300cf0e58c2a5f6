//! Faults of the disk: messages are refused and reported, and the server recovers by itself.

use super::harness::{TestApp, data_directory, long_timing, new_id};
use crate::{
    protocol::{ChatDraft, ClientMessage, ErrorCode, MessageId},
    server::limits::Timing,
};
use rusqlite::Connection;
use std::{io::Write, path::Path, process::Command, time::Duration};

/// Sends long messages until one is refused. Returns its id, and the number of stored messages.
async fn fill_database(app: &TestApp, room: &str) -> (MessageId, u64) {
    let long = "가".repeat(4000);
    let mut taken = 0;
    loop {
        // A new socket for every 40 messages, because of the rate limit of a socket.
        let mut client = app.join(room, "Filler").await;
        for _ in 0..40 {
            let id = new_id();
            match client.try_chat(id, &long, Vec::new()).await {
                Ok(_) => taken += 1,
                Err(ErrorCode::Unavailable) => return (id, taken),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(taken < 10_000, "it never gets full");
    }
}

/// The problems that `/readyz` reports.
async fn problems(app: &TestApp) -> Vec<String> {
    let answer = app.get("/readyz").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let problems = body["problems"].as_object().expect("an object");
    let status = if problems.is_empty() { "200" } else { "503" };
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    problems.keys().cloned().collect()
}

/// Limits the database to this many pages more than it has now.
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
async fn a_full_database_refuses_messages_and_recovers_when_there_is_space() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let first = ann.send_chat("before").await;
    allow_pages(&app, 60).await;
    assert_eq!(problems(&app).await, [""; 0]);
    let (refused, taken) = fill_database(&app, "other").await;
    assert!(taken > 0);
    assert_eq!(problems(&app).await, ["disk"]);
    let again = ann.try_chat(refused, &"가".repeat(4000), Vec::new()).await;
    assert_eq!(again, Err(ErrorCode::Unavailable));
    // Stored messages can still be read.
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().history, [first]);
    allow_pages(&app, 10_000).await;
    assert_eq!(problems(&app).await, [""; 0]);
    let said = ann
        .try_chat(refused, "after", Vec::new())
        .await
        .expect("stored");
    assert_eq!(said.seq, 2, "what was refused took no number");
}

#[tokio::test]
async fn a_locked_database_refuses_messages_and_recovers_by_itself() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let short_timeout = |connection: &Connection| {
        let set = connection.busy_timeout(Duration::from_millis(20));
        set.expect("set");
    };
    app.context.store.on_writer(short_timeout).await;
    let other = Connection::open(app.database()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let id = new_id();
    let refused = ann.try_chat(id, "now", Vec::new()).await;
    assert_eq!(refused, Err(ErrorCode::Unavailable));
    assert_eq!(problems(&app).await, ["database"]);
    other.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(
        ann.try_chat(id, "now", Vec::new())
            .await
            .expect("stored")
            .seq,
        1
    );
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
            let chat = ClientMessage::Chat(ChatDraft {
                id,
                text,
                reply_to,
                files: Vec::new(),
                mentions: Vec::new(),
            });
            ann.send(&chat).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(ann.received_so_far().await, [], "nothing is acknowledged");
        other.execute_batch("ROLLBACK").expect("unlocked");
        for number in 0..5 {
            let seen = ann.wait_for_chat(&format!("{round} {number}")).await;
            assert_eq!(seen.seq, round * 5 + number + 1);
        }
    }
}

#[tokio::test]
async fn the_write_ahead_log_shrinks_after_a_long_read() {
    let app = TestApp::start().await;
    let log = app.data().join("noom.db-wal");
    let bytes = || std::fs::metadata(&log).expect("a log").len();
    app.join("team", "Ann").await.send_chat("first").await;
    let reader = Connection::open(app.database()).expect("opens");
    reader
        .execute_batch("BEGIN; SELECT * FROM meta")
        .expect("reads");
    // 40 messages to each room, because of the rate limit of a room.
    let mut rooms = 0;
    while bytes() < 8 * 1024 * 1024 {
        rooms += 1;
        let mut filler = app.join(&format!("room {rooms}"), "Filler").await;
        for _ in 0..40 {
            filler.send_chat(&"가".repeat(4000)).await;
        }
    }
    reader.execute_batch("COMMIT").expect("has read");
    let mut ann = app.join("team", "Ann").await;
    for _ in 0..3 {
        ann.send_chat("more").await;
    }
    assert!(bytes() <= 4 * 1024 * 1024 + 4096, "{}", bytes());
}

#[tokio::test]
async fn a_room_at_its_storage_quota_refuses_messages_until_one_is_deleted() {
    let app = TestApp::start_with(long_timing(), &["--room-bytes", "30000"]).await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("other", "Ben").await;
    let long = "가".repeat(3000);
    let first = ann.send_chat(&long).await;
    ann.send_chat(&long).await;
    ann.send_chat(&long).await;
    let id = new_id();
    assert_eq!(
        ann.try_chat(id, &long, Vec::new()).await,
        Err(ErrorCode::RoomStorageFull)
    );
    assert_eq!(ben.send_chat(&long).await.seq, 1, "another room goes on");
    assert_eq!(ann.send_chat("short").await.seq, 4, "what fits is stored");
    // A stored id is acknowledged again, even beyond the quota.
    assert_eq!(
        ann.try_chat(first.id, &long, Vec::new()).await,
        Ok(first.clone())
    );
    ann.send(&ClientMessage::Delete { id: first.id }).await;
    ann.wait_for_changed().await;
    assert_eq!(
        ann.try_chat(id, &long, Vec::new())
            .await
            .expect("stored")
            .seq,
        6
    );
    let ready = app.get("/readyz").await;
    let stored = app.context.store.stored_bytes();
    assert!(ready.contains(&format!(r#""stored":{stored}"#)), "{ready}");
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("noom_history_bytes"), stored as f64);
}

#[tokio::test]
async fn a_server_at_its_storage_quota_accepts_only_shorter_texts_and_deletions() {
    let app = TestApp::start_with(long_timing(), &["--history-bytes", "20000"]).await;
    let mut ann = app.join("team", "Ann").await;
    let long = "가".repeat(3000);
    let first = ann.send_chat(&long).await;
    ann.send_chat(&long).await;
    let mut ben = app.join("other", "Ben").await;
    let id = new_id();
    let refused = ben.try_chat(id, &long, Vec::new()).await;
    assert_eq!(refused, Err(ErrorCode::ServerStorageFull));
    let usage = app.context.store.usage(9).await.expect("read");
    let bytes: Vec<_> = usage.rooms.iter().map(|(_, bytes)| *bytes).collect();
    assert_eq!(usage.bytes, bytes.iter().sum::<u64>());
    assert!(bytes[1] < 200, "the host key of Ben's room only: {bytes:?}");
    let edit = |text: &str| ClientMessage::Edit {
        id: first.id,
        text: text.to_owned(),
    };
    ann.send(&edit(&"나".repeat(4000))).await;
    assert_eq!(
        ann.wait_for_refusal().await,
        (ErrorCode::ServerStorageFull, Some(first.id))
    );
    ann.send(&edit("short")).await;
    assert_eq!(ann.wait_for_changed().await.words(), "short");
    assert_eq!(
        ben.try_chat(id, &long, Vec::new())
            .await
            .expect("stored")
            .seq,
        1
    );
}

#[tokio::test]
async fn with_only_the_disk_reserve_free_messages_are_refused_and_reads_continue() {
    let app = TestApp::start().await;
    app.join("team", "Ann").await.send_chat("before").await;
    let flags = ["--disk-reserve", "1000000000000000"];
    let data = app.stop_and_keep().await;
    let app = TestApp::start_in(data, &flags).await;
    let mut ann = app.join("team", "Ann").await;
    let refused = ann.try_chat(new_id(), "now", Vec::new()).await;
    assert_eq!(refused, Err(ErrorCode::ServerStorageFull));
    assert_eq!(problems(&app).await, ["disk"]);
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().history.len(), 1);
    let form = "room=team&text=now";
    let posted = app
        .http(&format!(
            "POST /api/post_message HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{form}",
            app.address,
            form.len()
        ))
        .await;
    assert!(posted.contains("refused=server_storage_full"), "{posted}");
}

/// How often it was proven that something can be written.
fn probes(app: &TestApp) -> i64 {
    let connection = Connection::open(app.database()).expect("opens");
    let query = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'checked'";
    connection
        .query_row(query, [], |row| row.get(0))
        .expect("a number")
}

#[tokio::test]
async fn the_readiness_probe_writes_a_new_value_at_most_once_an_interval() {
    let app = TestApp::start().await;
    assert_eq!(problems(&app).await, [""; 0]);
    let log = app.data().join("noom.db-wal");
    let bytes = || std::fs::read(&log).expect("a log");
    let (before, first) = (bytes(), probes(&app));
    assert_eq!(problems(&app).await, [""; 0]);
    assert_eq!(probes(&app), first + 1);
    assert_ne!(bytes(), before, "it is on the disk");
    let rare = Timing {
        probe_interval: Duration::from_secs(60 * 60),
        ..long_timing()
    };
    let app = TestApp::start_with(rare, &[]).await;
    futures::future::join_all((0..50).map(|_| problems(&app))).await;
    assert_eq!(probes(&app), 1);
}

#[tokio::test]
async fn a_server_that_stores_no_message_is_not_ready_though_other_writes_succeed() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("before").await;
    let sql = |text: &'static str| {
        app.context.store.on_writer(move |connection| {
            connection.execute_batch(text).expect("runs");
        })
    };
    sql("CREATE TEMP TRIGGER broken BEFORE INSERT ON main.messages
         BEGIN SELECT RAISE(ABORT, 'broken'); END")
    .await;
    assert_eq!(problems(&app).await, [""; 0]);
    let refused = ann.try_chat(new_id(), "now", Vec::new()).await;
    assert_eq!(refused, Err(ErrorCode::Unavailable));
    assert_eq!(problems(&app).await, ["database"]);
    let ready = app.get("/readyz").await;
    let cause = r#""cause":"database""#;
    assert!(ready.contains("last_failed_commit") && ready.contains(cause));
    sql("DROP TRIGGER broken").await;
    ann.send_chat("after").await;
    assert_eq!(problems(&app).await, [""; 0]);
    let ready = app.get("/readyz").await;
    assert!(ready.contains("last_failed_commit"), "it is remembered");
}

/// A small file system on a directory, gone when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts it, where we may.
    fn mount(on: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size},mode=0700");
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
async fn a_full_disk_refuses_messages_and_recovers_when_there_is_space() {
    let data = data_directory();
    let Some(_disk) = SmallDisk::mount(data.path(), "8m") else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: this user may not mount a tmpfs"
        );
        return;
    };
    let app = TestApp::start_in(data.clone(), &["--disk-reserve", "0"]).await;
    let mut ann = app.join("team", "Ann").await;
    let first = ann.send_chat("before").await;
    assert_eq!(problems(&app).await, [""; 0]);
    let filler = data.path().join("filler");
    let mut file = std::fs::File::create(&filler).expect("made");
    while file.write_all(&[0; 4096]).is_ok() {}
    assert_eq!(problems(&app).await, ["disk"]);
    let (refused, _) = fill_database(&app, "other").await;
    assert_eq!(problems(&app).await, ["disk"]);
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().history, [first]);
    std::fs::remove_file(&filler).expect("removed");
    drop(file);
    let said = ann
        .try_chat(refused, "after", Vec::new())
        .await
        .expect("stored");
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
