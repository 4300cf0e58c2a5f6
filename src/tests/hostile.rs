//! Hostile input: each gets the documented response, and other clients are not affected.

use super::harness::{Client, DEADLINE, TestApp, join, long_timing, new_id, short_timing, status};
use crate::protocol::{ChatDraft, ClientMessage, ErrorCode, MAX_FRAME_BYTES, ServerMessage};
use futures::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

/// Asserts that two other clients can chat.
async fn assert_others_can_chat(app: &TestApp) {
    let mut ann = app.join("calm", "Ann").await;
    let mut ben = app.join("calm", "Ben").await;
    ann.send_chat("still here").await;
    ben.wait_for_chat("still here").await;
}

/// Opens a WebSocket and sends raw bytes, which may violate the protocol. Returns all received
/// bytes.
async fn raw(app: &TestApp, frames: &[u8]) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(app.address)
        .await
        .expect("connects");
    stream
        .write_all(upgrade("").as_bytes())
        .await
        .expect("writes");
    stream.write_all(frames).await.expect("writes");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer));
    let _ = read.await.expect("the server ends it");
    answer
}

/// The text of an upgrade request with these additional headers.
fn upgrade(headers: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// Whether the bytes hold a close frame with this code (RFC 6455, 5.5.1).
fn closed_with(answer: &[u8], code: u16) -> bool {
    let [high, low] = code.to_be_bytes();
    let is_close = |bytes: &[u8]| bytes[0] == 0x88 && bytes[2..] == [high, low];
    answer.windows(4).any(is_close)
}

#[tokio::test]
async fn malformed_messages_are_refused_and_the_socket_stays_open() {
    let app = TestApp::start().await;
    let mut eve = app.join("team", "Eve").await;
    let deep = "[".repeat(60_000);
    let nested = format!(
        "{}1{}",
        r#"{"type":"chat","id":"#.repeat(2000),
        "}".repeat(2000)
    );
    let table = [
        ("", ErrorCode::BadMessage),
        ("not json", ErrorCode::BadMessage),
        ("[]", ErrorCode::BadMessage),
        ("{}", ErrorCode::BadMessage),
        (deep.as_str(), ErrorCode::BadMessage),
        (nested.as_str(), ErrorCode::BadMessage),
        (r#"{"type":"dance"}"#, ErrorCode::UnknownType),
        (
            r#"{"type":"chat","id":7,"text":"x"}"#,
            ErrorCode::BadMessage,
        ),
        (
            r#"{"type":"signal","to":"<script>","leg":1,"signal":{}}"#,
            ErrorCode::BadMessage,
        ),
    ];
    for (frame, code) in table {
        eve.send_text(frame).await;
        assert_eq!(
            eve.wait_for_refusal().await.0,
            code,
            "{}",
            &frame[..frame.len().min(40)]
        );
    }
    eve.send_chat("still welcome").await;
    assert_others_can_chat(&app).await;
}

#[tokio::test]
async fn a_client_that_sends_only_malformed_messages_is_closed_with_4400() {
    let app = TestApp::start().await;
    let mut eve = app.join("team", "Eve").await;
    for _ in 0..50 {
        eve.send_text("rubbish").await;
    }
    assert_eq!(eve.wait_for_close().await, Some(4400));
}

#[tokio::test]
async fn messages_before_join_are_refused() {
    let app = TestApp::start().await;
    let mut eve = app.connect().await;
    let id = new_id();
    eve.send(&ClientMessage::Chat(ChatDraft {
        id,
        text: "hi".to_owned(),
        reply_to: None,
        files: Vec::new(),
        mentions: Vec::new(),
    }))
    .await;
    assert_eq!(
        eve.wait_for_refusal().await,
        (ErrorCode::NotJoined, Some(id))
    );
    for message in [
        ClientMessage::LeaveCall,
        ClientMessage::Nickname {
            nickname: "E".to_owned(),
        },
        ClientMessage::History {
            before: 9,
            limit: None,
        },
    ] {
        eve.send(&message).await;
        assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::NotJoined);
    }
    eve.send(&join(" ", "Eve", None)).await;
    assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::BadRoomName);
    eve.send(&join("team", "", None)).await;
    assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::BadNickname);
    eve.join("team", "Eve").await;
    eve.send(&join("other", "Eve", None)).await;
    assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::AlreadyJoined);
}

#[tokio::test]
async fn a_frame_of_64_kib_is_read_and_one_byte_more_closes_with_4413() {
    let app = TestApp::start().await;
    let mut eve = app.join("team", "Eve").await;
    eve.send_text(&" ".repeat(MAX_FRAME_BYTES)).await;
    assert_eq!(eve.wait_for_refusal().await.0, ErrorCode::BadMessage);
    for size in [MAX_FRAME_BYTES + 1, 2 * MAX_FRAME_BYTES + 1] {
        let mut eve = app.join("team", "Eve").await;
        eve.send_text(&" ".repeat(size)).await;
        assert_eq!(eve.wait_for_close().await, Some(4413), "{size}");
    }
    assert_others_can_chat(&app).await;
}

#[tokio::test]
async fn a_message_of_many_fragments_is_held_to_the_same_size() {
    let app = TestApp::start().await;
    // 40 unfinished fragments of 4 KiB, masked with zeros.
    let mut frames = Vec::new();
    for number in 0..40 {
        frames.extend([
            if number == 0 { 0x01 } else { 0x00 },
            0xfe,
            0x10,
            0x00,
            0,
            0,
            0,
            0,
        ]);
        frames.extend([b' '; 4096]);
    }
    assert!(closed_with(&raw(&app, &frames).await, 4413));
}

#[tokio::test]
async fn binary_and_invalid_utf8_close_with_4400() {
    let app = TestApp::start().await;
    let mut eve = app.join("team", "Eve").await;
    eve.socket
        .send(Message::binary(vec![1, 2, 3]))
        .await
        .expect("sent");
    assert_eq!(eve.wait_for_close().await, Some(4400));
    let invalid = [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe];
    assert!(
        closed_with(&raw(&app, &invalid).await, 4400),
        "invalid UTF-8"
    );
    let unmasked = [0x81, 0x02, b'h', b'i'];
    assert!(closed_with(&raw(&app, &unmasked).await, 4400), "unmasked");
    assert_others_can_chat(&app).await;
}

#[tokio::test]
async fn a_burst_of_ten_thousand_messages_closes_with_4429() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut eve = app.join("team", "Eve").await;
    let flood = async {
        for _ in 0..10_000 {
            let ping = r#"{"type":"chat","id":"00000000-0000-4000-8000-000000000000","text":"x"}"#;
            if eve.socket.feed(Message::text(ping)).await.is_err() {
                break;
            }
        }
        let _ = eve.socket.flush().await;
        eve.wait_for_close().await
    };
    let talk = async {
        ann.send_chat("over the noise").await;
    };
    let (closed, ()) = tokio::join!(flood, talk);
    assert_eq!(closed, Some(4429));
    assert_others_can_chat(&app).await;
}

#[tokio::test]
async fn forty_messages_at_once_are_accepted_and_more_are_refused_by_their_id() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let ids: Vec<_> = (0..60).map(|_| new_id()).collect();
    for id in &ids {
        ann.send(&ClientMessage::Chat(ChatDraft {
            id: *id,
            text: "x".to_owned(),
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        }))
        .await;
    }
    let (mut taken, mut refused) = (0, 0);
    while taken + refused < ids.len() {
        match ann.next().await {
            ServerMessage::Chat(chat) => taken += usize::from(ids.contains(&chat.id)),
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages,
                id,
                ..
            } => {
                refused += usize::from(id.is_some_and(|id| ids.contains(&id)));
            }
            other => panic!("{other:?}"),
        }
    }
    // `join` counts against the limit of forty.
    assert!((39..60).contains(&taken), "{taken} taken");
}

#[tokio::test]
async fn one_byte_a_second_does_not_keep_a_connection_alive() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut slow = tokio::net::TcpStream::connect(app.address)
        .await
        .expect("connects");
    slow.write_all(upgrade("").as_bytes())
        .await
        .expect("writes");
    let (mut reading, mut writing) = slow.into_split();
    // A frame of a thousand bytes, one byte at a time, until the server closes the connection.
    let drip = async move {
        let mut frame = vec![0x81, 0xfe, 0x03, 0xe8, 0, 0, 0, 0];
        frame.resize(1008, b' ');
        for byte in frame {
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let drip = tokio::spawn(drip);
    assert_others_can_chat(&app).await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(DEADLINE, reading.read_to_end(&mut answer));
    let _ = end.await.expect("the server ends it");
    // The client has not joined either, so either documented code may close it.
    assert!(closed_with(&answer, 4400) || closed_with(&answer, 4408));
    drip.abort();
}

#[tokio::test]
async fn a_socket_that_neither_joins_nor_watches_is_closed_and_a_watcher_is_not() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut watcher = app.connect().await;
    watcher.send(&ClientMessage::WatchRooms).await;
    let mut silent = app.connect().await;
    assert_eq!(silent.wait_for_close().await, Some(4400));
    watcher.received_so_far().await;
}

#[tokio::test]
async fn an_upgrade_of_another_site_gets_403() {
    let app = TestApp::start().await;
    let table = [
        ("Origin: http://localhost\r\n", 101),
        ("", 101),
        ("Sec-Fetch-Site: same-origin\r\n", 101),
        ("Origin: http://evil.com\r\n", 403),
        ("Origin: http://localhost.evil.com\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
    ];
    for (headers, expected) in table {
        let mut stream = tokio::net::TcpStream::connect(app.address)
            .await
            .expect("connects");
        stream
            .write_all(upgrade(headers).as_bytes())
            .await
            .expect("writes");
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).await.expect("answers");
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert_eq!(status(&answer), expected, "{headers}");
    }
}

#[tokio::test]
async fn posts_of_another_site_and_too_large_bodies_are_refused() {
    let app = TestApp::start().await;
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        )
    };
    let form = "Content-Type: text/plain\r\n";
    let evil = format!("{form}Origin: http://evil.com\r\n");
    for path in ["/", "/api/anything", "/room/team", "/healthz"] {
        let answer = app.http(&post(path, &evil, "x=1")).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
        let answer = app.http(&post(path, form, "x=1")).await;
        assert!(
            answer.starts_with("HTTP/1.1 4") && !answer.starts_with("HTTP/1.1 403"),
            "{answer}"
        );
    }
    let large = app.http(&post("/", "", &"x".repeat(64 * 1024 + 1))).await;
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
}

#[tokio::test]
async fn an_address_behind_a_trusted_proxy_holds_so_many_sockets() {
    let flags = [
        "--sockets-per-address",
        "1",
        "--trusted-proxies",
        "127.0.0.1",
    ];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut open = Vec::new();
    for (address, expected) in [
        ("10.0.0.1", "101"),
        ("10.0.0.1", "429"),
        ("10.0.0.2", "101"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(app.address)
            .await
            .expect("connects");
        let request = upgrade(&format!("X-Forwarded-For: {address}\r\n"));
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("answers");
        assert_eq!(&answer[9..12], expected.as_bytes(), "{address}");
        open.push(stream);
    }
    let _loopback: Vec<Client> = vec![app.connect().await, app.connect().await];
}

#[tokio::test]
async fn an_unfinished_request_is_ended_and_an_unfinished_body_gets_408() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    // The request, and the status of the response; 0 for no response.
    let table = [
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_owned(),
            0,
        ),
        (
            format!(
                "POST /api/join_room HTTP/1.1\r\nHost: localhost\r\n{form}\r\nContent-Length: 100\r\n\r\n"
            ),
            408,
        ),
        // An idle connection that was answered before.
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            200,
        ),
    ];
    for (request, expected) in table {
        let mut stream = tokio::net::TcpStream::connect(app.address)
            .await
            .expect("connects");
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer));
        let ended = read.await.expect("the server ends it");
        assert!(ended.is_ok(), "{request}");
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(status(&answer), expected, "{request}: {answer}");
    }
    assert_others_can_chat(&app).await;
}
