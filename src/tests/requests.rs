//! Invalid requests: for unknown hosts, with foreign cookies, or malformed. None of them gets a
//! server error.

use super::harness::{TestApp, form, get, long_timing, status};
use crate::server::{
    Server,
    config::{Config, FileLayer, Flags},
    error::ServeError,
    limits::Timing,
};
use clap::Parser;
use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};

#[tokio::test]
async fn requests_for_an_unknown_host_are_refused() {
    let app = TestApp::start().await;
    let at = |path: &str, host: &str| get(path).replace("Host: localhost", host);
    for path in [
        "/",
        "/room/team",
        "/ws",
        "/poll",
        "/pkg/none.js",
        "/none",
        "/api/welcome",
    ] {
        let answer = app.http(&at(path, "Host: evil.com")).await;
        assert_eq!(status(&answer), 421, "{path}: {answer}");
        assert!(answer.contains("--public-url"), "{answer}");
        assert_eq!(status(&app.http(&at(path, "X: y")).await), 400, "{path}");
        let own = app.http(&at(path, &format!("Host: {}", app.address))).await;
        assert!(
            status(&own) != 421 && (status(&own) == 400) == (path == "/poll"),
            "only /poll lacks a parameter, {path}: {own}"
        );
    }
    let posted = form(
        "/api/join_room",
        "Origin: http://evil.com\r\n",
        "nickname=&room=x",
    );
    let posted = posted.replace("Host: localhost", "Host: evil.com");
    assert_eq!(status(&app.http(&posted).await), 421);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            status(&app.http(&at(path, "Host: evil.com")).await),
            200,
            "{path}"
        );
    }
    let flags = ["--public-url", "https://meet.org"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    assert_eq!(status(&app.http(&at("/", "Host: meet.org")).await), 200);
    assert_eq!(status(&app.http(&at("/", "Host: evil.com")).await), 421);
}

#[tokio::test]
async fn metrics_are_on_a_listener_of_their_own() {
    let app = TestApp::start().await;
    assert_eq!(status(&app.get("/metrics").await), 404);
    assert!(app.metrics().await.value("noom_http_requests_total") > 0.0);
    let address = app.metrics_address.expect("on");
    let evil = get("/metrics").replace("Host: localhost", "Host: evil.com");
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connects");
    let answer = super::harness::answer(stream, &evil).await;
    assert_eq!(status(&answer), 421, "{answer}");
    let off = TestApp::start_with(long_timing(), &["--metrics-listen", "off"]).await;
    assert_eq!(off.metrics_address, None);
}

#[tokio::test]
async fn the_details_of_readiness_are_for_this_machine_and_the_metrics_listener() {
    let app = TestApp::start().await;
    let local = app.get("/readyz").await;
    let address = app.metrics_address.expect("on");
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connects");
    let by_metrics = super::harness::answer(stream, &get("/readyz")).await;
    for answer in [&local, &by_metrics] {
        assert!(
            answer.contains("\"notes\"") && answer.contains("\"bytes\""),
            "{answer}"
        );
    }
    let proxied = get("/readyz").replace("\r\n\r\n", "\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
    for answer in [
        app.http_from("127.0.0.2", &get("/readyz")).await,
        app.http(&proxied).await,
    ] {
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(
            answer.ends_with(r#"{"problems":{},"ready":true}"#),
            "{answer}"
        );
    }
}

/// A GET of this path with a token.
fn with_token(path: &str, headers: &str) -> String {
    get(path).replace("\r\n\r\n", &format!("\r\n{headers}\r\n\r\n"))
}

#[tokio::test]
async fn metrics_at_the_public_listener_need_the_token_and_a_private_connection() {
    let files = tempfile::tempdir().expect("a directory");
    let file = files.path().join("token");
    std::fs::write(&file, "a-token-of-metrics\n").expect("written");
    let file = file.display().to_string();
    let flags = [
        "--metrics-token-file",
        &file,
        "--trusted-proxies",
        "127.0.0.2",
    ];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let right = "Authorization: Bearer a-token-of-metrics";
    let by_proxy = |path: &str, headers: &str, scheme: &str| {
        let proxy =
            format!("{headers}\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: {scheme}");
        with_token(path, &proxy)
    };
    let local = app.http(&with_token("/metrics", right)).await;
    assert!(
        status(&local) == 200 && local.contains("noom_rooms 0"),
        "{local}"
    );
    let https = by_proxy("/metrics", right, "https");
    assert_eq!(status(&app.http_from("127.0.0.2", &https).await), 200);
    let details = by_proxy("/readyz", right, "https");
    let details = app.http_from("127.0.0.2", &details).await;
    assert!(
        details.contains("\"notes\"") && details.contains("\"bytes\""),
        "{details}"
    );
    for (path, headers, scheme, expected) in [
        ("/metrics", right, "http", 403),
        ("/readyz", right, "http", 403),
        (
            "/metrics",
            "Authorization: Bearer a-token-of-metric",
            "https",
            401,
        ),
        (
            "/readyz",
            "Authorization: Bearer a-token-of-metric",
            "https",
            401,
        ),
        ("/metrics", "Accept: */*", "https", 401),
        ("/readyz", "Accept: */*", "https", 200),
    ] {
        let answer = app
            .http_from("127.0.0.2", &by_proxy(path, headers, scheme))
            .await;
        assert_eq!(status(&answer), expected, "{path} {headers} {scheme}");
        assert!(
            !answer.contains("noom_") && !answer.contains("notes"),
            "{answer}"
        );
    }
    for _ in 0..30 {
        let guess = by_proxy("/metrics", "Authorization: Bearer guess", "https");
        app.http_from("127.0.0.2", &guess).await;
    }
    assert_eq!(status(&app.http_from("127.0.0.2", &https).await), 429);
}

#[tokio::test]
async fn a_file_that_holds_no_token_is_reported_with_its_setting() {
    let data = super::harness::data_directory();
    let directory = data.path().display().to_string();
    let file = data.path().join("token");
    std::fs::write(&file, "two words are none").expect("written");
    let file = file.display().to_string();
    let words = [
        ["--listen", "127.0.0.1:0"],
        ["--data-dir", &directory],
        ["--media-listen", "127.0.0.1:0"],
        ["--turn-listen", "off"],
        ["--metrics-listen", "off"],
        ["--metrics-token-file", &file],
    ];
    let words = ["noom"].into_iter().chain(words.into_iter().flatten());
    let flags = Flags::try_parse_from(words).expect("flags");
    let config = Config::resolve(&flags, &|_| None, &FileLayer::default()).expect("config");
    let error = Server::bind(config, Timing::default()).await.err();
    let line = error.expect("no token").to_string();
    let start =
        format!("--metrics-token-file (NOOM_METRICS_TOKEN_FILE): \"{file}\" cannot be used");
    assert!(line.starts_with(&start), "{line}");
}

#[tokio::test]
async fn a_taken_metrics_port_is_reported_with_its_setting() {
    let app = TestApp::start().await;
    let taken = app.metrics_address.expect("on").to_string();
    let data = super::harness::data_directory();
    let directory = data.path().display().to_string();
    let words = [
        "noom",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &directory,
        "--metrics-listen",
        &taken,
    ];
    let flags = Flags::try_parse_from(words).expect("flags");
    let config = Config::resolve(&flags, &|_| None, &FileLayer::default()).expect("config");
    let error = Server::bind(config, Timing::default()).await.err();
    let error = error.expect("the port is taken");
    assert!(matches!(error, ServeError::MetricsListen { .. }));
    let line = error.to_string();
    assert!(
        line.contains("--metrics-listen") && line.contains(&taken),
        "{line}"
    );
}

#[tokio::test]
async fn cookies_over_tls_are_host_only_and_secure() {
    let cookies = |answer: &str| {
        let lines = answer
            .lines()
            .filter(|l| l.to_lowercase().starts_with("set-cookie"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let join = form("/api/join_room", "", "nickname=Ann&room=team");
    let flags = ["--public-url", "https://meet.org"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let set = cookies(&app.http(&join).await);
    assert!(!set.is_empty());
    for cookie in &set {
        assert!(cookie.contains("__Host-noom_nickname=Ann;"), "{cookie}");
        assert!(
            cookie.contains("; Secure") && cookie.contains("Path=/"),
            "{cookie}"
        );
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let post = form("/api/post_message", "", "room=team&text=hello");
    let set = cookies(&app.http(&post).await);
    assert!(
        set.iter()
            .any(|c| c.contains("__Host-noom_device") && c.contains("HttpOnly"))
    );
    let themed = |cookie: &str| {
        let cookie = format!("\r\nCookie: {cookie}=dark\r\n\r\n");
        get("/").replace("\r\n\r\n", &cookie)
    };
    // Cookies that a plain connection or a neighbouring host can set are ignored.
    assert!(
        !app.http(&themed("noom_theme"))
            .await
            .contains("data-theme=\"dark\"")
    );
    let own = app.http(&themed("__Host-noom_theme")).await;
    assert!(
        own.contains("data-theme=\"dark\"") && own.contains("data-secure"),
        "{own}"
    );

    let app = TestApp::start_with(long_timing(), &["--trusted-proxies", "127.0.0.1"]).await;
    let set = cookies(&app.http(&join).await);
    assert!(
        !set.is_empty() && set.iter().all(|c| !c.contains("Secure")),
        "{set:?}"
    );
    let plain = app.http(&themed("noom_theme")).await;
    assert!(plain.contains("data-theme=\"dark\"") && !plain.contains("data-secure"));
    let proxied = form(
        "/api/join_room",
        "X-Forwarded-Proto: https\r\n",
        "nickname=Ann&room=team",
    );
    let set = cookies(&app.http(&proxied).await);
    assert!(
        !set.is_empty()
            && set
                .iter()
                .all(|c| c.contains("__Host-") && c.contains("Secure")),
        "{set:?}"
    );
}

/// Random text, some of it similar to a form.
fn nonsense(random: &mut StdRng) -> String {
    const PIECES: [&str; 24] = [
        "room=",
        "nickname=",
        "text=",
        "words=",
        "before=",
        "seq=",
        "&",
        "=",
        "%",
        "%zz",
        "%ff%fe",
        "%00",
        "%F0%9F",
        "team",
        "7",
        "-1",
        "18446744073709551616",
        "+",
        "[0]=",
        "room[]=x",
        "{}",
        "%E2%80%AE",
        "\u{202e}",
        "99999999999999999999999",
    ];
    let count = random.random_range(0..12);
    (0..count)
        .map(|_| PIECES[random.random_range(0..PIECES.len())])
        .collect()
}

#[tokio::test]
async fn arbitrary_requests_never_get_a_server_error() {
    const FUNCTIONS: [&str; 8] = [
        "welcome",
        "join_room",
        "load_room",
        "find_messages",
        "messages_around",
        "post_message",
        "invite_code",
        "invite_calendar",
    ];
    let rates = "rooms=100000/100000,posts=100000/100000";
    // A search waits in proportion to this; on a busy machine the default refuses some with 503.
    let flags = ["--address-rates", rates, "--search-ms", "5000"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut random = StdRng::seed_from_u64(14);
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    let mut requests = Vec::new();
    for number in 0..1_500 {
        let nonsense_now = nonsense(&mut random);
        let cookie = nonsense(&mut random);
        let query: String = nonsense(&mut random)
            .chars()
            .filter(char::is_ascii)
            .collect();
        let accept = ["", "Accept: text/html\r\n"][number % 2];
        let headers = format!("{accept}Cookie: noom_nickname={cookie}; noom_lang={cookie}\r\n");
        // Fewer pages, because they take longest to render.
        let request = match number % 6 {
            1.. => {
                let function = FUNCTIONS[random.random_range(0..FUNCTIONS.len())];
                form(&format!("/api/{function}?{query}"), &headers, &nonsense_now)
            }
            0 => {
                let page = ["/", "/room/", "/room/x", "/check", "/room/%ff/call"];
                let page = page[random.random_range(0..page.len())];
                let target = format!("{page}{query}?{query}");
                get(&target).replace("\r\n\r\n", &format!("\r\n{headers}\r\n"))
            }
        };
        requests.push(request);
    }
    for some in requests.chunks(16) {
        let answers = some.iter().map(|request| app.http(request));
        for (request, answer) in some.iter().zip(join_all(answers).await) {
            let code = status(&answer);
            assert!((200..500).contains(&code), "{request}\n\n{answer}");
            *seen.entry(code).or_default() += 1;
        }
    }
    assert!(
        seen.contains_key(&200) && seen.contains_key(&400),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_form_without_its_fields_is_a_bad_request() {
    let app = TestApp::start().await;
    for (function, body) in [
        ("join_room", "nickname=Ann"),
        ("load_room", ""),
        ("load_room", "room=%20"),
        ("find_messages", "room=team&words=x&before=soon"),
        ("messages_around", "room=team&seq=-1"),
        ("post_message", "text=hello"),
        ("invite_code", "room=team"),
        ("invite_code", "room=team&token=short"),
        (
            "invite_calendar",
            "room=team&token=AAAAAAAAAAAAAAAAAAAAAA&starts=soon",
        ),
    ] {
        for accept in ["", "Accept: text/html\r\n"] {
            let request = form(&format!("/api/{function}"), accept, body);
            let answer = app.http(&request).await;
            assert_eq!(status(&answer), 400, "{function} {body}: {answer}");
        }
    }
}
