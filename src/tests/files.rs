//! Plain HTTP: health, security headers, static files, error pages.

use super::harness::TestApp;

#[tokio::test]
async fn health_readiness_and_metrics_are_answered() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("hi").await;
    assert!(app.get("/healthz").await.ends_with("\r\n\r\nok"));
    let ready = app.get("/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains(r#""ready":true"#),
        "{ready}"
    );
    let metrics = app.metrics().await;
    for name in [
        "noom_rooms",
        "noom_people",
        "noom_sockets",
        "noom_messages_total",
    ] {
        assert_eq!(metrics.value(name), 1.0, "{name}");
    }
}

#[tokio::test]
async fn readiness_reports_a_missing_database() {
    let app = TestApp::start().await;
    app.context.store.close().await;
    let ready = app.get("/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("database"),
        "{ready}"
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_is_refused_and_not_broadcast() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    app.context.store.close().await;
    let id = super::harness::new_id();
    let text = "lost".to_owned();
    ann.send(&crate::protocol::ClientMessage::Chat(
        crate::protocol::ChatDraft {
            id,
            text,
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        },
    ))
    .await;
    assert_eq!(
        ann.wait_for_refusal().await,
        (crate::protocol::ErrorCode::Unavailable, Some(id))
    );
    assert_eq!(ben.received_so_far().await, []);
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/", "/none", "/pkg/none.js", "/ws"] {
        let answer = app.get(path).await.to_lowercase();
        for header in [
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(answer.contains(header), "{path} lacks {header}");
        }
        // Pages may use devices; other responses get no permission.
        let is_page = answer.contains("permissions-policy: camera=(self)");
        assert_eq!(is_page, path == "/", "{path}");
        assert_eq!(is_page, answer.contains("script-src 'self'"), "{path}");
        assert!(
            !answer.contains("strict-transport-security"),
            "not over http"
        );
    }
    let flags = ["--public-url", "https://meet.org"];
    let app = TestApp::start_with(super::harness::long_timing(), &flags).await;
    assert!(
        app.get("/healthz")
            .await
            .contains("strict-transport-security")
    );
}

#[tokio::test]
async fn an_unknown_path_returns_a_page_to_browsers_and_a_line_to_programs() {
    let app = TestApp::start().await;
    let program = app.get("/none").await;
    assert!(
        program.starts_with("HTTP/1.1 404") && program.ends_with("not found"),
        "{program}"
    );
    let request =
        "GET /none HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let person = app.http(request).await;
    assert!(
        person.starts_with("HTTP/1.1 404") && person.contains("<html"),
        "{person}"
    );
}

#[tokio::test]
async fn a_page_is_compressed_for_clients_that_accept_it() {
    let app = TestApp::start().await;
    let ask = |coding: &str| {
        let host = app.address;
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n"
        )
    };
    for coding in ["gzip, br", "br;q=1, gzip;q=0.5"] {
        let packed = app.http(&ask(coding)).await.to_lowercase();
        assert!(
            packed.contains("content-encoding: gzip"),
            "{coding}: {packed}"
        );
        assert!(
            packed.contains("vary: accept-encoding"),
            "{coding}: {packed}"
        );
    }
    for coding in ["identity", "gzip;q=0"] {
        let plain = app.http(&ask(coding)).await;
        assert!(
            plain.contains("</html>") && !plain.contains("gzip"),
            "{coding}"
        );
    }
}
