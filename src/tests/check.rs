//! `/check`: the page without script, and what a test may use of the server.

use super::{
    harness::{DEADLINE, TestApp, long_timing, status},
    poller::{Answer, request},
};
use crate::{
    server::{check::relay_names, rooms::RelayUse},
    state::check::{Fact, Step},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The address of a client that exceeds its limits.
const EVE: &str = "127.0.0.66";
/// The address of a client within its limits.
const ANN: &str = "127.0.0.7";

/// Starts a test from this machine. Returns the response as JSON.
async fn start(app: &TestApp) -> Value {
    let started = request(app.address, "POST /check/start", "", "").await;
    assert_eq!(started.status, 200, "{}", started.body);
    serde_json::from_str(&started.body).expect("JSON")
}

/// The header of a ticket.
fn with_ticket(started: &Value) -> String {
    format!(
        "Noom-Check: {}\r\n",
        started["ticket"].as_str().expect("a ticket")
    )
}

/// Uploads bytes with these headers.
async fn upload(app: &TestApp, headers: &str, bytes: usize) -> u16 {
    let headers = format!("{headers}Content-Type: application/octet-stream\r\n");
    let body = "x".repeat(bytes);
    request(app.address, "POST /check/upload", &headers, &body)
        .await
        .status
}

/// Offers the connection of a browser to the SFU.
async fn offer(app: &TestApp, headers: &str) -> Answer {
    let headers = format!("{headers}Content-Type: application/json\r\n");
    let body = serde_json::json!({ "sdp": include_str!("corpus/offer.sdp") });
    request(
        app.address,
        "POST /check/media",
        &headers,
        &body.to_string(),
    )
    .await
}

/// Downloads with these headers. Returns the status and the size of head and body.
async fn download(app: &TestApp, headers: &str) -> (u16, usize) {
    let mut stream = TcpStream::connect(app.address).await.expect("connects");
    let request = format!(
        "GET /check/download HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut all = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut all)).await;
    read.expect("ends").expect("read");
    let head = String::from_utf8_lossy(&all[..all.len().min(2_000)]).into_owned();
    assert!(
        head.to_lowercase()
            .contains("cache-control: no-store, no-transform")
    );
    (status(&head), all.len())
}

#[tokio::test]
async fn the_page_says_without_script_what_the_server_sees_in_both_languages() {
    let app = TestApp::start().await;
    let english = app.get("/check?lang=en").await;
    for words in [
        "<html lang=\"en\"",
        "The test needs JavaScript",
        "127.0.0.1",
        "HTTP/1.1",
        "no: browsers give camera and microphone only to encrypted pages",
        "connect-src 'self' ws://localhost",
    ] {
        assert!(english.contains(words), "{words} in {english}");
    }
    let korean = app.get("/check?lang=ko").await;
    for words in ["<html lang=\"ko\"", "JavaScript가 필요한데", "HTTP/1.1"] {
        assert!(korean.contains(words), "{words} in {korean}");
    }
}

#[tokio::test]
async fn below_a_base_path_the_page_and_its_test_use_addresses_below_it() {
    let app = TestApp::start_with(long_timing(), &["--base-path", "/noom"]).await;
    let page = app.get("/noom/check").await;
    for address in [
        "src=\"/noom/check/check.js\"",
        "href=\"/noom/check/check.css\"",
        "\"/noom/ws\"",
        "\"/noom/poll\"",
        "\"/noom/check/start\"",
        "\"/noom/check/upload\"",
    ] {
        assert!(page.contains(address), "{address} in {page}");
    }
    let started = request(app.address, "POST /noom/check/start", "", "").await;
    assert_eq!(started.status, 200, "{}", started.body);
    let started = serde_json::from_str(&started.body).expect("JSON");
    let headers = with_ticket(&started) + "Content-Type: application/octet-stream\r\n";
    let line = "POST /noom/check/upload";
    let uploaded = request(app.address, line, &headers, "bytes").await;
    assert_eq!(uploaded.status, 204, "{}", uploaded.body);
}

#[tokio::test]
async fn the_page_carries_a_sentence_for_every_result_of_every_step() {
    let app = TestApp::start().await;
    for language in ["en", "ko"] {
        let page = app.get(&format!("/check?lang={language}")).await;
        let (_, data) = page.split_once("id=\"check-data\">").expect("data");
        let (data, _) = data.split_once("</script>").expect("an end");
        let data: Value = serde_json::from_str(data).expect("JSON");
        for step in Step::ALL {
            for fact in Fact::all_of(step) {
                let finding = &data["steps"][step.name()]["results"][fact.code()];
                let sentence = finding["sentence"].as_str().expect("a sentence");
                assert!(!sentence.is_empty(), "{fact:?}");
                let is_korean = sentence.chars().any(|c| ('가'..='힣').contains(&c));
                assert_eq!(is_korean, language == "ko", "{sentence}");
                let advice = finding["advice"].as_str().expect("advice");
                let works = finding["verdict"] == "good";
                let untested = finding["verdict"] == "unknown";
                assert!(works || untested || !advice.is_empty(), "{fact:?}");
            }
        }
        for summary in data["conditions"].as_array().expect("a list") {
            let name = summary.as_str().expect("a name");
            assert!(data["summaries"][name]["sentence"].is_string(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_test_moves_bytes_both_ways_and_no_more_than_its_ticket() {
    let app = TestApp::start().await;
    let ticket = with_ticket(&start(&app).await);
    let (found, bytes) = download(&app, &ticket).await;
    let mib = bytes as f64 / (1024.0 * 1024.0);
    assert!(
        found == 200 && (12.0..12.1).contains(&mib),
        "{found}, {mib} MiB"
    );
    assert_eq!(download(&app, &ticket).await.0, 403);
    let mut taken = 0;
    while upload(&app, &ticket, 64 * 1024).await == 204 {
        taken += 1;
    }
    assert_eq!(taken, 6 * 16, "6 MiB");
    assert_eq!(upload(&app, &ticket, 64 * 1024 + 1).await, 413);
}

#[tokio::test]
async fn without_a_ticket_or_after_its_end_nothing_is_given() {
    let app = TestApp::start().await;
    for headers in ["", "Noom-Check: made-up\r\n"] {
        assert_eq!(download(&app, headers).await.0, 403);
        assert_eq!(upload(&app, headers, 10).await, 403);
        assert_eq!(offer(&app, headers).await.status, 403);
    }
    let ticket = with_ticket(&start(&app).await);
    let ended = request(app.address, "POST /check/end", &ticket, "").await;
    assert_eq!(ended.status, 204);
    assert_eq!(download(&app, &ticket).await.0, 403);
    let foreign = format!("{ticket}Origin: http://elsewhere.example\r\n");
    for path in ["start", "end", "upload", "media"] {
        let line = format!("POST /check/{path}");
        assert_eq!(
            request(app.address, &line, &foreign, "").await.status,
            403,
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_offer_of_a_test_is_answered_with_the_media_port_over_udp_and_tcp() {
    let flags = ["--media-ip", "127.0.0.1"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let ticket = with_ticket(&start(&app).await);
    let port = app.context.sfu.candidates()[0].port();
    for left in (0..6_u32).rev() {
        let answered = offer(&app, &ticket).await;
        if left < 2 {
            assert_eq!(answered.status, 403, "four offers a test");
            continue;
        }
        let answer: Value = serde_json::from_str(&answered.body).expect("JSON");
        let sdp = answer["sdp"].as_str().expect("an answer");
        let candidate = |transport: &str| {
            let lines = sdp.lines().filter(|line| line.starts_with("a=candidate:"));
            let address = format!(" 127.0.0.1 {port} ");
            let mut lines = lines.filter(|line| line.contains(&address));
            lines.any(|line| line.to_lowercase().contains(&format!(" {transport} ")))
        };
        assert!(candidate("udp") && candidate("tcp"), "{sdp}");
    }
    assert_eq!(app.context.rooms.count(), 0, "no room was opened");
    let connections = app.metrics().await.value("noom_media_connections");
    assert_eq!(connections, 4.0);
}

#[tokio::test]
async fn a_test_gets_relay_credentials_that_end_with_it() {
    let flags = ["--turn-listen", "127.0.0.1:0", "--media-ip", "127.0.0.1"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let [first, second] = [start(&app).await, start(&app).await];
    let login = |started: &Value| started["ice_servers"][0].clone();
    let (first_login, second_login) = (login(&first), login(&second));
    assert!(
        first_login["urls"][0]
            .as_str()
            .is_some_and(|url| url.starts_with("turn:127.0.0.1:"))
    );
    assert!(first_login["credential"].is_string());
    assert_ne!(first_login["username"], second_login["username"]);
    // Credentials of one session name its number; after its end there is another one.
    let relays = app.context.rooms.relays().expect("TURN is on").clone();
    let session = |started: &Value| {
        let ticket = started["ticket"].as_str().expect("a ticket");
        let (room, person) = relay_names(ticket).expect("names");
        let name = relays.servers(&room, &person, RelayUse::Call)[0]
            .username
            .clone();
        name.expect("a name").split(':').nth(1).map(str::to_owned)
    };
    let number = |login: &Value| {
        let name = login["username"].as_str().expect("a name");
        name.split(':').nth(1).map(str::to_owned)
    };
    request(app.address, "POST /check/end", &with_ticket(&first), "").await;
    assert_ne!(session(&first), number(&first_login));
    assert_eq!(session(&second), number(&second_login));
}

#[tokio::test]
async fn a_flood_of_tests_is_refused_and_others_are_tested_meanwhile() {
    let app = TestApp::start_with(long_timing(), &["--address-rates", "checks=60/6"]).await;
    let post = "POST /check/start HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Length: 0\r\n\r\n";
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(status(&app.http_from(EVE, post).await));
    }
    let count = |wanted: u16| statuses.iter().filter(|found| **found == wanted).count();
    assert_eq!(count(200), 2, "two at once: {statuses:?}");
    assert_eq!(
        count(503),
        4,
        "within the rate, at the limit of tests at once"
    );
    assert_eq!(count(429), 34, "beyond the rate");
    assert_eq!(status(&app.http_from(ANN, post).await), 200);
    // Strangers at many addresses together: the places of all tests.
    let mut running = 3;
    for last in 100..130 {
        let source = format!("127.0.0.{last}");
        running += usize::from(status(&app.http_from(&source, post).await) == 200);
    }
    assert_eq!(running, 16);
    let refusals = r#"noom_rate_refusals_total{kind="checks",limit="address"}"#;
    assert_eq!(app.metrics().await.value(refusals), 34.0);
}
