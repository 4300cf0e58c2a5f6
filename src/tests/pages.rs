//! Headers of pages, and the page without script.

use super::harness::{DEADLINE, TestApp, form, status, without_markers};
use crate::{
    protocol::{Access, ClientMessage, JoinRequest, RoomName, ServerMessage, SettingsChange},
    server::http::router,
};
use std::sync::mpsc::TryRecvError;
use tokio::time::timeout;

/// The value of a header of a response, if it has one.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let lines = answer.lines().take_while(|line| !line.is_empty());
    let mut pairs = lines.filter_map(|line| line.split_once(": "));
    let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// Asserts that a page carries a fingerprint instead of its placeholder.
fn assert_has_fingerprint(page: &str) {
    let fingerprint = page.split("data-page=\"").nth(1).unwrap_or_default();
    let fingerprint = fingerprint.split('"').next().unwrap_or_default();
    assert_eq!(fingerprint.len(), 8, "{page}");
    assert!(fingerprint.chars().all(|c| c.is_ascii_hexdigit()), "{page}");
}

/// The header by which the server recognises the form of a browser.
const BROWSER: &str = "Accept: text/html\r\n";

#[tokio::test]
async fn every_page_forbids_proxies_to_transform_it_and_has_a_fingerprint() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/?lang=ko",
        "/room/garden",
        "/room/garden?q=x",
        "/room/garden/call",
        "/nowhere",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{BROWSER}Connection: close\r\n\r\n");
        let page = app.http(&request).await;
        assert_eq!(
            header(&page, "cache-control"),
            "no-store, no-transform",
            "{path}"
        );
        assert_has_fingerprint(&page);
    }
}

#[tokio::test]
async fn a_room_page_with_special_characters_has_a_fingerprint() {
    let app = TestApp::start().await;
    let mut ann = app.join("garden", "Ann <i> & \"co\"").await;
    for text in [
        "a & b < c > \"d\" 'e'",
        "한글\nlines\n\n`code`",
        "https://example.org/?a=1&b='2' 👋🏽",
    ] {
        ann.send_chat(text).await;
    }
    let page = app.get("/room/garden").await;
    assert!(page.contains("Ann &lt;i&gt;"), "{page}");
    assert_has_fingerprint(&page);
}

#[tokio::test]
async fn the_page_without_script_has_none_of_the_program_and_a_way_back() {
    let app = TestApp::start().await;
    for path in ["/", "/room/garden", "/room/garden/call"] {
        let with_script = app.get(&format!("{path}?lang=en")).await;
        assert!(
            with_script.contains("type=\"module\"") && with_script.contains(".wasm"),
            "{with_script}"
        );
        let page = app.get(&format!("{path}?lang=en&plain=1")).await;
        assert_eq!(status(&page), 200);
        assert!(
            !page.contains("type=\"module\"") && !page.contains(".wasm"),
            "{page}"
        );
        assert!(page.contains("role=\"alert\" class=\"plain\""), "{page}");
        assert!(
            page.contains(&format!("<a href=\"{path}?lang=en\"")),
            "{page}"
        );
    }
    let page = app.get("/room/garden/call?plain=1").await;
    assert!(
        page.contains("/api/post_message") && page.contains("name=\"plain\""),
        "a call needs the script, the chat does not"
    );
    let page = app.get("/room/garden").await;
    assert!(
        !page.contains("class=\"plain\"") && !page.contains("name=\"plain\""),
        "{page}"
    );
}

#[tokio::test]
async fn the_way_back_leads_to_no_other_site_and_to_no_page_without_script() {
    let app = TestApp::start().await;
    for target in ["//evil.example/?plain=1", "///evil.example/?plain=1&a=1"] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\n{BROWSER}Connection: close\r\n\r\n"
        );
        let page = app.http(&request).await;
        assert!(page.contains("href=\"/evil.example/"), "{page}");
        assert!(!page.contains("href=\"//evil.example"), "{page}");
    }
    let page = app.get("/room/garden?plain&lang=en&plain=1").await;
    assert!(page.contains("<a href=\"/room/garden?lang=en\""), "{page}");
}

#[tokio::test]
async fn forms_of_the_page_without_script_lead_to_pages_of_the_same_kind() {
    let app = TestApp::start().await;
    for (path, body, leads_to) in [
        (
            "/api/post_message",
            "room=garden&text=hi&plain=1",
            "/room/garden?plain=1",
        ),
        ("/api/post_message", "room=garden&text=hi", "/room/garden"),
        (
            "/api/post_message",
            "room=garden&text=%01&plain=1",
            "/room/garden?refused=4000&plain=1",
        ),
        (
            "/api/join_room",
            "nickname=Ann&room=garden&plain=1",
            "/room/garden?plain=1",
        ),
        ("/api/join_room", "nickname=Ann&room=garden", "/room/garden"),
    ] {
        let answer = app.http(&form(path, BROWSER, body)).await;
        assert_eq!(header(&answer, "location"), leads_to, "{body}");
    }
    let refused = app
        .http(&form(
            "/api/join_room",
            BROWSER,
            "nickname=Ann&room=&plain=1",
        ))
        .await;
    let back = header(&refused, "location");
    assert!(
        back.starts_with("/?nickname=Ann") && back.ends_with("&plain=1"),
        "{back}"
    );
    let _ann = app.join("garden", "Ann").await;
    // The list of open rooms is published with a delay.
    let listed = async {
        loop {
            let page = app.get("/?plain=1").await;
            if page.contains("rooms__link") {
                return page;
            }
        }
    };
    let page = timeout(DEADLINE, listed).await.expect("the room is listed");
    assert!(page.contains("href=\"/room/garden?plain=1\""), "{page}");
    assert!(page.contains("href=\"?lang=ko&amp;plain=1\""), "{page}");
}

/// Sends the welcome form. Returns the address to which the response leads.
async fn leads_to(app: &TestApp, headers: &str, fields: &str) -> String {
    let answer = app.http(&form("/api/join_room", headers, fields)).await;
    header(&answer, "location").to_owned()
}

/// The words and letters of a proposed name in the path of a room.
fn proposed(location: &str) -> Vec<String> {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    let name = RoomName::in_path(path).unwrap_or_default();
    name.split('-').map(str::to_owned).collect()
}

#[tokio::test]
async fn the_button_for_a_private_room_leads_to_a_room_with_a_proposed_name() {
    let app = TestApp::start().await;
    for (cookies, is_word) in [
        ("noom_lang=en", char::is_alphabetic as fn(char) -> bool),
        ("noom_lang=ko", |letter| ('가'..='힣').contains(&letter)),
    ] {
        let script = format!("Accept: application/json\r\nCookie: {cookies}\r\n");
        let plain = format!("{BROWSER}Cookie: {cookies}\r\n");
        for (headers, fields, end) in [
            (&script, "nickname=Ann&room=&private=1", "#private"),
            (&plain, "nickname=Ann&room=&private=1", "?private=1#private"),
            (
                &plain,
                "nickname=&room=+%E2%80%8B+&private=1",
                "?private=1#private",
            ),
            (
                &plain,
                "nickname=Ann&room=&private=1&plain=1",
                "?private=1&plain=1#private",
            ),
        ] {
            let location = leads_to(&app, headers, fields).await;
            assert!(location.starts_with("/room/"), "{location}");
            assert!(location.ends_with(end), "{location}");
            let parts = proposed(&location);
            assert_eq!(parts.len(), 4, "{location}");
            let in_language = |word: &String| word.chars().all(is_word);
            assert!(parts[..3].iter().all(in_language), "{location}");
        }
    }
    let twice = [(), ()].map(|()| leads_to(&app, BROWSER, "nickname=&room=&private=1"));
    let [first, second] = twice;
    assert_ne!(first.await, second.await);
}

#[tokio::test]
async fn a_typed_name_of_a_private_room_is_used_as_typed() {
    let app = TestApp::start().await;
    for (fields, expected) in [
        (
            "nickname=Ann&room=garden&private=1",
            "/room/garden?private=1#private",
        ),
        (
            "nickname=Ann&room=garden&private=1&plain=1",
            "/room/garden?private=1&plain=1#private",
        ),
        ("nickname=Ann&room=garden", "/room/garden"),
    ] {
        assert_eq!(leads_to(&app, BROWSER, fields).await, expected);
    }
    let long = format!("nickname=Ann&room={}&private=1", "x".repeat(65));
    for refused in [&long, "nickname=Ann&room=", "nickname=%01&room=&private=1"] {
        let location = leads_to(&app, BROWSER, refused).await;
        assert!(location.starts_with("/?nickname="), "{location}");
    }
}

#[tokio::test]
async fn the_welcome_page_offers_a_private_room_after_the_button_that_enter_presses() {
    let app = TestApp::start().await;
    for (language, join, private) in [
        ("en", "Join room", "Open a private room"),
        ("ko", "방 들어가기", "비공개 방 열기"),
    ] {
        for plain in ["", "&plain=1"] {
            let page = app.get(&format!("/?lang={language}{plain}")).await;
            let page = without_markers(&page);
            let buttons: Vec<_> = page.split("type=\"submit\"").skip(1).collect();
            assert_eq!(buttons.len(), 2, "{page}");
            let text = |button: &str| {
                let (_, text) = button.split_once('>').unwrap_or_default();
                text.split('<').next().unwrap_or_default().trim().to_owned()
            };
            assert_eq!([text(buttons[0]), text(buttons[1])], [join, private]);
            let (attributes, _) = buttons[1].split_once('>').expect("a tag");
            assert!(attributes.contains("name=\"private\""), "{attributes}");
            assert!(
                attributes.contains("aria-describedby=\"private-hint\""),
                "{attributes}"
            );
            assert!(page.contains("id=\"private-hint\""), "{page}");
        }
    }
}

#[tokio::test]
async fn a_room_that_is_opened_unlisted_is_not_in_the_list_that_others_see() {
    let app = TestApp::start().await;
    let mut ann = app.connect().await;
    ann.send(&ClientMessage::Join(JoinRequest {
        room: "quiet".into(),
        nickname: "Ann".into(),
        opening: Some(SettingsChange {
            access: Some(Access::Unlisted),
            ..SettingsChange::default()
        }),
        ..JoinRequest::default()
    }))
    .await;
    ann.wait_for(|message| matches!(message, ServerMessage::Joined(_)).then_some(()))
        .await;
    // The list is published after both have come.
    let _ben = app.join("garden", "Ben").await;
    let mut rooms = app.context.rooms.watch();
    let listed = rooms.wait_for(|list| !list.rooms.is_empty());
    let listed = timeout(DEADLINE, listed).await.expect("in time");
    let listed: Vec<_> = listed
        .expect("runs")
        .rooms
        .iter()
        .map(|room| room.name.to_string())
        .collect();
    assert_eq!(listed, ["garden"]);
}

/// Pages that are requested while routers are made. Where each router makes Leptos list the pages, a
/// tenth of them is never answered.
const PAGES_DURING_STARTS: usize = 100;

#[tokio::test]
async fn a_page_is_answered_while_other_servers_of_the_process_start() {
    let app = TestApp::start().await;
    let context = app.context.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let starts = tokio::task::spawn_blocking(move || {
        let mut routers = 0_usize;
        while let Err(TryRecvError::Empty) = stopped.try_recv() {
            drop(router(context.clone()));
            routers += 1;
        }
        routers
    });
    for _ in 0..PAGES_DURING_STARTS {
        let page = app.get("/room/garden").await;
        assert_eq!(status(&page), 200, "{page}");
    }
    drop(stop);
    assert!(starts.await.expect("ends") > 0);
}
