//! Mentions from the wire to the disk and the page.

use super::harness::{Client, TestApp, form, new_id, status, without_markers};
use crate::protocol::{
    ChatDraft, ChatMessage, ClientMessage, MAX_MENTIONS, MarkKind, ParticipantId, ServerMessage,
};
use crate::server::new_session_token;

/// Sends a text with the people whom the author chose.
async fn send(client: &mut Client, text: &str, mentions: Vec<ParticipantId>) -> ChatMessage {
    let id = new_id();
    client
        .send(&ClientMessage::Chat(ChatDraft {
            id,
            text: text.to_owned(),
            reply_to: None,
            files: Vec::new(),
            mentions,
        }))
        .await;
    client
        .wait_for(|message| match message {
            ServerMessage::Chat(chat) if chat.id == id => Some(chat),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        })
        .await
}

/// The people whom a message mentions.
fn mentioned(message: &ChatMessage) -> Vec<ParticipantId> {
    message.mentions().cloned().collect()
}

#[tokio::test]
async fn a_mention_is_found_by_the_server_and_survives_a_rename_an_edit_and_a_restart() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben Kim").await;
    let sent = ann.send_chat("**@Ben Kim** and @Cem, see `@Ann`").await;
    assert_eq!(mentioned(&sent), [ben.id()]);
    let mark = sent
        .marks
        .iter()
        .find(|mark| mark.kind == MarkKind::Mention(ben.id()));
    let mark = mark.expect("is marked");
    assert_eq!((mark.start, mark.end), (2, 10));
    assert_eq!(ben.wait_for_chat(sent.words()).await, sent);

    let nickname = "Benjamin".to_owned();
    ben.send(&ClientMessage::Nickname { nickname }).await;
    ben.wait_for(|it| matches!(it, ServerMessage::Renamed { .. }).then_some(()))
        .await;
    let late = app.join("team", "Dan").await;
    assert_eq!(late.joined().history, std::slice::from_ref(&sent));
    // An edit keeps the mentions that the text still has, and adds none.
    let (id, text) = (sent.id, "see @Dan, or @Ben Kim".to_owned());
    ann.send(&ClientMessage::Edit { id, text }).await;
    let edited = ann.wait_for_changed().await;
    assert_eq!(mentioned(&edited), [ben.id()]);

    let app = app.restart().await;
    let mut eve = app.join("team", "Eve").await;
    assert_eq!(eve.joined().history, std::slice::from_ref(&edited));
    eve.send(&ClientMessage::History {
        before: 10,
        limit: None,
    })
    .await;
    let page = eve.wait_for(|message| match message {
        ServerMessage::History { messages, .. } => Some(messages),
        _ => None,
    });
    assert_eq!(page.await, [edited]);
    for path in ["/room/team", "/room/team?plain=1", "/room/team?at=1"] {
        let page = without_markers(&app.get(path).await);
        let name = page.split("<mark").nth(1).unwrap_or_default();
        assert!(name.contains(">@Ben Kim</mark>"), "{path}: {page}");
    }
    let found = without_markers(&app.get("/room/team?q=Kim").await);
    assert!(found.contains("see @Dan, or @Ben Kim"), "{found}");
}

#[tokio::test]
async fn equal_nicknames_are_told_apart_by_the_choice_of_the_author() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let (first, second) = (app.join("team", "Ben").await, app.join("team", "Ben").await);
    assert_eq!(mentioned(&ann.send_chat("@Ben").await), []);
    let sent = send(&mut ann, "@Ben, not @Ben", vec![second.id()]).await;
    assert_eq!(mentioned(&sent), [second.id()]);
    let both = vec![second.id(), first.id()];
    let sent = send(&mut ann, "@Ben and @Ben", both.clone()).await;
    assert_eq!(mentioned(&sent), both);
}

#[tokio::test]
async fn only_people_of_the_room_whose_name_is_in_the_text_are_mentioned() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let (ben, eve) = (
        app.join("team", "Ben").await,
        app.join("other", "Eve").await,
    );
    let stranger = crate::server::participant_id(&new_session_token());
    let chosen = vec![eve.id(), stranger, ben.id()];
    assert_eq!(mentioned(&send(&mut ann, "hello @Eve", chosen).await), []);
    let many = "@Ben ".repeat(MAX_MENTIONS + 5);
    let sent = send(&mut ann, &many, vec![ben.id(); 500]).await;
    assert_eq!(mentioned(&sent), vec![ben.id(); MAX_MENTIONS]);
    ann.send_text(
        r#"{"type":"chat","id":"0198e2a4-6c1b-7c3e-9d0a-5b7f3e2c1a01","text":"@Ben","mentions":[1]}"#,
    )
    .await;
    ann.wait_for_refusal().await;
    assert_eq!(mentioned(&ann.send_chat("@Ben").await), [ben.id()]);
}

#[tokio::test]
async fn a_message_without_script_mentions_people_too() {
    let app = TestApp::start().await;
    let mut ben = app.join("team", "Ben").await;
    let body = "room=team&text=hello%20%40Ben";
    let answer = app
        .http(&form("/api/post_message", "Accept: text/html\r\n", body))
        .await;
    assert_eq!(status(&answer), 302, "{answer}");
    let sent = ben.wait_for_chat("hello @Ben").await;
    assert_eq!(mentioned(&sent), [ben.id()]);
}

#[tokio::test]
async fn a_deleted_message_mentions_nobody_and_gives_its_bytes_back() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let long = "B".repeat(32);
    let _ben = app.join("team", &long).await;
    let stored = async || app.context.store.usage(0).await.expect("read").bytes;
    ann.send_chat("first").await;
    let before = stored().await;
    let sent = ann.send_chat(&format!("@{long}")).await;
    assert_eq!(sent.mentions().count(), 1);
    let plain = before + 160 + 33 + "Ann".len() as u64 + ann.id().as_str().len() as u64;
    assert!(stored().await > plain, "mentions are counted");
    ann.send(&ClientMessage::Delete { id: sent.id }).await;
    let deleted = ann.wait_for_changed().await;
    assert_eq!(deleted.marks, []);
    assert_eq!(stored().await, plain - 33);
}
