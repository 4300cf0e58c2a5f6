//! Many connections in many rooms, all of them listening.

use super::counters::{Tally, new_histogram};
use crate::{
    protocol::{Dialect, Stamp, Step},
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
const IN_WITHIN: Duration = Duration::from_secs(60);

/// A connection.
pub type Line = WebSocketStream<TcpStream>;

/// The way to the server, for whoever speaks and for answers to heartbeats.
type Sink = Rc<Mutex<SplitSink<Line, Message>>>;

/// How many people in rooms of which size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Connections.
    pub people: usize,
    /// People in each room.
    pub room: usize,
}

/// One person who can speak.
pub struct Speaker {
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
pub struct Fleet {
    /// Those who speak, in the order in which they take turns: one of each room, then the
    /// next of each.
    pub speakers: Vec<Speaker>,
    /// What all of them hear.
    pub tally: Rc<RefCell<Tally>>,
    /// How long each took to be in, in microseconds.
    pub entries: Histogram<u64>,
    /// How long all of them took.
    pub took: Duration,
    /// The tasks that listen.
    listeners: Vec<AbortHandle>,
    /// How the server is spoken to.
    pub dialect: Dialect,
}

impl Fleet {
    /// Connects everybody.
    pub async fn connect(
        server: &Server,
        dialect: Dialect,
        shape: Shape,
        start: Instant,
    ) -> Result<Self> {
        let began = Instant::now();
        let port = server.port;
        let mut entered: Vec<_> = stream::iter(0..shape.people)
            .map(|number| enter(port, dialect, shape, number))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let took = began.elapsed();
        entered.sort_by_key(|entered| (entered.place, entered.number));
        let tally = Rc::new(RefCell::new(Tally::new()));
        let mut fleet = Self {
            speakers: Vec::with_capacity(shape.people),
            tally,
            entries: new_histogram(),
            took,
            listeners: Vec::with_capacity(shape.people),
            dialect,
        };
        for entered in entered {
            fleet.add(entered, shape, start);
        }
        Ok(fleet)
    }

    /// Lets somebody who is in listen and speak.
    fn add(&mut self, entered: Entered, shape: Shape, start: Instant) {
        let took = u64::try_from(entered.took.as_micros()).unwrap_or(u64::MAX);
        self.entries.saturating_record(took);
        let (sink, stream) = entered.line.split();
        let sink = Rc::new(Mutex::new(sink));
        self.speakers.push(Speaker {
            sink: sink.clone(),
            room: room_name(entered.number, shape),
            place: entered.place,
            sent: 0,
        });
        let ear = Ear {
            seen: vec![0; shape.room],
            place: entered.place,
            tally: self.tally.clone(),
            start,
            dialect: self.dialect,
            sink,
        };
        let listener = spawn_local(ear.listen(stream));
        self.listeners.push(listener.abort_handle());
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }
}

impl Speaker {
    /// Says something that was due at this time, in nanoseconds.
    pub async fn say(&mut self, dialect: Dialect, due: u64) -> Result<()> {
        self.sent += 1;
        let stamp = Stamp {
            sender: self.place,
            number: self.sent,
            due,
        };
        let frame = dialect.message(&self.room, &stamp.text());
        Ok(self.sink.lock().await.send(Message::text(frame)).await?)
    }
}

/// Somebody who has just come in.
struct Entered {
    /// Among all people.
    number: usize,
    /// In the room.
    place: u32,
    /// How long it took.
    took: Duration,
    /// The connection.
    line: Line,
}

/// Connects one person and brings them into their room.
async fn enter(port: u16, dialect: Dialect, shape: Shape, number: usize) -> Result<Entered> {
    let began = Instant::now();
    let (room, nickname) = (room_name(number, shape), format!("person {number}"));
    let entering = timeout(IN_WITHIN, come_in(port, dialect, &room, &nickname)).await;
    let line = entering.with_context(|| format!("person {number} is not let in"))??;
    Ok(Entered {
        number,
        place: u32::try_from(number % shape.room)?,
        took: began.elapsed(),
        line,
    })
}

/// The handshakes of the socket and of the dialect.
pub async fn come_in(port: u16, dialect: Dialect, room: &str, nickname: &str) -> Result<Line> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let url = format!("ws://127.0.0.1:{port}{}", dialect.path());
    // Small buffers: there are ten thousand of these.
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0);
    let (mut line, _) = client_async_with_config(url, tcp, Some(config)).await?;
    if let Some(opening) = dialect.opening(room, nickname) {
        line.send(Message::text(opening)).await?;
    }
    while let Some(frame) = line.next().await {
        let Message::Text(frame) = frame? else {
            continue;
        };
        match dialect.step(&frame, room, nickname) {
            Step::Wait => {}
            Step::Say(text) => line.send(Message::text(text)).await?,
            Step::In => return Ok(line),
        }
    }
    bail!("the server hung up on {nickname}")
}

/// The room of a person: the first so many are in the first one.
fn room_name(number: usize, shape: Shape) -> String {
    format!("bench {}", number / shape.room)
}

/// One who listens.
struct Ear {
    /// The last number heard of each sender, by their place in the room.
    seen: Vec<u32>,
    /// One's own place.
    place: u32,
    /// Where what is heard is counted.
    tally: Rc<RefCell<Tally>>,
    /// Since when time is counted.
    start: Instant,
    /// What is spoken.
    dialect: Dialect,
    /// For answering heartbeats.
    sink: Sink,
}

impl Ear {
    /// Listens until the line ends.
    async fn listen(mut self, mut stream: SplitStream<Line>) {
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(frame) = message else {
                continue;
            };
            if let Some(stamp) = Stamp::find(&frame) {
                self.hear(stamp);
            } else if let Some(reply) = self.dialect.reply(&frame) {
                let _ = self.sink.lock().await.send(Message::text(reply)).await;
            } else if self.dialect.is_refusal(&frame) {
                self.tally.borrow_mut().refused += 1;
            }
        }
        self.tally.borrow_mut().broken += 1;
    }

    /// Counts a message, unless it is one's own that comes back.
    fn hear(&mut self, stamp: Stamp) {
        let seen = usize::try_from(stamp.sender).ok();
        let seen = seen.and_then(|sender| self.seen.get_mut(sender));
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(seen) = seen
            && stamp.sender != self.place
        {
            self.tally.borrow_mut().count(stamp, seen, now);
        }
    }
}
