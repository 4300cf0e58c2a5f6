//! The attackers: each has its own source address and repeats one [`AttackKind`].
//!
//! All attackers share one thread, apart from the chat that is measured. Every attempt counts as
//! accepted or refused. An attacker pauses after a refusal. The rates are those of a script on one
//! machine: they reach the server's limits without taking its core.

use super::{
    http::{
        RoomSocket, TIMEOUT, begin_upload, connect, empty_post, form, get, part_of_upload,
        read_status, status, upload_location,
    },
    stun,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    sync::Barrier,
    task::{LocalSet, spawn_local},
    time::{sleep, timeout},
};

/// How many source addresses the attackers share.
pub const ADDRESSES: u32 = 200;
/// The address before the first attacker's.
const BEFORE_FIRST: Ipv4Addr = Ipv4Addr::new(127, 7, 0, 0);
/// Pause after an accepted attempt.
const PAUSE: Duration = Duration::from_millis(40);
/// Pause after a refused attempt.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(250);
/// Time in which all attackers start, one after the other.
const RAMP_UP: Duration = Duration::from_secs(5);
/// Interval between two bytes of a slow request.
const SLOW_INTERVAL: Duration = Duration::from_secs(4);
/// How long an attacker holds its resources.
const HOLD_TIME: Duration = Duration::from_secs(29);
/// Characters of a message that fills the disk.
const LONG_TEXT: usize = 4_000;
/// Bytes of an uploaded file.
const FILE_BYTES: usize = 128 * 1024;
/// Bytes of a large upload: the largest that a server takes by default.
const LARGE_FILE_BYTES: usize = 25 * 1024 * 1024;
/// Uploads that one participant tries to hold: more than the server's limit.
const UPLOADS_TO_HOLD: usize = 24;
/// Bytes of a large session description or signal.
const LONG_SIGNAL: usize = 47 * 1024;
/// Slow requests of one address at a time.
const SLOW_CONNECTIONS: usize = 24;

/// WebSockets that one address tries to hold: more than the server's limit per address.
const SOCKETS_TO_HOLD: usize = 110;
/// The private room, and its password.
const PRIVATE_ROOM: &str = "private room";
const PRIVATE_PASSWORD: &str = "correct horse";
/// People whom one address sends into the lobby: more than the server's limit per address.
const KNOCKS: usize = 24;
/// Addresses that guess a password at one moment: all of this kind, as each of them waits for the others.
const GUESSERS: usize = ADDRESSES as usize / AttackKind::ALL.len();
/// Guesses of each address: as many as it may.
const GUESSES: usize = 10;
/// Rooms whose password they guess, one after the other.
const GUESSED_ROOMS: usize = 5;
/// Every obstacle of a `media_blocked` message.
const OBSTACLES: [&str; 5] = [
    "server_ice",
    "server_dtls",
    "person_ice",
    "person_dtls",
    "no_webrtc",
];

/// Nice value of the attackers' thread: the measured server has precedence.
const LOWEST_PRIORITY: i32 = 19;

/// The ports of the server under attack.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// TCP port of HTTP.
    pub port: u16,
    /// UDP and TCP port of media.
    pub media: u16,
    /// UDP and TCP port of STUN and TURN.
    pub turn: u16,
}

/// The kind of an attacker. Addresses take the kinds in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AttackKind {
    /// Searches for many one-letter words and closes before the answer.
    Search,
    /// Opens rooms with the form of the welcome page.
    OpenRooms,
    /// Joins a new room and resets the connection.
    JoinAndReset,
    /// Sends a request head one byte at a time.
    SlowHead,
    /// Sends a request body one byte at a time.
    SlowBody,
    /// Opens new rooms and says a word in each, so that the server keeps their names.
    KeepRooms,
    /// Fills the disk with messages over a WebSocket.
    FillDisk,
    /// Fills the disk with plain forms.
    PostForms,
    /// Floods a reading member of a call with signals.
    Signals,
    /// Floods a reading member outside the call with signals of a direct connection.
    DirectSignals,
    /// Reacts to a long message, changes its nickname and reports typing.
    React,
    /// Allocates relay addresses.
    Relay,
    /// Sends large SDP offers.
    Offers,
    /// Holds long polls.
    Poll,
    /// Holds TCP streams of the media and relay ports.
    Streams,
    /// Sends malformed requests and datagrams.
    Garbage,
    /// Holds every WebSocket it may and asks by `POST /ws` why the next one is refused.
    AskRefusal,
    /// Reports blocked media with every obstacle, over and over.
    ReportBlockedMedia,
    /// Guesses the password of a private room and fills its lobby.
    Lobby,
    /// Shows wrong passwords on a hundred sockets at one moment.
    Guess,
    /// Uploads files and sends them with messages, and leaves every other one without a message.
    Upload,
    /// Begins the largest uploads that it may, and sends their bytes one at a time.
    SlowUpload,
}

impl AttackKind {
    /// Every kind of attack, in the order of the report.
    const ALL: [Self; 22] = [
        Self::Search,
        Self::OpenRooms,
        Self::JoinAndReset,
        Self::SlowHead,
        Self::SlowBody,
        Self::KeepRooms,
        Self::FillDisk,
        Self::PostForms,
        Self::Signals,
        Self::DirectSignals,
        Self::React,
        Self::Relay,
        Self::Offers,
        Self::Poll,
        Self::Streams,
        Self::Garbage,
        Self::AskRefusal,
        Self::ReportBlockedMedia,
        Self::Lobby,
        Self::Guess,
        Self::Upload,
        Self::SlowUpload,
    ];

    /// The name in the table and for `--only`.
    const fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::OpenRooms => "open-rooms",
            Self::JoinAndReset => "join-and-reset",
            Self::SlowHead => "slow-head",
            Self::SlowBody => "slow-body",
            Self::KeepRooms => "keep-rooms",
            Self::FillDisk => "fill-disk",
            Self::PostForms => "post-forms",
            Self::Signals => "signals",
            Self::DirectSignals => "direct-signals",
            Self::React => "react",
            Self::Relay => "relay",
            Self::Offers => "offers",
            Self::Poll => "poll",
            Self::Streams => "streams",
            Self::Garbage => "garbage",
            Self::AskRefusal => "ask-refusal",
            Self::ReportBlockedMedia => "report-blocked-media",
            Self::Lobby => "lobby",
            Self::Guess => "guess",
            Self::Upload => "upload",
            Self::SlowUpload => "slow-upload",
        }
    }
}

/// Counts the attempts of the attackers.
#[derive(Default)]
pub struct Counters {
    /// Accepted attempts, by kind.
    accepted: [AtomicU64; AttackKind::ALL.len()],
    /// Refused attempts, by kind.
    refused: [AtomicU64; AttackKind::ALL.len()],
    /// Reading members whose connection the server closed because of another's messages.
    pub victims_closed: AtomicU64,
    /// The kinds that are played.
    chosen: Vec<AttackKind>,
}

impl Counters {
    /// Accepted and refused attempts, by kind.
    pub fn by_kind(&self) -> BTreeMap<&'static str, (u64, u64)> {
        let counts = |kind: &AttackKind| {
            let (accepted, refused) = (
                &self.accepted[*kind as usize],
                &self.refused[*kind as usize],
            );
            (kind.name(), (accepted.load(Relaxed), refused.load(Relaxed)))
        };
        self.chosen.iter().map(counts).collect()
    }

    /// Counts an attempt.
    fn count(&self, kind: AttackKind, accepted: bool) {
        let counts = if accepted {
            &self.accepted
        } else {
            &self.refused
        };
        counts[kind as usize].fetch_add(1, Relaxed);
    }
}

/// The attackers' thread; [`Self::stop`] ends it.
pub struct AttackerPool {
    /// Set to end the thread.
    stop: Arc<AtomicBool>,
    /// Counts the attempts of the attackers.
    counters: Arc<Counters>,
    thread: JoinHandle<()>,
}

impl AttackerPool {
    /// Starts the attackers; only the kinds that `only` names, where it names any.
    ///
    /// # Errors
    /// `only` names no known kind, or the thread does not start.
    pub fn start(target: Target, only: &[String]) -> Result<Self> {
        let is_chosen =
            |kind: &AttackKind| only.is_empty() || only.iter().any(|name| name == kind.name());
        let chosen: Vec<AttackKind> = AttackKind::ALL.into_iter().filter(is_chosen).collect();
        ensure!(
            !chosen.is_empty(),
            "--only names none of {:?}",
            AttackKind::ALL.map(AttackKind::name)
        );
        let stop = Arc::new(AtomicBool::new(false));
        let counters = Arc::new(Counters {
            chosen: chosen.clone(),
            ..Counters::default()
        });
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&counters));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("attackers".to_owned())
            .spawn(move || {
                // The measured chat and call share a core with this thread.
                let thread = rustix::thread::gettid();
                let _ = rustix::process::setpriority_process(Some(thread), LOWEST_PRIORITY);
                LocalSet::new().block_on(&runtime, attack(target, chosen, &stopped, counted));
            })?;
        Ok(Self {
            stop,
            counters,
            thread,
        })
    }

    /// Ends the thread, which closes everything the attackers hold.
    pub fn stop(self) -> Arc<Counters> {
        self.stop.store(true, Relaxed);
        let _ = self.thread.join();
        self.counters
    }
}

/// Starts all attackers and waits for the end.
async fn attack(
    target: Target,
    chosen: Vec<AttackKind>,
    stop: &AtomicBool,
    counters: Arc<Counters>,
) {
    if let Err(error) = prepare(&chosen, target.port).await {
        eprintln!("the private room was not opened: {error}");
    }
    let guessers = Rc::new(Barrier::new(GUESSERS));
    for number in 0..ADDRESSES {
        let kind = chosen[number as usize % chosen.len()];
        let source = Ipv4Addr::from(u32::from(BEFORE_FIRST) + 1 + number);
        let attacker = Rc::new(Attacker {
            number,
            source,
            target,
            kind,
            of_kind: number as usize / chosen.len(),
            guessers: Rc::clone(&guessers),
            counters: Arc::clone(&counters),
        });
        spawn_local(attacker.run());
        sleep(RAMP_UP / ADDRESSES).await;
    }
    while !stop.load(Relaxed) {
        sleep(PAUSE).await;
    }
}

/// Opens the rooms that attackers of these kinds need.
async fn prepare(chosen: &[AttackKind], port: u16) -> Result<()> {
    if chosen.contains(&AttackKind::Lobby) {
        host_private_room(port, PRIVATE_ROOM, true).await?;
    }
    if chosen.contains(&AttackKind::Guess) {
        for number in 0..GUESSED_ROOMS {
            host_private_room(port, &guessed_room(number), false).await?;
        }
    }
    Ok(())
}

/// The name of a room whose password is guessed.
fn guessed_room(number: usize) -> String {
    format!("guessed room {number}")
}

struct Attacker {
    /// Index, from 0.
    number: u32,
    source: Ipv4Addr,
    /// Ports of the server.
    target: Target,
    /// The kind of attack that it repeats.
    kind: AttackKind,
    /// Index among the attackers of this kind, from 0.
    of_kind: usize,
    /// Where those who guess passwords wait for each other.
    guessers: Rc<Barrier>,
    /// Counts its attempts.
    counters: Arc<Counters>,
}

impl Attacker {
    /// Repeats its kind until the thread ends; starts again after an error.
    async fn run(self: Rc<Self>) {
        loop {
            let series = async {
                match self.kind {
                    AttackKind::Search => self.search().await,
                    AttackKind::OpenRooms => self.open_rooms().await,
                    AttackKind::JoinAndReset => self.join_and_reset().await,
                    AttackKind::SlowHead => self.send_slowly(&self.slow_head()).await,
                    AttackKind::SlowBody => self.send_slowly(&self.slow_body()).await,
                    AttackKind::KeepRooms => self.keep_rooms().await,
                    AttackKind::FillDisk => self.fill_disk().await,
                    AttackKind::PostForms => self.post_forms().await,
                    AttackKind::Signals => self.send_signals(true).await,
                    AttackKind::DirectSignals => self.send_signals(false).await,
                    AttackKind::React => self.react().await,
                    AttackKind::Relay => self.allocate_relays().await,
                    AttackKind::Offers => self.send_offers().await,
                    AttackKind::Poll => self.hold_polls().await,
                    AttackKind::Streams => self.hold_streams().await,
                    AttackKind::Garbage => self.send_garbage().await,
                    AttackKind::AskRefusal => self.ask_refusal().await,
                    AttackKind::ReportBlockedMedia => self.report_blocked_media().await,
                    AttackKind::Lobby => self.crowd_lobby().await,
                    AttackKind::Guess => self.guess_at_once().await,
                    AttackKind::Upload => self.upload_files().await,
                    AttackKind::SlowUpload => self.upload_slowly().await,
                }
            };
            if series.await.is_err() {
                self.count(false).await;
            }
        }
    }

    /// Counts an attempt and pauses.
    async fn count(&self, accepted: bool) {
        self.counters.count(self.kind, accepted);
        sleep(if accepted { PAUSE } else { PAUSE_AFTER_REFUSAL }).await;
    }

    /// A room of this attacker only.
    fn own_room(&self) -> String {
        format!("room of {}", self.number)
    }

    /// Searches the chat's room for one-letter words, four searches at a time.
    async fn search(&self) -> Result<()> {
        let letters: Vec<_> = ('a'..='z').chain('a'..='v').map(String::from).collect();
        let path = format!("/room/bench%200?q={}", letters.join("+"));
        let searches: Vec<_> = (0..4)
            .map(|_| async {
                let mut stream = connect(self.source, self.target.port).await?;
                stream
                    .write_all(get(self.target.port, &path).as_bytes())
                    .await?;
                let answer = timeout(Duration::from_secs(1), read_status(&mut stream)).await;
                anyhow::Ok(matches!(answer, Ok(Ok(200))))
            })
            .collect();
        for search in futures::future::join_all(searches).await {
            self.count(search.unwrap_or(false)).await;
        }
        Ok(())
    }

    /// Opens rooms that nobody enters.
    async fn open_rooms(&self) -> Result<()> {
        for round in 0..u64::MAX {
            let body = format!("nickname=x&room=unused+{}+{round}", self.number);
            let request = form(self.target.port, "/api/join_room", &body);
            let answer = status(self.source, self.target.port, &request).await?;
            self.count(answer < 400).await;
        }
        Ok(())
    }

    /// Joins a new room and resets the connection: the room keeps an absent member.
    async fn join_and_reset(&self) -> Result<()> {
        for round in 0..u64::MAX {
            let room = format!("left {} {round}", self.number);
            let (socket, _) = RoomSocket::join(self.source, self.target.port, &room, "x").await?;
            socket.reset();
            self.count(true).await;
        }
        Ok(())
    }

    /// A request head without an end.
    fn slow_head(&self) -> String {
        format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nX-Slow: ",
            self.target.port
        )
    }

    /// A request without its body.
    fn slow_body(&self) -> String {
        let request = form(self.target.port, "/api/join_room", &"x".repeat(1_000));
        request[..request.len() - 1_000].to_owned()
    }

    /// Holds connections that continue `start` one byte at a time.
    async fn send_slowly(&self, start: &str) -> Result<()> {
        let sending = (0..SLOW_CONNECTIONS).map(|_| self.send_slowly_once(start));
        for held in futures::future::join_all(sending).await {
            self.count(held.is_ok()).await;
        }
        Ok(())
    }

    /// One such connection, until the server closes it. Each [`SLOW_INTERVAL`] counts as accepted.
    async fn send_slowly_once(&self, start: &str) -> Result<()> {
        let mut stream = connect(self.source, self.target.port).await?;
        stream.write_all(start.as_bytes()).await?;
        loop {
            sleep(SLOW_INTERVAL).await;
            stream.write_all(b"x").await?;
            self.counters.count(self.kind, true);
        }
    }

    /// Opens new rooms as fast as the server allows, says a word in each and leaves.
    async fn keep_rooms(&self) -> Result<()> {
        for round in 0..u64::MAX {
            let room = format!("kept {} {round}", self.number);
            let joined = RoomSocket::join(self.source, self.target.port, &room, "x").await;
            let Ok((mut socket, _)) = joined else {
                self.count(false).await;
                continue;
            };
            let id = uuid::Uuid::now_v7();
            socket
                .send(&json!({"type": "chat", "id": id, "text": "x"}))
                .await?;
            let stored = socket.wait_for("chat").await.is_ok();
            socket.close().await?;
            self.count(stored).await;
        }
        Ok(())
    }

    /// Sends long Korean messages as fast as the server accepts them.
    async fn fill_disk(&self) -> Result<()> {
        let (mut socket, _) =
            RoomSocket::join(self.source, self.target.port, &self.own_room(), "x").await?;
        let text = korean(self.number, LONG_TEXT);
        loop {
            let id = uuid::Uuid::now_v7();
            let chat = json!({"type": "chat", "id": id, "text": text});
            socket.send(&chat).await?;
            let refused = socket.drain().await?;
            self.count(refused == 0).await;
        }
    }

    /// Posts messages into empty rooms.
    async fn post_forms(&self) -> Result<()> {
        for round in 0..u64::MAX {
            let text = korean(self.number, 500);
            let room = format!("posts+{}+{}", self.number, round % 50);
            let body = format!("room={room}&text={}", encoded(&text));
            let request = form(self.target.port, "/api/post_message", &body);
            let answer = status(self.source, self.target.port, &request).await?;
            self.count(answer < 400).await;
        }
        Ok(())
    }

    /// Sends large session descriptions to a member of the same room who reads all the time; both are
    /// in the call, or neither.
    async fn send_signals(&self, in_call: bool) -> Result<()> {
        let room = self.own_room();
        let (mut victim, joined) =
            RoomSocket::join(self.source, self.target.port, &room, "victim").await?;
        let to = joined["self"].clone();
        let (mut socket, _) = RoomSocket::join(self.source, self.target.port, &room, "x").await?;
        if in_call {
            enter_call(&mut victim, 1).await?;
            enter_call(&mut socket, 2).await?;
        }
        let counters = Arc::clone(&self.counters);
        let reading = spawn_local(async move {
            while victim.next().await.is_ok() {}
            counters.victims_closed.fetch_add(1, Relaxed);
        });
        let description = json!({"kind": "offer", "connection": 1, "sdp": "x".repeat(LONG_SIGNAL)});
        let sending = async {
            let mut signal = json!({"type": "signal", "to": to, "signal": description});
            if in_call {
                signal["leg"] = json!(1);
            }
            let signal = signal.to_string();
            for _ in 0..400 {
                socket.send_text(signal.clone()).await?;
                self.counters.count(self.kind, socket.drain().await? == 0);
                sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(())
        };
        let result = sending.await;
        reading.abort();
        result
    }

    /// Reacts to a message of the largest size, over and over.
    async fn react(&self) -> Result<()> {
        let room = self.own_room();
        let (mut victim, _) =
            RoomSocket::join(self.source, self.target.port, &room, "victim").await?;
        let (mut socket, _) = RoomSocket::join(self.source, self.target.port, &room, "x").await?;
        let counters = Arc::clone(&self.counters);
        let reading = spawn_local(async move {
            while victim.next().await.is_ok() {}
            counters.victims_closed.fetch_add(1, Relaxed);
        });
        let reacting = async {
            let id = uuid::Uuid::now_v7();
            let text = korean(self.number, LONG_TEXT);
            socket
                .send(&json!({"type": "chat", "id": id, "text": text}))
                .await?;
            socket.wait_for("chat").await?;
            for round in 0..500 {
                let on = round % 2 == 0;
                socket
                    .send(&json!({"type": "react", "id": id, "emoji": "👍", "on": on}))
                    .await?;
                socket
                    .send(&json!({"type": "nickname", "nickname": format!("x{round}")}))
                    .await?;
                socket.send(&json!({"type": "typing"})).await?;
                self.count(socket.drain().await? == 0).await;
            }
            anyhow::Ok(())
        };
        let done = reacting.await;
        reading.abort();
        done
    }

    /// Gets credentials, leaves the call, and allocates relay addresses with them.
    async fn allocate_relays(&self) -> Result<()> {
        let room = self.own_room();
        let (mut socket, _) = RoomSocket::join(self.source, self.target.port, &room, "x").await?;
        let mut held = Vec::new();
        for leg in 1..=4_u32 {
            let call = enter_call(&mut socket, leg).await?;
            let servers = call["ice_servers"].as_array().context("no servers")?;
            let own = servers.iter().find(|server| server["username"].is_string());
            let own = own.context("no relay")?;
            let name = own["username"].as_str().unwrap_or_default();
            let password = own["credential"].as_str().unwrap_or_default();
            socket.send(&json!({"type": "leave_call"})).await?;
            for _ in 0..12 {
                let got = stun::allocate(self.source, self.target.turn, name, password).await;
                self.count(got.is_ok()).await;
                held.extend(got);
            }
        }
        sleep(HOLD_TIME).await;
        Ok(())
    }

    /// Sends SDP offers of the largest size.
    async fn send_offers(&self) -> Result<()> {
        let room = self.own_room();
        let (mut socket, _) = RoomSocket::join(self.source, self.target.port, &room, "x").await?;
        enter_call(&mut socket, 1).await?;
        let sdp = large_offer();
        for number in 1..=200_u32 {
            socket.send(&offer(number, &sdp)).await?;
            self.count(socket.drain().await? == 0).await;
        }
        Ok(())
    }

    /// Opens and holds as many long polls as the server allows.
    async fn hold_polls(&self) -> Result<()> {
        let request = form(self.target.port, "/poll", "")
            .replace("application/x-www-form-urlencoded", "application/json");
        for _ in 0..100 {
            let answer = status(self.source, self.target.port, &request).await?;
            self.count(answer < 400).await;
        }
        sleep(HOLD_TIME).await;
        Ok(())
    }

    /// Holds TCP streams of media and relay with one frame per [`HOLD_TIME`].
    async fn hold_streams(&self) -> Result<()> {
        let mut held = Vec::new();
        for port in [self.target.media, self.target.turn] {
            for _ in 0..40 {
                let stream = connect(self.source, port).await;
                self.count(stream.is_ok()).await;
                held.extend(stream.map(|stream| (port, stream)));
            }
        }
        for (port, stream) in &mut held {
            let binding = stun::binding();
            let framed =
                (*port == self.target.media).then_some((binding.len() as u16).to_be_bytes());
            let bytes = [
                &framed.unwrap_or_default()[..framed.map_or(0, |_| 2)],
                &binding,
            ]
            .concat();
            let _ = timeout(TIMEOUT, stream.write_all(&bytes)).await;
        }
        sleep(HOLD_TIME).await;
        Ok(())
    }

    /// Malformed forms, hosts, upgrades and datagrams.
    async fn send_garbage(&self) -> Result<()> {
        let port = self.target.port;
        let requests = [
            form(port, "/api/join_room", "room=%ff%fe&nickname=%00"),
            form(port, "/api/find_messages", "before=x&&==&%"),
            get(port, "/room/%E0%80").replace("127.0.0.1", "rebound.example"),
            get(port, "/ws").replace(
                "Connection: close",
                "Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://evil.example",
            ),
        ];
        for request in &requests {
            let answer = status(self.source, port, request).await?;
            ensure!(answer != 500, "500 to {request}");
            self.count(answer < 400).await;
        }
        let bytes: Vec<u8> = (0..1_200_u32)
            .map(|n| (n * 31 + self.number) as u8)
            .collect();
        for port in [self.target.media, self.target.turn] {
            for start in 0..20 {
                stun::send_datagram(self.source, port, &bytes[start * 16..]).await?;
            }
        }
        Ok(())
    }

    /// Holds as many WebSockets as the server allows and asks by `POST /ws` why it refuses more.
    async fn ask_refusal(&self) -> Result<()> {
        let request = empty_post(self.target.port, "/ws");
        // Before the limit is reached the answer is 204.
        for _ in 0..10 {
            let answer = status(self.source, self.target.port, &request).await?;
            self.count(answer == 204).await;
        }
        let mut held = Vec::new();
        while held.len() < SOCKETS_TO_HOLD {
            match RoomSocket::open(self.source, self.target.port).await {
                Ok(socket) => held.push(socket),
                Err(_) => break,
            }
        }
        for _ in 0..200 {
            let answer = status(self.source, self.target.port, &request).await?;
            ensure!(
                matches!(answer, 204 | 429 | 503),
                "{answer} to POST /ws with an empty body"
            );
            self.count(answer == 204).await;
        }
        Ok(())
    }

    /// Guesses the password until the server refuses that, and sends people into the lobby who wait
    /// and ask for what is in the room.
    async fn crowd_lobby(&self) -> Result<()> {
        let join = |password: &str| {
            json!({"type": "join", "room": PRIVATE_ROOM, "nickname": "x",
                "password": password, "line": "let me in"})
        };
        let mut waiting = Vec::new();
        for round in 0..KNOCKS {
            let mut socket = RoomSocket::open(self.source, self.target.port).await?;
            socket.send(&join(&format!("guess {round}"))).await?;
            let guessed = socket.wait_for("waiting").await.is_ok();
            ensure!(!guessed, "a wrong password was accepted");
            self.count(false).await;
            socket.send(&join(PRIVATE_PASSWORD)).await?;
            let waits = socket.wait_for("waiting").await.is_ok();
            socket
                .send(&json!({"type": "history", "before": 9}))
                .await?;
            socket.send(&json!({"type": "typing"})).await?;
            self.count(waits).await;
            waiting.push(socket);
        }
        sleep(HOLD_TIME).await;
        Ok(())
    }

    /// Shows a wrong password on each of its sockets at the moment at which the other addresses do, in
    /// one room after the other.
    async fn guess_at_once(&self) -> Result<()> {
        if self.of_kind >= GUESSERS {
            sleep(HOLD_TIME).await;
            return Ok(());
        }
        for room in (0..GUESSED_ROOMS).map(guessed_room) {
            let mut sockets = Vec::new();
            for _ in 0..GUESSES {
                sockets.push(RoomSocket::open(self.source, self.target.port).await?);
            }
            self.guessers.wait().await;
            let join = json!({"type": "join", "room": room, "nickname": "x", "password": "guess"});
            for socket in &mut sockets {
                socket.send(&join).await?;
            }
            for socket in &mut sockets {
                let guessed = socket.wait_for("joined").await.is_ok();
                ensure!(!guessed, "a wrong password was accepted");
                self.counters.count(self.kind, false);
            }
        }
        sleep(HOLD_TIME).await;
        Ok(())
    }

    /// Uploads files of random bytes, no two alike. One is sent with a message and fetched again, the next
    /// one stays without a message.
    async fn upload_files(&self) -> Result<()> {
        let port = self.target.port;
        let room = self.own_room();
        let (mut socket, joined) = RoomSocket::join(self.source, port, &room, "x").await?;
        let session = joined["session"].as_str().context("no session")?;
        for round in 0..u32::MAX {
            let begin = begin_upload(port, &room, session, FILE_BYTES);
            let Some(path) = upload_location(self.source, port, &begin).await? else {
                self.count(false).await;
                continue;
            };
            let mut request = part_of_upload(port, &path, session, FILE_BYTES).into_bytes();
            request.extend(noise(self.number, round, FILE_BYTES));
            let mut stream = connect(self.source, port).await?;
            timeout(TIMEOUT, stream.write_all(&request)).await??;
            let uploaded = read_status(&mut stream).await? == 204;
            if uploaded && round % 2 == 0 {
                let file = path.rsplit('/').next().unwrap_or_default();
                let id = uuid::Uuid::now_v7();
                socket
                    .send(&json!({"type": "chat", "id": id, "text": "", "files": [file]}))
                    .await?;
                socket.drain().await?;
            }
            self.count(uploaded).await;
        }
        Ok(())
    }

    /// Begins as many large uploads as it may, and sends a byte of each from time to time.
    async fn upload_slowly(&self) -> Result<()> {
        let port = self.target.port;
        let room = self.own_room();
        let (_socket, joined) = RoomSocket::join(self.source, port, &room, "x").await?;
        let session = joined["session"].as_str().context("no session")?;
        let mut paths = Vec::new();
        for _ in 0..UPLOADS_TO_HOLD {
            let begin = begin_upload(port, &room, session, LARGE_FILE_BYTES);
            let begun = upload_location(self.source, port, &begin).await?;
            self.count(begun.is_some()).await;
            paths.extend(begun);
        }
        let starts = paths
            .iter()
            .map(|path| part_of_upload(port, path, session, LARGE_FILE_BYTES));
        let starts: Vec<_> = starts.collect();
        let sending = starts.iter().map(|start| self.send_slowly_once(start));
        for held in futures::future::join_all(sending).await {
            self.count(held.is_ok()).await;
        }
        Ok(())
    }

    /// Reports blocked media from many sockets: each obstacle counts once a socket.
    async fn report_blocked_media(&self) -> Result<()> {
        loop {
            let (mut socket, _) =
                RoomSocket::join(self.source, self.target.port, &self.own_room(), "x").await?;
            for obstacle in OBSTACLES.iter().cycle().take(60) {
                socket
                    .send(&json!({"type": "media_blocked", "obstacle": obstacle}))
                    .await?;
                self.count(socket.drain().await? == 0).await;
            }
        }
    }
}

/// Opens a room with a password, and a lobby where one is asked for, and keeps its host there, who
/// reads what the server sends.
async fn host_private_room(port: u16, name: &str, lobby: bool) -> Result<()> {
    let (mut host, _) = RoomSocket::join(BEFORE_FIRST, port, name, "host").await?;
    if lobby {
        let change = json!({"type": "set_room", "lobby": true});
        host.send(&change).await?;
        host.wait_for("room_changed").await?;
    }
    let password = json!({"type": "set_password", "password": PRIVATE_PASSWORD});
    host.send(&password).await?;
    host.wait_for("room_changed").await?;
    spawn_local(async move {
        while host.drain().await.is_ok() && host.send(&json!({"type": "ping"})).await.is_ok() {
            sleep(PAUSE_AFTER_REFUSAL).await;
        }
    });
    Ok(())
}

/// Enters the call; returns the server's `call` message.
async fn enter_call(socket: &mut RoomSocket, leg: u32) -> Result<Value> {
    let devices = json!({"microphone": false, "camera": false, "screen": false});
    let enter = json!({"type": "enter_call", "leg": leg, "devices": devices});
    socket.send(&enter).await?;
    socket.wait_for("call").await
}

/// An `offer` message of the room protocol.
fn offer(number: u32, sdp: &str) -> Value {
    json!({"type": "offer", "connection": number, "offer_id": 1, "sdp": sdp, "tracks": []})
}

/// A session description that parses to its end: many unreachable candidates.
fn large_offer() -> String {
    let mut sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\na=rtpmap:111 opus/48000/2\r\n"
        .to_owned();
    let mut number = 0;
    while sdp.len() < LONG_SIGNAL {
        number += 1;
        let port = 1024 + number % 60_000;
        sdp.push_str(&format!(
            "a=candidate:{number} 1 udp {number} 192.0.2.1 {port} typ host\r\n"
        ));
    }
    sdp
}

/// A Korean text of `length` characters; each `number` gets another one.
fn korean(number: u32, length: usize) -> String {
    let syllable = |place: usize| {
        let code = 0xAC00 + (place as u32 * 7919 + number * 104_729) % 11_172;
        char::from_u32(code).unwrap_or('가')
    };
    (0..length)
        .map(|place| if place % 4 == 3 { ' ' } else { syllable(place) })
        .collect()
}

/// Bytes that do not repeat: another `number` or `round` gets others.
fn noise(number: u32, round: u32, length: usize) -> Vec<u8> {
    // An xorshift (Marsaglia 2003).
    let mut state = u64::from(number) << 32 | u64::from(round) | 1 << 63;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

/// Percent-encodes a text for a form.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
