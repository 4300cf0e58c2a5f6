//! Counts of unread messages, which the welcome page asks for.

use super::{
    harness::{Client, DEADLINE, TestApp, form, long_timing, status},
    private::set_room,
};
use crate::{
    api::{MAX_READS, MAX_UNREAD, ReadPosition},
    protocol::{Access, ClientMessage, Epoch, RoomName, Seq, SettingsChange},
    state::Position,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

/// The read position after the message `seq` of the room of this client.
fn read(client: &Client, room: &str, seq: Seq) -> ReadPosition {
    ReadPosition {
        room: RoomName::parse(room).expect("valid"),
        position: Position {
            epoch: client.joined().epoch.clone(),
            seq,
        },
    }
}

/// The request with this text as its read positions.
fn request(reads: &str) -> String {
    let reads = utf8_percent_encode(reads, NON_ALPHANUMERIC);
    form("/api/unread", "", &format!("reads={reads}"))
}

/// The answer to these read positions.
async fn unread(app: &TestApp, reads: &[ReadPosition]) -> Vec<u32> {
    let answer = app
        .http(&request(&serde_json::to_string(reads).expect("serialises")))
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("has a body");
    serde_json::from_str(body).expect("numbers")
}

/// Waits until this many rooms are in the list, which is published some time after a change.
async fn listed(app: &TestApp, count: usize) {
    let mut rooms = app.context.rooms.watch();
    let list = rooms.wait_for(|list| list.rooms.len() == count);
    timeout(DEADLINE, list)
        .await
        .expect("in time")
        .expect("runs");
}

#[tokio::test]
async fn messages_after_a_read_position_are_counted_without_deleted_ones() {
    let app = TestApp::start().await;
    let (mut ann, mut ben) = (
        app.join("garden", "Ann").await,
        app.join("office", "Ben").await,
    );
    let first = ann.send_chat("first").await;
    let second = ann.send_chat("second").await;
    ann.send_chat("third").await;
    ben.send_chat("hello").await;
    listed(&app, 2).await;
    let reads = [
        read(&ann, "garden", 0),
        read(&ann, "garden", first.seq),
        read(&ben, "office", Seq::MAX),
    ];
    assert_eq!(unread(&app, &reads).await, [3, 2, 0]);

    ann.send(&ClientMessage::Delete { id: second.id }).await;
    assert!(ann.wait_for_changed().await.is_deleted());
    assert_eq!(unread(&app, &reads).await, [2, 1, 0]);
}

#[tokio::test]
async fn no_more_messages_are_counted_than_the_limit() {
    let app = TestApp::start().await;
    let mut ann = app.join("garden", "Ann").await;
    for text in ["first", "second", "third"] {
        ann.send_chat(text).await;
    }
    let ReadPosition { room, position } = read(&ann, "garden", 0);
    for (limit, counted) in [(2, 2), (3, 3), (MAX_UNREAD, 3)] {
        let positions = [(&room, &position.epoch, position.seq)];
        let unread = app.context.store.unread(positions.into_iter(), limit).await;
        assert_eq!(unread.expect("counts"), [counted]);
    }
}

#[tokio::test]
async fn nothing_is_told_of_rooms_outside_the_list_and_of_other_logs() {
    let app = TestApp::start().await;
    let mut ann = app.join("garden", "Ann").await;
    ann.send_chat("hello").await;
    let mut ben = app.join("quiet", "Ben").await;
    ben.send_chat("secret").await;
    listed(&app, 2).await;
    let mut other = read(&ann, "garden", 0);
    other.position.epoch = Epoch::none();
    let reads = [
        read(&ben, "quiet", 0),
        other,
        read(&ann, "garden", 0),
        read(&ann, "nowhere", 0),
    ];
    assert_eq!(unread(&app, &reads).await, [1, 0, 1, 0]);

    let change = SettingsChange {
        access: Some(Access::Unlisted),
        ..SettingsChange::default()
    };
    set_room(&mut ben, change).await;
    listed(&app, 1).await;
    assert_eq!(unread(&app, &reads).await, [0, 0, 1, 0]);
}

#[tokio::test]
async fn invalid_and_too_many_read_positions_are_refused() {
    let app = TestApp::start().await;
    let ann = app.join("garden", "Ann").await;
    let reads = vec![read(&ann, "garden", 0); MAX_READS];
    assert_eq!(unread(&app, &reads).await.len(), MAX_READS);
    let reads = vec![read(&ann, "garden", 0); MAX_READS + 1];
    let many = serde_json::to_string(&reads).expect("serialises");
    for text in [
        "",
        "{}",
        "[1]",
        "[{\"room\":\"garden\",\"position\":{\"epoch\":\"a\",\"seq\":-1}}]",
        &many,
    ] {
        let answer = app.http(&request(text)).await;
        assert_eq!(status(&answer), 400, "{text}: {answer}");
    }
}

#[tokio::test]
async fn counts_of_one_address_are_limited_and_others_go_on() {
    let flags = ["--address-rates", "history=1/3"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let ann = app.join("garden", "Ann").await;
    let reads = [read(&ann, "garden", 0)];
    let asked = request(&serde_json::to_string(&reads).expect("serialises"));
    let mut refused = 0;
    for _ in 0..20 {
        let answer = app.http_from("127.0.0.20", &asked).await;
        refused += usize::from(status(&answer) == 429);
    }
    assert!(refused > 10, "{refused}");
    assert_eq!(status(&app.http_from("127.0.0.21", &asked).await), 200);
}
