//! WebSockets on streams of HTTP/2 (RFC 8441): the same room, limits and ends as over HTTP/1.1, and
//! streams of one connection that do not disturb each other.

use super::{
    harness::{DEADLINE, TestApp, long_timing, short_timing, until},
    tls::{connect, connect_from, http2, secured, try_connect_from},
};
use crate::server::limits::Timing;
use axum::body::Body;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use h2::{Reason, RecvStream, SendStream, client::SendRequest};
use http::{Request, StatusCode, Version};
use hyper::{ext::Protocol, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, task::JoinHandle, time::timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::Role},
};

/// A connection of HTTP/2 by the h2 crate, which shows windows and resets.
struct Connection {
    client: SendRequest<Bytes>,
    /// Ends with the connection.
    ended: JoinHandle<Result<(), h2::Error>>,
}

impl Connection {
    /// Opens a connection whose streams may receive this many bytes before they are read.
    async fn open(stream: TlsStream<tokio::net::TcpStream>, window: u32) -> Self {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(window)
            .initial_connection_window_size(8 * 1024 * 1024);
        let (client, connection) = builder.handshake(stream).await.expect("a handshake");
        let ended = tokio::spawn(connection);
        let mut connection = Self { client, ended };
        assert_eq!(connection.get("/healthz").await, 200);
        assert!(
            connection.client.is_extended_connect_protocol_enabled(),
            "the settings of the server came before its answer"
        );
        connection
    }

    /// Sends a request. Returns the status of the answer, the stream and the body.
    async fn send(
        &mut self,
        request: Request<()>,
        is_end: bool,
    ) -> (u16, SendStream<Bytes>, RecvStream) {
        let mut client = self.client.clone().ready().await.expect("open");
        let (answer, send) = client.send_request(request, is_end).expect("sent");
        let answer = timeout(DEADLINE, answer).await.expect("in time");
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), send, answer.into_body())
    }

    /// The status of a GET.
    async fn get(&mut self, path: &str) -> u16 {
        let request = Request::get(format!("https://localhost{path}")).version(Version::HTTP_2);
        let request = request.header("accept", "text/html");
        let request = request.body(()).expect("a request");
        self.send(request, true).await.0
    }

    /// Asks for a WebSocket, as a browser does.
    async fn connect(&mut self) -> Result<Socket, u16> {
        self.connect_as("websocket", "https://localhost", "13")
            .await
    }

    /// Asks for a stream of this protocol, origin and version.
    async fn connect_as(
        &mut self,
        protocol: &'static str,
        origin: &str,
        version: &str,
    ) -> Result<Socket, u16> {
        let request = Request::connect("https://localhost/ws")
            .version(Version::HTTP_2)
            .extension(h2::ext::Protocol::from_static(protocol))
            .header("origin", origin)
            .header("sec-websocket-version", version)
            .body(())
            .expect("a request");
        match self.send(request, false).await {
            (200, send, receive) => Ok(Socket {
                send,
                receive,
                unread: String::new(),
            }),
            (status, ..) => Err(status),
        }
    }

    /// Opens a WebSocket and joins a room.
    async fn join(&mut self, room: &str, nickname: &str) -> Socket {
        let mut socket = self.connect().await.expect("200");
        socket.join(room, nickname);
        socket.wait_for(r#""type":"joined""#).await;
        socket
    }
}

/// A WebSocket whose frames the test makes.
struct Socket {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// What was received and not yet waited for.
    unread: String,
}

/// A frame of a client (RFC 6455 section 5.2), masked with zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("short").to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

impl Socket {
    /// Sends bytes on the stream.
    fn write(&mut self, bytes: Vec<u8>) {
        self.send.send_data(bytes.into(), false).expect("open");
    }

    /// Sends a text.
    fn text(&mut self, text: &str) {
        self.write(frame(1, text.as_bytes()));
    }

    /// Joins a room.
    fn join(&mut self, room: &str, nickname: &str) {
        let join = serde_json::json!({"type": "join", "room": room, "nickname": nickname});
        self.text(&join.to_string());
    }

    /// Sends a chat message.
    fn chat(&mut self, text: &str) {
        let id = super::harness::new_id().0;
        let chat = serde_json::json!({"type": "chat", "id": id, "text": text});
        self.text(&chat.to_string());
    }

    /// Reads the next bytes and makes room for others. `None` at the end of the stream.
    async fn read(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let read = timeout(DEADLINE, self.receive.data())
            .await
            .expect("in time")?;
        if let Ok(bytes) = &read {
            let window = self.receive.flow_control();
            window.release_capacity(bytes.len()).expect("received");
        }
        Some(read)
    }

    /// Reads until a text has come, and answers pings meanwhile.
    async fn wait_for(&mut self, text: &str) {
        while !self.unread.contains(text) {
            let bytes = self.read().await.expect("open").expect("no reset");
            self.unread.push_str(&String::from_utf8_lossy(&bytes));
            self.write(frame(10, &[]));
        }
        let end = self.unread.find(text).expect("found") + text.len();
        self.unread.drain(..end);
    }

    /// Closes the socket politely and reads the answer up to the end of the stream.
    async fn close(mut self) {
        self.write(frame(8, &1000_u16.to_be_bytes()));
        let mut rest = Vec::new();
        while let Some(bytes) = self.read().await {
            rest.extend(bytes.expect("the stream ends without a reset"));
        }
        assert!(rest.ends_with(&[0x88, 2, 3, 232]), "{rest:?}");
    }
}

/// A connection of this application, with ordinary windows.
async fn connection(app: &TestApp) -> Connection {
    Connection::open(connect(app, &["h2"]).await, 64 * 1024).await
}

/// The number of WebSockets of the server.
fn sockets(app: &TestApp) -> usize {
    app.context.open_sockets.count()
}

/// Opens a WebSocket by hyper, as tungstenite speaks it.
async fn websocket(
    client: &mut hyper::client::conn::http2::SendRequest<Body>,
) -> WebSocketStream<TokioIo<Upgraded>> {
    let request = Request::connect("https://localhost/ws")
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(Body::empty())
        .expect("a request");
    let answer = timeout(DEADLINE, client.send_request(request)).await;
    let answer = answer.expect("in time").expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let upgraded = hyper::upgrade::on(answer).await.expect("a stream");
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

/// Waits for a text frame that contains these words.
async fn wait_for<S>(socket: &mut WebSocketStream<S>, words: &str)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let waiting = async {
        loop {
            let frame = socket.next().await.expect("open").expect("readable");
            if frame.to_text().is_ok_and(|text| text.contains(words)) {
                return;
            }
        }
    };
    timeout(DEADLINE, waiting).await.expect(words);
}

#[tokio::test]
async fn people_on_http_2_and_on_http_1_chat_with_each_other_until_the_server_stops() {
    let app = secured().await;
    let (mut client, _connection) = http2(&app).await;
    super::tls::get(&mut client, "/healthz").await;
    let mut ann = websocket(&mut client).await;
    let stream = connect(&app, &["http/1.1"]).await;
    let (mut bob, _) = client_async("wss://localhost/ws", stream)
        .await
        .expect("101");
    let join = |nickname| format!(r#"{{"type":"join","room":"h2","nickname":"{nickname}"}}"#);
    ann.send(Message::text(join("Ann"))).await.expect("sent");
    wait_for(&mut ann, r#""type":"joined""#).await;
    bob.send(Message::text(join("Bob"))).await.expect("sent");
    wait_for(&mut bob, r#""type":"joined""#).await;
    // More than the window of a stream.
    let long = "x".repeat(3_900);
    for number in 0..20 {
        let id = super::harness::new_id().0;
        let chat = format!(r#"{{"type":"chat","id":"{id}","text":"{number} {long}"}}"#);
        match number % 2 {
            0 => ann.send(Message::text(chat)).await.expect("sent"),
            _ => bob.send(Message::text(chat)).await.expect("sent"),
        }
        let text = format!("{number} {long}");
        wait_for(&mut ann, &text).await;
        wait_for(&mut bob, &text).await;
    }
    let metrics = app.metrics().await;
    for version in ["1.1", "2"] {
        let name = format!("noom_http_websockets_total{{version=\"{version}\"}}");
        assert_eq!(metrics.value(&name), 1.0, "{name}");
    }
    let closed = async {
        loop {
            match ann.next().await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    let (_, frame) = tokio::join!(app.stop(), timeout(DEADLINE, closed));
    let code = frame.expect("in time").map(|frame| u16::from(frame.code));
    assert_eq!(code, Some(1012));
}

#[tokio::test]
async fn a_stream_of_another_site_protocol_or_version_is_refused() {
    let app = secured().await;
    let mut client = connection(&app).await;
    for (protocol, origin, version, status) in [
        ("websocket", "https://evil.example", "13", 403),
        ("websocket", "null", "13", 403),
        ("connect-udp", "https://localhost", "13", 501),
        ("websocket", "https://localhost", "8", 400),
    ] {
        let answer = client.connect_as(protocol, origin, version).await;
        assert_eq!(answer.err(), Some(status), "{protocol} {origin} {version}");
    }
    // A tunnel to another host is none of ours, with or without a protocol.
    let request = Request::connect("evil.example:443").body(()).expect("one");
    assert_ne!(client.send(request, false).await.0, 200);
    assert_eq!(sockets(&app), 0);
    client.join("own", "Ann").await.close().await;
}

#[tokio::test]
async fn sockets_on_streams_count_among_those_of_their_address() {
    let flags = ["--tls", "self-signed", "--sockets-per-address", "3"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let stream = connect_from(&app, "127.0.0.2", &["h2"]).await;
    let mut client = Connection::open(stream, 64 * 1024).await;
    let first = client.join("limited", "Ann").await;
    let _held = [client.connect().await, client.connect().await].map(Result::ok);
    assert_eq!(client.connect().await.err(), Some(429));
    assert_eq!(sockets(&app), 3);
    assert!(connection(&app).await.connect().await.is_ok(), "another");
    first.close().await;
    until("its place comes back", || sockets(&app) == 2).await;
    assert!(client.connect().await.is_ok());
}

#[tokio::test]
async fn a_connection_full_of_sockets_still_loads_pages() {
    let app = secured().await;
    let mut client = connection(&app).await;
    let mut held = Vec::new();
    for _ in 0..32 {
        held.push(client.connect().await.expect("200"));
    }
    assert_eq!(client.connect().await.err(), Some(429));
    assert_eq!(client.get("/").await, 200);
    held.pop().expect("one").close().await;
    until("its place comes back", || sockets(&app) == 31).await;
    assert!(client.connect().await.is_ok());
}

#[tokio::test]
async fn a_stream_that_is_reset_in_mid_message_ends_its_own_socket_alone() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    let mut client = connection(&app).await;
    let (mut ann, mut bob) = (
        client.join("h2", "Ann").await,
        client.join("h2", "Bob").await,
    );
    ann.wait_for("Bob").await;
    let message = frame(1, br#"{"type":"typing"}"#);
    bob.write(message[..9].to_vec());
    bob.send.send_reset(Reason::CANCEL);
    ann.wait_for(r#""type":"left""#).await;
    until("Bob's socket has ended", || sockets(&app) == 1).await;
    ann.chat("alone now");
    ann.wait_for("alone now").await;
    assert_eq!(client.get("/healthz").await, 200);
}

#[tokio::test]
async fn a_socket_keeps_its_connection_and_the_connection_ends_after_it() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    let mut client = connection(&app).await;
    let mut ann = client.join("h2", "Ann").await;
    // Forty pings take longer than the timeouts of a connection without streams, and of a response.
    for _ in 0..40 {
        ann.wait_for("\0").await;
    }
    ann.chat("still here");
    ann.wait_for("still here").await;
    ann.close().await;
    let ended = timeout(DEADLINE, client.ended).await;
    assert!(ended.is_ok(), "the server closes it");
}

#[tokio::test]
async fn a_stalled_stream_loses_its_own_socket_and_delays_nobody() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    let stream = connect(&app, &["h2"]).await;
    let mut client = Connection::open(stream, 1_000).await;
    let (mut ann, mut bob) = (
        client.join("h2", "Ann").await,
        client.join("h2", "Bob").await,
    );
    let mut stalled = Vec::new();
    for number in 0..4 {
        let mut eve = client.connect().await.expect("200");
        eve.join("h2", &format!("Eve {number}"));
        stalled.push(eve);
    }
    bob.wait_for("Eve 3").await;
    let text = "x".repeat(2_000);
    for number in 0..10 {
        let text = format!("{number} {text}");
        ann.chat(&text);
        let delivered = async {
            bob.wait_for(&text).await;
            ann.wait_for(&text).await;
        };
        let most = Duration::from_secs(1);
        timeout(most, delivered)
            .await
            .expect("nobody waits for the stalled");
    }
    let keep = async {
        let ann = async {
            for _ in 0..4 {
                ann.wait_for(r#""type":"left""#).await;
            }
        };
        let bob = async {
            for _ in 0..4 {
                bob.wait_for(r#""type":"left""#).await;
            }
        };
        tokio::join!(ann, bob);
    };
    timeout(DEADLINE, keep).await.expect("the stalled leave");
    assert_eq!(client.get("/healthz").await, 200, "the connection goes on");
    let mut eve = client.connect().await.expect("200");
    eve.join("h2", "Eve 5");
    // A fifth stream that keeps unread bytes ends the connection.
    let reading = tokio::spawn(async move {
        while let Some(Ok(_)) = ann.read().await {
            if ann.send.send_data(frame(10, &[]).into(), false).is_err() {
                return;
            }
        }
    });
    let ended = timeout(DEADLINE, client.ended).await;
    assert!(ended.is_ok(), "the server closes it");
    reading.await.expect("ends");
    until("no socket is left", || sockets(&app) == 0).await;
    drop((stalled, eve, bob));
}

#[tokio::test]
async fn a_download_that_nobody_reads_does_not_end_the_sockets_of_its_connection() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    let stream = connect(&app, &["h2"]).await;
    let mut client = Connection::open(stream, 1_000).await;
    let mut ann = client.join("h2", "Ann").await;
    let file = format!("https://localhost/pkg/{}", app.context.assets.names().wasm);
    let mut downloads = Vec::new();
    for _ in 0..4 {
        let request = Request::get(&file).version(Version::HTTP_2);
        let request = request.body(()).expect("a request");
        let (status, _, body) = client.send(request, true).await;
        assert_eq!(status, 200);
        downloads.push(body);
    }
    // Fifty pings take longer than the time of a response and two checks.
    for _ in 0..50 {
        ann.wait_for("\0").await;
    }
    ann.chat("undisturbed");
    ann.wait_for("undisturbed").await;
    ann.close().await;
    let ended = timeout(DEADLINE, client.ended).await;
    assert!(ended.is_ok(), "without a socket the server closes it");
}

/// A connection of HTTP/1.1 that has asked for a page and stays open, and the status of the answer.
async fn page_over_http_1(app: &TestApp) -> (TlsStream<tokio::net::TcpStream>, u16) {
    let mut stream = connect(app, &["http/1.1"]).await;
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut status = [0; 12];
    let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut status);
    timeout(DEADLINE, read)
        .await
        .expect("in time")
        .expect("read");
    let status = String::from_utf8_lossy(&status[9..]).parse();
    (stream, status.expect("a status"))
}

#[tokio::test]
async fn a_connection_of_sockets_alone_takes_no_place_among_the_connections() {
    let flags = ["--tls", "self-signed", "--max-connections", "2"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut client = connection(&app).await;
    let mut ann = client.join("h2", "Ann").await;
    let (first, status) = page_over_http_1(&app).await;
    assert_eq!(status, 200, "the second place");
    let second = async {
        loop {
            match page_over_http_1(&app).await {
                (stream, 200) => return stream,
                (_, 503) => {}
                (_, status) => panic!("{status}"),
            }
        }
    };
    let second = timeout(DEADLINE, second).await.expect("a place is free");
    assert_eq!(client.get("/").await, 503, "both places are taken");
    assert_eq!(client.get("/healthz").await, 200);
    ann.chat("undisturbed");
    ann.wait_for("undisturbed").await;
    assert!(client.connect().await.is_ok(), "as over HTTP/1.1");
    drop((first, second));
    let third = async { while client.get("/").await != 200 {} };
    timeout(DEADLINE, third)
        .await
        .expect("it takes a place again");
}

/// What an attacker of [`attack`] does with its streams.
#[derive(Debug, Clone, Copy)]
enum Attack {
    /// Asks for pages and resets the streams at once.
    ResetPages,
    /// Asks for a large file and makes no room for it.
    StallFiles,
    /// Joins a room, begins a message and resets the stream.
    ResetSockets,
    /// Joins a room and reads nothing.
    StallSockets,
}

/// Opens connections from this address for ever, each with many streams. Counts the streams.
async fn attack(app: &TestApp, source: String, attack: Attack, streams: &AtomicUsize) {
    let window = match attack {
        Attack::ResetPages | Attack::ResetSockets => 64 * 1024,
        Attack::StallFiles | Attack::StallSockets => 10,
    };
    let held = Duration::from_millis(500);
    loop {
        let Ok(stream) = try_connect_from(app, &source, &["h2"]).await else {
            continue;
        };
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).enable_push(false);
        let Ok((client, connection)) = builder.handshake::<_, Bytes>(stream).await else {
            continue;
        };
        let connection = tokio::spawn(connection);
        let opening = open_streams(app, client, attack, streams);
        let _open = timeout(held, opening).await;
        let _ended = timeout(held, connection).await;
    }
}

/// Opens streams until the server takes no more. Returns those that are not reset.
async fn open_streams(
    app: &TestApp,
    mut client: SendRequest<Bytes>,
    attack: Attack,
    streams: &AtomicUsize,
) -> Vec<(h2::client::ResponseFuture, SendStream<Bytes>)> {
    let mut open = Vec::new();
    let is_socket = matches!(attack, Attack::ResetSockets | Attack::StallSockets);
    for number in 0..100 {
        let path = match attack {
            Attack::ResetPages => "/".to_owned(),
            Attack::StallFiles => format!("/pkg/{}", app.context.assets.names().wasm),
            Attack::ResetSockets | Attack::StallSockets => "/ws".to_owned(),
        };
        let Ok(ready) = client.ready().await else {
            break;
        };
        client = ready;
        let mut request = Request::builder()
            .method(if is_socket { "CONNECT" } else { "GET" })
            .uri(format!("https://localhost{path}"))
            .version(Version::HTTP_2)
            .header("sec-websocket-version", "13");
        if is_socket && client.is_extended_connect_protocol_enabled() {
            request = request.extension(h2::ext::Protocol::from_static("websocket"));
        }
        let request = request.body(()).expect("a request");
        let Ok((answer, mut send)) = client.send_request(request, false) else {
            // The settings of the server may still be on their way.
            tokio::task::yield_now().await;
            continue;
        };
        streams.fetch_add(1, Relaxed);
        if is_socket {
            let nickname = format!("Eve {number}");
            let join = serde_json::json!({"type": "join", "room": "flood", "nickname": nickname});
            let join = frame(1, join.to_string().as_bytes());
            let _ = send.send_data(join.into(), false);
            let half = frame(1, br#"{"type":"typing"}"#)[..9].to_vec();
            let _ = send.send_data(half.into(), false);
        }
        match attack {
            Attack::ResetPages | Attack::ResetSockets => send.send_reset(Reason::CANCEL),
            Attack::StallFiles | Attack::StallSockets => open.push((answer, send)),
        }
        tokio::task::yield_now().await;
    }
    open
}

#[tokio::test]
async fn a_flood_of_streams_from_many_addresses_disturbs_no_conversation_and_leaves_nothing() {
    let timing = Timing {
        dead_after: Duration::from_secs(10),
        ..short_timing()
    };
    let app = TestApp::start_with(timing, &["--tls", "self-signed"]).await;
    let mut client = connection(&app).await;
    let (mut ann, mut bob) = (
        client.join("h2", "Ann").await,
        client.join("h2", "Bob").await,
    );
    let kinds = [
        Attack::ResetPages,
        Attack::StallFiles,
        Attack::ResetSockets,
        Attack::StallSockets,
    ];
    let counts: Vec<_> = kinds.iter().map(|_| AtomicUsize::new(0)).collect();
    let attackers = (0..24).map(|number| {
        let kind = number % kinds.len();
        let source = format!("127.0.7.{}", number + 1);
        attack(&app, source, kinds[kind], &counts[kind])
    });
    let conversation = async {
        let mut slowest = Duration::ZERO;
        // Until each kind of attack is under way, and twenty messages.
        let mut number = 0;
        while number < 20 || counts.iter().any(|count| count.load(Relaxed) < 100) {
            number += 1;
            let text = format!("message {number}.");
            let sent = tokio::time::Instant::now();
            ann.chat(&text);
            bob.wait_for(&text).await;
            slowest = slowest.max(sent.elapsed());
            ann.wait_for(&text).await;
            // People are slower than the rate of a socket.
            bob.wait_for("\0").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        slowest
    };
    let slowest = tokio::select! {
        slowest = conversation => slowest,
        _ = futures::future::join_all(attackers) => unreachable!("they go on"),
    };
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let keep = async {
        loop {
            bob.wait_for("\0").await;
            ann.wait_for("\0").await;
        }
    };
    tokio::select! {
        () = until("no socket of an attacker is left", || sockets(&app) == 2) => {}
        () = keep => {}
    }
    assert_eq!(client.get("/healthz").await, 200);
    let stream = connect_from(&app, "127.0.7.1", &["h2"]).await;
    let mut attacker = Connection::open(stream, 64 * 1024).await;
    assert!(
        attacker.connect().await.is_ok(),
        "its places are free again"
    );
}

#[tokio::test]
async fn a_socket_on_a_stream_opens_below_a_base_path() {
    let flags = ["--tls", "self-signed", "--base-path", "/noom"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut connection = connection(&app).await;
    for (path, expected) in [("/noom/ws", 200), ("/ws", 200), ("/noomx/ws", 404)] {
        let request = Request::connect(format!("https://localhost{path}"))
            .version(Version::HTTP_2)
            .extension(h2::ext::Protocol::from_static("websocket"))
            .header("origin", "https://localhost")
            .header("sec-websocket-version", "13");
        let request = request.body(()).expect("a request");
        let (status, ..) = connection.send(request, false).await;
        assert_eq!(status, expected, "{path}");
    }
}
