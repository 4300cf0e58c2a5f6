//! The room protocol over `/poll`: the same guarantees over requests that may be lost.

use super::{
    harness::{DEADLINE, TestApp, long_timing, new_id, short_timing},
    poller::{JSON, Poller, chat, of_connection, request},
};
use crate::protocol::{ChatDraft, ClientMessage, ErrorCode, ServerMessage};
use crate::server::limits::Timing;
use futures::future::select;
use std::{pin::pin, time::Duration};

/// Waits until no connection polls any more.
async fn wait_until_no_client_polls(app: &TestApp) {
    let none = tokio::time::timeout(DEADLINE, app.context.open_sockets.wait_for_none());
    none.await.expect("they end");
    assert_eq!(app.context.polls.count(), 0);
}

/// A `nickname` message.
fn rename(nickname: &str) -> ClientMessage {
    ClientMessage::Nickname {
        nickname: nickname.to_owned(),
    }
}

#[tokio::test]
async fn polling_clients_and_websockets_talk_with_each_other() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = Poller::join(&app, "team", "Ben").await;
    assert_eq!(ben.joined().people.len(), 2);
    ann.send_chat("hello").await;
    ben.wait_for_chat("hello").await;
    let sent = ben.send_chat("안녕하세요 🙂").await;
    assert_eq!(ann.wait_for_chat("안녕하세요 🙂").await, sent);
    assert_eq!(ben.received_so_far().await, []);
    assert_eq!(ann.received_so_far().await, []);
}

#[tokio::test]
async fn the_frames_of_a_batch_are_taken_in_order() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = Poller::join(&app, "team", "Ben").await;
    let messages: Vec<_> = ["one", "two", "three"]
        .map(|text| chat(new_id(), text))
        .into();
    ben.send(&messages.iter().collect::<Vec<_>>()).await;
    for text in ["one", "two", "three"] {
        ann.wait_for_chat(text).await;
        ben.wait_for_chat(text).await;
    }
}

#[tokio::test]
async fn a_lost_answer_loses_nothing_and_doubles_nothing() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = Poller::join(&app, "team", "Ben").await;
    ann.send_chat("one").await;
    let lost = ben.poll_frames(ben.after).await;
    ann.send_chat("two").await;
    let again = ben.poll_frames(ben.after).await;
    assert_eq!(again.frames[..lost.frames.len()], lost.frames);
    assert_eq!(again.next, ben.after + again.frames.len() as u64);
    ben.wait_for_chat("one").await;
    ben.wait_for_chat("two").await;
    // Acknowledged frames are dropped, and positions that were never sent do not exist.
    for after in [0, ben.after + 1, u64::MAX] {
        assert_eq!(ben.poll(after).await.status, 409, "{after}");
    }
    assert_eq!(ben.received_so_far().await, []);
}

#[tokio::test]
async fn a_batch_posted_twice_is_taken_once() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = Poller::join(&app, "team", "Ben").await;
    ben.send(&[&rename("Benny")]).await;
    let first = serde_json::to_string(&[rename("Benny")]).expect("serialises");
    ben.send(&[&rename("Benjamin")]).await;
    for number in [ben.batch - 1, ben.batch, 0] {
        assert_eq!(ben.post_batch(number, &first).await.status, 204);
    }
    assert_eq!(ben.post_batch(ben.batch + 2, &first).await.status, 409);
    ben.received_so_far().await;
    let renamed = ann.received_so_far().await;
    let names: Vec<_> = renamed
        .iter()
        .filter_map(|message| match message {
            ServerMessage::Renamed { person, .. } => Some(person.nickname.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["Benny", "Benjamin"]);
}

#[tokio::test]
async fn a_second_request_takes_the_place_of_the_first_and_an_idle_one_comes_back_empty() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    let ben = Poller::join(&app, "team", "Ben").await;
    let idle = ben.poll_frames(ben.after).await;
    assert!((idle.frames.is_empty(), idle.next, idle.close) == (true, ben.after, None));
    let (first, second, ()) = tokio::join!(
        ben.poll_frames(ben.after),
        ben.poll_frames(ben.after),
        async {
            ann.send_chat("to one of them").await;
        }
    );
    // The later request received the frame; the earlier one was answered without it.
    assert_eq!(first.frames.len().max(second.frames.len()), 1);
}

#[tokio::test]
async fn a_change_of_transport_is_invisible_to_others() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut polling = Poller::join(&app, "team", "Ben").await;
    let was = polling.joined().clone();
    ann.send_chat("before").await;
    let seq = polling.wait_for_chat("before").await.seq;
    ann.send_chat("between").await;
    let mut socket = app.resume("team", "Ben", &was, seq).await;
    assert_eq!(polling.wait_for_close().await, 4409);
    assert!(socket.joined().resumed && socket.id() == was.me);
    assert_eq!(socket.joined().history.len(), 1);
    ann.received_so_far().await;
    socket.send_chat("by socket").await;
    ann.wait_for_chat("by socket").await;
    let seq = socket.send_chat("last").await.seq;
    ann.wait_for_chat("last").await;
    let mut polling = Poller::resume(&app, "team", "Ben", &was, seq).await;
    assert_eq!(socket.wait_for_close().await, Some(4409));
    assert!(polling.joined().resumed && polling.joined().history.is_empty());
    polling.send_chat("by polling").await;
    ann.wait_for_chat("by polling").await;
    assert_eq!(ann.received_so_far().await, [], "nobody left or entered");
}

#[tokio::test]
async fn the_close_code_says_whether_a_leave_was_deliberate() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let ben = Poller::join(&app, "team", "Ben").await;
    assert_eq!(ben.close(1000).await, 204);
    assert_eq!(ann.wait_for_left("Ben").await, 1);
    let ben = Poller::join(&app, "team", "Ben").await;
    let was = ben.joined().clone();
    ann.received_so_far().await;
    assert_eq!(ben.close(3000).await, 204);
    let back = Poller::resume(&app, "team", "Ben", &was, was.seq).await;
    assert_eq!(back.joined().me, was.me);
    assert_eq!(ann.received_so_far().await, [], "the place was kept");
    assert_eq!(back.close(1000).await, 204);
    drop(ann);
    wait_until_no_client_polls(&app).await;
    assert_eq!(back.close(1000).await, 204, "it is over, as asked");
    assert_eq!(back.poll(back.after).await.status, 404);
    assert_eq!(back.post_batch(back.batch + 1, "[]").await.status, 404);
}

#[tokio::test]
async fn silence_ends_a_connection_and_polling_alone_keeps_it() {
    let timing = Timing {
        dead_after: Duration::from_millis(2_000),
        away: DEADLINE * 10,
        grace: DEADLINE * 10,
        ..short_timing()
    };
    let app = TestApp::start_with(timing, &[]).await;
    let mut ben = Poller::join(&app, "team", "Ben").await;
    let silent = Poller::join(&app, "team", "Silent").await;
    let mut asked = 0;
    let left = loop {
        asked += 1;
        if let ServerMessage::Left { person, .. } = ben.next().await {
            break person;
        }
    };
    assert_eq!(left.nickname.as_str(), "Silent");
    for _ in 0..10 {
        let polled = ben.poll_frames(ben.after).await;
        assert_eq!((polled.frames.len(), polled.close), (0, None), "{asked}");
    }
    let end = silent.poll(silent.after).await;
    assert_eq!(end.status, 404, "{}", end.body);
}

#[tokio::test]
async fn a_client_that_does_not_poll_is_closed_with_4408() {
    // In a large room two members may send more than the outbox of a client that does not poll
    // holds.
    let timing = Timing {
        grace: short_timing().grace,
        ..long_timing()
    };
    let app = TestApp::start_with(timing, &["--room-capacity", "2000"]).await;
    let mut slow = Poller::join(&app, "team", "Slow").await;
    let mut talkers = [app.join("team", "Ann").await, app.join("team", "Ben").await];
    let text = "😀".repeat(4_000);
    let mut is_closed = false;
    while !is_closed {
        for talker in &mut talkers {
            let (id, text, reply_to) = (new_id(), text.clone(), None);
            let chat = ClientMessage::Chat(ChatDraft {
                id,
                text,
                reply_to,
                files: Vec::new(),
                mentions: Vec::new(),
            });
            talker.send(&chat).await;
            let received = talker.received_so_far().await;
            let left = |message: &ServerMessage| matches!(message, ServerMessage::Left { .. });
            is_closed |= received.iter().any(left);
        }
    }
    let end = slow.poll_frames(slow.after).await;
    assert_eq!((end.frames.len(), end.close), (0, Some(4408)));
    wait_until_no_client_polls(&app).await;
    assert_eq!(slow.poll(slow.after).await.status, 404);
    slow = Poller::join(&app, "team", "Slow").await;
    slow.send_chat("back again").await;
}

#[tokio::test]
async fn pongs_that_do_not_fit_the_outbox_close_no_connection() {
    let app = TestApp::start().await;
    let slow = Poller::join(&app, "team", "Slow").await;
    let pings = vec![&ClientMessage::Ping; 300];
    let body = serde_json::to_string(&pings).expect("serialises");
    slow.post_batch(slow.batch + 1, &body).await;
    let end = slow.poll_frames(slow.after).await;
    assert_eq!((end.frames.len(), end.close), (256, None));
}

#[tokio::test]
async fn a_stop_closes_waiting_polls_with_1012() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = Poller::join(&app, "team", "Ben").await;
    let id = new_id();
    ben.send_chat_with_id(id, "once").await;
    ann.wait_for_chat("once").await;
    let was = ben.joined().clone();
    // Of two requests, the earlier is answered at once; the later waits.
    let (one, other) = (
        pin!(ben.poll_frames(ben.after)),
        pin!(ben.poll_frames(ben.after)),
    );
    let (let_go, waiting) = select(one, other).await.factor_first();
    assert_eq!((let_go.frames.len(), let_go.close), (0, None));
    let (app, end) = tokio::join!(app.restart(), waiting);
    assert_eq!(end.close, Some(1012));
    let mut ben = Poller::resume(&app, "team", "Ben", &was, 0).await;
    assert!(ben.joined().resumed && ben.joined().history.len() == 1);
    ben.send_chat_with_id(id, "once").await;
    assert_eq!(ben.received_so_far().await, []);
}

#[tokio::test]
async fn malformed_messages_are_refused_as_on_a_socket() {
    let app = TestApp::start().await;
    let mut eve = Poller::join(&app, "team", "Eve").await;
    let deep = format!("[{}1{}]", "[".repeat(126), "]".repeat(126));
    let table = [
        ("[7]", ErrorCode::BadMessage),
        ("[{}]", ErrorCode::BadMessage),
        (deep.as_str(), ErrorCode::BadMessage),
        (r#"[{"type":"dance"}]"#, ErrorCode::UnknownType),
    ];
    for (body, expected) in table {
        eve.batch += 1;
        assert_eq!(eve.post_batch(eve.batch, body).await.status, 204, "{body}");
        let code = eve.wait_for(|message| match message {
            ServerMessage::Error { code, .. } => Some(code),
            _ => None,
        });
        assert_eq!(code.await, expected, "{body}");
    }
    eve.send_chat("still welcome").await;
    let rubbish = format!("[{}]", ["0"; 60].join(","));
    eve.post_batch(eve.batch + 1, &rubbish).await;
    assert_eq!(eve.wait_for_close().await, 4400);
}

#[tokio::test]
async fn a_flood_is_closed_with_4429_and_the_others_go_on() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut eve = Poller::join(&app, "team", "Eve").await;
    let flood = format!("[{}]", [r#"{"type":"leave_call"}"#; 2000].join(","));
    eve.post_batch(eve.batch + 1, &flood).await;
    assert_eq!(eve.wait_for_close().await, 4429);
    ann.send_chat("over the noise").await;
}

#[tokio::test]
async fn invalid_requests_change_nothing() {
    let app = TestApp::start().await;
    let mut ben = Poller::join(&app, "team", "Ben").await;
    let own = of_connection(&ben.connection);
    let nobody = of_connection("nobody");
    let (batch, after) = (ben.batch + 1, ben.after);
    let large = format!("[{}]", " ".repeat(64 * 1024));
    let none = String::new();
    let in_address = format!("connection={}", ben.connection);
    let table = [
        (&own, "POST", format!("batch={batch}"), "", 400),
        (&own, "POST", format!("batch={batch}"), "{}", 400),
        (&own, "POST", format!("batch={batch}"), "[1,", 400),
        (&own, "POST", format!("batch={batch}"), &large, 413),
        (&own, "POST", "batch=-1".to_owned(), "[]", 400),
        (&own, "POST", String::new(), "[]", 400),
        (&own, "POST", "close=70000".to_owned(), "", 400),
        (&nobody, "POST", "batch=1".to_owned(), "[]", 404),
        (&nobody, "POST", String::new(), "[]", 404),
        (&none, "GET", String::new(), "", 400),
        (&none, "GET", format!("after={after}"), "", 400),
        // The server ignores a secret in the URL, because URLs are in logs.
        (&none, "GET", format!("{in_address}&after={after}"), "", 400),
        (&own, "GET", String::new(), "", 400),
        (&own, "GET", "after=x".to_owned(), "", 400),
        (&nobody, "GET", format!("after={after}"), "", 404),
        (&own, "DELETE", String::new(), "", 405),
    ];
    for (connection, method, query, body, status) in table {
        let line = format!("{method} /poll?{query}");
        let headers = format!("{connection}{JSON}");
        let answer = request(app.address, &line, &headers, body).await;
        assert_eq!(answer.status, status, "{line} {}", answer.body);
    }
    for (kind, status) in [("text/plain", 415), ("multipart/form-data", 415)] {
        let headers = format!("{own}Content-Type: {kind}\r\n");
        let answer = request(app.address, "POST /poll?close=1000", &headers, "").await;
        assert_eq!(answer.status, status, "{kind}");
    }
    let json = request(app.address, "POST /api/anything", JSON, "{}").await;
    assert_eq!(json.status, 415, "JSON is for /poll only");
    for headers in [
        "Origin: http://evil.com\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        let headers = format!("{own}{headers}");
        let line = "POST /poll?close=1000";
        assert_eq!(request(app.address, line, &headers, "").await.status, 403);
    }
    ben.send_chat("unharmed").await;
}

#[tokio::test]
async fn no_answer_is_kept_by_a_cache() {
    let app = TestApp::start().await;
    let ben = Poller::join(&app, "team", "Ben").await;
    let answers = [
        request(app.address, "POST /poll", "", "").await,
        ben.post_batch(ben.batch + 1, r#"[{"type":"ping"}]"#).await,
        ben.poll(ben.after).await,
        ben.poll(u64::MAX).await,
        request(app.address, "GET /poll?after=0", &of_connection("x"), "").await,
    ];
    for answer in answers {
        let head = answer.head;
        assert!(head.contains("cache-control: no-store"), "{head}");
    }
}

#[tokio::test]
async fn an_address_has_one_limit_for_both_transports() {
    let proxied = ["--trusted-proxies", "127.0.0.1"];
    let flags = [&["--sockets-per-address", "2"][..], &proxied].concat();
    let app = TestApp::start_with(long_timing(), &flags).await;
    let opens = async |address: &str| {
        let headers = format!("X-Forwarded-For: {address}\r\n");
        request(app.address, "POST /poll", &headers, "")
            .await
            .status
    };
    let table = [("10.0.0.1", 201), ("10.0.0.1", 201), ("10.0.0.1", 429)];
    for (address, status) in table.into_iter().chain([("10.0.0.2", 201)]) {
        assert_eq!(opens(address).await, status, "{address}");
    }
    assert_eq!(app.context.open_sockets.count(), 3);
}

#[tokio::test]
async fn a_client_that_neither_joins_nor_watches_is_closed_with_4400() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut idle = Poller::open(&app).await;
    assert_eq!(idle.wait_for_close().await, 4400);
    wait_until_no_client_polls(&app).await;
}
