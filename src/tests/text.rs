//! Text as people see it: what comes out of the server of what was typed into it.

use super::harness::TestApp;
use crate::protocol::{ClientMessage, ErrorCode, ServerMessage};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// `회의실` as a file name of macOS has it.
const DECOMPOSED: &str = "\u{1112}\u{116C}\u{110B}\u{1174}\u{1109}\u{1175}\u{11AF}";

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn people_whose_nicknames_look_the_same_are_tagged_by_the_first_page_too() {
    let app = TestApp::start().await;
    let _ann = app.join("team", "Ann").await;
    let alone = app.get("/room/team").await;
    assert_eq!(alone.matches("class=\"tag\"").count(), 0, "{alone}");
    let other = app.join("team", "\u{410}nn").await;
    let looks: Vec<_> = other
        .joined()
        .people
        .iter()
        .map(|p| p.look.as_deref())
        .collect();
    assert_eq!(looks, [None, Some("ann")]);
    let page = app.get("/room/team").await;
    assert_eq!(page.matches("class=\"tag\"").count(), 2, "{page}");
}

#[tokio::test]
async fn quotes_and_search_results_of_look_alikes_are_tagged() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let id = ann.says("the real one").await.id;
    let mut other = app.join("team", "\u{410}nn").await;
    let answer = ClientMessage::Chat {
        id: super::harness::new_id(),
        text: "no, the real one".to_owned(),
        reply_to: Some(id),
    };
    other.sends(&answer).await;
    other.sees("no, the real one").await;
    let tags_in = |page: &str, from: &str, to: &str| {
        let part = page
            .split_once(from)
            .and_then(|(_, rest)| rest.split_once(to));
        part.map(|(part, _)| part.matches("class=\"tag\"").count())
    };
    let page = app.get("/room/team").await;
    let quote = tags_in(&page, "<blockquote", "</blockquote>");
    assert_eq!(quote, Some(1), "{page}");
    let page = app.get("/room/team?q=real").await;
    assert_eq!(tags_in(&page, "found__list", "</ol>"), Some(2), "{page}");
}

#[tokio::test]
async fn a_rename_changes_the_look() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let names = |nickname: &str| {
        let nickname = nickname.to_owned();
        ClientMessage::Nickname { nickname }
    };
    for (nickname, look) in [("\u{410}nn", Some("ann")), ("Ben", None)] {
        ann.sends(&names(nickname)).await;
        let renamed = ann.waits_for(|message| match message {
            ServerMessage::Renamed { person, .. } => Some(person),
            _ => None,
        });
        assert_eq!(renamed.await.look.as_deref(), look);
    }
}

#[tokio::test]
async fn composed_and_decomposed_korean_are_one_room_and_one_search() {
    let app = TestApp::start().await;
    let mut ann = app.join("회의실", "Ann").await;
    let ben = app.join(DECOMPOSED, "Ben").await;
    assert_eq!(ben.joined().people.len(), 2);
    assert_eq!(ann.says(DECOMPOSED).await.words(), "회의실");
    let path = format!("/room/{}", encoded(DECOMPOSED));
    assert!(app.get(&path).await.contains("회의실</h1>"));
    let found = app.get(&format!("{path}?q={}", encoded(DECOMPOSED))).await;
    assert_eq!(found.matches("class=\"found__item\"").count(), 1, "{found}");
}

#[tokio::test]
async fn what_nobody_sees_is_refused_as_name_and_message() {
    let app = TestApp::start().await;
    let mut client = app.connect().await;
    let join = |room: &str, nickname: &str| super::harness::join(room, nickname, None);
    client.sends(&join("\u{200B}", "Ann")).await;
    assert_eq!(client.is_refused().await.0, ErrorCode::BadRoomName);
    client.sends(&join("team", "\u{3164}\u{2800}")).await;
    assert_eq!(client.is_refused().await.0, ErrorCode::BadNickname);
    client.joins("team", "Ann").await;
    let id = super::harness::new_id();
    client
        .sends(&ClientMessage::Chat {
            id,
            text: "\u{E0020}\u{115F}".to_owned(),
            reply_to: None,
        })
        .await;
    assert_eq!(
        client.is_refused().await,
        (ErrorCode::MessageEmpty, Some(id))
    );
    let said = client.says("https://ex.example/\u{202E}gpj.exe").await;
    assert_eq!(said.words(), "https://ex.example/gpj.exe");
}

#[tokio::test]
async fn a_reaction_is_any_emoji_and_nothing_else() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let id = ann.says("hello").await.id;
    let react = |emoji: &str| ClientMessage::React {
        id,
        emoji: emoji.to_owned(),
        on: true,
    };
    for (given, kept) in [("ℹ️", "ℹ️"), ("🅰️", "🅰️"), ("❤", "❤️")] {
        ann.sends(&react(given)).await;
        let emoji = ann.waits_for(|message| match message {
            ServerMessage::Reaction { emoji, .. } => Some(emoji),
            _ => None,
        });
        assert_eq!(emoji.await.as_str(), kept, "{given}");
    }
    for none in ["…", "\u{200D}", "1", "가"] {
        ann.sends(&react(none)).await;
        assert_eq!(
            ann.is_refused().await,
            (ErrorCode::BadEmoji, Some(id)),
            "{none:?}"
        );
    }
}

#[tokio::test]
async fn names_and_messages_have_a_direction_of_their_own_on_the_page() {
    let app = TestApp::start().await;
    let mut ann = app.join("חדר", "עדי").await;
    ann.says("שלום https://ex.example/abc에서").await;
    let page = app.get(&format!("/room/{}", encoded("חדר"))).await;
    for isolated in [
        "<bdi class=\"person__name\">עדי</bdi>",
        "<h1 dir=\"auto\" class=\"room__name\">חדר</h1>",
        "<bdi class=\"room__bar-name\">חדר</bdi>",
    ] {
        assert!(page.contains(isolated), "{isolated} in {page}");
    }
    let element = |part: &str| {
        let mut elements = page.split('<').filter_map(|rest| rest.split('>').next());
        elements
            .find(|element| element.contains(part))
            .unwrap_or_default()
    };
    assert!(element("message__name").starts_with("bdi "));
    assert!(element("message__text").contains("dir=\"auto\""));
    assert!(element("\"https://ex.example/abc\"").contains("dir=\"ltr\""));
    assert!(element("textarea ").contains("dir=\"auto\""));
    let welcome = app.get("/").await;
    assert!(
        welcome.contains("<bdi class=\"rooms__name\">חדר</bdi>"),
        "{welcome}"
    );
}

#[tokio::test]
async fn keyboards_leave_the_letters_of_a_room_name_as_they_are() {
    let page = TestApp::start().await.get("/").await;
    let field = |name: &str| {
        let field = page
            .split("<input")
            .find(|input| input.contains(&format!("name=\"{name}\"")));
        let field = field.and_then(|input| input.split('>').next());
        field.unwrap_or_default().to_owned()
    };
    for attribute in [
        "autocapitalize=\"none\"",
        "autocorrect=\"off\"",
        "spellcheck=\"false\"",
    ] {
        assert!(field("room").contains(attribute), "{}", field("room"));
        assert!(!field("nickname").contains(attribute));
    }
}
