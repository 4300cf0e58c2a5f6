//! Limits of connections: their number, their timeouts, and the reserve for health and sockets.

use super::harness::{
    DEADLINE, TestApp, answer, form, get, long_timing, short_timing, status, until,
};
use crate::server::limits::Timing;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Sends `beginning` at once and then a byte every 20 ms. Returns the number of bytes sent and the
/// response before the server closes the connection.
async fn drip(mut stream: TcpStream, beginning: &str, bytes: usize) -> (usize, String) {
    stream
        .write_all(beginning.as_bytes())
        .await
        .expect("writes");
    let (mut reading, mut writing) = stream.into_split();
    let drip = async move {
        for sent in 0..bytes {
            if writing.write_all(b"x").await.is_err() {
                return sent;
            }
            sleep(Duration::from_millis(20)).await;
        }
        bytes
    };
    let read = async {
        let mut answer = Vec::new();
        let _ = reading.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let both = timeout(DEADLINE, async { tokio::join!(drip, read) }).await;
    both.expect("the server ends it")
}

#[tokio::test]
async fn a_dripping_request_head_is_disconnected() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let stream = TcpStream::connect(app.address).await.expect("connects");
    let beginning = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    let (sent, _) = drip(stream, beginning, 2_000).await;
    assert!(sent < 1_000, "{sent} bytes were taken");
}

#[tokio::test]
async fn a_dripping_request_body_is_refused() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let head = form("/api/join_room", "", "");
    let head = head.replace("Content-Length: 0", "Content-Length: 2000");
    for head in [head.clone(), head.replace("/api/join_room", "/none")] {
        let stream = TcpStream::connect(app.address).await.expect("connects");
        let (sent, answer) = drip(stream, &head, 2_000).await;
        assert!(sent < 1_000, "{sent} bytes were taken");
        assert_eq!(status(&answer), 408, "{answer}");
    }
}

/// Opens connections that never finish their request head. Dropping them closes them.
async fn open_silent(app: &TestApp, source: &str, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = app.tcp_from(source).await;
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await;
        held.push(stream);
    }
    held
}

/// Timeouts that no test reaches, so that no connection ends by one.
fn timeouts_off() -> Timing {
    Timing {
        head_timeout: DEADLINE * 10,
        reserved_head_timeout: DEADLINE * 10,
        body_timeout: DEADLINE * 10,
        poll_timeout: DEADLINE * 10,
        dead_after: DEADLINE * 10,
        first_message_timeout: DEADLINE * 10,
        ..long_timing()
    }
}

#[tokio::test]
async fn when_all_connections_are_taken_health_and_sockets_are_still_served() {
    let app = TestApp::start_with(timeouts_off(), &["--max-connections", "8"]).await;
    let held = open_silent(&app, "127.0.0.1", 8).await;
    let page = app.get("/").await.to_lowercase();
    assert_eq!(status(&page), 503, "{page}");
    assert!(
        page.contains("connection: close") && page.contains("retry-after"),
        "{page}"
    );
    assert!(page.contains("noom-refusal: server_full\r"), "{page}");
    // More connections than the whole reserve, none of which ends by itself.
    let in_reserve = open_silent(&app, "127.0.0.2", 300).await;
    for _ in 0..5 {
        assert_eq!(status(&app.get("/healthz").await), 200);
        assert_eq!(status(&app.get("/readyz").await), 200);
        let asked = get("/ws").replacen("GET", "POST", 1);
        assert_eq!(status(&app.http(&asked).await), 204);
    }
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("hello").await;
    drop((held, in_reserve));
    // A permit is free as soon as the server has noticed the end of a connection.
    let free = async {
        while status(&app.get("/").await) != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, free)
        .await
        .expect("places are free again");
    ann.send_chat("still here").await;
}

#[tokio::test]
async fn one_address_holds_so_many_connections_and_another_is_served() {
    let app = TestApp::start_with(timeouts_off(), &["--connections-per-address", "5"]).await;
    let held = open_silent(&app, "127.0.0.66", 5).await;
    for _ in 0..5 {
        let refused = answer(app.tcp_from("127.0.0.66").await, &get("/healthz")).await;
        assert_eq!(refused, "", "hung up on at once");
    }
    assert_eq!(app.context.http_metrics.connections_refused.get(), 5);
    let other = app.http_from("127.0.0.7", &get("/healthz")).await;
    assert_eq!(status(&other), 200);
    let local = open_silent(&app, "127.0.0.1", 20).await;
    assert_eq!(status(&app.get("/healthz").await), 200);
    drop((held, local));
}

/// The address of the trusted proxy.
const PROXY: &str = "127.0.0.9";

/// A request with the `X-Forwarded-For` header of a proxy.
fn forwarded(address: &str, request: &str) -> String {
    request.replace(
        "\r\n\r\n",
        &format!("\r\nX-Forwarded-For: {address}\r\n\r\n"),
    )
}

/// Opens a polling connection through the proxy. Returns its secret.
async fn open_poll(app: &TestApp, address: &str) -> String {
    let open = "POST /poll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Length: 0\r\n\r\n";
    let opened = app.http_from(PROXY, &forwarded(address, open)).await;
    opened.split('"').nth(3).expect("a secret").to_owned()
}

/// Sends a poll through the proxy, and does not wait for the response.
async fn send_poll(app: &TestApp, address: &str, secret: &str) -> TcpStream {
    let ask = get("/poll?after=0").replace(
        "\r\n\r\n",
        &format!("\r\nNoom-Connection: {secret}\r\n\r\n"),
    );
    let mut stream = app.tcp_from(PROXY).await;
    let ask = forwarded(address, &ask);
    stream.write_all(ask.as_bytes()).await.expect("writes");
    stream
}

/// Opens a polling connection through the proxy, and sends a poll.
async fn open_and_send_poll(app: &TestApp, address: &str) -> TcpStream {
    let secret = open_poll(app, address).await;
    send_poll(app, address, &secret).await
}

#[tokio::test]
async fn behind_a_trusted_proxy_requests_under_way_are_counted_by_the_address_it_names() {
    let flags = [
        "--connections-per-address",
        "2",
        "--trusted-proxies",
        "127.0.0.9",
    ];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let polling = [
        open_and_send_poll(&app, "10.0.0.1").await,
        open_and_send_poll(&app, "10.0.0.1").await,
    ];
    until("both are under way", || {
        app.context.request_permits.count() == 2
    })
    .await;
    let status_of = async |address: &str, path: &str| {
        let request = forwarded(address, &get(path));
        status(&app.http_from(PROXY, &request).await)
    };
    assert_eq!(status_of("10.0.0.1", "/none").await, 429);
    assert_eq!(status_of("10.0.0.2", "/none").await, 404);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            status_of("10.0.0.1", path).await,
            200,
            "a place is kept free"
        );
    }
    drop(polling);
}

#[tokio::test]
async fn behind_a_trusted_proxy_health_with_a_body_counts_like_any_request() {
    let app = TestApp::start_with(timeouts_off(), &["--trusted-proxies", PROXY]).await;
    let whole = forwarded("10.0.0.1", &get("/healthz"));
    let begun = whole.replace("Host:", "Content-Length: 9\r\nHost:");
    let mut stream = app.tcp_from(PROXY).await;
    stream.write_all(begun.as_bytes()).await.expect("writes");
    until("it is counted", || app.context.request_permits.count() == 1).await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_health_and_sockets_are_served_when_all_places_are_taken() {
    let flags = ["--max-connections", "8", "--trusted-proxies", PROXY];
    let app = TestApp::start_with(timeouts_off(), &flags).await;
    let mut secrets = Vec::new();
    for number in 0..8 {
        secrets.push(open_poll(&app, &format!("10.0.0.{number}")).await);
    }
    // A permit is free as soon as the server has noticed the end of a connection.
    let mut held = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        held.push(send_poll(&app, &format!("10.0.0.{number}"), secret).await);
        let under_way = || app.context.request_permits.count() == number + 1;
        until("it is under way", under_way).await;
    }
    let status_of = async |path: &str| {
        let request = forwarded("10.0.1.1", &get(path));
        status(&app.http_from(PROXY, &request).await)
    };
    assert_eq!(status_of("/").await, 503);
    assert_eq!(status_of("/healthz").await, 200);
    assert_eq!(status_of("/readyz").await, 200);
    let url = format!("ws://{}/ws", app.address);
    let mut request = url.into_client_request().expect("a request");
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", "10.0.1.1".parse().expect("a value"));
    let upgraded = tokio_tungstenite::client_async(request, app.tcp_from(PROXY).await);
    let (_, response) = upgraded.await.expect("upgrades");
    assert_eq!(response.status(), 101);
    drop(held);
}

#[tokio::test]
async fn one_address_cannot_put_others_out_of_the_reserve() {
    let app = TestApp::start_with(timeouts_off(), &["--max-connections", "8"]).await;
    let held = open_silent(&app, "127.0.0.1", 8).await;
    let probe = get("/healthz");
    let (first, rest) = probe.split_at(10);
    let mut ann = app.tcp_from("127.0.0.7").await;
    ann.write_all(first.as_bytes()).await.expect("writes");
    let silent_ones = open_silent(&app, "127.0.0.66", 300).await;
    // Connections that have ended hold no permit of the reserve.
    for _ in 0..210 {
        app.http_from("127.0.0.67", &probe).await;
    }
    assert_eq!(status(&answer(ann, rest).await), 200);
    let refused = app.http_from("127.0.0.66", &probe).await;
    assert_eq!(refused, "", "it holds as many as it may");
    drop((held, silent_ones));
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_disconnected() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut eve = app.tcp_from("127.0.0.1").await;
    let requests = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let flood = async {
        // Until the server stops reading, and then closes the connection.
        while eve.write_all(requests.as_bytes()).await.is_ok() {}
    };
    timeout(DEADLINE, flood).await.expect("it is given up");
    assert_eq!(status(&app.get("/healthz").await), 200);
}
