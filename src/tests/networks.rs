//! Methods and versions that proxies ask with.

use super::harness::{TestApp, get, status};

#[tokio::test]
async fn options_is_answered_with_the_methods_of_the_route() {
    let app = TestApp::start().await;
    // As HAProxy checks, without a Host.
    let check = app.http("OPTIONS / HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&check), 204, "{check}");
    assert!(
        check.to_lowercase().contains("allow: get,head\r"),
        "{check}"
    );
    let asks = async |target: &str| {
        let request =
            format!("OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        app.http(&request).await.to_lowercase()
    };
    for (target, methods) in [
        ("*", "get,head,post"),
        ("/room/team", "get,head"),
        ("/healthz", "get,head"),
        ("/readyz", "get,head"),
        ("/poll", "get,head,post"),
        ("/api/post_message", "post"),
        ("/pkg/none.js", "get,head"),
    ] {
        let answer = asks(target).await;
        assert_eq!(status(&answer), 204, "{target}: {answer}");
        assert!(
            answer.contains(&format!("allow: {methods}\r")),
            "{target}: {answer}"
        );
    }
    assert_eq!(status(&asks("/none").await), 404);
}

#[tokio::test]
async fn options_lets_no_page_of_another_site_in() {
    let app = TestApp::start().await;
    let request = "OPTIONS /api/post_message HTTP/1.1\r\nHost: localhost\r\n\
                   Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
                   Connection: close\r\n\r\n";
    let answer = app.http(request).await.to_lowercase();
    assert!(!answer.contains("access-control-allow"), "{answer}");
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let app = TestApp::start().await;
    for path in ["/", "/room/team", "/healthz", "/readyz"] {
        let head = app.http(&get(path).replacen("GET", "HEAD", 1)).await;
        assert_eq!(status(&head), 200, "{path}: {head}");
        let (_, body) = head.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, "", "{path}");
    }
}

#[tokio::test]
async fn http_1_1_without_a_host_is_400_and_http_1_0_is_served() {
    let app = TestApp::start().await;
    let new = app
        .http("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&new), 400, "{new}");
    let old = app.http("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), 200, "{old}");
}
