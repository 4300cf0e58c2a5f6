//! Backups of a running server, and restores under a stopped one.

use super::harness::{TestApp, draft};
use crate::{
    protocol::{Nickname, Person, RoomName},
    server::{
        new_session_token, participant_id,
        store::{self, FileError, NewMessage, StoreOptions},
    },
};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

fn team() -> RoomName {
    RoomName::parse("team").expect("valid")
}

/// A message of Ann with this text.
fn message(text: &str) -> NewMessage {
    NewMessage {
        draft: draft(text),
        from: Person::new(
            participant_id(&new_session_token()),
            Nickname::parse("Ann").expect("valid"),
        ),
        at: 1,
        mentions: Vec::new(),
    }
}

/// Makes a backup as the command does.
async fn backup(app: &TestApp, file: &Path) -> Result<u64, FileError> {
    let (database, file) = (app.database(), file.to_owned());
    let work = move || store::backup(&database, &file, true);
    tokio::task::spawn_blocking(work).await.expect("ends")
}

/// The `seq` of each message of a backup, and the newest `seq` of its room.
fn seqs(file: &Path) -> (Vec<i64>, i64) {
    let connection = Connection::open(file).expect("opens");
    let mut select = connection
        .prepare("SELECT seq FROM messages ORDER BY seq")
        .expect("tables");
    let rows = select.query_map([], |row| row.get(0)).expect("rows");
    let seqs = rows.collect::<Result<Vec<_>, _>>().expect("read");
    let head = connection.query_row("SELECT seq FROM rooms", [], |row| row.get(0));
    (seqs, head.expect("a room"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_writing_server_holds_everything_up_to_one_moment() {
    let app = TestApp::start().await;
    let store = app.context.store.clone();
    store.append(&team(), message("0")).await.expect("stored");
    let writing = tokio::spawn(async move {
        for number in 1..600 {
            let message = message(&number.to_string());
            store.append(&team(), message).await.expect("stored");
        }
    });
    let file = app.data().join("copy.db");
    let mut sizes = Vec::new();
    while !writing.is_finished() {
        let (_, acknowledged) = head(&app).await;
        backup(&app, &file).await.expect("copied");
        let (found, seq) = seqs(&file);
        assert_eq!(found, (1..=seq).collect::<Vec<_>>(), "no gap, no torn end");
        assert!(seq.unsigned_abs() >= acknowledged, "{seq} {acknowledged}");
        sizes.push(seq);
    }
    writing.await.expect("wrote");
    assert!(sizes.iter().any(|seq| *seq < 600), "some came in between");
    backup(&app, &file).await.expect("copied");
    assert_eq!(seqs(&file).1, 600);
    assert!(!file.with_extension("db-wal").exists(), "one file");
}

/// Epoch and newest `seq` of the room.
async fn head(app: &TestApp) -> (crate::protocol::Epoch, u64) {
    let head = app.context.store.head(&team()).await;
    head.expect("read").expect("a room")
}

#[tokio::test]
async fn a_restored_log_has_a_new_epoch_so_clients_start_from_a_snapshot() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let kept = ann.send_chat("kept").await;
    let file = app.data().join("copy.db");
    backup(&app, &file).await.expect("copied");
    let lost = ann.send_chat("lost").await;
    let before = ann.joined().clone();
    drop(ann);
    let app = app
        .restart_after(|database| {
            let restored = store::restore(database, &file).expect("restored");
            assert_eq!((restored.rooms, restored.messages), (1, 1));
            let former = restored.former.expect("kept");
            assert_eq!(seqs(&former), (vec![1, 2], 2), "the former is whole");
        })
        .await;
    let ann = app.resume("team", "Ann", &before, lost.seq).await;
    assert!(!ann.joined().resumed);
    assert_ne!(ann.epoch(), before.epoch);
    assert_eq!(ann.joined().history, [kept]);
    // Positive control: a client of the new epoch resumes.
    let (before, seq) = (ann.joined().clone(), ann.joined().seq);
    drop(ann);
    let ann = app.resume("team", "Ann", &before, seq).await;
    assert!(ann.joined().resumed);
    // A room without a stored message has the new epoch, too.
    assert_eq!(app.join("other", "Ann").await.epoch(), before.epoch);
}

#[tokio::test]
async fn nothing_is_restored_under_a_running_server_nor_two_servers_run_on_one_directory() {
    let app = TestApp::start().await;
    app.join("team", "Ann").await.send_chat("here").await;
    let file = app.data().join("copy.db");
    backup(&app, &file).await.expect("copied");
    let refused = store::restore(&app.database(), &file).expect_err("refused");
    assert!(refused.to_string().contains("stop it first"), "{refused}");
    let other = store::Store::open(&app.database(), &StoreOptions::default())
        .err()
        .expect("refused");
    assert_eq!(other.to_string(), "another Noom uses it");
    app.restart_after(|database| {
        store::restore(database, &file).expect("nobody uses it now");
    })
    .await;
}

#[tokio::test]
async fn backups_overwrite_no_file_without_force() {
    let app = TestApp::start().await;
    let (database, file) = (app.database(), app.data().join("copy.db"));
    store::backup(&database, &file, false).expect("copied");
    let copied = std::fs::read(&file).expect("read");
    let again = store::backup(&database, &file, false).expect_err("exists");
    assert!(again.to_string().contains("--force"), "{again}");
    assert_eq!(std::fs::read(&file).expect("read"), copied);
    store::backup(&database, &file, true).expect("replaced");
    for own in ["noom.db", "noom.db-wal", "noom.lock", "./noom.db"] {
        let refused = store::backup(&database, &app.data().join(own), true);
        assert!(
            matches!(refused, Err(FileError::IsDatabase(_))),
            "{own}: {refused:?}"
        );
    }
    let missing = store::backup(Path::new("/nowhere/noom.db"), &file, true);
    assert!(matches!(missing, Err(FileError::NoDatabase(_))));
    assert_eq!(leftovers(&app), [""; 0]);
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_the_database_stays() {
    let app = TestApp::start().await;
    app.join("team", "Ann").await.send_chat("here").await;
    let file = app.data().join("copy.db");
    backup(&app, &file).await.expect("copied");
    let wrong = wrong_backups(app.data(), &file);
    let data = app.data().to_owned();
    let app = app
        .restart_after(|database| {
            for (file, expected) in wrong {
                let refused = store::restore(database, &file).expect_err("refused");
                let line = refused.to_string();
                assert!(line.contains(expected) && !line.contains('\n'), "{line}");
            }
            assert!(!data.join("noom.db.former-1").exists());
        })
        .await;
    assert_eq!(leftovers(&app), [""; 0]);
    assert_eq!(app.join("team", "Ann").await.joined().history.len(), 1);
}

/// Files that are not valid backups, each with a part of the expected error.
fn wrong_backups(directory: &Path, sound: &Path) -> Vec<(PathBuf, &'static str)> {
    let with = |name: &str, change: &dyn Fn(&Path)| {
        let file = directory.join(name);
        std::fs::copy(sound, &file).expect("copied");
        change(&file);
        file
    };
    let sql = |file: &Path, text: &str| {
        let connection = Connection::open(file).expect("opens");
        connection.execute_batch(text).expect("runs");
    };
    let text = with("text.db", &|file| {
        std::fs::write(file, "Dear diary").expect("written");
    });
    let newer = with("newer.db", &|file| sql(file, "PRAGMA user_version = 99"));
    let other = with("other.db", &|file| {
        std::fs::remove_file(file).expect("removed");
        sql(file, "CREATE TABLE diary (day TEXT)");
    });
    let broken = with("broken.db", &|file| {
        let mut bytes = std::fs::read(file).expect("read");
        // The b-trees behind the first page, but not the first page.
        bytes[4096..3 * 4096].fill(0x5a);
        std::fs::write(file, bytes).expect("written");
    });
    vec![
        (text, "not a Noom backup"),
        (newer, "newer binary"),
        (other, "not a Noom backup"),
        (broken, "damaged"),
        (directory.join("none.db"), "none.db"),
    ]
}

/// Temporary files that a command has not deleted.
fn leftovers(app: &TestApp) -> Vec<String> {
    let entries = std::fs::read_dir(app.data()).expect("read");
    let names = entries.map(|entry| entry.expect("read").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.contains("partial")).collect()
}
