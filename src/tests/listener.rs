//! Connections: how many, how long, and what is served when all are taken.

use super::harness::{PATIENCE, TestApp, answer, form, get, hasty, patient, status};
use crate::server::{limits::Timing, metrics};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Sends the beginning at once and then a byte every 20 ms, and answers what comes back
/// before the server ends it.
async fn drips(mut stream: TcpStream, beginning: &str, bytes: usize) -> (usize, String) {
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
    let both = timeout(PATIENCE, async { tokio::join!(drip, read) }).await;
    both.expect("the server ends it")
}

#[tokio::test]
async fn a_head_that_drips_is_hung_up_on_however_steadily_it_comes() {
    let app = TestApp::start_with(hasty(), &[]).await;
    let stream = TcpStream::connect(app.address).await.expect("connects");
    let beginning = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    let (sent, _) = drips(stream, beginning, 2_000).await;
    assert!(sent < 1_000, "{sent} bytes were taken");
}

#[tokio::test]
async fn a_body_that_drips_is_refused_however_steadily_it_comes() {
    let app = TestApp::start_with(hasty(), &[]).await;
    let head = form("/api/join_room", "", "");
    let head = head.replace("Content-Length: 0", "Content-Length: 2000");
    for head in [head.clone(), head.replace("/api/join_room", "/none")] {
        let stream = TcpStream::connect(app.address).await.expect("connects");
        let (sent, answer) = drips(stream, &head, 2_000).await;
        assert!(sent < 1_000, "{sent} bytes were taken");
        assert_eq!(status(&answer), 408, "{answer}");
    }
}

/// Connections that say nothing, for as long as they are held.
async fn silent(app: &TestApp, source: &str, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = app.tcp_from(source).await;
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await;
        held.push(stream);
    }
    held
}

/// Long deadlines: nobody is helped by them.
fn slow() -> Timing {
    Timing {
        head_within: PATIENCE * 10,
        reserved_head_within: PATIENCE * 10,
        ..patient()
    }
}

#[tokio::test]
async fn when_all_connections_are_taken_health_and_sockets_are_still_served() {
    let app = TestApp::start_with(slow(), &["--max-connections", "8"]).await;
    let held = silent(&app, "127.0.0.1", 8).await;
    let page = app.get("/").await.to_lowercase();
    assert_eq!(status(&page), 503, "{page}");
    assert!(
        page.contains("connection: close") && page.contains("retry-after"),
        "{page}"
    );
    // More than the whole reserve, and none of it lets go by itself.
    let in_reserve = silent(&app, "127.0.0.2", 300).await;
    for _ in 0..5 {
        assert_eq!(status(&app.get("/healthz").await), 200);
        assert_eq!(status(&app.get("/readyz").await), 200);
    }
    let mut ann = app.join("team", "Ann").await;
    ann.says("hello").await;
    drop((held, in_reserve));
    // A place is free as soon as the server has seen that one was given up.
    let free = async {
        while status(&app.get("/").await) != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free)
        .await
        .expect("places are free again");
    ann.says("still here").await;
}

#[tokio::test]
async fn one_address_holds_so_many_connections_and_another_is_served() {
    let app = TestApp::start_with(slow(), &["--connections-per-address", "5"]).await;
    let held = silent(&app, "127.0.0.66", 5).await;
    let counted = || metrics::CONNECTIONS_REFUSED.get();
    let before = counted();
    for _ in 0..5 {
        let refused = answer(app.tcp_from("127.0.0.66").await, &get("/healthz")).await;
        assert_eq!(refused, "", "hung up on at once");
    }
    assert!(counted() >= before + 5);
    let other = app.http_from("127.0.0.7", &get("/healthz")).await;
    assert_eq!(status(&other), 200);
    let local = silent(&app, "127.0.0.1", 20).await;
    assert_eq!(status(&app.get("/healthz").await), 200);
    drop((held, local));
}

#[tokio::test]
async fn behind_a_trusted_proxy_requests_under_way_are_counted_by_the_address_it_names() {
    let flags = [
        "--connections-per-address",
        "2",
        "--trusted-proxies",
        "127.0.0.9",
    ];
    let app = TestApp::start_with(patient(), &flags).await;
    let of = |address: &str, request: &str| {
        request.replace(
            "\r\n\r\n",
            &format!("\r\nX-Forwarded-For: {address}\r\n\r\n"),
        )
    };
    let mut polling = Vec::new();
    for _ in 0..2 {
        let open = "POST /poll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                    Content-Length: 0\r\n\r\n";
        let opened = app.http_from("127.0.0.9", &of("10.0.0.1", open)).await;
        let secret = opened.split('"').nth(3).expect("a secret").to_owned();
        let ask = get("/poll?after=0").replace(
            "\r\n\r\n",
            &format!("\r\nNoom-Connection: {secret}\r\n\r\n"),
        );
        let mut stream = app.tcp_from("127.0.0.9").await;
        let ask = of("10.0.0.1", &ask);
        stream.write_all(ask.as_bytes()).await.expect("writes");
        polling.push(stream);
    }
    super::harness::until("both are under way", || app.context.requests.count() == 2).await;
    let refused = app
        .http_from("127.0.0.9", &of("10.0.0.1", &get("/healthz")))
        .await;
    assert_eq!(status(&refused), 429, "{refused}");
    let other = app
        .http_from("127.0.0.9", &of("10.0.0.2", &get("/healthz")))
        .await;
    assert_eq!(status(&other), 200, "{other}");
    drop(polling);
}

#[tokio::test]
async fn whoever_asks_for_much_and_reads_nothing_is_hung_up_on() {
    let app = TestApp::start_with(hasty(), &[]).await;
    let mut eve = app.tcp_from("127.0.0.1").await;
    let requests = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let asks = async {
        // Until the server takes nothing any more, and then has given it up.
        while eve.write_all(requests.as_bytes()).await.is_ok() {}
    };
    timeout(PATIENCE, asks).await.expect("it is given up");
    assert_eq!(status(&app.get("/healthz").await), 200);
}
