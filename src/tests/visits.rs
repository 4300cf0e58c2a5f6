//! Private rooms for people without script: they ask to enter by a form, wait, read and write.

use super::{
    harness::{Client, TestApp, form, get, long_timing, status, until},
    private::{
        app_and_host, change, enter, invite, lobby, now_ms, request, set_password, set_room,
        until_waiting,
    },
};
use crate::protocol::{Access, ClientMessage, InviteDraft, JoinRequest, Role, SettingsChange};
use std::collections::BTreeMap;

/// A browser without script: it keeps cookies and follows redirects.
struct Browser {
    /// Its address in the loopback network.
    source: &'static str,
    /// Its cookies, by name.
    cookies: BTreeMap<String, String>,
}

/// What a browser shows after a form.
struct Page {
    /// The path with its query.
    path: String,
    /// The response, its head included.
    html: String,
}

impl Page {
    /// Asserts that the page holds this text.
    fn shows(&self, text: &str) -> &Self {
        let Self { path, html } = self;
        assert!(html.contains(text), "{text:?} is not on {path}: {html}");
        self
    }

    /// Asserts that the page does not hold this text.
    fn hides(&self, text: &str) -> &Self {
        let Self { path, html } = self;
        assert!(!html.contains(text), "{text:?} is on {path}: {html}");
        self
    }

    /// Asserts that the page is that of somebody who waits.
    fn waits(&self) -> &Self {
        self.shows(REFRESH).hides("<form")
    }
}

/// What makes a page load again by itself.
const REFRESH: &str = "<meta http-equiv=\"refresh\" content=\"5\">";
/// The action of the form that asks to enter.
const ASKS: &str = "action=\"/api/enter_room\"";
/// The action of the composer.
const WRITES: &str = "action=\"/api/post_message\"";

impl Browser {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            cookies: BTreeMap::new(),
        }
    }

    /// The header lines of a request.
    fn headers(&self) -> String {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let cookies = cookies.join("; ");
        format!("Accept: text/html\r\nAccept-Language: en\r\nCookie: x=1; {cookies}\r\n")
    }

    /// Sends a request and keeps the cookies of the response.
    async fn send(&mut self, app: &TestApp, request: &str) -> String {
        let response = app.http_from(self.source, request).await;
        let lines = response.lines().take_while(|line| !line.is_empty());
        for cookie in lines.filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }

    /// Opens a page.
    async fn opens(&mut self, app: &TestApp, path: &str) -> Page {
        let headers = self.headers();
        let request = get(path).replacen("\r\n\r\n", &format!("\r\n{headers}\r\n"), 1);
        let html = self.send(app, &request).await;
        assert_eq!(status(&html), 200, "{path}: {html}");
        Page {
            path: path.to_owned(),
            html,
        }
    }

    /// Sends a form and returns its response, without the page to which it leads.
    async fn submits(&mut self, app: &TestApp, action: &str, fields: &str) -> String {
        let request = form(action, &self.headers(), fields);
        self.send(app, &request).await
    }

    /// Sends a form and opens the page to which it leads.
    async fn follows(&mut self, app: &TestApp, action: &str, fields: &str) -> Page {
        let response = self.submits(app, action, fields).await;
        let to = location(&response);
        assert!(!to.is_empty(), "{response}");
        self.opens(app, &to).await
    }

    /// Asks to enter the room `team` with these further fields.
    async fn asks(&mut self, app: &TestApp, fields: &str) -> Page {
        let fields = format!("room=team&nickname=Ben{fields}");
        self.follows(app, "/api/enter_room", &fields).await
    }

    /// Posts a message in the room `team`.
    async fn writes(&mut self, app: &TestApp, text: &str) -> Page {
        let fields = format!("room=team&text={text}&plain=1");
        self.follows(app, "/api/post_message", &fields).await
    }
}

/// The address to which a response leads.
fn location(response: &str) -> String {
    let lines = response.lines().take_while(|line| !line.is_empty());
    let mut found = lines.filter_map(|line| line.strip_prefix("location: "));
    found.next().unwrap_or_default().to_owned()
}

/// The page of the room without script.
const TEAM: &str = "/room/team?plain=1";
/// The page of somebody who has asked to enter.
const ASKED: &str = "/room/team?asked=1&plain=1";

/// Switches the lobby on, after the host has said something.
async fn guarded() -> (TestApp, Client) {
    let (app, mut ann, _) = app_and_host().await;
    ann.send_chat("the secret plan").await;
    set_room(&mut ann, lobby()).await;
    (app, ann)
}

#[tokio::test]
async fn somebody_without_script_knocks_waits_is_admitted_reads_and_writes() {
    let (app, mut ann) = guarded().await;
    let mut ben = Browser::new("127.0.0.2");
    ben.opens(&app, TEAM).await.hides("secret").shows(WRITES);
    let refused = ben
        .writes(&app, "hello+%3Cb%3E+%26+%ED%95%9C%EA%B8%80")
        .await;
    assert_eq!(refused.path, "/room/team?refused=not_joined&plain=1");
    let kept = "hello &lt;b&gt; &amp; 한글";
    refused
        .shows(ASKS)
        .shows(kept)
        .hides("secret")
        .hides(WRITES);

    let waiting = ben.asks(&app, "&line=it+is+me").await;
    assert_eq!(waiting.path, ASKED);
    waiting
        .waits()
        .shows("You are next.")
        .shows("A host is here")
        .hides("secret");
    let people = until_waiting(&mut ann, 1).await;
    assert_eq!(people[0].person.nickname.as_str(), "Ben");
    let line = people[0].line.as_ref().map(|line| line.as_str());
    assert_eq!(line, Some("it is me"));

    // A second person behind the first one.
    let mut cleo = Browser::new("127.0.0.3");
    cleo.asks(&app, "").await.waits().shows("You are number 2.");

    let who = Some(people[0].person.id.clone());
    ann.send(&ClientMessage::Admit { who }).await;
    until_waiting(&mut ann, 1).await;
    let inside = ben.opens(&app, ASKED).await;
    inside
        .shows("the secret plan")
        .shows(WRITES)
        .hides(REFRESH)
        .hides(ASKS);
    inside.shows(&format!("{kept}</textarea>"));
    cleo.opens(&app, ASKED).await.waits().shows("You are next.");

    let wrote = ben.writes(&app, "thank+you").await;
    assert_eq!(wrote.path, TEAM);
    wrote
        .shows("thank you")
        .shows("</textarea>")
        .hides(&format!("{kept}</textarea>"));
    assert_eq!(
        ann.wait_for_chat("thank you").await.from.nickname.as_str(),
        "Ben"
    );
    // The search needs no script either.
    ben.opens(&app, "/room/team?q=secret&plain=1")
        .await
        .shows("1 message with");

    // Who was admitted stays so after a restart; who only waited asks again.
    let app = app.restart().await;
    ben.opens(&app, TEAM).await.shows("the secret plan");
    cleo.opens(&app, ASKED)
        .await
        .shows(ASKS)
        .shows("Nobody has let you in yet")
        .hides("secret");
}

#[tokio::test]
async fn somebody_without_script_who_is_turned_away_reads_why() {
    let (app, mut ann) = guarded().await;
    let mut ben = Browser::new("127.0.0.2");
    ben.asks(&app, "").await.waits();
    let who = Some(until_waiting(&mut ann, 1).await[0].person.id.clone());
    let reason = Some("not <today>".to_owned());
    ann.send(&ClientMessage::Deny { who, reason }).await;
    until_waiting(&mut ann, 0).await;
    let denied = ben.opens(&app, ASKED).await;
    denied
        .shows("A host did not let you in")
        .shows("not &lt;today&gt;");
    denied.shows(ASKS).hides(REFRESH).hides("secret");
    let again = ben.asks(&app, "").await;
    assert_eq!(again.path, "/room/team?refused=turned_away&plain=1");
    again.shows("You can ask again in a minute.");
}

#[tokio::test]
async fn a_password_lets_somebody_without_script_in_and_guesses_are_limited() {
    let (app, mut ann, _) = app_and_host().await;
    ann.send_chat("the secret plan").await;
    set_password(&mut ann, "correct horse").await;
    let mut ben = Browser::new("127.0.0.2");
    let refused = ben.writes(&app, "hello").await;
    assert_eq!(refused.path, "/room/team?refused=password_required&plain=1");
    let missing = ben.asks(&app, "").await;
    assert_eq!(missing.path, "/room/team?refused=password_required&plain=1");
    missing.shows("This room has a password").hides("secret");
    let wrong = ben.asks(&app, "&password=wrong").await;
    assert_eq!(wrong.path, "/room/team?refused=wrong_password&plain=1");
    wrong
        .shows("This is not the password")
        .hides("wrong\"")
        .hides("secret");
    // The room opens at once: what is durable is what the page shows.
    let inside = ben.asks(&app, "&password=correct+horse").await;
    assert_eq!(inside.path, TEAM);
    inside.shows("the secret plan").shows("hello</textarea>");
    ben.writes(&app, "hello").await.shows("hello");
    ann.wait_for_chat("hello").await;

    let mut eve = Browser::new("127.0.0.3");
    for _ in 0..10 {
        eve.asks(&app, "&password=guess")
            .await
            .shows("not the password");
    }
    let many = eve.asks(&app, "&password=correct+horse").await;
    assert_eq!(many.path, "/room/team?refused=too_many_guesses&plain=1");
    many.hides("secret");
    let mut dan = Browser::new("127.0.0.4");
    dan.asks(&app, "&password=correct+horse")
        .await
        .shows("secret");
}

#[tokio::test]
async fn an_invite_lets_somebody_without_script_in_by_link_or_code() {
    let (app, mut ann, _) = app_and_host().await;
    ann.send_chat("the secret plan").await;
    let closed = SettingsChange {
        access: Some(Access::Closed),
        ..SettingsChange::default()
    };
    set_room(&mut ann, closed).await;
    let draft = InviteDraft {
        role: Role::Viewer,
        uses: Some(1),
        ..InviteDraft::default()
    };
    let viewer = invite(&mut ann, draft).await;
    let guest = invite(&mut ann, InviteDraft::default()).await;
    let mut ben = Browser::new("127.0.0.2");
    let missing = ben.asks(&app, "").await;
    assert_eq!(missing.path, "/room/team?refused=invite_required&plain=1");
    for forged in ["x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let forged = ben.asks(&app, &format!("&invite={forged}")).await;
        assert_eq!(forged.path, "/room/team?refused=bad_invite&plain=1");
    }
    let code = viewer.token.expose();
    let inside = ben.asks(&app, &format!("&invite={code}")).await;
    assert_eq!(inside.path, TEAM);
    inside.shows("the secret plan");
    // The role of the invite applies.
    let refused = ben.writes(&app, "hello").await;
    assert_eq!(refused.path, "/room/team?refused=not_allowed&plain=1");
    let mut cleo = Browser::new("127.0.0.3");
    let used_up = cleo.asks(&app, &format!("&invite={code}")).await;
    assert_eq!(used_up.path, "/room/team?refused=invite_used_up&plain=1");
    let link = format!(
        "https%3A%2F%2Fnoom.example%2Froom%2Fteam%23invite%3D{}",
        guest.token.expose()
    );
    cleo.asks(&app, &format!("&invite={link}"))
        .await
        .shows("the secret plan");
    cleo.writes(&app, "hello").await.shows("hello");
}

/// A page without what differs between two answers about one room.
fn masked(page: &Page, room: &str) -> String {
    let (_, body) = page.html.split_once("\r\n\r\n").expect("a body");
    let mut text = body.replace(room, "NAME");
    let nonce = text.split_once("nonce=\"").map(|(_, rest)| rest);
    let nonce = nonce
        .and_then(|rest| rest.split('"').next())
        .map(str::to_owned);
    if let Some(nonce) = nonce {
        text = text.replace(&nonce, "-");
    }
    text
}

#[tokio::test]
async fn pages_that_ask_to_enter_show_a_stranger_the_same_for_hidden_and_unknown_rooms() {
    let (app, _ann) = guarded().await;
    let refusals = [
        "not_joined",
        "wrong_password",
        "bad_invite",
        "turned_away",
        "banned",
    ];
    let mut queries: Vec<_> = refusals
        .iter()
        .map(|code| format!("?refused={code}&plain=1"))
        .collect();
    queries.extend(["?plain=1", "?asked=1&plain=1", "?ask=1&plain=1"].map(str::to_owned));
    let mut reader = Browser::new("127.0.0.2");
    // A device that the server knows from another room.
    reader
        .cookies
        .insert("noom_nickname".to_owned(), "Reader".to_owned());
    reader
        .follows(&app, "/api/enter_room", "room=elsewhere")
        .await;
    assert!(reader.cookies.contains_key("noom_device"));
    for query in queries {
        let hidden = reader.opens(&app, &format!("/room/team{query}")).await;
        let unknown = reader.opens(&app, &format!("/room/nobody{query}")).await;
        assert_eq!(
            masked(&hidden, "team"),
            masked(&unknown, "nobody"),
            "{query}"
        );
        hidden.hides("secret").shows("team");
    }
    assert_eq!(app.context.rooms.count(), 1, "a page opens no room");
}

#[tokio::test]
async fn an_open_room_lets_somebody_without_script_in_at_once_and_stores_nothing() {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let mut ben = Browser::new("127.0.0.2");
    let inside = ben.asks(&app, "").await;
    assert_eq!(inside.path, TEAM);
    inside.shows(WRITES);
    until("the room without people ends", || {
        app.context.rooms.count() == 0
    })
    .await;
    let bad = ben
        .follows(&app, "/api/enter_room", "room=team&nickname=%01")
        .await;
    assert_eq!(bad.path, "/room/team?refused=bad_nickname&plain=1");
    let long = format!("room=team&line={}", "x".repeat(101));
    let bad = ben.follows(&app, "/api/enter_room", &long).await;
    assert_eq!(bad.path, "/room/team?refused=bad_text&plain=1");
}

#[tokio::test]
async fn who_is_admitted_over_a_socket_and_by_a_form_have_places_in_one_lobby() {
    let (app, mut ann) = guarded().await;
    let (_cleo, answer) = enter(&app, request("Cleo")).await;
    assert_eq!(answer.waiting().1, 1);
    let mut ben = Browser::new("127.0.0.2");
    ben.asks(&app, "").await.waits().shows("You are number 2.");
    // Asking again keeps the place.
    ben.asks(&app, "&line=still+me")
        .await
        .waits()
        .shows("You are number 2.");
    let people = until_waiting(&mut ann, 2).await;
    assert_eq!(people.len(), 2);
    let off = SettingsChange {
        lobby: Some(false),
        ..SettingsChange::default()
    };
    change(&mut ann, ClientMessage::SetRoom { change: off }).await;
    let dan = JoinRequest {
        room: "team".to_owned(),
        nickname: "Dan".to_owned(),
        ..JoinRequest::default()
    };
    enter(&app, dan).await.1.joined();
}

#[tokio::test]
async fn a_private_room_that_is_opened_without_script_is_unlisted_from_its_first_message() {
    let app = TestApp::start().await;
    let mut ben = Browser::new("127.0.0.2");
    let welcome = "nickname=Ben&room=garden&private=1";
    let page = ben.follows(&app, "/api/join_room", welcome).await;
    page.shows("name=\"private\" value=\"1\"");
    let post = "room=garden&text=the+secret+plan&private=1";
    let inside = ben.follows(&app, "/api/post_message", post).await;
    inside.shows("the secret plan");
    let mut eve = Browser::new("127.0.0.3");
    for path in [
        "/room/garden",
        "/room/garden?plain=1",
        "/room/garden?q=secret",
    ] {
        eve.opens(&app, path).await.hides("the secret plan");
    }
    // Also after a restart, and whoever knows the name enters.
    let app = app.restart().await;
    eve.opens(&app, "/room/garden")
        .await
        .hides("the secret plan");
    ben.opens(&app, "/room/garden")
        .await
        .shows("the secret plan");
    let enter = "room=garden&nickname=Eve";
    let entered = eve.follows(&app, "/api/enter_room", enter).await;
    entered.shows("the secret plan");

    // The field changes no room that exists.
    let post = "room=open&text=hello";
    ben.follows(&app, "/api/post_message", post).await;
    let again = "room=open&text=again&private=1";
    ben.follows(&app, "/api/post_message", again).await;
    let page = Browser::new("127.0.0.4").opens(&app, "/room/open").await;
    page.shows("hello").shows("again");
}

#[tokio::test]
async fn the_name_of_an_invite_is_that_of_whoever_uses_it_without_script() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let draft = InviteDraft {
        name: Some("Dr. Ben".to_owned()),
        ..InviteDraft::default()
    };
    let named = invite(&mut ann, draft).await;
    let mut ben = Browser::new("127.0.0.2");
    let code = named.token.expose();
    ben.asks(&app, &format!("&invite={code}")).await;
    ben.writes(&app, "hello").await.shows("Dr. Ben");
    let said = ann.wait_for_chat("hello").await;
    assert_eq!(said.from.nickname.as_str(), "Dr. Ben");
}

#[tokio::test]
async fn the_page_without_script_says_when_the_room_opens_and_that_it_has_closed() {
    let (app, mut ann, _) = app_and_host().await;
    let now = now_ms();
    let day = 24 * 60 * 60 * 1000;
    let opens_at = |opens, closes| SettingsChange {
        opens: Some(opens),
        closes: Some(closes),
        ..SettingsChange::default()
    };
    set_room(&mut ann, opens_at(Some(now + day), None)).await;
    let mut ben = Browser::new("127.0.0.2");
    let refused = ben.asks(&app, "").await;
    let opens = now + day;
    let path = format!("/room/team?refused=not_open&opens={opens}&plain=1");
    assert_eq!(refused.path, path);
    refused.shows("It opens on").shows("(UTC)").shows(ASKS);
    // In the zone that the script of an earlier page has noted.
    ben.cookies
        .insert("noom_zone".to_owned(), "-210".to_owned());
    ben.asks(&app, "").await.shows("(UTC-03:30)");
    set_room(&mut ann, opens_at(None, Some(now - 1))).await;
    ben.asks(&app, "").await.shows("It closed on");
    // What the address says is shown for every room, and no number is too large.
    for times in [
        "opens=9223372036854775807",
        "closes=-9223372036854775808",
        "opens=x",
    ] {
        let path = format!("/room/nobody?refused=not_open&{times}&plain=1");
        ben.opens(&app, &path).await.shows(ASKS);
    }
}

#[tokio::test]
async fn a_browser_without_script_finds_the_form_at_the_address_of_a_room() {
    let (app, mut ann) = guarded().await;
    let mut ben = Browser::new("127.0.0.2");
    let link = "<noscript><p class=\"banner\"><a class=\"button button--small\" \
        href=\"/room/team?ask=1&amp;plain=1\">";
    ben.opens(&app, "/room/team").await.shows(link);
    ben.opens(&app, "/room/team?ask=1&plain=1")
        .await
        .shows(ASKS);
    let off = SettingsChange {
        lobby: Some(false),
        ..SettingsChange::default()
    };
    set_room(&mut ann, off).await;
    ben.opens(&app, "/room/team")
        .await
        .shows("secret")
        .hides("<noscript><p");
}
