//! The HTTP listener over TLS: both versions of HTTP, WebSockets, and clients that misbehave.

use super::harness::{DEADLINE, TestApp, long_timing, short_timing};
use crate::server::tls::ServerTls;
use axum::body::Body;
use futures::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tokio_tungstenite::{client_async, tungstenite::Message};

/// A server with a certificate of its local authority.
pub async fn secured() -> TestApp {
    TestApp::start_with(long_timing(), &["--tls", "self-signed"]).await
}

/// A TLS connection that offers these protocols and trusts the server's local authority.
pub async fn connect(app: &TestApp, protocols: &[&str]) -> TlsStream<TcpStream> {
    connect_from(app, "127.0.0.1", protocols).await
}

/// The same from this address of the loopback network.
pub async fn connect_from(app: &TestApp, source: &str, protocols: &[&str]) -> TlsStream<TcpStream> {
    let connected = try_connect_from(app, source, protocols).await;
    connected.expect("trusted")
}

/// The same, unless the server closes the connection.
pub async fn try_connect_from(
    app: &TestApp,
    source: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let Some(ServerTls::SelfSigned(local)) = &app.context.tls else {
        panic!("the server is self-signed");
    };
    let stream = app.tcp_from(source).await;
    secure(stream, local.certificate(), protocols).await
}

/// A TLS connection that offers these protocols and trusts this root.
async fn try_connect(
    app: &TestApp,
    root: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(app.address).await.expect("connects");
    secure(stream, root, protocols).await
}

/// Begins TLS on a connection.
async fn secure(
    stream: TcpStream,
    root: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(root.as_bytes());
    roots.add(root.expect("PEM")).expect("a root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(DEADLINE, connecting).await.expect("in time")
}

/// An HTTP/2 client; the task of its connection runs until the server or the client closes it.
pub async fn http2(
    app: &TestApp,
) -> (
    http2::SendRequest<Body>,
    tokio::task::JoinHandle<hyper::Result<()>>,
) {
    let stream = connect(app, &["h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.expect("a handshake");
    (sender, tokio::spawn(connection))
}

/// A GET of this path over HTTP/2.
pub async fn get(client: &mut http2::SendRequest<Body>, path: &str) -> Response<Incoming> {
    let request = Request::get(format!("https://localhost{path}")).header("accept", "text/html");
    let request = request.body(Body::empty()).expect("a request");
    let answer = timeout(DEADLINE, client.send_request(request)).await;
    answer.expect("in time").expect("an answer")
}

/// The whole body as text.
pub async fn text(response: Response<Incoming>) -> String {
    let body = timeout(DEADLINE, response.into_body().collect()).await;
    let bytes = body.expect("in time").expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn a_page_is_served_over_http_2_with_secure_cookies() {
    let app = secured().await;
    let (mut client, _connection) = http2(&app).await;
    let page = get(&mut client, "/?lang=ko").await;
    assert_eq!(page.status(), StatusCode::OK);
    let cookies: Vec<_> = page.headers().get_all("set-cookie").iter().collect();
    let is_secure = |cookie: &&http::HeaderValue| {
        let text = cookie.to_str().unwrap_or_default();
        text.starts_with("__Host-") && text.contains("Secure")
    };
    assert!(
        !cookies.is_empty() && cookies.iter().all(is_secure),
        "{cookies:?}"
    );
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(
        policy.contains("wss://localhost"),
        "the host of HTTP/2 is known: {policy}"
    );
    assert!(
        page.headers().get("strict-transport-security").is_none(),
        "self-signed"
    );
    assert!(text(page).await.contains("lang=\"ko\""));
}

#[tokio::test]
async fn a_page_is_served_over_http_1() {
    let app = secured().await;
    let mut stream = connect(&app, &["http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    let _ = timeout(DEADLINE, stream.read_to_string(&mut answer)).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_post_of_another_site_is_refused_over_http_2() {
    let app = secured().await;
    let (mut client, _connection) = http2(&app).await;
    for (origin, expected) in [
        ("https://localhost", StatusCode::NO_CONTENT),
        ("https://evil.example", StatusCode::FORBIDDEN),
    ] {
        let request = Request::post("https://localhost/ws").header("origin", origin);
        let request = request.body(Body::empty()).expect("a request");
        let answer = client.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), expected, "{origin}");
    }
}

#[tokio::test]
async fn a_websocket_over_tls_carries_large_frames_both_ways_and_is_closed_politely() {
    let app = secured().await;
    let stream = connect(&app, &["http/1.1"]).await;
    let (mut socket, _) = client_async("wss://localhost/ws", stream)
        .await
        .expect("101");
    let join = r#"{"type":"join","room":"tls","nickname":"Ann"}"#;
    socket.send(Message::text(join)).await.expect("sent");
    let long = "x".repeat(3_900);
    for number in 0..20 {
        let id = uuid::Uuid::from_u128(number + 1);
        let chat = format!(r#"{{"type":"chat","id":"{id}","text":"{number} {long}"}}"#);
        socket.send(Message::text(chat)).await.expect("sent");
    }
    let mut seen = 0;
    while seen < 20 {
        let frame = timeout(DEADLINE, socket.next()).await.expect("in time");
        let frame = frame.expect("open").expect("readable");
        seen += usize::from(frame.to_text().is_ok_and(|text| text.contains(&long)));
    }
    let stopping = app.stop();
    let closed = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    let (_, frame) = tokio::join!(stopping, timeout(DEADLINE, closed));
    let code = frame.expect("in time").map(|frame| u16::from(frame.code));
    assert_eq!(code, Some(1012));
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_led_to_https() {
    let app = secured().await;
    let mut stream = TcpStream::connect(app.address).await.expect("connects");
    let host = app.address;
    let request = format!("GET /room/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    let read = timeout(DEADLINE, stream.read_to_string(&mut answer)).await;
    read.expect("in time").expect("readable");
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(
        answer.contains(&format!("location: https://{host}/room/a\r\n")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_silent_and_a_dripping_handshake_are_closed() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(app.address).await.expect("connects");
        stream.write_all(beginning).await.expect("writes");
        let mut rest = Vec::new();
        let closed = timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{beginning:?} is held");
    }
    // Another client is served meanwhile and after.
    drop(connect(&app, &["http/1.1"]).await);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_closed() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    let (mut client, connection) = http2(&app).await;
    assert_eq!(get(&mut client, "/healthz").await.status(), StatusCode::OK);
    let ended = timeout(DEADLINE, connection).await;
    assert!(ended.is_ok(), "the server closes it");
}

#[tokio::test]
async fn an_http_2_client_that_opens_no_window_is_disconnected() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    let stream = connect(&app, &["h2"]).await;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(1_000);
    let (mut client, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    let connection = tokio::spawn(connection);
    let file = get(&mut client, &largest_file(&app)).await;
    assert_eq!(file.status(), StatusCode::OK);
    let ended = timeout(DEADLINE, connection).await;
    assert!(ended.is_ok(), "the server closes it");
    drop(file);
}

/// The path of the largest file that a page loads.
fn largest_file(app: &TestApp) -> String {
    format!("/pkg/{}", app.context.assets.names().wasm)
}

#[tokio::test]
async fn a_slow_and_steady_http_2_client_gets_the_whole_of_a_large_file() {
    let app = TestApp::start_with(short_timing(), &["--tls", "self-signed"]).await;
    let (mut client, connection) = http2(&app).await;
    let file = get(&mut client, &largest_file(&app)).await;
    let length = file.headers()["content-length"].to_str().expect("text");
    let length: usize = length.parse().expect("a number");
    let start = tokio::time::Instant::now();
    let (mut body, mut read) = (file.into_body(), 0);
    while let Some(frame) = body.frame().await {
        read += frame
            .expect("no reset")
            .into_data()
            .map_or(0, |data| data.len());
        // A client on a slow network takes some 16 KiB at a time.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(read, length);
    let timing = short_timing();
    let idle = timing.head_timeout + timing.write_timeout;
    assert!(start.elapsed() > idle, "it took longer than the timeouts");
    connection.abort();
}

#[tokio::test]
async fn the_page_for_other_devices_offers_the_authority_in_both_languages() {
    let app = secured().await;
    let (mut client, _connection) = http2(&app).await;
    let Some(ServerTls::SelfSigned(local)) = &app.context.tls else {
        panic!("the server is self-signed");
    };
    for (path, word) in [
        ("/lan?lang=en", "Trust this server"),
        ("/lan?lang=ko", "신뢰"),
    ] {
        let page = get(&mut client, path).await;
        assert!(page.headers().contains_key("content-security-policy"));
        let page = text(page).await;
        assert!(
            page.contains(word) && page.contains(&local.fingerprint()),
            "{page}"
        );
        assert!(!page.contains("<script"), "it works without script");
    }
    let certificate = get(&mut client, "/lan/noom-authority.crt").await;
    assert_eq!(
        certificate.headers()["content-type"],
        "application/x-x509-ca-cert"
    );
    assert_eq!(text(certificate).await, local.certificate());
    assert!(
        text(get(&mut client, "/lan/qr.svg").await)
            .await
            .contains("<svg")
    );
}

#[tokio::test]
async fn a_server_without_a_local_authority_has_no_such_page() {
    let app = TestApp::start().await;
    for path in ["/lan", "/lan/noom-authority.crt", "/lan/qr.svg"] {
        let answer = app.get(path).await;
        assert_eq!(super::harness::status(&answer), 404, "{path}");
    }
}

#[tokio::test]
async fn a_hundred_silent_connections_of_one_address_leave_others_served() {
    let flags = ["--tls", "self-signed", "--listen", "0.0.0.0:0"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let address = app.address;
    let mut held = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, address.port())).await;
        held.push(stream.expect("connects"));
    }
    let one = timeout(Duration::from_secs(20), connect(&app, &["http/1.1"])).await;
    assert!(one.is_ok());
    drop(held);
}

/// Writes a new certificate and its key. Returns the certificate as PEM.
fn write_pair(files: &tempfile::TempDir) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let key = made.signing_key.serialize_pem();
    std::fs::write(files.path().join("key.pem"), key).expect("written");
    std::fs::write(files.path().join("cert.pem"), made.cert.pem()).expect("written");
    made.cert.pem()
}

#[tokio::test]
async fn a_hundred_open_sockets_survive_a_renewed_certificate() {
    let files = tempfile::tempdir().expect("a directory");
    let first = write_pair(&files);
    let path = |name: &str| files.path().join(name).display().to_string();
    let pair = format!("{},{}", path("cert.pem"), path("key.pem"));
    let app = TestApp::start_with(long_timing(), &["--tls", &pair]).await;
    let mut sockets = Vec::new();
    for _ in 0..100 {
        let stream = try_connect(&app, &first, &["http/1.1"])
            .await
            .expect("trusted");
        let socket = client_async("wss://localhost/ws", stream)
            .await
            .expect("101");
        sockets.push(socket.0);
    }
    let second = write_pair(&files);
    let Some(ServerTls::Files(certificate)) = &app.context.tls else {
        panic!("the certificate is from files");
    };
    certificate.refresh();
    assert!(try_connect(&app, &first, &[]).await.is_err());
    assert!(try_connect(&app, &second, &[]).await.is_ok());
    for socket in &mut sockets {
        socket
            .send(Message::text(r#"{"type":"ping"}"#))
            .await
            .expect("open");
        let pong = async {
            while let Some(frame) = socket.next().await {
                if frame
                    .expect("readable")
                    .to_text()
                    .is_ok_and(|text| text.contains("pong"))
                {
                    return true;
                }
            }
            false
        };
        assert!(timeout(DEADLINE, pong).await.expect("in time"));
    }
}
