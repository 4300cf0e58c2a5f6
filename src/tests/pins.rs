//! Messages that hosts pin above the log.

use super::harness::{Client, TestApp, without_markers};
use crate::protocol::{ClientMessage, ErrorCode, MAX_PINS, MessageId, Pin};

/// Most pinned messages of a room.
const MOST: usize = MAX_PINS as usize;

/// Pins or unpins a message, and waits until everybody knows.
async fn pin(client: &mut Client, id: MessageId, on: bool) {
    client.send(&ClientMessage::Pin { id, on }).await;
    let message = client.wait_for_changed().await;
    assert_eq!((message.id, message.pinned > 0), (id, on));
}

/// The texts of pins, in order.
fn texts(pins: &[Pin]) -> Vec<&str> {
    pins.iter().map(|pin| pin.text.as_str()).collect()
}

#[tokio::test]
async fn pins_reach_everybody_who_enters_returns_or_reads_the_page_and_outlive_a_restart() {
    let app = TestApp::start().await;
    let mut host = app.join("team", "Ann").await;
    let first = host.send_chat("**read** me").await;
    let second = host.send_chat("and me").await;
    // More than the answer to `join` has.
    for name in ["Dan", "Eve"] {
        let mut writer = app.join("team", name).await;
        for number in 0..30 {
            writer.send_chat(&format!("filler {number}")).await;
        }
    }
    let ben = app.join("team", "Ben").await;
    let was = ben.joined().clone();
    assert!(was.pins.is_empty() && was.history.iter().all(|message| message.id != first.id));
    ben.close(Some(3000)).await;
    pin(&mut host, second.id, true).await;
    pin(&mut host, first.id, true).await;
    let ben = app.resume("team", "Ben", &was, was.seq).await;
    assert!(ben.joined().resumed);
    assert_eq!(texts(&ben.joined().pins), ["and me", "read me"]);
    let page = without_markers(&app.get("/room/team").await);
    assert!(page.contains("aria-label=\"Pinned messages\""), "{page}");
    assert!(page.contains(">read me</span>"), "{page}");

    let app = app.restart().await;
    let cleo = app.join("team", "Cleo").await;
    assert_eq!(cleo.joined().pins, ben.joined().pins);
    let page = without_markers(&app.get("/room/team?at=1").await);
    assert!(
        page.contains("<strong>read</strong>"),
        "the link leads there"
    );
}

#[tokio::test]
async fn a_room_has_three_pins_and_a_deletion_or_an_edit_changes_them() {
    let app = TestApp::start().await;
    let mut host = app.join("team", "Ann").await;
    let mut ids = Vec::new();
    for number in 0..=MOST {
        ids.push(host.send_chat(&format!("number {number}")).await.id);
    }
    for id in &ids[..MOST] {
        pin(&mut host, *id, true).await;
    }
    let (id, on) = (ids[MOST], true);
    host.send(&ClientMessage::Pin { id, on }).await;
    let refused = host.wait_for_refusal().await;
    assert_eq!(refused, (ErrorCode::TooManyEntries, Some(id)));
    pin(&mut host, ids[0], false).await;
    pin(&mut host, id, true).await;
    host.send(&ClientMessage::Delete { id: ids[1] }).await;
    assert_eq!(host.wait_for_changed().await.pinned, 0);
    let (id, text) = (ids[2], "number *two*".to_owned());
    host.send(&ClientMessage::Edit { id, text }).await;
    assert!(host.wait_for_changed().await.pinned > 0);
    let late = app.join("team", "Ben").await;
    assert_eq!(texts(&late.joined().pins), ["number two", "number 3"]);
    let app = app.restart().await;
    let later = app.join("team", "Cleo").await;
    assert_eq!(later.joined().pins, late.joined().pins);
    // A deleted message cannot be pinned.
    let mut guest = app.join("team", "Dan").await;
    let (id, on) = (ids[1], true);
    guest.send(&ClientMessage::Pin { id, on }).await;
    assert_eq!(guest.wait_for_refusal().await.0, ErrorCode::NotAllowed);
}
