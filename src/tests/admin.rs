//! The operator: becoming one, signing in, and what the pages under `/admin` can do.

use super::{
    guest::Guest,
    harness::{DEADLINE, TestApp, form, long_timing, status, until},
};
use crate::{
    protocol::{ClientMessage, HostKey, JoinRequest, Role, RoomName, ServerMessage},
    server::{limits::Timing, metrics::IcePath, store},
};
use std::time::Duration;
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, time::timeout};

const PASSWORD: &str = "a long password";

/// A browser of somebody, with the cookie that it was given.
struct Browser<'a> {
    app: &'a TestApp,
    /// Further headers of each request.
    headers: String,
    /// The pair in the header `Cookie`.
    cookie: String,
}

impl<'a> Browser<'a> {
    /// A browser on this machine.
    fn new(app: &'a TestApp) -> Self {
        Self {
            app,
            headers: String::new(),
            cookie: String::new(),
        }
    }

    /// A browser at this address, as the trusted proxy of [`behind_proxy`] says.
    fn at(app: &'a TestApp, address: &str) -> Self {
        let headers = format!("X-Forwarded-For: {address}\r\nX-Forwarded-Proto: https\r\n");
        Self {
            headers,
            ..Self::new(app)
        }
    }

    /// Becomes the operator by the printed link.
    async fn becomes_operator(app: &'a TestApp) -> Self {
        let token = printed_link(app).await;
        let mut browser = Self::new(app);
        let answer = browser.posts("/admin/setup", &set_up(&token)).await;
        assert_eq!(
            (status(&answer), header(&answer, "location")),
            (303, "/admin")
        );
        assert!(browser.is_signed_in().await);
        browser
    }

    /// All headers of a request.
    fn headers(&self) -> String {
        match self.cookie.as_str() {
            "" => self.headers.clone(),
            cookie => format!("{}Cookie: {cookie}\r\n", self.headers),
        }
    }

    /// Loads a page.
    async fn gets(&self, path: &str) -> String {
        let headers = self.headers();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\
             Connection: close\r\n{headers}\r\n"
        );
        self.app.http(&request).await
    }

    /// Sends a form, and keeps the cookie of the answer.
    async fn posts(&mut self, path: &str, body: &str) -> String {
        let answer = self.app.http(&form(path, &self.headers(), body)).await;
        if let Some((pair, _)) = header(&answer, "set-cookie").split_once(';') {
            self.cookie = pair.to_owned();
        }
        answer
    }

    /// Signs in with this password.
    async fn signs_in(&mut self, password: &str) -> String {
        let body = format!("password={}", password.replace(' ', "+"));
        self.posts("/admin/sign-in", &body).await
    }

    /// Whether the overview is shown.
    async fn is_signed_in(&self) -> bool {
        self.gets("/admin").await.contains("id=\"rooms\"")
    }

    /// The token of the forms.
    async fn token(&self) -> String {
        let page = self.gets("/admin").await;
        let value = page.split("name=\"token\" value=\"").nth(1);
        let value = value.and_then(|rest| rest.split('"').next());
        value.expect("a form").to_owned()
    }

    /// Does something by a form of the page. Returns the code of the outcome.
    async fn does(&mut self, action: &str, fields: &str) -> String {
        let token = self.token().await;
        let body = format!("action={action}&token={token}&{fields}");
        let answer = self.posts("/admin/action", &body).await;
        assert_eq!(status(&answer), 303, "{answer}");
        let said = header(&answer, "location").split("said=").nth(1);
        let code = said.and_then(|rest| rest.split('&').next());
        code.expect("an outcome").to_owned()
    }
}

/// The value of a header of a response, if it has one.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let lines = answer.lines().take_while(|line| !line.is_empty());
    let mut pairs = lines.filter_map(|line| line.split_once(": "));
    let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// The body of a response.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a response").1
}

/// The secret of the link, once it is printed.
async fn printed_link(app: &TestApp) -> String {
    let operator = &app.context.operator;
    until("a link", || operator.printed_link().is_some()).await;
    operator.printed_link().expect("a link")
}

/// The fields of the form behind the link.
fn set_up(token: &str) -> String {
    let password = PASSWORD.replace(' ', "+");
    format!("token={token}&password={password}&again={password}")
}

/// A server behind a proxy on this machine that it trusts.
async fn behind_proxy() -> TestApp {
    TestApp::start_with(long_timing(), &["--trusted-proxies", "127.0.0.1"]).await
}

fn team() -> RoomName {
    RoomName::parse("team").expect("valid")
}

#[tokio::test]
async fn without_an_operator_the_page_says_how_to_become_one_and_nothing_else() {
    let app = TestApp::start().await;
    let _ann = app.join("secret room", "Ann").await;
    let mut browser = Browser::new(&app);
    for path in [
        "/admin",
        "/admin/room?name=team",
        "/admin/history?name=team",
    ] {
        let page = browser.gets(path).await;
        assert_eq!(status(&page), 200);
        assert!(page.contains("noom admin reset"), "{page}");
        for part in ["<form", "<table", "secret room", "token"] {
            assert!(!page.contains(part), "{path} has {part}: {page}");
        }
    }
    let page = browser.gets("/admin?lang=ko").await;
    assert!(page.contains("아직 이 서버에는 운영자가 없어요"), "{page}");
    assert!(page.contains("<html lang=\"ko\""), "{page}");
    let download = "/admin/backup?name=noom-19700101-000000.db";
    assert!(browser.gets(download).await.contains("noom admin reset"));
    let refused = browser.signs_in(PASSWORD).await;
    assert_eq!(status(&refused), 403);
    let action = "action=close_room&room=secret+room&token=x";
    let refused = browser.posts("/admin/action", action).await;
    assert_eq!(status(&refused), 403);
    assert_eq!(browser.cookie, "");
}

#[tokio::test]
async fn the_one_time_link_makes_one_operator_and_works_once() {
    let app = TestApp::start().await;
    let token = printed_link(&app).await;
    let mut browser = Browser::new(&app);
    let page = browser.gets(&format!("/admin/setup?token={token}")).await;
    assert!(status(&page) == 200 && page.contains(&token), "{page}");
    let switch = page.split("href=\"/admin/setup?").nth(1);
    let switch = switch.and_then(|rest| rest.split('"').next());
    let korean = switch.expect("a link").replace("&amp;", "&");
    let korean = browser.gets(&format!("/admin/setup?{korean}")).await;
    assert!(
        status(&korean) == 200 && korean.contains("비밀번호 다시"),
        "{korean}"
    );
    for (body, words) in [
        ("password=short&again=short", "at least 10"),
        ("password=a+long+password&again=another+one", "differ"),
    ] {
        let body = format!("token={token}&{body}");
        let refused = browser.posts("/admin/setup", &body).await;
        assert_eq!(status(&refused), 422, "{refused}");
        assert!(refused.contains(words), "{refused}");
    }
    let forged = set_up("AAAAAAAAAAAAAAAAAAAAAA");
    let refused = browser.posts("/admin/setup", &forged).await;
    assert_eq!(status(&refused), 403);
    // Two browsers at once: one of them becomes the operator.
    let (mut one, mut other) = (Browser::new(&app), Browser::new(&app));
    let body = set_up(&token);
    let answers = tokio::join!(
        one.posts("/admin/setup", &body),
        other.posts("/admin/setup", &body)
    );
    let mut statuses = [status(&answers.0), status(&answers.1)];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 403]);
    let signed_in = [one.is_signed_in().await, other.is_signed_in().await];
    assert_eq!(signed_in.iter().filter(|is| **is).count(), 1);
    let again = browser.posts("/admin/setup", &set_up(&token)).await;
    assert_eq!(status(&again), 403);
    let page = browser.gets(&format!("/admin/setup?token={token}")).await;
    assert!(status(&page) == 403 && !page.contains(&token), "{page}");
    // With an operator no link is printed at the next start either.
    let app = app.restart().await;
    let mut browser = Browser::new(&app);
    assert_eq!(status(&browser.signs_in(PASSWORD).await), 303);
    assert_eq!(app.context.operator.printed_link(), None);
}

#[tokio::test]
async fn the_one_time_link_ends_with_its_lifetime_and_a_restart_prints_another() {
    let timing = Timing {
        setup_link: Duration::from_millis(200),
        ..long_timing()
    };
    let app = TestApp::start_with(timing, &[]).await;
    let token = printed_link(&app).await;
    let mut browser = Browser::new(&app);
    let ended = async {
        let path = format!("/admin/setup?token={token}");
        while status(&browser.gets(&path).await) != 403 {}
    };
    timeout(DEADLINE, ended).await.expect("it ends");
    let late = browser.posts("/admin/setup", &set_up(&token)).await;
    assert_eq!(status(&late), 403);
    let app = app.restart().await;
    assert_ne!(printed_link(&app).await, token);
}

#[tokio::test]
async fn the_pages_answer_over_tls_or_on_this_machine_only() {
    let app = behind_proxy().await;
    let request = |headers: &str| {
        format!("GET /admin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
    };
    let plain = "X-Forwarded-For: 192.0.2.7\r\n";
    let refused = app.http(&request(plain)).await;
    assert_eq!(status(&refused), 403);
    assert!(refused.contains("over HTTPS") && !refused.contains("reset"));
    let refused = app.http(&form("/admin/sign-in", plain, "password=x")).await;
    assert_eq!(status(&refused), 403);
    assert!(refused.contains("over HTTPS"), "{refused}");
    let secure = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(status(&app.http(&request(secure)).await), 200);
    assert_eq!(status(&app.http(&request("")).await), 200, "this machine");
    // A proxy on this machine that is not trusted may stand for anybody.
    let app = TestApp::start().await;
    assert_eq!(status(&app.http(&request(secure)).await), 403);
    assert_eq!(status(&app.http(&request("")).await), 200);
    let flags = ["--public-url", "https://meet.org"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    assert_eq!(status(&app.http_from("127.0.0.2", &request("")).await), 200);
}

#[tokio::test]
async fn the_cookie_of_a_session_is_strict_and_its_secret_is_not_stored() {
    let app = behind_proxy().await;
    let token = printed_link(&app).await;
    let mut browser = Browser::at(&app, "192.0.2.7");
    let answer = browser.posts("/admin/setup", &set_up(&token)).await;
    let cookie = header(&answer, "set-cookie");
    assert!(cookie.starts_with("__Host-noom_admin="), "{cookie}");
    for part in ["; Path=/;", "; SameSite=Strict", "; HttpOnly", "; Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let (_, secret) = browser.cookie.split_once('=').expect("a pair");
    assert_eq!(secret.len(), 43, "256 bits");
    let page = browser.gets("/admin").await;
    assert!(page.contains("192.0.2.7"), "the list of sessions: {page}");
    assert!(!page.contains(secret) && !page.contains(PASSWORD));
    let secret = secret.to_owned();
    let mut local = Browser::new(&app);
    let cookie = header(&local.signs_in(PASSWORD).await, "set-cookie").to_owned();
    assert!(cookie.starts_with("noom_admin=") && !cookie.contains("Secure"));
    let app = app.restart_after(move |database| {
        for file in ["noom.db", "noom.db-wal"] {
            let bytes = std::fs::read(database.with_file_name(file)).unwrap_or_default();
            let holds = |text: &str| {
                let text = text.as_bytes();
                bytes.windows(text.len()).any(|window| window == text)
            };
            assert!(!holds(&secret) && !holds(PASSWORD), "{file}");
        }
    });
    app.await.stop().await;
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_or_of_another_site_does_nothing() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut browser = Browser::becomes_operator(&app).await;
    let mut other = Browser::new(&app);
    other.signs_in(PASSWORD).await;
    let (own, foreign) = (browser.token().await, other.token().await);
    assert_ne!(own, foreign);
    let close = "action=close_room&room=team";
    for body in [
        close.to_owned(),
        format!("{close}&token="),
        format!("{close}&token={foreign}"),
        format!("{close}&token={own}x"),
    ] {
        let refused = browser.posts("/admin/action", &body).await;
        assert_eq!(status(&refused), 403, "{body}: {refused}");
    }
    let body = format!("{close}&token={own}");
    for headers in [
        "Origin: https://evil.com\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        for path in ["/admin/action", "/admin/sign-in", "/admin/setup"] {
            let headers = format!("{headers}Cookie: {}\r\n", browser.cookie);
            let refused = app.http(&form(path, &headers, &body)).await;
            assert_eq!(status(&refused), 403, "{path}: {refused}");
            assert!(refused.contains("foreign_origin"), "{refused}");
        }
    }
    let without_cookie = app.http(&form("/admin/action", "", &body)).await;
    assert_eq!(status(&without_cookie), 403);
    let unknown = format!("action=shut_down&token={own}");
    let refused = browser.posts("/admin/action", &unknown).await;
    assert_eq!(status(&refused), 400);
    let by_get = browser.gets(&format!("/admin/action?{body}")).await;
    assert_eq!(status(&by_get), 405);
    assert_eq!(ann.received_so_far().await, [], "nothing was done");
    // Positive control: the same form with its own token and Origin.
    let headers = format!("Origin: http://localhost\r\nCookie: {}\r\n", browser.cookie);
    let done = app.http(&form("/admin/action", &headers, &body)).await;
    assert_eq!(status(&done), 303, "{done}");
    assert_eq!(ann.wait_for_close().await, Some(4410));
}

#[tokio::test]
async fn an_ended_or_expired_session_opens_nothing() {
    let app = TestApp::start().await;
    let mut browser = Browser::becomes_operator(&app).await;
    let mut other = Browser::new(&app);
    assert_eq!(status(&other.signs_in(PASSWORD).await), 303);
    // The number of the other session is in the form that ends it; the newest is the first.
    let page = browser.gets("/admin").await;
    let id = page.split("name=\"session\" value=\"").nth(1);
    let id = id.and_then(|rest| rest.split('"').next()).expect("a form");
    let said = browser.does("end_session", &format!("session={id}")).await;
    assert_eq!(said, "session_ended");
    let alive = [browser.is_signed_in().await, other.is_signed_in().await];
    assert_eq!(alive.iter().filter(|is| **is).count(), 1, "one ended");
    let mut browser = if alive[0] { browser } else { other };
    let stolen = browser.cookie.clone();
    let token = browser.token().await;
    let said = browser.does("sign_out", "").await;
    assert_eq!(
        (said.as_str(), browser.cookie.as_str()),
        ("session_ended", "noom_admin=")
    );
    browser.cookie = stolen;
    assert!(!browser.is_signed_in().await);
    let body = format!("action=make_backup&token={token}");
    let refused = browser.posts("/admin/action", &body).await;
    assert_eq!(status(&refused), 403, "{refused}");
    // Twelve hours unused, and seven days used.
    for aged in [
        "used_at = used_at - 12 * 3600000",
        "created_at = created_at - 7 * 86400000",
    ] {
        assert_eq!(status(&browser.signs_in(PASSWORD).await), 303);
        assert!(browser.is_signed_in().await);
        let age = format!("UPDATE operator_sessions SET {aged}");
        let age = move |connection: &rusqlite::Connection| {
            connection.execute(&age, []).expect("aged");
        };
        app.context.store.on_writer(age).await;
        assert!(!browser.is_signed_in().await, "{aged}");
    }
}

#[tokio::test]
async fn a_reset_ends_every_session_and_prints_a_new_link() {
    let app = TestApp::start().await;
    let mut browser = Browser::becomes_operator(&app).await;
    let database = app.database();
    let reset = tokio::task::spawn_blocking(move || store::reset_operator(&database));
    assert!(reset.await.expect("ends").expect("reset"));
    let page = browser.gets("/admin").await;
    assert!(page.contains("noom admin reset") && !page.contains("<form"));
    assert_eq!(status(&browser.signs_in(PASSWORD).await), 403);
    let token = printed_link(&app).await;
    let mut next = Browser::new(&app);
    let answer = next.posts("/admin/setup", &set_up(&token)).await;
    assert_eq!(status(&answer), 303, "{answer}");
    assert!(next.is_signed_in().await && !browser.is_signed_in().await);
}

#[tokio::test]
async fn five_wrong_passwords_lock_an_address_and_fifty_lock_nobody_else() {
    let app = behind_proxy().await;
    let nobody = Browser::at(&app, "192.0.2.250").signs_in("wrong").await;
    Browser::becomes_operator(&app).await;
    let mut attacker = Browser::at(&app, "2001:db8::1");
    for last in 1..=5 {
        attacker.headers = Browser::at(&app, &format!("2001:db8::{last}")).headers;
        let wrong = attacker.signs_in("wrong").await;
        assert_eq!(status(&wrong), 403);
        assert_eq!(body(&wrong), body(&nobody), "as without an operator");
    }
    let locked = attacker.signs_in(PASSWORD).await;
    assert_eq!(status(&locked), 429, "the right one neither: {locked}");
    assert_eq!(header(&locked, "retry-after"), "900");
    assert_eq!(attacker.cookie, "");
    for address in 0..10 {
        let mut attacker = Browser::at(&app, &format!("203.0.113.{address}"));
        for _ in 0..5 {
            assert_eq!(status(&attacker.signs_in("wrong").await), 403);
        }
        assert_eq!(status(&attacker.signs_in("wrong").await), 429);
    }
    let mut operator = Browser::at(&app, "198.51.100.1");
    assert_eq!(status(&operator.signs_in(PASSWORD).await), 303);
    assert!(operator.is_signed_in().await);
}

#[tokio::test]
async fn a_closed_room_closes_its_sockets_and_may_be_opened_again() {
    let app = TestApp::start().await;
    let (mut ann, mut ben) = (app.join("team", "Ann").await, app.join("team", "Ben").await);
    ann.send_chat("kept").await;
    let mut cem = app.join("other", "Cem").await;
    let mut browser = Browser::becomes_operator(&app).await;
    assert_eq!(browser.does("close_room", "room=team").await, "room_closed");
    assert_eq!(ann.wait_for_close().await, Some(4410));
    assert_eq!(ben.wait_for_close().await, Some(4410));
    assert_eq!(cem.received_so_far().await, []);
    until("the room retires", || !app.context.rooms.is_open(&team())).await;
    assert_eq!(browser.does("close_room", "room=team").await, "not_there");
    let ann = app.join("team", "Ann").await;
    assert_eq!(ann.joined().people.len(), 1);
    assert_eq!(ann.joined().history.len(), 1, "the messages are kept");
}

#[tokio::test]
async fn the_operator_gets_a_host_key_of_any_room_that_is_open_or_stored() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("kept").await;
    let former = ann.joined().host_key.clone();
    let app = app.restart().await;
    let mut browser = Browser::becomes_operator(&app).await;
    assert_eq!(browser.does("new_host_key", "room=none").await, "not_there");
    let token = browser.token().await;
    let body = format!("action=new_host_key&token={token}&room=team");
    let answer = browser.posts("/admin/action", &body).await;
    assert_eq!(status(&answer), 303);
    let location = header(&answer, "location");
    let key = location.strip_prefix("/room/team#host=").expect("the link");
    let app = app.restart().await;
    let role = async |host_key| {
        let mut client = app.connect().await;
        let request = JoinRequest {
            room: "team".to_owned(),
            nickname: "Op".to_owned(),
            host_key,
            ..JoinRequest::default()
        };
        client.join_as(ClientMessage::Join(request)).await;
        client.joined().role
    };
    assert_eq!(role(HostKey::parse(key).ok()).await, Role::Host);
    assert_eq!(role(former).await, Role::Guest, "the former key");
}

#[tokio::test]
async fn a_removed_person_is_closed_with_4403_and_the_others_see_them_leave() {
    let app = TestApp::start().await;
    let (mut ann, mut ben) = (app.join("team", "Ann").await, app.join("team", "Ben").await);
    let mut browser = Browser::becomes_operator(&app).await;
    let page = browser.gets("/admin/room?name=team").await;
    assert!(page.contains(ann.id().as_str()) && page.contains("Ann"));
    assert!(
        page.contains("href=\"/admin/room?name=team&amp;lang=ko\""),
        "{page}"
    );
    assert!(!page.contains("127.0.0.1"), "no address: {page}");
    let fields = format!("room=team&person={}", ann.id().as_str());
    let said = browser.does("remove_person", &fields).await;
    assert_eq!(said, "person_removed");
    assert_eq!(ann.wait_for_close().await, Some(4403));
    assert_eq!(ben.wait_for_left("Ann").await, 1);
    assert_eq!(browser.does("remove_person", &fields).await, "not_there");
    let page = browser.gets("/admin").await;
    assert!(page.contains("removed a person"), "the log: {page}");
    assert!(page.contains(ann.id().as_str()), "about whom: {page}");
}

#[tokio::test]
async fn an_announcement_reaches_every_open_room_once_in_ten_seconds() {
    let app = TestApp::start().await;
    let mut clients = [
        app.join("team", "Ann").await,
        app.join("other", "Ben").await,
    ];
    let mut browser = Browser::becomes_operator(&app).await;
    let long = format!("text={}", "x".repeat(501));
    assert_eq!(browser.does("announce", &long).await, "bad_text");
    let text = "text=Back+at+%3Cb%3Enoon%3C%2Fb%3E";
    assert_eq!(browser.does("announce", text).await, "announced");
    for client in &mut clients {
        let announced = client.wait_for(|message| match message {
            ServerMessage::Announcement { text, .. } => Some(text.to_string()),
            _ => None,
        });
        assert_eq!(announced.await, "Back at <b>noon</b>");
    }
    assert_eq!(browser.does("announce", "text=again").await, "too_many");
    for client in &mut clients {
        assert_eq!(client.received_so_far().await, []);
    }
    let page = browser.gets("/admin?said=announced").await;
    assert!(page.contains("&lt;b&gt;noon") && !page.contains("<b>noon"));
}

#[tokio::test]
async fn the_history_of_a_room_is_deleted_for_those_who_are_in_it_too() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut last = 0;
    for number in 0..30 {
        last = ann.send_chat(&format!("secret {number}")).await.seq;
    }
    app.join("other", "Ben").await.send_chat("kept").await;
    let mut browser = Browser::becomes_operator(&app).await;
    let page = browser.gets("/admin/history?name=team").await;
    assert!(page.contains("“team”") && page.contains("<form"), "{page}");
    assert_eq!(ann.received_so_far().await, [], "the question does nothing");
    let said = browser.does("delete_history", "room=team").await;
    assert_eq!(said, "history_deleted");
    assert_eq!(ann.wait_for_close().await, Some(1012));
    let before = ann.joined().clone();
    let mut ann = app.resume("team", "Ann", &before, last).await;
    assert!(!ann.joined().resumed && ann.joined().history.is_empty());
    assert_eq!(ann.id(), before.me);
    assert_eq!(ann.send_chat("a fresh start").await.seq, last + 1);
    let page = app.context.store.page(&team(), None, 100).await;
    assert_eq!(page.expect("read").messages.len(), 1);
    let other = RoomName::parse("other").expect("valid");
    let page = app.context.store.page(&other, None, 100).await;
    assert_eq!(page.expect("read").messages.len(), 1);
    assert_eq!(
        browser.does("delete_history", "room=none").await,
        "not_there"
    );
}

#[tokio::test]
async fn backups_are_made_downloaded_and_deleted_and_no_more_than_ten_are_kept() {
    let app = TestApp::start().await;
    app.join("team", "Ann").await.send_chat("kept").await;
    let mut browser = Browser::becomes_operator(&app).await;
    assert_eq!(browser.does("make_backup", "").await, "backup_made");
    let page = browser.gets("/admin").await;
    assert!(page.contains("Days since the last one: 0"), "{page}");
    let name = page.split("/admin/backup?name=").nth(1);
    let name = name
        .and_then(|rest| rest.split('"').next())
        .expect("a link");
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let file = app.data().join("backups").join(name.as_ref());
    let stored = std::fs::read(&file).expect("a file");
    let download = format!("/admin/backup?name={name}");
    let request = format!(
        "GET {download} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\n\r\n",
        browser.cookie
    );
    let mut stream = app.tcp_from("127.0.0.1").await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    assert!(answer.ends_with(&stored) && stored.starts_with(b"SQLite format 3"));
    let head = String::from_utf8_lossy(&answer[..answer.len() - stored.len()]);
    assert!(
        head.contains(&format!("attachment; filename=\"{name}\"")),
        "{head}"
    );
    let stranger = Browser::new(&app).gets(&download).await;
    assert!(!stranger.contains("SQLite"), "a stranger gets none");
    for other in ["noom.db", "../noom.db", "noom-19700101-000000.db"] {
        let answer = browser.gets(&format!("/admin/backup?name={other}")).await;
        assert_eq!(status(&answer), 404, "{other}");
    }
    for day in 10..19 {
        let copy = file.with_file_name(format!("noom-199901{day}-000000.db"));
        std::fs::copy(&file, copy).expect("copied");
    }
    assert_eq!(browser.does("make_backup", "").await, "backups_full");
    let field = format!("name={name}");
    assert_eq!(
        browser.does("delete_backup", &field).await,
        "backup_deleted"
    );
    assert_eq!(browser.does("delete_backup", &field).await, "not_there");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_backup_that_would_use_the_reserve_of_the_disk_is_refused_with_a_sentence() {
    let flags = ["--disk-reserve", "1000000000000000"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut browser = Browser::becomes_operator(&app).await;
    let outcome = browser.does("make_backup", "").await;
    assert_eq!(outcome, "backup_no_space");
    for (language, words) in [("en", "too little free disk"), ("ko", "공간이 부족해요")] {
        let page = format!("/admin?said={outcome}&lang={language}");
        assert!(browser.gets(&page).await.contains(words), "{language}");
    }
    let backups = std::fs::read_dir(app.data().join("backups")).expect("a directory");
    assert_eq!(backups.count(), 0, "nothing was begun");
}

#[tokio::test]
async fn the_overview_shows_rooms_storage_and_health_in_both_languages_without_a_secret() {
    let app = TestApp::start().await;
    let mut ann = app.join("<i>team & co", "Ann").await;
    ann.send_chat("hello").await;
    ann.send(&ClientMessage::WatchRooms).await;
    ann.wait_for_refusal().await;
    let browser = Browser::becomes_operator(&app).await;
    until("the room is listed", || {
        !app.context.rooms.summaries().is_empty()
    })
    .await;
    let page = browser.gets("/admin").await;
    assert!(page.contains("&lt;i&gt;team &amp; co") && !page.contains("<i>team"));
    for words in [
        "Messages can be read and stored.",
        "8.0 GiB",
        "256.0 MiB",
        "for ever",
        "became the operator",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let korean = browser.gets("/admin?lang=ko").await;
    for words in ["메시지를 읽고 저장할 수 있어요.", "운영자가 됨", "닫기"] {
        assert!(korean.contains(words), "{words}: {korean}");
    }
    assert!(header(&korean, "set-cookie").starts_with("noom_lang=ko;"));
    for page in [&page, &korean] {
        assert_eq!(header(page, "cache-control"), "no-store, no-transform");
        assert_eq!(header(page, "content-encoding"), "", "BREACH");
        let policy = header(page, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert!(!page.contains(ann.joined().session.expose()), "a session");
        assert!(!page.contains(" style=") && !page.contains(" onclick"));
    }
    for (path, kind) in [("admin.css", "text/css"), ("admin.js", "text/javascript")] {
        let file = browser.gets(&format!("/admin/{path}")).await;
        assert!(status(&file) == 200 && header(&file, "content-type").starts_with(kind));
    }
}

#[tokio::test]
async fn a_failing_database_is_said_in_words() {
    let app = TestApp::start().await;
    let browser = Browser::becomes_operator(&app).await;
    let state = browser.gets("/admin").await;
    assert!(!state.contains("role=\"alert\""), "{state}");
    let fail = |connection: &rusqlite::Connection| {
        connection
            .pragma_update(None, "query_only", "ON")
            .expect("set");
    };
    app.context.store.on_writer(fail).await;
    let state = browser.gets("/admin").await;
    assert!(
        state.contains("The database cannot be read or written."),
        "{state}"
    );
    // A failure of the store itself is no more than a sentence either.
    app.context.store.close().await;
    let data = app.data().display().to_string();
    for page in [
        browser.gets("/admin").await,
        Browser::new(&app).signs_in(PASSWORD).await,
    ] {
        assert_eq!(status(&page), 503, "{page}");
        for detail in ["SQL", "sql", "closed", "src/", &data] {
            assert!(!page.contains(detail), "{detail}: {page}");
        }
    }
}

#[tokio::test]
async fn actions_have_a_rate_and_nothing_is_done_beyond_it() {
    let app = TestApp::start().await;
    let mut browser = Browser::becomes_operator(&app).await;
    let mut said = Vec::new();
    while said.len() < 200 && !said.contains(&"too_many".to_owned()) {
        said.push(browser.does("close_room", "room=none").await);
    }
    assert!(said.len() > 20, "twenty at once");
    assert_eq!(said.last().map(String::as_str), Some("too_many"));
    let mut ann = app.join("team", "Ann").await;
    assert_eq!(ann.received_so_far().await, []);
}

#[tokio::test]
async fn the_page_of_a_room_shows_the_connections_of_its_call() {
    let app = TestApp::start_with(long_timing(), &["--p2p-max", "0"]).await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    ben.subscribe_to(&[&ann.id()]).await;
    ben.wait_for_video(&mut ann, 1).await;
    let report = app.context.rooms.inspect(&team()).await.expect("open");
    assert_eq!((report.people.len(), report.connections.len()), (2, 2));
    let found = report.connections.iter();
    let connection = found.clone().find(|found| found.person == ann.id());
    let connection = connection.expect("Ann's");
    assert!(connection.connected && connection.path == IcePath::Udp);
    assert!(connection.sent.iter().any(|track| !track.layers.is_empty()));
    assert!(found.clone().any(|found| found.received.len() == 1));
    let measured = async {
        loop {
            ann.send_video_of(500);
            let step = Duration::from_millis(50);
            tokio::join!(ann.run_for(step), ben.run_for(step));
            let report = app.context.rooms.inspect(&team()).await.expect("open");
            if report.connections.iter().any(|c| c.rtt_ms.is_some()) {
                return;
            }
        }
    };
    timeout(DEADLINE, measured).await.expect("a round trip");
    let browser = Browser::becomes_operator(&app).await;
    let page = browser.gets("/admin/room?name=team").await;
    for words in ["UDP", "microphone", "camera", " ms", " %"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("127.0.0.1"), "no address: {page}");
    let none = RoomName::parse("none").expect("valid");
    assert_eq!(app.context.rooms.inspect(&none).await, None);
    assert!(!app.context.rooms.is_open(&none), "a look opens no room");
}

#[tokio::test]
async fn the_operator_runs_the_checks_and_reads_them_in_their_language() {
    let flags = ["--disk-reserve", "0", "--public-url", "http://localhost:1"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut browser = Browser::new(&app);
    let page = browser.gets("/admin/doctor").await;
    assert!(
        page.contains("noom admin reset") && !page.contains("id=\"checks\""),
        "only for the operator: {page}"
    );
    let refused = browser.posts("/admin/action", "action=run_checks&token=x");
    assert_eq!(status(&refused.await), 403);
    assert!(app.context.doctor.last().is_none(), "nothing was run");

    let mut browser = Browser::becomes_operator(&app).await;
    assert!(
        browser
            .gets("/admin")
            .await
            .contains("href=\"/admin/doctor\"")
    );
    let page = browser.gets("/admin/doctor").await;
    assert!(
        page.contains("Run the checks") && !page.contains("<table"),
        "{page}"
    );
    assert_eq!(browser.does("run_checks", "").await, "checked");
    let page = browser.gets("/admin/doctor?said=checked").await;
    for words in [
        "The checks were run.",
        "Run the checks again",
        "UDP reaches the media server at",
        "Nothing answers at http://localhost:1",
        "To mend it: Start what serves http://localhost:1",
        "class=\"admin__ill\"",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let korean = browser.gets("/admin/doctor?lang=ko").await;
    assert!(korean.contains("해결 방법: http://localhost:1"), "{korean}");
    let log = browser.gets("/admin").await;
    assert!(log.contains("ran the checks"), "{log}");
    let mut codes = Vec::new();
    while codes.last().map(String::as_str) != Some("too_many") {
        codes.push(browser.does("run_checks", "").await);
        assert!(codes.len() < 20, "refused: {codes:?}");
    }
}
