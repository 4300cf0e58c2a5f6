//! Floods within a room: a client that reads is never closed because of what others send.

use super::harness::{Client, TestApp, form, new_id, status};
use crate::protocol::{
    Candidate, ChatDraft, ClientMessage, CloseCode, Devices, ErrorCode, JoinRequest, LOBBY_WINDOW,
    MAX_ANNOUNCEMENT_CHARS, MAX_FRAME_BYTES, MAX_KNOCK_CHARS, MessageId, Nickname, ParticipantId,
    Role, RoomName, ServerMessage, SettingsChange, Signal, Source,
};
use crate::server::new_session_token;
use crate::server::rooms::{Entry, Frames, outbox};
use futures::{SinkExt, StreamExt};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::timeout};
use tokio_tungstenite::tungstenite::Message;

/// The number of simultaneous attackers.
const ATTACKERS: usize = 20;

/// Signals of 40 KiB that one attacker sends: as many as the rate limit of a socket allows at once.
const SIGNALS: usize = 50;

/// Messages that each flooding host sends: as many as the frames of a socket allow at once.
const MODERATIONS: usize = 500;

/// Devices of the flooding host.
const HOST_DEVICES: usize = 4;

/// How long a message of a guest may take meanwhile. 5 s: on a machine that runs other tests.
const UNDISTURBED: Duration = Duration::from_secs(5);

/// A WebSocket frame with a message.
fn frame(message: &ClientMessage) -> Message {
    Message::text(serde_json::to_string(message).expect("serialises"))
}

/// A candidate of this size for the session with leg 1 of a participant.
fn candidate(to: &ParticipantId, bytes: usize) -> ClientMessage {
    let candidate = Candidate {
        candidate: "x".repeat(bytes),
        mid: None,
        mline_index: None,
    };
    let connection = 1;
    ClientMessage::Signal {
        to: to.clone(),
        leg: Some(1),
        signal: Signal::Candidate {
            connection,
            candidate,
        },
    }
}

/// An offer of this size for the session with leg 1 of a participant.
fn offer(to: &ParticipantId, bytes: usize) -> ClientMessage {
    ClientMessage::Signal {
        to: to.clone(),
        leg: Some(1),
        signal: Signal::Offer {
            connection: 1,
            sdp: "x".repeat(bytes),
        },
    }
}

/// The largest burst of every kind of message that others receive.
fn largest_bursts(victim: &ParticipantId, known: MessageId) -> Vec<ClientMessage> {
    let longest = "😀".repeat(4_000);
    let mut all = Vec::new();
    for number in 0..40_u32 {
        all.push(ClientMessage::Chat(ChatDraft {
            id: new_id(),
            text: longest.clone(),
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        }));
        let id = known;
        all.extend((number % 4 == 0).then(|| ClientMessage::Edit {
            id,
            text: longest.clone(),
        }));
        all.push(offer(victim, 40 * 1024));
        all.extend((0..4).map(|_| candidate(victim, 2_000)));
        let devices = Devices {
            camera: number % 2 == 0,
            ..Devices::default()
        };
        all.push(ClientMessage::Devices {
            devices,
            unmute: false,
        });
        all.push(match number % 3 {
            0 => ClientMessage::Nickname {
                nickname: format!("{}{number:02}", "😀".repeat(30)),
            },
            1 => ClientMessage::React {
                id,
                emoji: "👍".to_owned(),
                on: number % 2 == 0,
            },
            _ => ClientMessage::Typing,
        });
        all.push(ClientMessage::LeaveCall);
        all.push(ClientMessage::EnterCall {
            leg: 1,
            devices,
            hide_address: false,
        });
    }
    all
}

/// Every kind of message of a host that does not end the stay of the victim, again and again.
fn moderation(victim: &ParticipantId) -> Vec<ClientMessage> {
    let who = || victim.clone();
    let message = |number: usize| match number % 8 {
        0 => ClientMessage::Mute {
            who: None,
            source: Source::ALL[number / 8 % Source::ALL.len()],
        },
        1 => ClientMessage::SetRoom {
            change: SettingsChange {
                host_unmutes: Some((number / 8).is_multiple_of(2)),
                ..SettingsChange::default()
            },
        },
        2 => ClientMessage::Announce {
            text: "😀".repeat(MAX_ANNOUNCEMENT_CHARS),
        },
        3 => ClientMessage::Rename {
            who: who(),
            nickname: format!("{}{number:03}", "😀".repeat(29)),
        },
        4 => ClientMessage::SetRole {
            who: who(),
            role: match number / 8 % 2 {
                0 => Role::Viewer,
                _ => Role::Guest,
            },
        },
        5 => ClientMessage::AskToUnmute { who: who() },
        6 => ClientMessage::LiftBan { who: who() },
        _ => ClientMessage::Bans,
    };
    (0..MODERATIONS).map(message).collect()
}

/// Sends messages and a `ping` while reading, until the `pong` arrives.
async fn send_all_and_read(attacker: Client, all: Vec<ClientMessage>) {
    let (mut sink, mut stream) = attacker.socket.split();
    let sending = async {
        for message in &all {
            if sink.feed(frame(message)).await.is_err() {
                return;
            }
        }
        let _ = sink.send(frame(&ClientMessage::Ping)).await;
    };
    let reading = async {
        while let Some(Ok(frame)) = stream.next().await {
            let text = frame.to_text().unwrap_or_default();
            if text == r#"{"type":"pong"}"# {
                return;
            }
        }
    };
    tokio::join!(sending, reading);
}

/// Runs a client on its own thread and runtime, like another process: the operating system
/// schedules it, not the runtime of the server.
async fn run_on_own_thread<T, F>(work: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let done = runtime.expect("a runtime").block_on(work());
        let _ = sender.send(done);
    });
    receiver.await.expect("the thread ends")
}

/// Enters room and call, sends its id and a message id through `known`, then reads until "the end"
/// is sent. Returns whether that message arrived.
async fn read_until_the_end(
    app: Arc<TestApp>,
    known: oneshot::Sender<(ParticipantId, MessageId)>,
) -> bool {
    let mut ann = app.join("team", "Ann").await;
    ann.enter_call(1).await;
    let first = ann.send_chat("hello").await.id;
    let _ = known.send((ann.id(), first));
    while let Some(Ok(frame)) = ann.socket.next().await {
        assert!(!frame.is_close(), "{frame:?}");
        if frame.to_text().is_ok_and(|text| text.contains("the end")) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_flooding_members_do_not_close_a_client_that_reads() {
    let app = Arc::new(TestApp::start().await);
    let (sender, receiver) = oneshot::channel();
    let reader = Arc::clone(&app);
    let reading = tokio::spawn(run_on_own_thread(move || {
        read_until_the_end(reader, sender)
    }));
    let (victim, known) = receiver.await.expect("Ann is in");
    let attacked = Arc::clone(&app);
    let attack = run_on_own_thread(move || async move {
        let attackers = (0..ATTACKERS).map(async |number| {
            let mut eve = attacked.join("team", &format!("Eve {number}")).await;
            eve.enter_call(1).await;
            send_all_and_read(eve, largest_bursts(&victim, known)).await;
        });
        futures::future::join_all(attackers).await;
    });
    attack.await;
    // A member who has sent little can still send, and Ann receives the message in order.
    let mut ben = app.join("team", "Ben").await;
    ben.send_chat("the end").await;
    assert!(reading.await.expect("goes on"), "Ann is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_who_floods_the_room_closes_and_delays_nobody() {
    let app = Arc::new(TestApp::start().await);
    let host = app.join("team", "Host").await;
    let key = host.joined().host_key.clone();
    let (sender, receiver) = oneshot::channel();
    let reader = Arc::clone(&app);
    let reading = tokio::spawn(run_on_own_thread(move || {
        read_until_the_end(reader, sender)
    }));
    let (victim, _) = receiver.await.expect("Ann is in");
    let mut ben = app.join("team", "Ben").await;
    let begun = Instant::now();
    let attacked = Arc::clone(&app);
    let attack = run_on_own_thread(move || async move {
        let devices = (0..HOST_DEVICES).map(async |number| {
            let mut device = attacked.connect().await;
            let join = ClientMessage::Join(JoinRequest {
                room: "team".to_owned(),
                nickname: format!("Host {number}"),
                host_key: key.clone(),
                ..JoinRequest::default()
            });
            device.join_as(join).await;
            assert_eq!(device.joined().role, Role::Host);
            send_all_and_read(device, moderation(&victim)).await;
        });
        futures::future::join_all(devices).await;
    });
    let chatting = async {
        for number in 0..10 {
            let text = format!("message {number}");
            let sent = ben.send_chat(&text);
            timeout(UNDISTURBED, sent).await.expect("in time");
        }
    };
    tokio::join!(attack, chatting);
    let last = ben.send_chat("the end").await;
    assert!(reading.await.expect("goes on"), "Ann is still there");
    // Beside the messages, the log holds what the rate of each device allows.
    let allowed = 20 + 5 * (begun.elapsed().as_secs() + 1);
    let messages = 12;
    let events = last.seq - messages;
    assert!(
        events > 0 && events <= allowed * HOST_DEVICES as u64,
        "{events}"
    );
}

/// Joins of one address in the storm at the door of a room, on a socket each.
const JOINS_OF_ADDRESS: usize = 10;
/// Addresses of that storm.
const JOINING_ADDRESSES: usize = 200;
/// Most people in a lobby.
const MAX_WAITING: usize = 500;

/// Asks to enter the room `team` from each address, and keeps the sockets of those who wait. Returns
/// the sockets and the number of refusals.
async fn storm(app: &TestApp) -> (Vec<Client>, usize) {
    let joining = (0..JOINING_ADDRESSES).map(async |number| {
        let source = format!("127.0.{}.{}", 1 + number / 100, 1 + number % 100);
        let (mut waiting, mut refused) = (Vec::new(), 0);
        for turn in 0..JOINS_OF_ADDRESS {
            let mut client = app.connect_from(&source).await;
            let join = JoinRequest {
                room: "team".to_owned(),
                nickname: format!("{}{turn:02}", "😀".repeat(30)),
                line: Some("😀".repeat(MAX_KNOCK_CHARS)),
                ..JoinRequest::default()
            };
            client.send(&ClientMessage::Join(join)).await;
            let waits = client.wait_for(|message| match message {
                ServerMessage::Waiting { .. } => Some(true),
                ServerMessage::Error { .. } => Some(false),
                other => panic!("{other:?}"),
            });
            match waits.await {
                true => waiting.push(client),
                false => refused += 1,
            }
        }
        (waiting, refused)
    });
    let all = futures::future::join_all(joining).await;
    let refused = all.iter().map(|(_, refused)| refused).sum();
    let waiting = all.into_iter().flat_map(|(waiting, _)| waiting);
    (waiting.collect(), refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_joins_to_a_locked_room_fill_its_lobby_and_disturb_nobody() {
    let app = Arc::new(TestApp::start().await);
    let mut host = app.join("team", "Host").await;
    let mut ben = app.join("team", "Ben").await;
    ben.enter_call(1).await;
    host.enter_call(2).await;
    let change = SettingsChange {
        locked: Some(true),
        lobby: Some(true),
        ..SettingsChange::default()
    };
    host.send(&ClientMessage::SetRoom { change }).await;
    let locked = host.wait_for(|message| match message {
        ServerMessage::RoomChanged { room, .. } => Some(room.locked && room.lobby),
        _ => None,
    });
    assert!(locked.await);
    let begun = Instant::now();
    let attacked = Arc::clone(&app);
    let attack = run_on_own_thread(move || async move { storm(&attacked).await });
    let chatting = async {
        let mut slowest = Duration::ZERO;
        for number in 0..20 {
            let sent = Instant::now();
            let text = format!("message {number}");
            let message = ben.send_chat(&text);
            timeout(UNDISTURBED, message).await.expect("in time");
            slowest = slowest.max(sent.elapsed());
        }
        slowest
    };
    let ((waiting, refused), slowest) = tokio::join!(attack, chatting);
    let lasted = begun.elapsed();
    let joins = JOINING_ADDRESSES * JOINS_OF_ADDRESS;
    assert!(slowest < UNDISTURBED, "{refused} refused in {lasted:?}");
    assert_eq!(waiting.len() + refused, joins);
    assert_eq!(waiting.len(), MAX_WAITING, "{refused} were refused");
    // The host has read nothing meanwhile, and is here with what it can show.
    ben.send_chat("the end").await;
    let (mut lists, mut count) = (0_u32, 0);
    loop {
        let frame = host.next_text().await;
        if frame.contains(r#""type":"lobby""#) {
            assert!(frame.len() < MAX_FRAME_BYTES, "{} bytes", frame.len());
            assert!(frame.matches(r#""since""#).count() <= LOBBY_WINDOW);
            let number = frame.split(r#""count":"#).nth(1).expect("a count");
            let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
            count = digits.parse().expect("a number");
            lists += 1;
        }
        if count == MAX_WAITING {
            break;
        }
    }
    let allowed = 2.0 * begun.elapsed().as_secs_f64() + 2.0;
    assert!(f64::from(lists) <= allowed, "{lists} lists in {lasted:?}");
    // One request empties the lobby.
    host.send(&ClientMessage::Deny {
        who: None,
        reason: None,
    })
    .await;
    let empty = host.wait_for(|message| match message {
        ServerMessage::Lobby { count: 0, people } => Some(people),
        _ => None,
    });
    assert_eq!(empty.await, []);
    drop(waiting);
    ben.send_chat("still here").await;
}

/// Switches the lobby of the room on.
async fn switch_lobby_on(host: &mut Client) {
    let change = SettingsChange {
        lobby: Some(true),
        ..SettingsChange::default()
    };
    host.send(&ClientMessage::SetRoom { change }).await;
    let guarded = host.wait_for(|message| match message {
        ServerMessage::RoomChanged { room, .. } => Some(room.lobby),
        _ => None,
    });
    assert!(guarded.await);
}

/// Forms of one address, and addresses that send a few each.
const FORMS_OF_ADDRESS: usize = 600;
const ADDRESSES_OF_FORMS: usize = 120;
const FORMS_OF_EACH: usize = 10;

/// Asks to enter the room `team` by so many plain forms of one address, each as another device.
/// Counts the answers by the address to which they lead.
async fn send_forms(app: &TestApp, source: &str, forms: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    let headers = "Accept: text/html\r\n";
    let line = "x".repeat(MAX_KNOCK_CHARS);
    let fields = format!("room=team&nickname=Eve&line={line}");
    for _ in 0..forms {
        let request = form("/api/enter_room", headers, &fields);
        let response = app.http_from(source, &request).await;
        let location = response
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        let answer = match location {
            Some(location) => location.to_owned(),
            None => status(&response).to_string(),
        };
        *answers.entry(answer).or_insert(0) += 1;
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forms_that_ask_to_enter_is_bounded_and_disturbs_nobody() {
    const WAITS: &str = "/room/team?asked=1&plain=1";
    const FULL: &str = "/room/team?refused=lobby_full&plain=1";
    const TOO_MANY: &str = "/room/team?refused=too_many_joins&plain=1";
    let app = Arc::new(TestApp::start().await);
    let mut host = app.join("team", "Host").await;
    let mut ben = app.join("team", "Ben").await;
    switch_lobby_on(&mut host).await;
    let begun = Instant::now();
    let attacked = Arc::clone(&app);
    let attack = run_on_own_thread(move || async move {
        let of_one = send_forms(&attacked, "127.0.9.1", FORMS_OF_ADDRESS).await;
        let lasted = begun.elapsed();
        let near = attacked.context.visits.counts(Instant::now());
        let many = (0..ADDRESSES_OF_FORMS).map(async |number| {
            let source = format!("127.0.{}.{}", 10 + number / 100, 1 + number % 100);
            send_forms(&attacked, &source, FORMS_OF_EACH).await
        });
        let of_many = futures::future::join_all(many).await;
        (of_one, lasted, near, of_many)
    });
    let chatting = async {
        for number in 0..20 {
            let text = format!("message {number}");
            let message = ben.send_chat(&text);
            timeout(UNDISTURBED, message).await.expect("in time");
        }
    };
    let ((of_one, lasted, near, of_many), ()) = tokio::join!(attack, chatting);
    // One address: as many wait as may of an address, and it asks as often as it may join.
    let of = |answers: &BTreeMap<String, usize>, answer: &str| {
        answers.get(answer).copied().unwrap_or_default()
    };
    // The rate of forms (429) comes before that of joins.
    let [waits, full, joins, forms] =
        [WAITS, FULL, TOO_MANY, "429"].map(|answer| of(&of_one, answer));
    let asked = waits + full + joins + forms;
    assert_eq!(asked, FORMS_OF_ADDRESS, "{of_one:?}");
    assert!(forms > 0, "{of_one:?}");
    assert_eq!(waits, 20, "{of_one:?}");
    let allowed = 200.0 + 5.0 * (lasted.as_secs_f64() + 1.0);
    assert!(
        ((waits + full) as f64) <= allowed,
        "{of_one:?} in {lasted:?}"
    );
    assert!(
        near.1 <= 40 && near.0 <= near.1 + 1,
        "{near:?} visits are kept"
    );
    // Many addresses: as many wait as may in a room.
    let sum = |answer: &str| -> usize { of_many.iter().map(|answers| of(answers, answer)).sum() };
    let asked = sum(WAITS) + sum(FULL) + sum(TOO_MANY);
    assert_eq!(asked, ADDRESSES_OF_FORMS * FORMS_OF_EACH, "{of_many:?}");
    assert_eq!(waits + sum(WAITS), MAX_WAITING);
    let (visits, of_network) = app.context.visits.counts(Instant::now());
    assert!(
        visits <= 1_000 && of_network <= 40,
        "{visits} visits are kept"
    );
    ben.send_chat("still here").await;
}

#[tokio::test]
async fn whoever_waits_and_reads_too_slowly_is_closed_with_4408_and_harms_nobody() {
    let app = TestApp::start().await;
    let mut host = app.join("team", "Host").await;
    let key = host.joined().host_key.clone().expect("opened the room");
    switch_lobby_on(&mut host).await;
    // The queue of a client that reads nothing, with space for one more message.
    let queue = || outbox(app.context.rooms.metrics().clone());
    let pong = || Frames::of(&ServerMessage::Pong);
    let (full, _reads_nothing) = queue();
    let queued = (0..).take_while(|_| full.put(pong()).is_ok()).count();
    let (slow, reader) = queue();
    for _ in 1..queued {
        slow.put(pong()).expect("space");
    }
    let name = RoomName::parse("team").expect("valid");
    let room = app.context.rooms.open(&name).expect("opens");
    let (session, nickname) = (new_session_token(), Nickname::parse("Slow").expect("valid"));
    let waits = room
        .join(&session, &nickname, Entry::default(), &slow)
        .await;
    let membership = waits.expect("waits");
    let mut ben = app.connect().await;
    let join = JoinRequest {
        room: "team".to_owned(),
        nickname: "Ben".to_owned(),
        ..JoinRequest::default()
    };
    ben.send(&ClientMessage::Join(join)).await;
    let place = ben.wait_for(|message| match message {
        ServerMessage::Waiting { place, .. } => Some(place),
        _ => None,
    });
    assert_eq!(place.await, 2);
    // News for everybody who waits: nobody is here who can admit them.
    host.close(Some(1000)).await;
    let closed = timeout(Duration::from_secs(20), slow.closed()).await;
    assert_eq!(closed.ok(), Some(CloseCode::TooSlow));
    let alone = ben.wait_for(|message| match message {
        ServerMessage::Waiting { host_here, .. } => Some(host_here),
        _ => None,
    });
    assert!(!alone.await);
    drop((membership, reader));
    let mut host = app.connect().await;
    let join = JoinRequest {
        room: "team".to_owned(),
        nickname: "Host".to_owned(),
        host_key: Some(key),
        ..JoinRequest::default()
    };
    host.join_as(ClientMessage::Join(join)).await;
    host.send(&ClientMessage::Admit { who: None }).await;
    ben.wait_for(|message| matches!(message, ServerMessage::Joined(_)).then_some(()))
        .await;
    ben.send_chat("hello").await;
    host.wait_for_chat("hello").await;
}

#[tokio::test]
async fn excess_signals_are_refused_and_their_receivers_stay_connected() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut eve = app.join("team", "Eve").await;
    ann.enter_call(1).await;
    eve.enter_call(1).await;
    // The socket answers `ping` without the room, so some refusals may arrive after the `pong`.
    // Ann does not read meanwhile, so only the part of her queue for relays accepts signals.
    let mut refused = 0;
    for _ in 0..SIGNALS {
        eve.send(&offer(&ann.id(), 40 * 1024)).await;
    }
    eve.send(&ClientMessage::Ping).await;
    loop {
        match eve.next().await {
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages | ErrorCode::Busy,
                ..
            } => refused += 1,
            ServerMessage::Pong => break,
            _ => {}
        }
    }
    assert!(refused > SIGNALS * 3 / 4, "{refused} of {SIGNALS}");
    let received = ann.received_so_far().await;
    let signals = received
        .iter()
        .filter(|message| matches!(message, ServerMessage::Signal { .. }));
    assert!((1..=SIGNALS - refused).contains(&signals.count()));
    ann.send_chat("and on it goes").await;
    eve.wait_for_chat("and on it goes").await;
}

#[tokio::test]
async fn a_reaction_is_broadcast_without_its_message() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let long = ann.send_chat(&"x".repeat(4_000)).await;
    ben.send(&ClientMessage::React {
        id: long.id,
        emoji: "👍".to_owned(),
        on: true,
    })
    .await;
    let change = ann
        .wait_for(|message| match message {
            ServerMessage::Changed { .. } | ServerMessage::Reaction { .. } => Some(message),
            _ => None,
        })
        .await;
    let size = serde_json::to_string(&change).expect("serialises").len();
    assert!(size < 250, "{size} bytes");
    let late = app.join("team", "Late").await;
    let whole = &late.joined().history[0];
    assert_eq!(whole.reactions[0].by, [ben.id()]);
}
