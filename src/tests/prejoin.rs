//! The page before the call: which navigations count as started by this site.

use super::harness::TestApp;

/// Loads the page of a call with these headers. Returns whether it says that this site started the
/// navigation, and whether it asks before it enters the call.
async fn call_page(app: &TestApp, headers: &str) -> (bool, bool) {
    let request = format!(
        "GET /room/team/call?prejoin=0 HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n"
    );
    let page = app.http(&request).await.replace('\\', "");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let own = page.contains(r#""own_navigation":true"#);
    assert_ne!(own, page.contains(r#""own_navigation":false"#));
    (own, page.contains("Join now"))
}

#[tokio::test]
async fn only_navigations_started_by_this_site_count_as_its_own() {
    let app = TestApp::start().await;
    let table = [
        ("", false),
        (
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n",
            false,
        ),
        (
            "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\n",
            false,
        ),
        (
            "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n",
            false,
        ),
        (
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n",
            false,
        ),
        ("Sec-Fetch-Site: same-origin\r\n", false),
        ("Referer: http://localhost/room/team\r\n", false),
        (
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n",
            true,
        ),
    ];
    for (headers, own) in table {
        let has_question = true;
        assert_eq!(
            call_page(&app, headers).await,
            (own, has_question),
            "{headers:?}"
        );
    }
}
