//! Many connections in many rooms, all of which receive.

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

/// How many clients join at once.
const CONCURRENT_JOINS: usize = 64;
/// Longest time to join a room.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// The WebSocket of a client.
pub type Socket = WebSocketStream<TcpStream>;

/// The sending half, shared by messages and heartbeat answers.
type Sink = Rc<Mutex<SplitSink<Socket, Message>>>;

/// A number of clients in rooms of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Number of connections.
    pub people: usize,
    /// People per room.
    pub room: usize,
}

/// The sending side of a client.
pub struct ChatSender {
    /// The sending half.
    sink: Sink,
    /// Name of the room.
    room: String,
    /// Place in the room.
    place: u32,
    /// Number of sent messages.
    sent: u32,
}

/// All connections to one server.
pub struct ClientPool {
    /// The senders in the order of their turns: the first of each room, then the second of each.
    pub senders: Vec<ChatSender>,
    /// Counts the messages that all clients receive.
    pub counters: Rc<RefCell<Counters>>,
    /// Time to join, in microseconds.
    pub join_times: Histogram<u64>,
    /// Time of all joins together.
    pub took: Duration,
    /// The receiving tasks.
    receivers: Vec<AbortHandle>,
    /// The protocol of the server.
    pub protocol: Protocol,
}

impl ClientPool {
    /// Connects all clients and lets them join.
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
            .buffer_unordered(CONCURRENT_JOINS)
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

    /// Adds a joined client.
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
    /// Sends a message that was due at `due`, in nanoseconds.
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

/// A client that has joined.
struct JoinedClient {
    /// Index among all clients.
    number: usize,
    /// Place in the room.
    place: u32,
    /// Time to join.
    took: Duration,
    socket: Socket,
}

/// Connects one client and joins its room.
async fn join_one(
    port: u16,
    protocol: Protocol,
    scenario: Scenario,
    number: usize,
) -> Result<JoinedClient> {
    let began = Instant::now();
    let (room, nickname) = (room_name(number, scenario), format!("person {number}"));
    let joining = timeout(JOIN_TIMEOUT, join_room(port, protocol, &room, &nickname)).await;
    let socket = joining.with_context(|| format!("client {number} cannot join"))??;
    Ok(JoinedClient {
        number,
        place: u32::try_from(number % scenario.room)?,
        took: began.elapsed(),
        socket,
    })
}

/// Opens a WebSocket and joins a room.
pub async fn join_room(
    port: u16,
    protocol: Protocol,
    room: &str,
    nickname: &str,
) -> Result<Socket> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let url = format!("ws://127.0.0.1:{port}{}", protocol.path());
    // Small buffers: there are ten thousand sockets.
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
    bail!("the server closed the connection of {nickname}")
}

/// The room of a person: the first so many are in the first one.
fn room_name(number: usize, scenario: Scenario) -> String {
    format!("bench {}", number / scenario.room)
}

/// One who listens.
struct ChatReceiver {
    /// The last number received of each sender, by their place in the room.
    seen: Vec<u32>,
    /// One's own place.
    place: u32,
    /// Counters of received messages.
    counters: Rc<RefCell<Counters>>,
    /// Since when time is counted.
    start: Instant,
    /// The protocol of the server.
    protocol: Protocol,
    /// Sends answers to heartbeats.
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
        self.counters.borrow_mut().closed += 1;
    }

    /// Counts a message, except the client's own.
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
