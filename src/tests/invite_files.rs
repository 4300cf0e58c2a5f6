//! The QR code and the calendar file of an invite.

use super::harness::{TestApp, form, long_timing, status};
use crate::{
    protocol::{InviteToken, RoomName},
    server::invites::new_invite_id,
};

/// A token that the server of this app signed for a room.
fn token(app: &TestApp, room: &str) -> InviteToken {
    let room = RoomName::parse(room).expect("valid");
    app.context
        .store
        .invite_key()
        .token(&room, &new_invite_id())
}

/// The request of the QR code or, with a time, the calendar file.
fn asking(function: &str, headers: &str, token: &InviteToken, time: &str) -> String {
    let body = format!("room=team&token={}{time}", token.expose());
    form(&format!("/api/{function}"), headers, &body)
}

/// The text that a successful answer holds.
fn text_of(answer: &str) -> String {
    assert_eq!(status(answer), 200, "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let packed = body
        .lines()
        .find(|line| line.starts_with('"'))
        .expect("JSON");
    let packed: String = serde_json::from_str(packed).expect("a packed value");
    serde_json::from_str(&packed).expect("a text")
}

const TIME: &str = "&starts=1800000000000&ends=1800003600000";

#[tokio::test]
async fn who_has_a_signed_token_gets_the_files_and_no_room_is_looked_at() {
    let app = TestApp::start().await;
    let token = token(&app, "team");
    let drawn = text_of(&app.http(&asking("invite_code", "", &token, "")).await);
    assert!(drawn.starts_with("<?xml") && drawn.ends_with("</svg>"));
    let korean = "Accept-Language: ko\r\n";
    let file = asking("invite_calendar", korean, &token, TIME);
    let file = text_of(&app.http(&file).await);
    let unfolded = file.replace("\r\n ", "");
    assert!(unfolded.contains("\r\nSUMMARY:team 모임\r\n"), "{file}");
    let link = format!("/room/team#invite={}\r\n", token.expose());
    let url = unfolded
        .lines()
        .find(|line| line.starts_with("URL:http://"));
    assert!(
        url.is_some_and(|url| format!("{url}\r\n").ends_with(&link)),
        "{file}"
    );
    assert_eq!(app.context.rooms.count(), 0, "no room was opened");
}

#[tokio::test]
async fn a_token_of_another_room_or_server_gets_the_answer_of_a_forged_one() {
    let app = TestApp::start().await;
    let another = TestApp::start().await;
    let good = token(&app, "team");
    let mut forged = good.expose().to_owned();
    let last = if forged.ends_with('A') { "Q" } else { "A" };
    forged.replace_range(33.., last);
    let forged = InviteToken::parse(&forged).expect("letters");
    let mut bodies = std::collections::BTreeSet::new();
    for wrong in [token(&app, "other"), token(&another, "team"), forged] {
        for (function, time) in [("invite_code", ""), ("invite_calendar", TIME)] {
            let answer = app.http(&asking(function, "", &wrong, time)).await;
            assert_eq!(status(&answer), 400, "{answer}");
            let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
            bodies.insert(body.to_owned());
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let long = "&starts=0&ends=99999999999999";
    let answer = app.http(&asking("invite_calendar", "", &good, long)).await;
    assert_eq!(status(&answer), 400, "{answer}");
}

#[tokio::test]
async fn the_link_has_the_public_url_and_the_base_path_of_the_server() {
    let flags = [
        "--public-url",
        "https://meet.example.org",
        "--base-path",
        "/noom",
    ];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let token = token(&app, "team");
    let body = format!("room=team&token={}{TIME}", token.expose());
    let asking = form("/noom/api/invite_calendar", "", &body);
    let file = text_of(&app.http(&asking).await).replace("\r\n ", "");
    let token = token.expose();
    let link = format!("URL:https://meet.example.org/noom/room/team#invite={token}\r\n");
    assert!(file.contains(&link), "{file}");
}
