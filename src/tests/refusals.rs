//! A page learns by a plain request why it may not connect, because a browser does not report why
//! a WebSocket was refused.

use super::harness::{TestApp, long_timing, status};
use crate::protocol::Refusal;

/// A loopback address that the limits count; they exempt `127.0.0.1` only.
const COUNTED: &str = "127.0.0.2";

/// The text of a POST request without a body, as a page sends it.
fn post(path: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\
         {headers}\r\n"
    )
}

/// The value of a header of a response.
fn header(answer: &str, name: &str) -> Option<String> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let line = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Asserts that a response has this status and this reason.
fn assert_refused(answer: &str, code: u16, why: Refusal) {
    assert_eq!(status(answer), code, "{answer}");
    let reason = header(answer, "noom-refusal");
    assert_eq!(reason.as_deref(), Some(why.code()), "{answer}");
}

#[tokio::test]
async fn a_page_asks_whether_it_may_connect_and_holds_no_connection_by_asking() {
    let app = TestApp::start_with(long_timing(), &["--sockets-per-address", "1"]).await;
    for _ in 0..3 {
        let answer = app.http_from(COUNTED, &post("/ws", "")).await;
        assert_eq!(status(&answer), 204, "{answer}");
        let kept = header(&answer, "cache-control");
        assert_eq!(kept.as_deref(), Some("no-store"));
    }
    let socket = app.connect_from(COUNTED).await;
    for path in ["/ws", "/poll"] {
        let answer = app.http_from(COUNTED, &post(path, "")).await;
        assert_refused(&answer, 429, Refusal::TooManyConnections);
        assert_eq!(header(&answer, "retry-after").as_deref(), Some("10"));
    }
    // The limit counts each address separately.
    let other = app.http_from("127.0.0.3", &post("/ws", "")).await;
    assert_eq!(status(&other), 204, "{other}");
    socket.close(Some(1000)).await;
    let freed = async { while status(&app.http_from(COUNTED, &post("/ws", "")).await) != 204 {} };
    let freed = tokio::time::timeout(super::harness::DEADLINE, freed).await;
    freed.expect("the place is free again");
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_or_an_unknown_host_learns_the_reason() {
    let app = TestApp::start().await;
    for path in ["/ws", "/poll"] {
        for foreign in [
            "Origin: http://evil.com\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
        ] {
            let answer = app.http(&post(path, foreign)).await;
            assert_refused(&answer, 403, Refusal::ForeignOrigin);
        }
        let elsewhere = post(path, "").replace("Host: localhost", "Host: meet.example");
        assert_refused(&app.http(&elsewhere).await, 421, Refusal::UnknownHost);
    }
    let own = app.http(&post("/ws", "Origin: http://localhost\r\n")).await;
    assert_eq!(status(&own), 204, "{own}");
}

#[tokio::test]
async fn only_an_empty_body_is_taken_where_a_page_asks() {
    let app = TestApp::start().await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(status(&app.http(&post("/ws", form)).await), 415);
    assert_eq!(status(&app.get("/ws").await), 426);
}
