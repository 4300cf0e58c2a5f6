//! What strangers can use up: each test floods one limit, and shows that the others go on.

use super::{
    harness::{Client, TestApp, form, join, long_timing, new_id, short_timing, status, until},
    poller::{Poller, chat},
};
use crate::{
    protocol::{ClientMessage, ErrorCode, RoomName, Rooms, ServerMessage},
    server::{empty_rooms::EmptyRooms, store::Expiry},
};
use std::time::{Duration, Instant};

/// The address of a stranger who uses up whatever there is, as a proxy names it.
const EVE: &str = "10.0.0.66";
/// The address of somebody else.
const ANN: &str = "10.0.0.7";

fn name(text: &str) -> RoomName {
    RoomName::parse(text).expect("valid")
}

/// A server behind a proxy on this machine, with these further flags.
async fn behind_a_proxy(flags: &[&str]) -> TestApp {
    let flags = [&["--trusted-proxies", "127.0.0.1"], flags].concat();
    TestApp::start_with(long_timing(), &flags).await
}

/// The header by which the proxy names its client.
fn forwarded(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

/// What carries a connection.
#[derive(Debug, Clone, Copy)]
enum Over {
    WebSocket,
    Polling,
}

/// Tries to join a room as a client behind the proxy. Returns the refusal, if there is one; the
/// client stays in the room for as long as `stay` holds it.
async fn try_join(
    app: &TestApp,
    over: Over,
    address: &str,
    room: &str,
    stay: &mut Vec<Box<dyn std::any::Any>>,
) -> Option<ErrorCode> {
    let message = join(room, "Somebody", None);
    let answer = |message| match message {
        ServerMessage::Joined(_) => Some(None),
        ServerMessage::Error { code, .. } => Some(Some(code)),
        _ => None,
    };
    match over {
        Over::WebSocket => {
            let mut client = app.connect_for(address).await;
            client.send(&message).await;
            let refused = client.wait_for(answer).await;
            stay.push(Box::new(client));
            refused
        }
        Over::Polling => {
            let mut client = Poller::open_with(app, &forwarded(address)).await;
            client.send(&[&message]).await;
            let refused = client.wait_for(answer).await;
            stay.push(Box::new(client));
            refused
        }
    }
}

/// Posts a message by a plain form of a client behind the proxy. Returns the response.
async fn post(app: &TestApp, address: &str, room: &str, text: &str) -> String {
    let headers = format!("Accept: text/html\r\n{}", forwarded(address));
    let body = format!("room={room}&text={text}");
    app.http(&form("/api/post_message", &headers, &body)).await
}

/// Sends a message and waits for its acknowledgement or its refusal.
async fn try_send_chat(client: &mut Client, text: &str) -> Result<(), ErrorCode> {
    let id = new_id();
    client.send(&chat(id, text)).await;
    let answer = client.wait_for(|message| match message {
        ServerMessage::Chat(said) if said.id == id => Some(Ok(())),
        ServerMessage::Error {
            code, id: Some(of), ..
        } if of == id => Some(Err(code)),
        _ => None,
    });
    answer.await
}

#[tokio::test]
async fn an_address_opens_so_many_new_rooms_an_hour_whatever_carries_it() {
    let app = behind_a_proxy(&["--address-rates", "new-rooms=1/6"]).await;
    app.join("kept", "Ann").await.send_chat("hello").await;
    let mut stay = Vec::new();
    let mut refused = Vec::new();
    for number in 0..8 {
        for over in [Over::WebSocket, Over::Polling] {
            let room = format!("{over:?} {number}");
            refused.extend(try_join(&app, over, EVE, &room, &mut stay).await);
        }
    }
    assert_eq!(refused, [ErrorCode::TooManyNewRooms; 10]);
    // Rooms that exist are open to Eve, and new ones to everybody else.
    for room in ["kept", "WebSocket 0"] {
        for over in [Over::WebSocket, Over::Polling] {
            assert_eq!(
                try_join(&app, over, EVE, room, &mut stay).await,
                None,
                "{room}"
            );
        }
    }
    let ann = try_join(&app, Over::WebSocket, ANN, "Ann's", &mut stay).await;
    assert_eq!(ann, None);
    let metrics = app.metrics().await;
    for (name, expected) in [
        (
            "noom_rate_refusals_total{kind=\"new-rooms\",limit=\"address\"}",
            10.0,
        ),
        ("noom_refusals_total{code=\"too_many_new_rooms\"}", 10.0),
    ] {
        assert_eq!(metrics.value(name), expected, "{name}");
    }
}

#[tokio::test]
async fn new_rooms_are_counted_by_ipv6_64_and_a_48_has_four_times_as_many() {
    let app = behind_a_proxy(&["--address-rates", "new-rooms=1/3"]).await;
    let mut stay = Vec::new();
    let mut opened = async |address: &str, room: String| {
        let refused = try_join(&app, Over::WebSocket, address, &room, &mut stay).await;
        usize::from(refused.is_none())
    };
    let mut of_one = 0;
    for number in 0..8 {
        let address = format!("2001:db8:0:1::{number:x}");
        of_one += opened(&address, format!("one {number}")).await;
    }
    assert_eq!(of_one, 3, "every address of a /64 is the same subscriber");
    let mut of_site = 0;
    for number in 0..20 {
        let address = format!("[2001:db8:0:{number:x}::1]:4711");
        of_site += opened(&address, format!("site {number}")).await;
    }
    assert_eq!(of_site, 9, "twelve in all");
    let other = opened("2001:db8:1::1", "other site".to_owned()).await;
    assert_eq!(other, 1);
}

#[tokio::test]
async fn new_rooms_of_all_addresses_are_bounded_and_nobody_inside_notices() {
    let app = behind_a_proxy(&["--total-rates", "new-rooms=1/5"]).await;
    let mut ann = app.join("garden", "Ann").await;
    ann.send_chat("hello").await;
    let mut stay = Vec::new();
    let mut refused = 0;
    for number in 0..12 {
        let address = format!("10.0.1.{number}");
        let room = format!("room {number}");
        let code = try_join(&app, Over::WebSocket, &address, &room, &mut stay).await;
        refused += usize::from(code == Some(ErrorCode::TooManyNewRooms));
    }
    assert_eq!(refused, 8, "Ann's room was the first of five");
    ann.send_chat("still here").await;
    let ben = try_join(&app, Over::Polling, "10.0.2.1", "garden", &mut stay).await;
    assert_eq!(ben, None, "a room with messages is not new");
    let metrics = app.metrics().await;
    let name = "noom_rate_refusals_total{kind=\"new-rooms\",limit=\"total\"}";
    assert_eq!(metrics.value(name), 8.0);
}

#[tokio::test]
async fn a_form_beyond_the_new_rooms_of_its_address_leads_to_a_page_that_says_so() {
    let app = behind_a_proxy(&["--address-rates", "new-rooms=1/2"]).await;
    for number in 0..2 {
        let posted = post(&app, EVE, &format!("room-{number}"), "hello").await;
        assert_eq!(status(&posted), 302);
        assert!(!posted.contains("refused="), "{posted}");
    }
    let refused = post(&app, EVE, "room-2", "hello").await;
    let page = "/room/room-2?refused=too_many_new_rooms";
    assert!(refused.contains(page), "{refused}");
    for (language, sentence) in [
        ("en", "Too many new rooms were opened."),
        ("ko", "새 방이 너무 많이 열렸어요."),
    ] {
        for plain in ["", "&plain=1"] {
            let shown = app.get(&format!("{page}&lang={language}{plain}")).await;
            assert!(shown.contains(sentence), "{shown}");
        }
    }
    let again = post(&app, EVE, "room-0", "hello").await;
    assert!(again.contains("location: /room/room-0\r"), "{again}");
    assert_eq!(app.context.store.stored_rooms(), 2);
}

#[tokio::test]
async fn an_address_stores_so_many_bytes_a_day_in_all_rooms_and_may_still_delete() {
    let app = behind_a_proxy(&["--address-rates", "day-bytes=1/20000"]).await;
    let text = "x".repeat(2_000);
    let mut eve = app.connect_for(EVE).await;
    eve.join("one", "Eve").await;
    let first = eve.send_chat(&text).await;
    let mut stored = 1;
    for room in ["two", "three", "four"] {
        let mut eve = app.connect_for(EVE).await;
        eve.join(room, "Eve").await;
        for _ in 0..5 {
            match try_send_chat(&mut eve, &text).await {
                Ok(()) => stored += 1,
                Err(code) => assert_eq!(code, ErrorCode::AddressStorageFull),
            }
        }
    }
    assert_eq!(stored, 8, "of 2256 bytes each");
    let mut polling = Poller::open_with(&app, &forwarded(EVE)).await;
    polling.send_join(&join("five", "Eve", None)).await;
    let id = new_id();
    polling.send(&[&chat(id, &text)]).await;
    let refused = polling.wait_for(|message| match message {
        ServerMessage::Error { code, id, .. } => Some((code, id)),
        _ => None,
    });
    assert_eq!(refused.await, (ErrorCode::AddressStorageFull, Some(id)));
    let page = "/room/six?refused=address_storage_full";
    let posted = post(&app, EVE, "six", &text).await;
    assert!(posted.contains(page), "{posted}");
    let shown = app.get(&format!("{page}&lang=en")).await;
    assert!(shown.contains("as much as it may in a day"), "{shown}");
    // An edit is more to store; a deletion is not.
    let (id, text) = (first.id, "y".repeat(2_000));
    eve.send(&ClientMessage::Edit { id, text }).await;
    let refused = (ErrorCode::AddressStorageFull, Some(id));
    assert_eq!(eve.wait_for_refusal().await, refused);
    eve.send(&ClientMessage::Delete { id }).await;
    assert_eq!(eve.wait_for_changed().await.text, None);
    let mut ann = app.connect_for(ANN).await;
    ann.join("one", "Ann").await;
    ann.send_chat("not affected").await;
    let metrics = app.metrics().await;
    let refused = metrics.value("noom_refusals_total{code=\"address_storage_full\"}");
    assert_eq!(
        refused, 11.0,
        "eight by WebSocket, and one each by the others"
    );
}

#[tokio::test]
async fn bytes_of_all_addresses_in_a_day_are_bounded_with_the_sentence_of_a_full_server() {
    let app = behind_a_proxy(&["--total-rates", "day-bytes=1/5000"]).await;
    let mut answers = Vec::new();
    for number in 0..4 {
        let mut client = app.connect_for(&format!("10.0.3.{number}")).await;
        client.join("team", "Somebody").await;
        answers.push(try_send_chat(&mut client, &"x".repeat(2_000)).await);
    }
    let full = Err(ErrorCode::ServerStorageFull);
    assert_eq!(answers, [Ok(()), Ok(()), full, full]);
}

#[tokio::test]
async fn a_storm_of_joins_is_bounded_and_a_conversation_goes_on_during_it() {
    let app = behind_a_proxy(&["--total-rates", "joins=1/40"]).await;
    let (mut ann, mut ben) = (app.join("calm", "Ann").await, app.join("calm", "Ben").await);
    let start = Instant::now();
    let mut stay = Vec::new();
    let mut refused = 0;
    for number in 0..120 {
        let over = [Over::WebSocket, Over::Polling][number % 2];
        let address = format!("10.1.{}.{}", number / 100, number % 100);
        let code = try_join(&app, over, &address, "storm", &mut stay).await;
        refused += usize::from(code == Some(ErrorCode::TooManyJoins));
        if number % 20 == 0 {
            ann.send_chat(&format!("message {number}")).await;
            ben.wait_for_chat(&format!("message {number}")).await;
        }
    }
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("small");
    assert!((82 - seconds - 1..=82).contains(&refused), "{refused}");
}

#[tokio::test]
async fn searches_of_a_client_behind_a_proxy_count_by_its_own_address() {
    let app = behind_a_proxy(&["--address-rates", "searches=1/3"]).await;
    let found = async |address: &str| {
        let search = "room=team&words=hello";
        let request = form("/api/find_messages", &forwarded(address), search);
        status(&app.http(&request).await)
    };
    let mut answers = Vec::new();
    for number in 0..10 {
        answers.push(found(&format!("2001:db8::{number:x}")).await);
    }
    assert_eq!(answers[..3], [200; 3]);
    assert!(answers[3..].contains(&429), "{answers:?}");
    assert_eq!(found("2001:db8:0:1::1").await, 200);
}

#[tokio::test]
async fn what_is_said_in_a_room_beyond_the_stored_ones_is_refused_and_others_lose_nothing() {
    let app = TestApp::start_with(long_timing(), &["--stored-rooms", "3"]).await;
    for number in 0..3 {
        let room = format!("room {number}");
        app.join(&room, "Eve").await.send_chat("mine").await;
    }
    let mut ann = app.join("Ann's", "Ann").await;
    let mut ben = app.join("Ann's", "Ben").await;
    assert_eq!(
        try_send_chat(&mut ann, "hello").await,
        Err(ErrorCode::TooManyRooms)
    );
    // The new room serves for meeting and calling.
    ann.enter_call(1).await;
    ben.enter_call(2).await;
    let request = form(
        "/api/post_message",
        "Accept: text/html\r\n",
        "room=x&text=y",
    );
    let posted = app.http(&request).await;
    let page = "/room/x?refused=too_many_rooms";
    assert!(posted.contains(page), "{posted}");
    let shown = app.get(&format!("{page}&lang=en")).await;
    assert!(shown.contains("the server keeps no more rooms"), "{shown}");
    let mut cem = app.join("room 1", "Cem").await;
    cem.send_chat("an older room goes on").await;
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("noom_stored_rooms"), 3.0);
    assert_eq!(metrics.value("noom_stored_rooms_limit"), 3.0);
    // The bound holds after a restart.
    let app = app.restart().await;
    let mut ann = app.join("Ann's", "Ann").await;
    let refused = try_send_chat(&mut ann, "hello").await;
    assert_eq!(refused, Err(ErrorCode::TooManyRooms));
    // A name that is forgotten makes place.
    delete_messages(&app, "room 0").await;
    let now = Instant::now();
    let mut empty = EmptyRooms::new(app.context.clone(), Duration::ZERO);
    assert_eq!(empty.sweep(now).await.expect("swept"), 1);
    assert_eq!(try_send_chat(&mut ann, "hello").await, Ok(()));
    let mut cem = app.join("room 1", "Cem").await;
    assert_eq!(cem.joined().history.len(), 2, "nothing of others is lost");
    cem.send_chat("and on").await;
}

/// Deletes every message of a room, as the retention does.
async fn delete_messages(app: &TestApp, room: &str) {
    let all = Expiry {
        before_ms: Some(i64::MAX),
        newest: None,
    };
    let store = &app.context.store;
    let expired = store.expired(&name(room), all, 1000).await.expect("read");
    assert!(!expired.is_empty(), "{room} has messages");
    store.delete(&expired).await.expect("deleted");
}

/// The names of the stored rooms.
async fn stored(app: &TestApp) -> Vec<String> {
    let rooms = app.context.store.rooms(0, 1000).await.expect("read");
    rooms
        .into_iter()
        .map(|room| room.name.to_string())
        .collect()
}

#[tokio::test]
async fn a_room_in_which_nobody_wrote_leaves_no_entry_in_memory_and_its_row_is_forgotten() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    for number in 0..50 {
        let client = app.join(&format!("made up {number}"), "Eve").await;
        // Half of them leave, the others lose their connection.
        if number % 2 == 0 {
            client.close(Some(1000)).await;
        }
        app.get(&format!("/room/looked-at-{number}")).await;
    }
    until("no actor is left", || app.context.rooms.count() == 0).await;
    assert_eq!(stored(&app).await.len(), 50, "those with a host key");
    let hour = Duration::from_secs(60 * 60);
    let mut empty = EmptyRooms::new(app.context.clone(), hour);
    let start = Instant::now();
    assert_eq!(empty.sweep(start).await.expect("swept"), 0);
    assert_eq!(empty.sweep(start + hour).await.expect("swept"), 50);
    assert_eq!(stored(&app).await, [""; 0]);
    let usage = app.context.store.usage(9).await.expect("read");
    assert_eq!(usage.bytes, 0);
}

#[tokio::test]
async fn a_room_without_messages_and_people_is_forgotten_after_its_time_and_no_other_is() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    for room in ["emptied", "spoken", "entered"] {
        app.join(room, "Ann").await.send_chat("hello").await;
    }
    until("nobody is left", || app.context.rooms.count() == 0).await;
    let hour = Duration::from_secs(60 * 60);
    let mut empty = EmptyRooms::new(app.context.clone(), hour);
    let start = Instant::now();
    let mut swept = async |minutes: u64| {
        let now = start + Duration::from_secs(60 * minutes);
        empty.sweep(now).await.expect("swept")
    };
    assert_eq!(swept(0).await, 0);
    delete_messages(&app, "emptied").await;
    delete_messages(&app, "entered").await;
    // The time counts from when the room was first found empty, and begins again with a visit.
    assert_eq!((swept(60).await, swept(119).await), (0, 0));
    let ann = app.join("entered", "Ann").await;
    assert_eq!(swept(120).await, 1);
    assert_eq!(stored(&app).await, ["spoken", "entered"]);
    assert_eq!(swept(500).await, 0, "somebody is there");
    ann.close(Some(1000)).await;
    until("she has left", || app.context.rooms.count() == 0).await;
    assert_eq!((swept(501).await, swept(560).await), (0, 0));
    assert_eq!(swept(561).await, 1);
    assert_eq!(stored(&app).await, ["spoken"]);
    assert_eq!(app.context.store.stored_rooms(), 1);
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("noom_rooms_forgotten_total"), 2.0);
}

#[tokio::test]
async fn a_forgotten_room_begins_a_new_log_that_no_former_client_takes_for_the_old_one() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    for number in 1..=5 {
        assert_eq!(ann.send_chat("old").await.seq, number);
    }
    let was = ann.joined().clone();
    ann.close(Some(1000)).await;
    until("she has left", || app.context.rooms.count() == 0).await;
    delete_messages(&app, "team").await;
    let mut empty = EmptyRooms::new(app.context.clone(), Duration::ZERO);
    // A room that nobody has written in yet goes on under its epoch.
    let mut other = app.join("other", "Cem").await;
    assert_eq!(empty.sweep(Instant::now()).await.expect("swept"), 1);
    assert_eq!(other.send_chat("hello").await.seq, 1);
    let mut ben = app.join("team", "Ben").await;
    assert_ne!(ben.epoch(), was.epoch);
    for number in 1..=4 {
        assert_eq!(ben.send_chat("new").await.seq, number);
    }
    let back = app.resume("team", "Ann", &was, 2).await;
    let joined = back.joined();
    assert_eq!((joined.resumed, joined.history.len()), (false, 4));
    assert_eq!(back.id(), was.me);
    // The same holds after a restart.
    let app = app.restart().await;
    let back = app.resume("team", "Ann", &was, 2).await;
    assert_eq!(back.joined().history.len(), 4);
    assert!(!back.joined().resumed);
    let cem = app.join("other", "Cem").await;
    assert_eq!(cem.joined().history.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_enters_a_room_while_it_is_forgotten_gets_in_and_their_messages_stay() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    for round in 0..20 {
        let room = format!("room {round}");
        app.join(&room, "Ann").await.send_chat("old").await;
        until("she has left", || app.context.rooms.count() == 0).await;
        delete_messages(&app, &room).await;
        let room_name = name(&room);
        let forget = app.context.rooms.forget(&room_name);
        let (forgotten, mut ben) = tokio::join!(forget, app.join(&room, "Ben"));
        let said = ben.send_chat("new").await;
        // Ben was either first, and the log goes on, or came into a new one.
        let expected = if forgotten.expect("no error") { 1 } else { 2 };
        assert_eq!(said.seq, expected, "round {round}");
        assert!(
            !app.context
                .rooms
                .forget(&room_name)
                .await
                .expect("no error")
        );
        ben.close(Some(1000)).await;
        until("Ben has left", || app.context.rooms.count() == 0).await;
        let kept = app.context.rooms.forget(&room_name).await;
        assert!(!kept.expect("no error"), "a room with messages stays");
        let again = app.join(&room, "Ben").await;
        assert_eq!(again.joined().history.len(), 1);
        again.close(Some(1000)).await;
    }
}

#[tokio::test]
async fn the_server_forgets_by_itself_what_the_setting_says() {
    let timing = short_timing();
    let app = TestApp::start_with(timing, &["--forget-empty-rooms", "off"]).await;
    app.join("team", "Ann").await.send_chat("hello").await;
    until("she has left", || app.context.rooms.count() == 0).await;
    delete_messages(&app, "team").await;
    let context = app.context.clone().with(|shared| {
        let mut config = (*shared.config).clone();
        config.forget_empty_rooms = Some(Duration::from_millis(1));
        shared.config = config.into();
    });
    assert_eq!(stored(&app).await, ["team"], "off keeps it");
    let forgetting = tokio::spawn(crate::server::empty_rooms::run(context));
    until("it is forgotten", || app.context.store.stored_rooms() == 0).await;
    app.stop().await;
    forgetting.await.expect("ends with the server");
}

/// The list of open rooms that a watcher has at first.
async fn watch_rooms(app: &TestApp) -> (Client, Rooms) {
    let mut client = app.connect().await;
    client.send(&ClientMessage::WatchRooms).await;
    let list = client.wait_for(|message| match message {
        ServerMessage::Rooms(list) => Some(list),
        _ => None,
    });
    let list = list.await;
    (client, list)
}

/// The pages and the server function that show the open rooms, with and without script.
async fn shown(app: &TestApp) -> String {
    let mut shown = app.http(&form("/api/welcome", "", "")).await;
    for language in ["en", "ko"] {
        for plain in ["", "&plain=1"] {
            shown += &app.get(&format!("/?lang={language}{plain}")).await;
        }
    }
    shown + &app.get("/room/GARDEN?lang=en").await
}

#[tokio::test]
async fn with_the_list_off_nobody_is_shown_which_rooms_are_open_or_how_many() {
    let listed = TestApp::start().await;
    let unlisted = TestApp::start_with(long_timing(), &["--list-rooms", "off"]).await;
    let sentences = [
        "This server does not list its rooms",
        "방 목록을 보여 주지 않아요",
    ];
    let mut people = Vec::new();
    for app in [&listed, &unlisted] {
        for nickname in ["Ann", "Ben", "Cem"] {
            people.push(app.join("garden", nickname).await);
        }
    }
    // Positive control: the same questions to a server that lists its rooms.
    let full = || {
        listed
            .context
            .rooms
            .summaries()
            .first()
            .map(|room| room.people)
    };
    until("the list is published", || full() == Some(3)).await;
    let told = shown(&listed).await;
    let names = told.matches("garden").count();
    assert!(names >= 6 && told.contains("3 people"), "{told}");
    assert!(sentences.iter().all(|sentence| !told.contains(sentence)));
    let (mut watching, list) = watch_rooms(&listed).await;
    assert_eq!(list.rooms.len(), 1);
    let (mut blind, list) = watch_rooms(&unlisted).await;
    assert_eq!(list, Rooms::default());
    for app in [&listed, &unlisted] {
        people.push(app.join("attic", "Dan").await);
    }
    let changed = watching.wait_for(|message| match message {
        ServerMessage::RoomsChanged(change) => Some(change.rooms.len()),
        _ => None,
    });
    assert_eq!(changed.await, 1);
    assert_eq!(blind.received_so_far().await, []);
    let told = shown(&unlisted).await;
    for hidden in [
        "garden",
        "attic",
        "3 people",
        "3명",
        "rooms__link",
        "rooms__item",
    ] {
        assert!(!told.contains(hidden), "{hidden} in {told}");
    }
    for sentence in sentences {
        assert_eq!(told.matches(sentence).count(), 2, "with script and without");
    }
    assert!(told.contains("\"unlisted\":true"), "{told}");
    // Whoever knows the name gets in.
    people.push(unlisted.join("garden", "Eve").await);
    assert_eq!(people.last().expect("Eve").joined().people.len(), 4);
}

#[tokio::test]
async fn a_public_server_starts_with_the_numbers_of_its_profile() {
    let app = TestApp::start_with(long_timing(), &["--profile", "public"]).await;
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("noom_stored_rooms_limit"), 20_000.0);
    let (_, list) = watch_rooms(&app).await;
    assert_eq!(list, Rooms::default());
    let mut ann = app.join("team", "Ann").await;
    // A socket may send what the protocol promises.
    for number in 0..40 {
        ann.send_chat(&format!("{number}")).await;
    }
}
