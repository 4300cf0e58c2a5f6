//! Limits of one address: a client beyond its limit is refused while clients at other addresses are
//! served.

use super::{
    harness::{
        Client, TestApp, draft, form, get, join, long_timing, new_id, short_timing, status, until,
    },
    poller::request,
};
use crate::{
    protocol::{ChatDraft, ClientMessage, ErrorCode, Nickname, RoomName, ServerMessage},
    server::{limits::Timing, new_session_token, rooms::RoomError},
};
use std::time::{Duration, Instant};

/// The address of a client that exceeds its limits.
const EVE: &str = "127.0.0.66";
/// The address of a client within its limits.
const ANN: &str = "127.0.0.7";

fn name(text: &str) -> RoomName {
    RoomName::parse(text).expect("valid")
}

/// Starts a server with these rate limits for each address.
async fn app_with(rates: &str) -> TestApp {
    TestApp::start_with(long_timing(), &["--address-rates", rates]).await
}

/// Tries to join a room on a new socket.
async fn try_join(app: &TestApp, source: &str, room: &str) -> Result<Client, ErrorCode> {
    let mut client = app.connect_from(source).await;
    client.send(&join(room, "Somebody", None)).await;
    let answer = client.wait_for(|message| match message {
        ServerMessage::Joined(_) => Some(Ok(())),
        ServerMessage::Error { code, .. } => Some(Err(code)),
        _ => None,
    });
    answer.await.map(|()| client)
}

/// The maximum number of requests that a rate limit has allowed since `start`.
fn allowed(per_second: usize, burst: usize, start: Instant) -> usize {
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap_or(usize::MAX);
    burst + per_second * (seconds + 1)
}

/// A chat message.
fn chat(text: &str) -> ClientMessage {
    ClientMessage::Chat(ChatDraft {
        id: new_id(),
        text: text.to_owned(),
        reply_to: None,
        files: Vec::new(),
        mentions: Vec::new(),
    })
}

#[tokio::test]
async fn the_welcome_form_opens_no_room() {
    let app = TestApp::start().await;
    for number in 0..20 {
        let body = format!("nickname=Eve&room=made-up-{number}");
        let answer = app.http(&form("/api/join_room", "", &body)).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    assert_eq!(app.context.rooms.count(), 0);
}

#[tokio::test]
async fn a_room_without_members_retires() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    app.context.rooms.start_without_message(&name("nobody"));
    assert_eq!(app.context.rooms.count(), 1);
    until("it retires", || app.context.rooms.count() == 0).await;
}

#[tokio::test]
async fn a_refused_join_leaves_no_room_behind() {
    let app = app_with("joins=1/1").await;
    let _one = try_join(&app, EVE, "one").await.expect("joined");
    let other = try_join(&app, EVE, "other").await;
    assert_eq!(other.err(), Some(ErrorCode::TooManyJoins));
    assert_eq!(app.context.rooms.count(), 1);
}

/// A short grace period, and people who stay away for the whole test.
fn away_for_long() -> Timing {
    Timing {
        grace: Duration::from_millis(20),
        away: Duration::from_secs(600),
        ..long_timing()
    }
}

#[tokio::test]
async fn vacant_rooms_do_not_count_against_max_rooms() {
    let app = TestApp::start_with(away_for_long(), &["--max-rooms", "2"]).await;
    for round in 0..4 {
        for room in ["a", "b"] {
            // Dropped without a close frame, so Eve is away.
            drop(app.join(&format!("{room}{round}"), "Eve").await);
        }
        let empty = || app.context.rooms.totals().people == 0;
        until("everybody is away", empty).await;
        // The rooms that have been vacant for longest retire; `max_rooms` of them stay.
        until("some retire", || app.context.rooms.count() <= 2).await;
    }
    let _ann = app.join("ours", "Ann").await;
    let _ben = app.join("theirs", "Ben").await;
    let mut cem = app.connect().await;
    cem.send(&join("one more", "Cem", None)).await;
    assert_eq!(cem.wait_for_refusal().await.0, ErrorCode::TooManyRooms);
}

#[tokio::test]
async fn a_resume_to_an_evicted_room_finds_its_log() {
    let app = TestApp::start_with(away_for_long(), &["--max-rooms", "1"]).await;
    let mut ann = app.join("a", "Ann").await;
    let said = ann.send_chat("hello").await;
    let was = ann.joined().clone();
    drop(ann);
    for room in ["b", "c"] {
        until("all are away", || app.context.rooms.totals().people == 0).await;
        drop(app.join(room, "Eve").await);
    }
    until("one stays", || app.context.rooms.count() == 1).await;
    until("all are away", || app.context.rooms.totals().people == 0).await;
    let ann = app.resume("a", "Ann", &was, said.seq).await;
    assert!(ann.joined().resumed && ann.id() == was.me);
}

#[tokio::test]
async fn each_address_has_its_own_rate_of_new_rooms() {
    let app = app_with("rooms=1/5").await;
    let start = Instant::now();
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..20 {
        match try_join(&app, EVE, &format!("room {number}")).await {
            Ok(client) => open.push(client),
            Err(code) => {
                assert_eq!(code, ErrorCode::TooManyJoins);
                refused += 1;
            }
        }
    }
    let allowed = allowed(1, 5, start);
    assert!(
        (5..=allowed).contains(&open.len()),
        "{} of {allowed} rooms",
        open.len()
    );
    assert_eq!(refused + open.len(), 20);
    // A join of an open room costs nothing, and other addresses have their own limit.
    let in_an_open_one = try_join(&app, EVE, "room 0").await;
    assert!(in_an_open_one.is_ok());
    assert!(try_join(&app, ANN, "Ann's").await.is_ok());
    for number in 0..20 {
        let room = format!("local {number}");
        open.push(
            try_join(&app, "127.0.0.1", &room)
                .await
                .expect("not limited"),
        );
    }
}

#[tokio::test]
async fn each_address_has_its_own_rate_of_stored_bytes() {
    let app = app_with("chat-bytes=1000/20000").await;
    let mut eves = Vec::new();
    for _ in 0..3 {
        eves.push(try_join(&app, EVE, "team").await.expect("joined"));
    }
    let mut ann = try_join(&app, ANN, "team").await.expect("joined");
    let mut refused = 0;
    for eve in &mut eves {
        for _ in 0..10 {
            eve.send(&chat(&"x".repeat(2000))).await;
        }
        for message in eve.received_so_far().await {
            if let ServerMessage::Error { code, id, .. } = message {
                assert_eq!((code, id.is_some()), (ErrorCode::TooManyMessages, true));
                refused += 1;
            }
        }
    }
    assert!((14..=22).contains(&refused), "{refused} of 30 refused");
    let stored = || app.context.rooms.totals().messages;
    until("all others are stored", || stored() == 30 - refused).await;
    ann.received_so_far().await;
    ann.send_chat("still here").await;
}

#[tokio::test]
async fn each_address_has_its_own_rate_of_plain_posts() {
    let app = app_with("posts=1/5,rooms=1/1000").await;
    let start = Instant::now();
    let mut taken = 0;
    for number in 0..20 {
        let body = format!("room=team&text=hello+{number}");
        let answer = app
            .http_from(EVE, &form("/api/post_message", "", &body))
            .await;
        match status(&answer) {
            200 => taken += 1,
            429 => assert!(
                answer.to_lowercase().contains("retry-after: 10"),
                "{answer}"
            ),
            _ => panic!("{answer}"),
        }
    }
    let allowed = allowed(1, 5, start);
    assert!((5..=allowed).contains(&taken), "{taken} of {allowed} taken");
    let html = "Accept: text/html\r\nAccept-Language: en\r\n";
    let form_of = |text: &str| form("/api/post_message", html, &format!("room=team&text={text}"));
    let refused = app.http_from(EVE, &form_of("again")).await;
    let for_people = refused.contains("what you typed is still there");
    assert!(status(&refused) == 429 && for_people, "{refused}");
    let posted = app.http_from(ANN, &form_of("hello")).await;
    assert_eq!(status(&posted), 302, "{posted}");
}

#[tokio::test]
async fn the_post_rate_of_a_room_outlives_its_actor() {
    let app = TestApp::start().await;
    let room = app.context.rooms.open(&name("team")).expect("opens");
    let author = new_session_token();
    let nickname = Nickname::parse("Form").expect("valid");
    let start = Instant::now();
    let mut taken = 0;
    for _ in 0..300 {
        match room
            .post(&author, nickname.clone(), None, draft("x"), false)
            .await
        {
            Ok(_) => taken += 1,
            Err(error) => assert_eq!(error, RoomError::TooManyMessages),
        }
        if taken == 50 {
            let count = || app.context.rooms.count();
            until("the actor retires", || count() == 0).await;
        }
    }
    let allowed = allowed(20, 100, start);
    assert!(taken >= 100 && taken <= allowed, "{taken} of {allowed}");
}

#[tokio::test]
async fn each_address_has_its_own_rate_of_pages_and_searches() {
    let app = app_with("pages=1/5,searches=1/3").await;
    let search = "room=team&words=hello";
    let answers = |source: &'static str, request: String| {
        let app = &app;
        async move {
            let mut statuses = Vec::new();
            for _ in 0..10 {
                statuses.push(status(&app.http_from(source, &request).await));
            }
            statuses
        }
    };
    let found = answers("127.0.0.10", form("/api/find_messages", "", search)).await;
    assert_eq!(found[..3], [200; 3]);
    assert!(found[3..].contains(&429), "{found:?}");
    let token = app.context.store.invite_key();
    let token = token.token(
        &RoomName::parse("team").expect("valid"),
        &crate::server::invites::new_invite_id(),
    );
    let drawing = form(
        "/api/invite_code",
        "",
        &format!("room=team&token={}", token.expose()),
    );
    let drawn = answers("127.0.0.12", drawing).await;
    assert!(drawn[0] == 200 && drawn[9] == 429, "{drawn:?}");
    for path in ["/room/team", "/none"] {
        let request = get(path).replace("\r\n\r\n", "\r\nAccept: text/html\r\n\r\n");
        let pages = answers(if path == "/none" { EVE } else { "127.0.0.11" }, request).await;
        assert!(pages[9] == 429 && pages[0] != 429, "{path}: {pages:?}");
    }
    assert_eq!(status(&app.http_from(ANN, &get("/room/team")).await), 200);
    let found = app
        .http_from(ANN, &form("/api/find_messages", "", search))
        .await;
    assert_eq!(status(&found), 200, "{found}");
    assert_eq!(answers("127.0.0.1", get("/")).await, [200; 10]);
}

#[tokio::test]
async fn history_requests_of_one_address_are_limited() {
    let app = app_with("history=1/3").await;
    let mut eve = try_join(&app, EVE, "team").await.expect("joined");
    let (before, limit) = (9, None);
    for _ in 0..8 {
        eve.send(&ClientMessage::History { before, limit }).await;
    }
    let received = eve.received_so_far().await;
    let pages = received
        .iter()
        .filter(|m| matches!(m, ServerMessage::History { .. }));
    assert!((3..6).contains(&pages.count()));
    let refused = |message: &&ServerMessage| {
        let wanted = ErrorCode::TooManyMessages;
        matches!(message, ServerMessage::Error { code, .. } if *code == wanted)
    };
    assert!(received.iter().filter(refused).count() > 1);
}

#[tokio::test]
async fn each_address_has_its_own_limit_of_polls() {
    let flags = ["--polls-per-address", "3", "--trusted-proxies", "127.0.0.1"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let opens = async |address: &str| {
        let headers = format!("X-Forwarded-For: {address}\r\n");
        request(app.address, "POST /poll", &headers, "")
            .await
            .status
    };
    let mut opened = Vec::new();
    for _ in 0..5 {
        opened.push(opens("10.0.0.1:4711").await);
    }
    assert_eq!(opened, [201, 201, 201, 429, 429]);
    assert_eq!(opens("10.0.0.2").await, 201);
}

#[tokio::test]
async fn clients_behind_a_proxy_that_names_none_share_one_limit() {
    let flags = [
        "--sockets-per-address",
        "1",
        "--trusted-proxies",
        "127.0.0.0/30",
    ];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let opens = async |header: &str| request(app.address, "POST /poll", header, "").await.status;
    assert_eq!(opens("X-Forwarded-For: rubbish\r\n").await, 201);
    assert_eq!(opens("X-Forwarded-For: 127.0.0.1\r\n").await, 429);
    assert_eq!(opens("Forwarded: for=_hidden\r\n").await, 429);
    assert_eq!(opens("Forwarded: for=\"[2001:db8::1]:443\"\r\n").await, 201);
    assert_eq!(
        opens("X-Forwarded-For: [2001:db8::2]:80\r\n").await,
        429,
        "the same /64"
    );
}

#[tokio::test]
async fn list_requests_of_one_socket_are_limited() {
    let app = TestApp::start().await;
    let mut eve = app.connect().await;
    for _ in 0..100 {
        eve.send(&ClientMessage::WatchRooms).await;
    }
    let received = eve.received_so_far().await;
    let lists = received
        .iter()
        .filter(|message| matches!(message, ServerMessage::Rooms(_)));
    assert!((20..80).contains(&lists.count()));
    let refused = received.iter().filter(|message| {
        let wanted = ErrorCode::TooManyMessages;
        matches!(message, ServerMessage::Error { code, .. } if *code == wanted)
    });
    assert!(refused.count() > 20);
}

#[tokio::test]
async fn a_form_that_is_refused_a_room_spends_no_bytes() {
    let app = app_with("rooms=1/1,posts=100/1000,chat-bytes=1/4000").await;
    let _ann = try_join(&app, ANN, "team").await.expect("joined");
    let posts = async |room: &str| {
        let body = format!("room={room}&text={}", "x".repeat(500));
        let request = form("/api/post_message", "", &body);
        status(&app.http_from(EVE, &request).await)
    };
    let mut refused = 0;
    for number in 0..20 {
        refused += usize::from(posts(&format!("room-{number}")).await == 429);
    }
    assert!(refused > 10, "{refused} refused");
    assert_eq!(posts("team").await, 200);
}

#[tokio::test]
async fn messages_that_are_never_stored_spend_no_bytes() {
    let app = app_with("chat-bytes=1/3000,history=1/5,offers=1/5").await;
    let mut eve = app.connect_from(EVE).await;
    for _ in 0..10 {
        eve.send(&chat(&"x".repeat(1000))).await;
        assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::NotJoined);
    }
    let (before, limit) = (9, None);
    for _ in 0..10 {
        eve.send(&ClientMessage::History { before, limit }).await;
        assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::NotJoined);
    }
    eve.join("team", "Eve").await;
    for _ in 0..3 {
        eve.send(&chat(&"x".repeat(4001))).await;
        assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::MessageTooLong);
    }
    eve.send_chat(&"x".repeat(2000)).await;
    eve.send(&ClientMessage::History { before, limit }).await;
    let page = eve.wait_for(|message| match message {
        ServerMessage::History { .. } => Some(true),
        ServerMessage::Error { .. } => Some(false),
        _ => None,
    });
    assert!(page.await);
}
