//! Hidden rooms: whoever is neither in one nor known to it sees what they see of an unknown name,
//! in the same time.

use super::harness::{Client, TestApp, answer, draft, form, get, status};
use crate::{
    protocol::{
        ClientMessage, HostKey, JoinRequest, Nickname, ParticipantId, Person, Resume, Role,
        RoomName, ServerMessage, SessionToken, SettingsChange,
    },
    server::{
        authority::{AuthorityEvent, BAN_LASTS, HostKeyHash, StoredBan, new_host_key},
        clock::Moment,
        new_session_token, participant_id,
        store::{NewMessage, NewRecord, Recorded},
    },
};
use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::time::{Duration, Instant};

/// A room that was never used.
const UNKNOWN: &str = "room-unknown";
/// A hidden room that is stored and not open.
const STORED: &str = "room-stored0";
/// A hidden room with somebody in it.
const OPEN: &str = "room-open000";
/// A room whose authority cannot be read.
const UNREADABLE: &str = "room-garbled";

/// What is said in every hidden room.
const SECRET: &str = "a xylophone plays";
/// A word of it, for searches.
const WORD: &str = "xylophone";

fn name(room: &str) -> RoomName {
    RoomName::parse(room).expect("valid")
}

/// The change that hides a room.
fn hidden(hidden: bool) -> SettingsChange {
    SettingsChange {
        locked: Some(hidden),
        ..SettingsChange::default()
    }
}

/// Stores a change of the authority of a room.
async fn record(app: &TestApp, room: &str, event: AuthorityEvent) {
    let at = Moment::now().wall_ms;
    let (room, new) = (name(room), NewRecord { event, at });
    let stored = app.context.store.record(&room, new);
    let stored = stored.await.expect("stored");
    assert!(matches!(stored, Recorded::Applied(_)), "{stored:?}");
}

/// Stores a hidden room with a message, and returns its host key. It knows these participants.
async fn store_hidden(app: &TestApp, room: &str, admitted: Vec<ParticipantId>) -> HostKey {
    let key = new_host_key();
    let claim = AuthorityEvent::Claim {
        host_key: HostKeyHash::of(&key),
        opening: SettingsChange::default(),
    };
    record(app, room, claim).await;
    let change = hidden(true);
    record(app, room, AuthorityEvent::Settings { change, admitted }).await;
    let nickname = Nickname::parse("Ann").expect("valid");
    let message = NewMessage {
        draft: draft(SECRET),
        from: Person::new(participant_id(&new_session_token()), nickname),
        at: 1,
        mentions: Vec::new(),
    };
    let stored = app.context.store.append(&name(room), message).await;
    stored.expect("stored");
    key
}

/// Enters a room with its host key, in this session.
async fn enter(app: &TestApp, room: &str, key: &HostKey, session: &SessionToken) -> Client {
    let mut client = app.connect().await;
    let resume = Resume {
        session: session.clone(),
        epoch: app.context.store.fresh_epoch(),
        seq: 0,
    };
    let join = JoinRequest {
        room: room.to_owned(),
        nickname: "Ann".to_owned(),
        resume: Some(resume),
        host_key: Some(key.clone()),
        ..JoinRequest::default()
    };
    client.join_as(ClientMessage::Join(join)).await;
    client
}

/// Sends a request with these cookies, and one that spares the reader a random nickname.
async fn request(app: &TestApp, request: &str, cookies: &str) -> String {
    let cookies = format!("Cookie: noom_nickname=Reader{cookies}\r\n\r\n");
    let request = request.replacen("\r\n\r\n", &format!("\r\n{cookies}"), 1);
    let answer = app.http(&request).await;
    assert_eq!(status(&answer), 200, "{request}\n{answer}");
    answer
}

/// The requests that read a room, and the plain form of each answer.
fn readings(room: &str, session: &str) -> Vec<String> {
    let page = |path: &str| format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let mut requests: Vec<_> = ["", "/call", "?lang=ko", "?plain=1", "?at=1"]
        .iter()
        .map(|rest| page(&format!("/room/{room}{rest}")))
        .collect();
    requests.push(page(&format!("/room/{room}?q={WORD}")));
    for (function, fields) in [
        ("load_room", ""),
        ("find_messages", "&words=xylophone"),
        ("messages_around", "&seq=1"),
    ] {
        let body = format!("room={room}{fields}{session}");
        requests.push(form(&format!("/api/{function}"), "", &body));
    }
    requests
}

/// An answer without what differs between two answers about one room.
fn masked(answer: &str, room: &str) -> String {
    let mut text = answer.replace(room, "NAME");
    for (before, after) in [
        ("nonce=\"", "\""),
        ("data-page=\"", "\""),
        ("date: ", "\r"),
        ("content-length: ", "\r"),
    ] {
        let value = text.split_once(before).map(|(_, rest)| rest);
        let value = value.and_then(|rest| rest.split(after).next());
        if let Some(value) = value.filter(|value| !value.is_empty()).map(str::to_owned) {
            text = text.replace(&value, "-");
        }
    }
    text
}

/// A page without the data for its script. Leptos renders the results of a search once or several
/// times, depending on when they arrive, and adds the data of each.
fn without_data(page: &str) -> String {
    let mut parts = page.split("<script nonce=\"-\">__");
    let first = parts.next().map(str::to_owned);
    let rest = parts.filter_map(|part| Some(part.split_once("</script>")?.1));
    first.into_iter().chain(rest.map(str::to_owned)).collect()
}

/// Everything that this person reads of a room.
async fn seen(app: &TestApp, room: &str, cookies: &str, session: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for text in readings(room, session) {
        let answer = masked(&request(app, &text, cookies).await, room);
        let is_search = text.contains("?q=") || text.contains("?at=");
        answers.push(match is_search {
            true => without_data(&answer),
            false => answer,
        });
    }
    answers
}

/// Asserts that answers are the same, and shows where the first ones differ.
fn assert_same(found: &[String], wanted: &[String], room: &str) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        let same = found
            .chars()
            .zip(wanted.chars())
            .take_while(|(one, other)| one == other);
        let at = same.count().saturating_sub(60);
        let part = |text: &str| text.chars().skip(at).take(200).collect::<String>();
        assert!(
            found == wanted,
            "{room}: {:?}\n{:?}",
            part(found),
            part(wanted)
        );
    }
}

/// Asserts that no answer gives the reader a device cookie.
fn assert_no_device(answers: &[String]) {
    let mut answers = answers.iter();
    assert!(!answers.any(|answer| answer.contains("set-cookie: noom_device")));
}

#[tokio::test]
async fn a_stranger_sees_of_a_hidden_room_what_they_see_of_an_unknown_name() {
    let app = TestApp::start().await;
    store_hidden(&app, STORED, vec![participant_id(&new_session_token())]).await;
    let key = store_hidden(&app, OPEN, Vec::new()).await;
    let mut ann = enter(&app, OPEN, &key, &new_session_token()).await;
    ann.send_chat(SECRET).await;
    ann.enter_call(1).await;
    store_hidden(&app, UNREADABLE, Vec::new()).await;
    let garble = "UPDATE rooms SET authority = 'moon' WHERE name = ?1";
    let database = rusqlite::Connection::open(app.database()).expect("opens");
    assert_eq!(database.execute(garble, [UNREADABLE]), Ok(1));
    let token = new_session_token();
    let device = format!("; noom_device={}", token.expose());
    let session = format!("&session={}", token.expose());
    for (cookies, session) in [("", ""), (device.as_str(), ""), ("", session.as_str())] {
        let unknown = seen(&app, UNKNOWN, cookies, session).await;
        assert!(unknown[0].contains("NAME"));
        assert_no_device(&unknown);
        for room in [STORED, OPEN, UNREADABLE] {
            assert_same(&seen(&app, room, cookies, session).await, &unknown, room);
        }
    }
    assert!(app.context.rooms.is_open(&name(OPEN)) && !app.context.rooms.is_open(&name(STORED)));
}

#[tokio::test]
async fn whoever_is_in_a_hidden_room_or_known_to_it_sees_it_without_script() {
    let app = TestApp::start().await;
    let (device, session, stranger) = (new_session_token(), new_session_token(), "");
    let key = store_hidden(&app, OPEN, vec![participant_id(&device)]).await;
    let cookie = |token: &SessionToken| format!("; noom_device={}", token.expose());
    let field = |token: &SessionToken| format!("&session={}", token.expose());
    let count = async |cookies: &str, session: &str| {
        let answers = seen(&app, OPEN, cookies, session).await;
        assert_no_device(&answers);
        let holds = |answer: &&String| answer.contains(SECRET);
        answers.iter().filter(holds).count()
    };
    let all = readings(OPEN, "").len();
    assert_eq!(count(stranger, "").await, 0);
    assert_eq!(count(&cookie(&device), "").await, all, "stored");
    assert_eq!(count(stranger, &field(&device)).await, 2);

    // In the room, which was entered by its key: the room knows nobody but the device.
    assert_eq!(count(&cookie(&session), "").await, 0);
    let ann = enter(&app, OPEN, &key, &session).await;
    let mut ben = enter(&app, OPEN, &key, &new_session_token()).await;
    assert_eq!(count(&cookie(&session), "").await, all, "inside");
    assert_eq!(count(stranger, &field(&session)).await, 2);
    assert_eq!(count(&cookie(&device), "").await, all, "open");
    assert_eq!(count(stranger, "").await, 0);
    let page = request(&app, &readings(OPEN, "")[0], &cookie(&device)).await;
    assert!(page.contains("Ann"), "{page}");
    ann.close(Some(1000)).await;
    ben.wait_for_left("Ann").await;
    ben.send_chat("she has gone").await;
    assert_eq!(count(&cookie(&session), "").await, 0, "left");

    // The room is hidden no more, then hidden again.
    for is_hidden in [false, true] {
        let change = hidden(is_hidden);
        ben.send(&ClientMessage::SetRoom { change }).await;
        let changed = ben.wait_for(|message| match message {
            ServerMessage::RoomChanged { room, .. } => Some(room.is_hidden()),
            _ => None,
        });
        assert_eq!(changed.await, is_hidden);
        ben.send_chat("now").await;
        let found = if is_hidden { 0 } else { all };
        assert_eq!(count(stranger, "").await, found, "hidden: {is_hidden}");
    }
}

#[tokio::test]
async fn a_banned_person_does_not_see_a_hidden_room_that_knew_them() {
    let app = TestApp::start().await;
    let device = new_session_token();
    let id = participant_id(&device);
    store_hidden(&app, STORED, Vec::new()).await;
    let role = Role::CoHost;
    let who = id.clone();
    record(&app, STORED, AuthorityEvent::Role { id: who, role }).await;
    let cookie = format!("; noom_device={}", device.expose());
    let page = &readings(STORED, "")[0];
    assert!(request(&app, page, &cookie).await.contains(SECRET));
    let lasts = i64::try_from(BAN_LASTS.as_millis()).expect("small");
    let ban = StoredBan {
        person: Person::new(id.clone(), Nickname::parse("Ben").expect("valid")),
        until: Moment::now().wall_ms + lasts,
        network: None,
        invite: None,
    };
    record(&app, STORED, AuthorityEvent::Ban(ban)).await;
    let unknown = seen(&app, UNKNOWN, &cookie, "").await;
    assert_same(&seen(&app, STORED, &cookie, "").await, &unknown, STORED);
    record(&app, STORED, AuthorityEvent::LiftBan(id)).await;
    assert!(request(&app, page, &cookie).await.contains(SECRET));
}

/// The probability that one of `these` takes longer than one of `those`, where ties count half: the
/// statistic of Mann and Whitney, divided by the number of pairs. Without a difference it is 0.5.
fn share_longer(these: &[Duration], those: &[Duration]) -> f64 {
    let these_marked = these.iter().map(|time| (*time, true));
    let mut all: Vec<_> = these_marked
        .chain(those.iter().map(|time| (*time, false)))
        .collect();
    all.sort();
    let (mut ranked, mut rank_sum) = (0, 0.0);
    for ties in all.chunk_by(|(one, _), (other, _)| one == other) {
        let middle = ranked as f64 + (ties.len() + 1) as f64 / 2.0;
        rank_sum += middle * ties.iter().filter(|(_, is_this)| *is_this).count() as f64;
        ranked += ties.len();
    }
    let (count, pairs) = (these.len() as f64, (these.len() * those.len()) as f64);
    (rank_sum - count * (count + 1.0) / 2.0) / pairs
}

#[test]
fn the_rank_test_finds_a_shift_and_counts_ties_half() {
    let times = |from: u64| {
        (from..from + 100)
            .map(Duration::from_micros)
            .collect::<Vec<_>>()
    };
    assert_eq!(share_longer(&times(0), &times(0)), 0.5);
    assert_eq!(share_longer(&times(200), &times(0)), 1.0);
    assert_eq!(share_longer(&times(0), &times(200)), 0.0);
    let share = share_longer(&times(20), &times(0));
    assert!((share - 0.68).abs() < 1e-9, "{share}");
}

/// Requests about each kind of name whose answers are timed.
const TIMED: usize = 1_000;

/// Names of two kinds, `count` of each, in a random order.
fn two_kinds(prefix: &str, count: usize, random: &mut StdRng) -> [Vec<String>; 2] {
    let mut names: Vec<_> = (0..2 * count)
        .map(|number| format!("{prefix}-{number:04}"))
        .collect();
    names.shuffle(random);
    let others = names.split_off(count);
    [names, others]
}

/// Asserts that the answers about rooms take as long as those about unknown names. The requests are
/// sent in a random order, one after the other.
async fn assert_as_long(
    app: &TestApp,
    [unknown, hidden]: &[Vec<String>; 2],
    what: &str,
    request: impl Fn(&str) -> String,
) {
    let kinds = [unknown, hidden].map(|names| names.iter().cycle().take(TIMED));
    let [unknown, hidden] = kinds;
    let hidden = hidden.map(|room| (true, room));
    let mut order: Vec<_> = unknown.map(|room| (false, room)).chain(hidden).collect();
    order.shuffle(&mut StdRng::seed_from_u64(18));
    let mut times = [Vec::new(), Vec::new()];
    for (is_hidden, room) in order {
        let request = request(room);
        let stream = app.tcp_from("127.0.0.1").await;
        let sent = Instant::now();
        let answer = answer(stream, &request).await;
        times[usize::from(is_hidden)].push(sent.elapsed());
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let [unknown, hidden] = times;
    // Without a difference the standard deviation is 0.013. A second read of the store makes 0.7 to
    // 0.8 of a search.
    let share = share_longer(&hidden, &unknown);
    assert!((0.35..=0.65).contains(&share), "{what}: {share}");
}

#[tokio::test]
async fn answers_about_a_hidden_room_take_as_long_as_those_about_an_unknown_name() {
    let app = TestApp::start().await;
    let mut random = StdRng::seed_from_u64(18);
    let stored = two_kinds("stored", TIMED, &mut random);
    for some in stored[1].chunks(100) {
        let some = some.iter().map(|room| {
            let known =
                (0..random.random_range(0..8)).map(|_| participant_id(&new_session_token()));
            store_hidden(&app, room, known.collect())
        });
        join_all(some.collect::<Vec<_>>()).await;
    }
    let open = two_kinds("open", 20, &mut random);
    let mut people = Vec::new();
    for room in &open[1] {
        let key = store_hidden(&app, room, vec![participant_id(&new_session_token())]).await;
        people.push(enter(&app, room, &key, &new_session_token()).await);
    }
    let page = |room: &str| get(&format!("/room/{room}"));
    let data = |room: &str| form("/api/load_room", "", &format!("room={room}"));
    let search = |room: &str| {
        let body = format!("room={room}&words={WORD}");
        form("/api/find_messages", "", &body)
    };
    assert_as_long(&app, &stored, "page, stored", page).await;
    assert_as_long(&app, &stored, "data, stored", data).await;
    assert_as_long(&app, &stored, "search, stored", search).await;
    assert_as_long(&app, &open, "data, open", data).await;
    assert_as_long(&app, &open, "search, open", search).await;
}
