//! Many connections in many rooms, all of them listening.

use super::counters::{Counters, new_histogram};
use crate::{
    protocol::{JoinStep, Protocol, Stamp},
    server::Server,
};
use anyhow::{Context, Result, bail};
use futures::{
    SinkExt, StreamExt, TryStreamExt,
    stream::{self, SplitSink, SplitStream},
};
use hdrhistogram::Histogram;
use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    sync::Mutex,
    task::{AbortHandle, spawn_local},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// Connections that are made at a time.
const AT_ONCE: usize = 64;
/// How long one may take to be in its room.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection.
pub type Socket = WebSocketStream<TcpStream>;

/// The way to the server, for whoever speaks and for answers to heartbeats.
type Sink = Rc<Mutex<SplitSink<Socket, Message>>>;

/// How many people in rooms of which size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Connections.
    pub people: usize,
    /// People in each room.
    pub room: usize,
}

/// One person who can speak.
pub struct ChatSender {
    /// The way to the server.
    sink: Sink,
    /// The name of the room.
    room: String,
    /// The place in it.
    place: u32,
    /// Messages sent.
    sent: u32,
}

/// All connections to one server.
pub struct ClientPool {
    /// Those who speak, in the order in which they take turns: one of each room, then the
    /// next of each.
    pub senders: Vec<ChatSender>,
    /// What all of them hear.
    pub counters: Rc<RefCell<Counters>>,
    /// How long each took to be in, in microseconds.
    pub join_times: Histogram<u64>,
    /// How long all of them took.
    pub took: Duration,
    /// The tasks that listen.
    receivers: Vec<AbortHandle>,
    /// How the server is spoken to.
    pub protocol: Protocol,
}

impl ClientPool {
    /// Connects everybody.
    pub async fn connect(
        server: &Server,
        protocol: Protocol,
        scenario: Scenario,
        start: Instant,
    ) -> Result<Self> {
        let began = Instant::now();
        let port = server.port;
        let mut joined: Vec<_> = stream::iter(0..scenario.people)
            .map(|number| join_one(port, protocol, scenario, number))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let took = began.elapsed();
        joined.sort_by_key(|joined| (joined.place, joined.number));
        let counters = Rc::new(RefCell::new(Counters::new()));
        let mut clients = Self {
            senders: Vec::with_capacity(scenario.people),
            counters,
            join_times: new_histogram(),
            took,
            receivers: Vec::with_capacity(scenario.people),
            protocol,
        };
        for joined in joined {
            clients.add(joined, scenario, start);
        }
        Ok(clients)
    }

    /// Lets somebody who is in listen and speak.
    fn add(&mut self, joined: JoinedClient, scenario: Scenario, start: Instant) {
        let took = u64::try_from(joined.took.as_micros()).unwrap_or(u64::MAX);
        self.join_times.saturating_record(took);
        let (sink, stream) = joined.socket.split();
        let sink = Rc::new(Mutex::new(sink));
        self.senders.push(ChatSender {
            sink: sink.clone(),
            room: room_name(joined.number, scenario),
            place: joined.place,
            sent: 0,
        });
        let receiver = ChatReceiver {
            seen: vec![0; scenario.room],
            place: joined.place,
            counters: self.counters.clone(),
            start,
            protocol: self.protocol,
            sink,
        };
        let receiver_task = spawn_local(receiver.receive(stream));
        self.receivers.push(receiver_task.abort_handle());
    }
}

impl Drop for ClientPool {
    fn drop(&mut self) {
        for receiver_task in &self.receivers {
            receiver_task.abort();
        }
    }
}

impl ChatSender {
    /// Says something that was due at this time, in nanoseconds.
    pub async fn send(&mut self, protocol: Protocol, due: u64) -> Result<()> {
        self.sent += 1;
        let stamp = Stamp {
            sender: self.place,
            number: self.sent,
            due,
        };
        let frame = protocol.message(&self.room, &stamp.text());
        Ok(self.sink.lock().await.send(Message::text(frame)).await?)
    }
}

/// Somebody who has just come in.
struct JoinedClient {
    /// Among all people.
    number: usize,
    /// In the room.
    place: u32,
    /// How long it took.
    took: Duration,
    /// The connection.
    socket: Socket,
}

/// Connects one person and brings them into their room.
async fn join_one(
    port: u16,
    protocol: Protocol,
    scenario: Scenario,
    number: usize,
) -> Result<JoinedClient> {
    let began = Instant::now();
    let (room, nickname) = (room_name(number, scenario), format!("person {number}"));
    let joining = timeout(JOIN_TIMEOUT, join_room(port, protocol, &room, &nickname)).await;
    let socket = joining.with_context(|| format!("person {number} is not let in"))??;
    Ok(JoinedClient {
        number,
        place: u32::try_from(number % scenario.room)?,
        took: began.elapsed(),
        socket,
    })
}

/// The handshakes of the socket and of the protocol.
pub async fn join_room(
    port: u16,
    protocol: Protocol,
    room: &str,
    nickname: &str,
) -> Result<Socket> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let url = format!("ws://127.0.0.1:{port}{}", protocol.path());
    // Small buffers: there are ten thousand of these.
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0);
    let (mut socket, _) = client_async_with_config(url, tcp, Some(config)).await?;
    if let Some(first_frame) = protocol.first_frame(room, nickname) {
        socket.send(Message::text(first_frame)).await?;
    }
    while let Some(frame) = socket.next().await {
        let Message::Text(frame) = frame? else {
            continue;
        };
        match protocol.on_join_frame(&frame, room, nickname) {
            JoinStep::Wait => {}
            JoinStep::Send(text) => socket.send(Message::text(text)).await?,
            JoinStep::Joined => return Ok(socket),
        }
    }
    bail!("the server hung up on {nickname}")
}

/// The room of a person: the first so many are in the first one.
fn room_name(number: usize, scenario: Scenario) -> String {
    format!("bench {}", number / scenario.room)
}

/// One who listens.
struct ChatReceiver {
    /// The last number heard of each sender, by their place in the room.
    seen: Vec<u32>,
    /// One's own place.
    place: u32,
    /// Where what is heard is counted.
    counters: Rc<RefCell<Counters>>,
    /// Since when time is counted.
    start: Instant,
    /// What is spoken.
    protocol: Protocol,
    /// For answering heartbeats.
    sink: Sink,
}

impl ChatReceiver {
    /// Listens until the socket ends.
    async fn receive(mut self, mut stream: SplitStream<Socket>) {
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(frame) = message else {
                continue;
            };
            if let Some(stamp) = Stamp::find(&frame) {
                self.on_message(stamp);
            } else if let Some(reply) = self.protocol.heartbeat_reply(&frame) {
                let _ = self.sink.lock().await.send(Message::text(reply)).await;
            } else if self.protocol.is_error(&frame) {
                self.counters.borrow_mut().refused += 1;
            }
        }
        self.counters.borrow_mut().broken += 1;
    }

    /// Counts a message, unless it is one's own that comes back.
    fn on_message(&mut self, stamp: Stamp) {
        let seen = usize::try_from(stamp.sender).ok();
        let seen = seen.and_then(|sender| self.seen.get_mut(sender));
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(seen) = seen
            && stamp.sender != self.place
        {
            self.counters.borrow_mut().count(stamp, seen, now);
        }
    }
}
