//! Exports of a room.

use super::harness::{TestApp, new_id};
use crate::{
    protocol::{ChatDraft, ClientMessage, Emoji, RoomName, ServerMessage},
    server::store::{self, FileError, Format},
};

/// The output of `noom export` for a room.
async fn export(app: &TestApp, room: &str, format: Format) -> Result<String, FileError> {
    let database = app.context.config.database();
    let room = RoomName::parse(room).expect("a name");
    let work = move || {
        let mut text = Vec::new();
        store::export(&database, &room, format, &mut text)?;
        Ok(String::from_utf8(text).expect("text"))
    };
    tokio::task::spawn_blocking(work).await.expect("ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_exported_as_json_and_as_markdown() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann *").await;
    let first = ann.send_chat("# one\nand <b>two</b>").await;
    let (id, text, reply_to) = (new_id(), "회의록".to_owned(), Some(first.id));
    ann.send(&ClientMessage::Chat(ChatDraft {
        id,
        text,
        reply_to,
        files: Vec::new(),
    }))
    .await;
    ann.wait_for_chat("회의록").await;
    let emoji = Emoji::parse("👍").expect("an emoji");
    let (id, on) = (first.id, true);
    ann.send(&ClientMessage::React {
        id,
        emoji: emoji.as_str().to_owned(),
        on,
    })
    .await;
    ann.wait_for(|message| matches!(message, ServerMessage::Reaction { .. }).then_some(()))
        .await;
    for number in 0..30 {
        ann.send_chat(&format!("more {number}")).await;
    }
    let json = export(&app, "team", Format::Json).await.expect("written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let messages = json["messages"].as_array().expect("messages");
    assert_eq!((json["room"].as_str(), messages.len()), (Some("team"), 32));
    assert_eq!(messages[0]["text"], "# one\nand <b>two</b>");
    assert_eq!(messages[1]["reply_to"], messages[0]["id"]);
    let text = export(&app, "team", Format::Markdown)
        .await
        .expect("written");
    assert!(text.starts_with("# team\n\n## 20"), "{text}");
    assert!(text.contains("**Ann \\***"), "{text}");
    assert!(
        text.contains("\\# one  \nand \\<b\\>two\\</b\\>\n\n👍 1\n"),
        "{text}"
    );
    assert!(text.contains("> Ann \\*: \\# one\n\n회의록"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_an_unknown_room_names_it() {
    let app = TestApp::start().await;
    let error = export(&app, "nowhere", Format::Json)
        .await
        .expect_err("nothing");
    assert_eq!(
        error.to_string(),
        "there is no room \"nowhere\" in the database"
    );
}
