//! Exports of a room: by the operator, and by its participants.

use super::harness::{TestApp, long_timing, new_id, status};
use super::private::{change, enter, lobby, request as join_request, set_room};
use crate::{
    protocol::{
        ChatDraft, ClientMessage, Emoji, RoomName, ServerMessage, SessionToken, SettingsChange,
    },
    server::{
        limits::{MAX_EXPORTING, MAX_EXPORTING_OF_ADDRESS, Timing},
        new_session_token,
        store::{self, FileError, Format},
    },
};
use std::time::Duration;

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
        mentions: Vec::new(),
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

/// The request of a participant for the log of a room.
fn asking(room: &str, format: &str, session: &SessionToken) -> String {
    let session = session.expose();
    format!(
        "GET /room/{room}/export?format={format} HTTP/1.0\r\nHost: localhost\r\n\
         Noom-Session: {session}\r\n\r\n"
    )
}

/// The body of an answer.
fn body(answer: &str) -> &str {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    body
}

/// An answer without what differs between two answers.
fn without_date(answer: &str) -> String {
    let lines = answer.lines();
    let lines = lines.filter(|line| !line.starts_with("date:"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_exports_what_the_operator_exports() {
    let app = TestApp::start().await;
    // More than two pages: as many messages as three participants may send at once.
    let mut authors = Vec::new();
    for nickname in ["Ann *", "Ben", "Cem"] {
        let mut author = app.join("team one", nickname).await;
        for number in 0..35 {
            author.send_chat(&format!("# 안녕 {number}\n===")).await;
        }
        authors.push(author);
    }
    let session = authors[1].joined().session.clone();
    for (name, format, kind, ending) in [
        ("json", Format::Json, "application/json", "json"),
        (
            "markdown",
            Format::Markdown,
            "text/markdown; charset=utf-8",
            "md",
        ),
    ] {
        let asked = asking("team%20one", name, &session);
        let answer = app.http(&asked).await;
        assert_eq!(status(&answer), 200, "{answer}");
        let whole = export(&app, "team one", format).await.expect("written");
        assert_eq!(body(&answer), whole);
        for header in [
            format!("content-type: {kind}"),
            format!("content-disposition: attachment; filename=\"team one.{ending}\""),
            "cache-control: no-store".to_owned(),
            "content-security-policy: sandbox".to_owned(),
        ] {
            assert!(answer.contains(&header), "{header}: {answer}");
        }
    }
    assert_eq!(app.context.export_permits.count(), 0);
}

#[tokio::test]
async fn a_room_without_messages_exports_an_empty_document() {
    let app = TestApp::start().await;
    let ann = app.join("new", "Ann").await;
    let answer = app
        .http(&asking("new", "json", &ann.joined().session))
        .await;
    let json: serde_json::Value = serde_json::from_str(body(&answer)).expect("JSON");
    assert_eq!(json["messages"], serde_json::json!([]));
    assert_eq!(json["seq"], 0);
}

#[tokio::test]
async fn only_who_is_in_a_room_exports_it_and_everybody_else_gets_the_same_answer() {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("a xylophone plays").await;
    let eve = app.join("other", "Eve").await;
    let mut ben = app.join("team", "Ben").await;
    let ban = ClientMessage::Ban {
        who: ben.id(),
        reason: None,
        address: false,
    };
    ann.send(&ban).await;
    assert_eq!(ben.wait_for_close().await, Some(4401));
    set_room(&mut ann, lobby()).await;
    let (_cem, waits) = enter(&app, join_request("Cem")).await;
    let (waiting, ..) = waits.waiting();
    let stranger = new_session_token();
    let mut answers = std::collections::BTreeSet::new();
    let ask_all = async |room: &str| {
        let mut all = Vec::new();
        for session in [
            &eve.joined().session,
            &ben.joined().session,
            &waiting,
            &stranger,
        ] {
            let answer = app.http(&asking(room, "json", session)).await;
            assert_eq!(status(&answer), 403, "{answer}");
            all.push(without_date(&answer));
        }
        let without = format!("GET /room/{room}/export?format=json HTTP/1.0\r\n\r\n");
        all.push(without_date(&app.http(&without).await));
        all
    };
    answers.extend(ask_all("team").await);
    let locked = SettingsChange {
        locked: Some(true),
        ..SettingsChange::default()
    };
    change(&mut ann, ClientMessage::SetRoom { change: locked }).await;
    answers.extend(ask_all("team").await);
    answers.extend(ask_all("unknown").await);
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let only = answers.into_iter().next().unwrap_or_default();
    assert!(only.contains("noom-refusal: not_joined"), "{only}");
    let own = app
        .http(&asking("team", "json", &ann.joined().session))
        .await;
    assert!(status(&own) == 200 && own.contains("xylophone"), "{own}");
    for wrong in ["html", "", "json%20", "markdown&format=json"] {
        let answer = app
            .http(&asking("team", wrong, &ann.joined().session))
            .await;
        assert_eq!(status(&answer), 400, "{wrong}: {answer}");
    }
}

#[tokio::test]
async fn a_flood_of_exports_is_refused_for_one_address_and_others_go_on() {
    let rates = ["--address-rates", "exports=1/5"];
    let app = TestApp::start_with(long_timing(), &rates).await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("hello").await;
    let own = asking("team", "json", &ann.joined().session);
    let strange = asking("team", "json", &new_session_token());
    // Strangers use up nothing.
    for _ in 0..20 {
        let answer = app.http_from("127.0.0.66", &strange).await;
        assert_eq!(status(&answer), 403, "{answer}");
    }
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let answer = app.http_from("127.0.0.66", &own).await;
        statuses.push(status(&answer));
        if status(&answer) == 429 {
            assert!(answer.contains("retry-after: 60"), "{answer}");
        }
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(status(&app.http_from("127.0.0.7", &own).await), 200);
}

#[tokio::test]
async fn exports_at_once_are_bounded_for_an_address_and_in_all() {
    let app = TestApp::start().await;
    let ann = app.join("team", "Ann").await;
    let own = asking("team", "json", &ann.joined().session);
    let permits = &app.context.export_permits;
    let acquire = |source: &str| permits.acquire(source.parse().expect("an address"));
    let mut held: Vec<_> = (0..MAX_EXPORTING_OF_ADDRESS)
        .map(|_| acquire("127.0.0.66").expect("free"))
        .collect();
    assert_eq!(status(&app.http_from("127.0.0.66", &own).await), 429);
    assert_eq!(status(&app.http_from("127.0.0.7", &own).await), 200);
    while held.len() < MAX_EXPORTING {
        held.push(acquire("127.0.0.1").expect("free"));
    }
    assert_eq!(status(&app.http_from("127.0.0.7", &own).await), 503);
    drop(held);
    assert_eq!(status(&app.http_from("127.0.0.66", &own).await), 200);
}

#[tokio::test]
async fn an_export_that_takes_too_long_is_cut_off_so_that_nobody_takes_it_for_whole() {
    let timing = Timing {
        export_lasts: Duration::ZERO,
        ..long_timing()
    };
    let app = TestApp::start_with(timing, &[]).await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("hello").await;
    let asked = asking("team", "json", &ann.joined().session).replace("HTTP/1.0", "HTTP/1.1");
    let asked = asked.replace("Host: localhost", "Host: localhost\r\nConnection: close");
    let answer = app.http(&asked).await;
    assert!(!answer.ends_with("0\r\n\r\n"), "no last chunk: {answer}");
    assert!(!answer.contains("hello"), "{answer}");
    assert_eq!(app.context.export_permits.count(), 0);
}
