//! What strangers do: each has a source address of its own and does one thing over and over.
//!
//! All of them run on a thread of their own, so that the chat that is measured does not wait
//! for them. A deed is counted as taken or as refused; a stranger who is refused pauses, as one
//! who has other servers to attack would not. Their rates are those of a script on one machine:
//! what counts is that the server's limits are reached, not that its core is.

use super::{
    http::{PATIENCE, Socket, connect, form, get, read_status, status},
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
    task::{LocalSet, spawn_local},
    time::{sleep, timeout},
};

/// Source addresses.
pub const ADDRESSES: u32 = 200;
/// The address before the first of them.
const BEFORE_FIRST: Ipv4Addr = Ipv4Addr::new(127, 7, 0, 0);
/// Pause after a deed.
const PAUSE: Duration = Duration::from_millis(40);
/// Pause after a refusal.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);
/// Within which all strangers have begun: a script starts its tasks one after the other.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);
/// Between two bytes of those who send slowly.
const DRIP: Duration = Duration::from_secs(4);
/// How long a stranger who holds something holds it.
const HOLD: Duration = Duration::from_secs(29);
/// Characters of the Korean messages that fill the disk.
const LONG_TEXT: usize = 4_000;
/// Bytes of the largest description and signal.
const LONG_SIGNAL: usize = 47 * 1024;
/// Connections that one address holds with slow requests.
const SLOW_CONNECTIONS: usize = 24;

/// The nice value of their thread: whatever is measured goes first.
const LOWEST_PRIORITY: i32 = 19;

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// HTTP.
    pub port: u16,
    /// Media.
    pub media: u16,
    /// The relay.
    pub turn: u16,
}

/// What there is to do, in the order in which addresses take it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// Searches for many letters, and hangs up before the answer.
    Search,
    /// Opens rooms by the form of the welcome page.
    OpenRooms,
    /// Joins a room of its own and resets the connection.
    JoinAndReset,
    /// Sends heads a byte at a time.
    DripHead,
    /// Sends bodies a byte at a time.
    DripBody,
    /// Fills the disk by a socket.
    FillDisk,
    /// Fills the disk by plain forms.
    PostForms,
    /// Throws signals at somebody who reads.
    Signals,
    /// Reacts to a long message, renames itself and types.
    React,
    /// Takes relay addresses.
    Relay,
    /// Sends large offers.
    Offers,
    /// Holds polls.
    Poll,
    /// Holds TCP streams of media and relay.
    Streams,
    /// Sends what nobody understands.
    Garbage,
}

impl Deed {
    /// All of them.
    const ALL: [Self; 14] = [
        Self::Search,
        Self::OpenRooms,
        Self::JoinAndReset,
        Self::DripHead,
        Self::DripBody,
        Self::FillDisk,
        Self::PostForms,
        Self::Signals,
        Self::React,
        Self::Relay,
        Self::Offers,
        Self::Poll,
        Self::Streams,
        Self::Garbage,
    ];

    /// How it is called in the table and by `--only`.
    const fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::OpenRooms => "open-rooms",
            Self::JoinAndReset => "join-and-reset",
            Self::DripHead => "drip-head",
            Self::DripBody => "drip-body",
            Self::FillDisk => "fill-disk",
            Self::PostForms => "post-forms",
            Self::Signals => "signals",
            Self::React => "react",
            Self::Relay => "relay",
            Self::Offers => "offers",
            Self::Poll => "poll",
            Self::Streams => "streams",
            Self::Garbage => "garbage",
        }
    }
}

/// What was done.
#[derive(Default)]
pub struct Counters {
    /// What the server took, by deed.
    taken: [AtomicU64; Deed::ALL.len()],
    /// What it refused, by deed.
    refused: [AtomicU64; Deed::ALL.len()],
    /// Readers that were closed because of what somebody else sent.
    pub victims_closed: AtomicU64,
    /// Which deeds were chosen.
    chosen: Vec<Deed>,
}

impl Counters {
    /// Taken and refused, by deed.
    pub fn by_deed(&self) -> BTreeMap<&'static str, (u64, u64)> {
        let counts = |deed: &Deed| {
            let (taken, refused) = (&self.taken[*deed as usize], &self.refused[*deed as usize]);
            (deed.name(), (taken.load(Relaxed), refused.load(Relaxed)))
        };
        self.chosen.iter().map(counts).collect()
    }

    /// Counts a deed.
    fn count(&self, deed: Deed, taken: bool) {
        let counts = if taken { &self.taken } else { &self.refused };
        counts[deed as usize].fetch_add(1, Relaxed);
    }
}

/// All strangers, on their thread.
pub struct Crowd {
    /// Tells them to stop.
    stop: Arc<AtomicBool>,
    /// What they did.
    counters: Arc<Counters>,
    /// The thread.
    thread: JoinHandle<()>,
}

impl Crowd {
    /// Lets them begin; only those who do one of `only`, where it names any.
    ///
    /// # Errors
    /// `only` names no deed, or there is no thread.
    pub fn start(target: Target, only: &[String]) -> Result<Self> {
        let is_chosen =
            |deed: &Deed| only.is_empty() || only.iter().any(|name| name == deed.name());
        let chosen: Vec<Deed> = Deed::ALL.into_iter().filter(is_chosen).collect();
        ensure!(
            !chosen.is_empty(),
            "--only names none of {:?}",
            Deed::ALL.map(Deed::name)
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
            .name("strangers".to_owned())
            .spawn(move || {
                // The chat and the call that are measured share a core with this thread.
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

    /// Ends all of them at once: what they hold is closed with their thread.
    pub fn stop(self) -> Arc<Counters> {
        self.stop.store(true, Relaxed);
        let _ = self.thread.join();
        self.counters
    }
}

/// Starts everybody and waits for the end.
async fn attack(target: Target, chosen: Vec<Deed>, stop: &AtomicBool, counters: Arc<Counters>) {
    for number in 0..ADDRESSES {
        let deed = chosen[number as usize % chosen.len()];
        let source = Ipv4Addr::from(u32::from(BEFORE_FIRST) + 1 + number);
        let stranger = Rc::new(Stranger {
            number,
            source,
            target,
            deed,
            counters: Arc::clone(&counters),
        });
        spawn_local(stranger.run());
        sleep(BEGIN_WITHIN / ADDRESSES).await;
    }
    while !stop.load(Relaxed) {
        sleep(PAUSE).await;
    }
}

/// One of them.
struct Stranger {
    /// Which, from 0.
    number: u32,
    /// From where.
    source: Ipv4Addr,
    /// Against what.
    target: Target,
    /// What it does.
    deed: Deed,
    /// Where that is counted.
    counters: Arc<Counters>,
}

impl Stranger {
    /// Does its deed until the thread ends. A series that breaks off begins again.
    async fn run(self: Rc<Self>) {
        loop {
            let series = async {
                match self.deed {
                    Deed::Search => self.search().await,
                    Deed::OpenRooms => self.open_rooms().await,
                    Deed::JoinAndReset => self.join_and_reset().await,
                    Deed::DripHead => self.drip(&self.slow_head()).await,
                    Deed::DripBody => self.drip(&self.slow_body()).await,
                    Deed::FillDisk => self.fill_disk().await,
                    Deed::PostForms => self.post_forms().await,
                    Deed::Signals => self.signals().await,
                    Deed::React => self.react().await,
                    Deed::Relay => self.relay().await,
                    Deed::Offers => self.offers().await,
                    Deed::Poll => self.poll().await,
                    Deed::Streams => self.streams().await,
                    Deed::Garbage => self.garbage().await,
                }
            };
            if series.await.is_err() {
                self.count(false).await;
            }
        }
    }

    /// Counts a deed and pauses.
    async fn count(&self, taken: bool) {
        self.counters.count(self.deed, taken);
        sleep(if taken { PAUSE } else { REFUSED_PAUSE }).await;
    }

    /// A room that nobody else has.
    fn own_room(&self) -> String {
        format!("room of {}", self.number)
    }

    /// Searches the room of the chat for words of one letter each, four at a time.
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

    /// Opens a room that nobody enters.
    async fn open_rooms(&self) -> Result<()> {
        for round in 0..u64::MAX {
            let body = format!("nickname=x&room=unused+{}+{round}", self.number);
            let request = form(self.target.port, "/api/join_room", &body);
            let answer = status(self.source, self.target.port, &request).await?;
            self.count(answer < 400).await;
        }
        Ok(())
    }

    /// Joins a new room and breaks the connection, so that somebody stays away in it.
    async fn join_and_reset(&self) -> Result<()> {
        for round in 0..u64::MAX {
            let room = format!("left {} {round}", self.number);
            let (socket, _) = Socket::join(self.source, self.target.port, &room, "x").await?;
            socket.reset();
            self.count(true).await;
        }
        Ok(())
    }

    /// A request whose head does not end.
    fn slow_head(&self) -> String {
        format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nX-Slow: ",
            self.target.port
        )
    }

    /// A request whose body does not come.
    fn slow_body(&self) -> String {
        let request = form(self.target.port, "/api/join_room", &"x".repeat(1_000));
        request[..request.len() - 1_000].to_owned()
    }

    /// Holds connections whose requests come a byte at a time after this beginning.
    async fn drip(&self, start: &str) -> Result<()> {
        let dripping = (0..SLOW_CONNECTIONS).map(|_| self.drip_once(start));
        for held in futures::future::join_all(dripping).await {
            self.count(held.is_ok()).await;
        }
        Ok(())
    }

    /// One such connection, until the server closes it: that it is held for another
    /// [`DRIP`] counts as taken.
    async fn drip_once(&self, start: &str) -> Result<()> {
        let mut stream = connect(self.source, self.target.port).await?;
        stream.write_all(start.as_bytes()).await?;
        loop {
            sleep(DRIP).await;
            stream.write_all(b"x").await?;
            self.counters.count(self.deed, true);
        }
    }

    /// Says long Korean texts as fast as they are taken.
    async fn fill_disk(&self) -> Result<()> {
        let (mut socket, _) =
            Socket::join(self.source, self.target.port, &self.own_room(), "x").await?;
        let text = korean(self.number, LONG_TEXT);
        loop {
            let id = uuid::Uuid::now_v7();
            let chat = json!({"type": "chat", "id": id, "text": text});
            socket.say(&chat).await?;
            let refused = socket.drain().await?;
            self.count(refused == 0).await;
        }
    }

    /// Posts into rooms that are empty.
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

    /// Throws descriptions and candidates at a victim in the same call, who reads all the time.
    async fn signals(&self) -> Result<()> {
        let room = self.own_room();
        let (mut victim, joined) =
            Socket::join(self.source, self.target.port, &room, "victim").await?;
        let to = joined["self"].clone();
        enter_call(&mut victim, 1).await?;
        let (mut socket, _) = Socket::join(self.source, self.target.port, &room, "x").await?;
        enter_call(&mut socket, 2).await?;
        let counters = Arc::clone(&self.counters);
        let reading = spawn_local(async move {
            while victim.next().await.is_ok() {}
            counters.victims_closed.fetch_add(1, Relaxed);
        });
        let description = json!({"kind": "offer", "connection": 1, "sdp": "x".repeat(LONG_SIGNAL)});
        let throwing = async {
            let signal = json!({"type": "signal", "to": to, "leg": 1, "signal": description});
            let signal = signal.to_string();
            for _ in 0..400 {
                socket.say_text(signal.clone()).await?;
                self.counters.count(self.deed, socket.drain().await? == 0);
                sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(())
        };
        let thrown = throwing.await;
        reading.abort();
        thrown
    }

    /// Reacts to the longest message there is, over and over.
    async fn react(&self) -> Result<()> {
        let room = self.own_room();
        let (mut victim, _) = Socket::join(self.source, self.target.port, &room, "victim").await?;
        let (mut socket, _) = Socket::join(self.source, self.target.port, &room, "x").await?;
        let counters = Arc::clone(&self.counters);
        let reading = spawn_local(async move {
            while victim.next().await.is_ok() {}
            counters.victims_closed.fetch_add(1, Relaxed);
        });
        let reacting = async {
            let id = uuid::Uuid::now_v7();
            let text = korean(self.number, LONG_TEXT);
            socket
                .say(&json!({"type": "chat", "id": id, "text": text}))
                .await?;
            socket.hear("chat").await?;
            for round in 0..500 {
                let on = round % 2 == 0;
                socket
                    .say(&json!({"type": "react", "id": id, "emoji": "👍", "on": on}))
                    .await?;
                socket
                    .say(&json!({"type": "nickname", "nickname": format!("x{round}")}))
                    .await?;
                socket.say(&json!({"type": "typing"})).await?;
                self.count(socket.drain().await? == 0).await;
            }
            anyhow::Ok(())
        };
        let done = reacting.await;
        reading.abort();
        done
    }

    /// Takes credentials, leaves, and takes relay addresses with them.
    async fn relay(&self) -> Result<()> {
        let room = self.own_room();
        let (mut socket, _) = Socket::join(self.source, self.target.port, &room, "x").await?;
        let mut held = Vec::new();
        for leg in 1..=4_u32 {
            let call = enter_call(&mut socket, leg).await?;
            let servers = call["ice_servers"].as_array().context("no servers")?;
            let own = servers.iter().find(|server| server["username"].is_string());
            let own = own.context("no relay")?;
            let name = own["username"].as_str().unwrap_or_default();
            let password = own["credential"].as_str().unwrap_or_default();
            socket.say(&json!({"type": "leave_call"})).await?;
            for _ in 0..12 {
                let got = stun::allocate(self.source, self.target.turn, name, password).await;
                self.count(got.is_ok()).await;
                held.extend(got);
            }
        }
        sleep(HOLD).await;
        Ok(())
    }

    /// Sends the largest offers there may be.
    async fn offers(&self) -> Result<()> {
        let room = self.own_room();
        let (mut socket, _) = Socket::join(self.source, self.target.port, &room, "x").await?;
        enter_call(&mut socket, 1).await?;
        let sdp = large_offer();
        for number in 1..=200_u32 {
            socket.say(&offer(number, &sdp)).await?;
            self.count(socket.drain().await? == 0).await;
        }
        Ok(())
    }

    /// Opens as many polls as it gets, and holds them.
    async fn poll(&self) -> Result<()> {
        let request = form(self.target.port, "/poll", "")
            .replace("application/x-www-form-urlencoded", "application/json");
        for _ in 0..100 {
            let answer = status(self.source, self.target.port, &request).await?;
            self.count(answer < 400).await;
        }
        sleep(HOLD).await;
        Ok(())
    }

    /// Holds TCP streams of media and relay with a frame each [`HOLD`].
    async fn streams(&self) -> Result<()> {
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
            let _ = timeout(PATIENCE, stream.write_all(&bytes)).await;
        }
        sleep(HOLD).await;
        Ok(())
    }

    /// Forms, hosts, upgrades and datagrams that make no sense.
    async fn garbage(&self) -> Result<()> {
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
                stun::throw(self.source, port, &bytes[start * 16..]).await?;
            }
        }
        Ok(())
    }
}

/// Enters the call; gives the answer.
async fn enter_call(socket: &mut Socket, leg: u32) -> Result<Value> {
    let devices = json!({"microphone": false, "camera": false, "screen": false});
    let enter = json!({"type": "enter_call", "leg": leg, "devices": devices});
    socket.say(&enter).await?;
    socket.hear("call").await
}

/// An offer as the protocol has it.
fn offer(number: u32, sdp: &str) -> Value {
    json!({"type": "offer", "connection": number, "offer_id": 1, "sdp": sdp, "tracks": []})
}

/// A description that is read to its end: many candidates of nothing.
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

/// A Korean text of so many characters, another one for each number.
fn korean(number: u32, length: usize) -> String {
    let syllable = |place: usize| {
        let code = 0xAC00 + (place as u32 * 7919 + number * 104_729) % 11_172;
        char::from_u32(code).unwrap_or('가')
    };
    (0..length)
        .map(|place| if place % 4 == 3 { ' ' } else { syllable(place) })
        .collect()
}

/// A text as a form holds it.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
