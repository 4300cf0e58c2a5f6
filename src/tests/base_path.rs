//! A server below a base path: every address that it sends, and every request that reaches it.

use super::{
    harness::{DEADLINE, TestApp, form, get, join, long_timing, status, until},
    poller::{JSON, of_connection, request},
    tls,
};
use crate::{
    app::BELOW,
    protocol::{ClientMessage, ServerMessage},
};
use std::collections::{BTreeSet, VecDeque};
use tokio::time::timeout;

/// The base path of the tests.
const BASE: &str = "/noom";

/// Attributes that hold addresses. `data-room` holds several.
const ADDRESSES: [&str; 6] = ["href", "src", "action", "data-js", "data-wasm", "data-room"];

/// Pages that a crawl loads at most, so that a page that grows its own address ends it.
const MAX_PAGES: usize = 300;

/// The header by which the server recognises a browser.
const BROWSER: &str = "Accept: text/html\r\n";

/// A server below the base path.
async fn mounted() -> TestApp {
    TestApp::start_with(long_timing(), &["--base-path", BASE]).await
}

/// A GET of a browser with these further headers.
async fn load(app: &TestApp, path: &str, headers: &str) -> String {
    let end = format!("{BROWSER}{headers}\r\n");
    let request = get(path);
    let head = request.strip_suffix("\r\n").expect("an empty line");
    app.http(&format!("{head}{end}")).await
}

/// The value of a header of a response, if it has one.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let lines = answer.lines().take_while(|line| !line.is_empty());
    let mut pairs = lines.filter_map(|line| line.split_once(": "));
    let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// The addresses in a page, each with its attribute.
fn addresses(page: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for name in ADDRESSES {
        for rest in page.split(&format!(" {name}=\"")).skip(1) {
            let value = rest.split('"').next().unwrap_or_default();
            let value = value.replace("&amp;", "&");
            found.extend(value.split(' ').map(|address| (name, address.to_owned())));
        }
    }
    found
}

/// The path of an address below the base path, which a page at `from` has; `None` for a fragment.
/// Fails for an address outside.
fn path_below(address: &str, from: &str) -> Option<String> {
    let address = address.split('#').next().unwrap_or_default();
    if address.is_empty() {
        return None;
    }
    if address.starts_with('?') {
        let path = from.split('?').next().unwrap_or_default();
        return Some(format!("{path}{address}"));
    }
    let path = address.split('?').next().unwrap_or_default();
    let is_below = path
        .strip_prefix(BASE)
        .is_some_and(|rest| rest.starts_with('/'));
    assert!(
        is_below || address == "/noom/admin",
        "{address} on {from} is below {BASE}"
    );
    Some(address.to_owned())
}

/// Loads pages, and every page and file to which they lead. Each address must be below the base
/// path, and each one that a browser loads must exist. Returns the loaded paths and the actions of
/// forms.
async fn crawl(app: &TestApp, from: &[&str], headers: &str) -> BTreeSet<String> {
    let mut seen: BTreeSet<String> = from.iter().map(|path| (*path).to_owned()).collect();
    let mut open: VecDeque<_> = seen.iter().cloned().collect();
    while let Some(path) = open.pop_front() {
        let answer = load(app, &path, headers).await;
        let is_missing = path.contains("nowhere");
        assert_eq!(
            status(&answer),
            if is_missing { 404 } else { 200 },
            "{path}"
        );
        if !header(&answer, "content-type").starts_with("text/html") {
            continue;
        }
        let (_, page) = answer.split_once("\r\n\r\n").expect("a page");
        assert!(!page.contains("=\"//"), "{page}");
        for (attribute, address) in addresses(page) {
            let Some(next) = path_below(&address, &path) else {
                continue;
            };
            if seen.insert(next.clone()) && attribute != "action" {
                open.push_back(next);
            }
        }
        assert!(seen.len() < MAX_PAGES, "{seen:#?}");
    }
    seen
}

/// Fails unless some path begins with each of these.
fn assert_led_to(seen: &BTreeSet<String>, paths: &[&str]) {
    for path in paths {
        let is_there = seen.iter().any(|seen| seen.starts_with(path));
        assert!(is_there, "{path} is among {seen:#?}");
    }
}

#[tokio::test]
async fn every_address_of_every_page_is_below_the_base_path_and_exists() {
    let app = mounted().await;
    let mut ann = app.join("garden", "Ann").await;
    ann.send_chat("hello").await;
    let _ben = app.join("a b%c", "Ben").await;
    until("the rooms are listed", || {
        app.context.rooms.summaries().len() == 2
    })
    .await;
    let starts = [
        "/noom/",
        "/noom/?plain=1",
        "/noom/room/Garden",
        "/noom/room/garden/call",
        "/noom/room/garden?q=hello",
        "/noom/room/garden?at=1&plain=1",
        "/noom/room/garden?plain=1&lang=ko",
        "/noom/nowhere",
    ];
    let seen = crawl(&app, &starts, "").await;
    assert_led_to(
        &seen,
        &[
            "/noom/room/garden",
            "/noom/room/a%20b%25c",
            "/noom/room/garden/call",
            "/noom/room/garden?at=1",
            "/noom/pkg/noom",
            "/noom/favicon.svg",
            "/noom/manifest.webmanifest",
            "/noom/api/join_room",
            "/noom/api/post_message",
        ],
    );
    let manifest = load(&app, "/noom/manifest.webmanifest", "").await;
    assert!(!manifest.contains("\"/"), "{manifest}");
}

#[tokio::test]
async fn every_address_of_the_pages_of_the_operator_is_below_the_base_path() {
    let app = mounted().await;
    let mut ann = app.join("garden", "Ann").await;
    ann.send_chat("hello").await;
    let operator = &app.context.operator;
    until("a link", || operator.printed_link().is_some()).await;
    let token = operator.printed_link().expect("a link");
    let setup = format!("/noom/admin/setup?token={token}");
    let seen = crawl(&app, &[&setup], "").await;
    assert_led_to(
        &seen,
        &["/noom/admin/setup?token=", "/noom/admin/admin.css"],
    );
    let fields = format!("token={token}&password=a+long+password&again=a+long+password");
    let answer = app.http(&form("/noom/admin/setup", "", &fields)).await;
    let led = (status(&answer), header(&answer, "location"));
    assert_eq!(led, (303, "/noom/admin"));
    let cookie = header(&answer, "set-cookie");
    assert!(
        cookie.starts_with("noom_admin=") && cookie.contains("; Path=/noom/;"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("a pair");
    let cookie = format!("Cookie: {cookie}\r\n");
    let overview = load(&app, "/noom/admin", &cookie).await;
    let token = overview.split("name=\"token\" value=\"").nth(1);
    let token = token.and_then(|rest| rest.split('"').next());
    let fields = format!("action=make_backup&token={}", token.expect("a form"));
    let answer = app
        .http(&form("/noom/admin/action", &cookie, &fields))
        .await;
    assert!(
        header(&answer, "location").starts_with("/noom/admin?said="),
        "{answer}"
    );
    let seen = crawl(&app, &["/noom/admin"], &cookie).await;
    assert_led_to(
        &seen,
        &[
            "/noom/admin/room?name=garden",
            "/noom/admin/history?name=garden",
            "/noom/admin/backup?name=",
            "/noom/admin/action",
            "/noom/admin/admin.js",
            "/noom/admin?log=all",
            "/noom/room/garden",
        ],
    );
    let wrong = app
        .http(&form("/noom/admin/sign-in", "", "password=wrong"))
        .await;
    for (_, address) in addresses(&wrong) {
        path_below(&address, "/noom/admin/sign-in");
    }
}

#[tokio::test]
async fn the_page_for_other_devices_is_below_the_base_path() {
    let flags = ["--tls", "self-signed", "--base-path", BASE];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let (mut client, _connection) = tls::http2(&app).await;
    let page = tls::text(tls::get(&mut client, "/noom/lan").await).await;
    let paths: Vec<_> = addresses(&page)
        .iter()
        .filter_map(|(_, address)| path_below(address, "/noom/lan"))
        .collect();
    assert!(paths.len() >= 6, "{paths:?}");
    for path in paths {
        let answer = tls::get(&mut client, &path).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
    // The prefix of cookies over TLS demands the path of the whole host.
    let page = tls::get(&mut client, "/noom/?lang=ko").await;
    let cookie = page.headers()["set-cookie"].to_str().expect("text");
    assert!(
        cookie.starts_with("__Host-") && cookie.contains("; Path=/;"),
        "{cookie}"
    );
}

#[tokio::test]
async fn requests_are_served_with_the_base_path_and_by_a_proxy_that_strips_it() {
    let app = mounted().await;
    for base in [BASE, ""] {
        let mut ann = app.connect_at(&format!("{base}/ws")).await;
        ann.join("garden", "Ann").await;
        ann.send_chat("hello").await;
        let line = |method: &str, query: &str| format!("{method} {base}/poll{query}");
        let opened = request(app.address, &line("POST", ""), "", "").await;
        assert_eq!(opened.status, 201, "{}", opened.body);
        let opened: serde_json::Value = serde_json::from_str(&opened.body).expect("JSON");
        let secret = of_connection(opened["connection"].as_str().expect("a secret"));
        let message: [ClientMessage; 1] = [join("garden", "Ben", None)];
        let message = serde_json::to_string(&message).expect("JSON");
        let headers = format!("{secret}{JSON}");
        let sent = request(app.address, &line("POST", "?batch=1"), &headers, &message).await;
        assert!((200..300).contains(&sent.status), "{}", sent.body);
        let polled = request(app.address, &line("GET", "?after=0"), &secret, "").await;
        assert!(polled.body.contains("\"joined\""), "{}", polled.body);
        ann.wait_for(|message| matches!(message, ServerMessage::Entered { .. }).then_some(()))
            .await;
        for path in ["/healthz", "/readyz", "/favicon.svg", "/room/garden"] {
            let answer = load(&app, &format!("{base}{path}"), "").await;
            assert_eq!(status(&answer), 200, "{base}{path}");
        }
        // The addresses in the page are those that the browser reaches by the proxy.
        let page = load(&app, &format!("{base}/"), "").await;
        assert!(page.contains("action=\"/noom/api/join_room\""), "{page}");
        assert!(page.contains(" data-base=\"/noom\""), "{page}");
        assert!(page.contains(BELOW), "{page}");
    }
}

#[tokio::test]
async fn forms_lead_below_the_base_path_with_and_without_script() {
    let app = mounted().await;
    for base in [BASE, ""] {
        let join_room = format!("{base}/api/join_room");
        let cases = [
            (BROWSER, "nickname=Ann&room=garden", "/noom/room/garden"),
            (
                BROWSER,
                "nickname=&room=",
                "/noom/?nickname=&room=&problem=",
            ),
            (BROWSER, "nickname=&room=a&plain=1", "/noom/room/a?plain=1"),
            (
                "Accept: application/json\r\n",
                "nickname=Ann&room=garden",
                "/noom/room/garden",
            ),
        ];
        for (headers, fields, location) in cases {
            let answer = app.http(&form(&join_room, headers, fields)).await;
            let found = header(&answer, "location");
            assert!(found.starts_with(location), "{fields}: {answer}");
            let locations = answer.lines().filter(|line| line.starts_with("location:"));
            assert_eq!(locations.count(), 1, "{answer}");
        }
        let named = app.http(&form(&join_room, BROWSER, cases[0].1)).await;
        assert!(
            header(&named, "set-cookie").contains("noom_nickname=Ann; Path=/noom/;"),
            "{named}"
        );
        let post = format!("{base}/api/post_message");
        let answer = app.http(&form(&post, BROWSER, "room=garden&text=hi")).await;
        let led = (status(&answer), header(&answer, "location"));
        assert_eq!(led, (302, "/noom/room/garden"));
        // A refusal leads back to the page of the form, which the browser names in full.
        let referer = format!("{BROWSER}Referer: http://localhost/noom/room/garden\r\n");
        let answer = app.http(&form(&post, &referer, "room=&text=hi")).await;
        let found = header(&answer, "location");
        assert!(
            !found.contains("/noom/noom") && !found.contains("/noomhttp"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_base_path_itself_leads_to_the_first_page_and_other_paths_are_not_found() {
    let app = mounted().await;
    for (path, location) in [("/noom", "/noom/"), ("/noom?lang=ko", "/noom/?lang=ko")] {
        let answer = load(&app, path, "").await;
        let led = (status(&answer), header(&answer, "location"));
        assert_eq!(led, (307, location), "{path}");
        assert!(!header(&answer, "content-security-policy").is_empty());
    }
    assert_eq!(status(&app.http(&form("/noom", "", "a=b")).await), 404);
    for path in [
        "/noomx",
        "/noomx/room/garden",
        "/NOOM/",
        "/noom/noom/",
        "/%6eoom/",
        "/noom/nowhere",
        "/noom//evil.example/",
        "//noom/",
    ] {
        let answer = load(&app, path, "").await;
        assert_eq!(status(&answer), 404, "{path}");
        assert!(!answer.contains("href=\"//"), "{answer}");
    }
    // A slash and a backslash at the beginning would name another host.
    let way_back = load(&app, "/noom//evil.example/?plain=1", "").await;
    assert!(
        way_back.contains("href=\"/noom/evil.example/"),
        "{way_back}"
    );
}

#[tokio::test]
async fn checks_of_host_and_origin_apply_below_the_base_path() {
    let app = mounted().await;
    let foreign = format!("{BROWSER}Origin: https://evil.example\r\n");
    let fields = "nickname=Ann&room=garden";
    for path in ["/noom/api/join_room", "/noom/admin/sign-in", "/noom/ws"] {
        let refused = app.http(&form(path, &foreign, fields)).await;
        assert_eq!(status(&refused), 403, "{path}");
    }
    let at = |path: &str| get(path).replace("localhost", "evil.example");
    assert_eq!(status(&app.http(&at("/noom/")).await), 421);
    assert_eq!(status(&app.http(&at("/noom/healthz")).await), 200);
    // The public listener has no metrics for strangers.
    assert_ne!(status(&app.get("/noom/metrics").await), 200);
    assert_ne!(status(&app.get("/metrics").await), 200);
}

#[tokio::test]
async fn health_and_sockets_below_the_base_path_use_the_reserve() {
    let flags = ["--base-path", BASE, "--max-connections", "1"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let held = app.tcp_from("127.0.0.1").await;
    assert_eq!(status(&app.get("/noom/").await), 503);
    assert_eq!(status(&app.get("/noom/room/healthz").await), 503);
    assert_eq!(status(&app.get("/noom/healthz").await), 200);
    assert_eq!(status(&app.get("/healthz").await), 200);
    let mut ann = timeout(DEADLINE, app.connect_at("/noom/ws")).await;
    ann.as_mut().expect("in time").join("garden", "Ann").await;
    drop(held);
}

#[tokio::test]
async fn without_a_base_path_pages_do_not_mention_one() {
    let app = TestApp::start().await;
    for path in ["/", "/room/garden", "/nowhere", "/?plain=1"] {
        let page = load(&app, path, "").await;
        assert!(
            !page.contains("data-base") && !page.contains(BELOW),
            "{page}"
        );
    }
    let answer = load(&app, "/noom/", "").await;
    assert_eq!(status(&answer), 404);
}
