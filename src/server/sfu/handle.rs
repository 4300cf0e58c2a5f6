//! The interface of the SFU: [`Sfu`] for the process, [`MediaHandle`] for one room.

use crate::server::sfu::{
    command::{Command, Event},
    keys::RoomKey,
    peer::session::SharedRtcConfig,
    report::ConnectionReport,
    shard::{
        core::Core,
        message::{ShardInbox, ShardMessage},
        worker::Worker,
    },
    transport::{datagram::RelayedDatagram, relay::RelayPath},
};
use crate::server::{addresses::Advertised, metrics::MediaMetrics, net::sockets::Families};
use mio::Waker;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};
use str0m::crypto::from_feature_flags;
use tokio::sync::{mpsc, oneshot};

/// Relayed datagrams that wait for one shard. Above, they are dropped.
const RELAYED_QUEUE: usize = 1024;
/// Messages that wait for one shard. Above, they are refused.
const MESSAGE_QUEUE: usize = 4096;
/// Former candidates of one shard. 16: two changes of all addresses.
const MAX_FORMER: usize = 16;
/// Events that wait for one room. Above, they are dropped and counted.
const EVENT_QUEUE: usize = 1024;

/// The settings of the SFU.
#[derive(Debug, Clone)]
pub struct SfuOptions {
    /// The first media port, UDP and TCP; each further shard takes the next one. With port
    /// 0 each takes any.
    pub listen: SocketAddr,
    /// The number of media threads.
    pub shards: usize,
}

/// The SFU cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SfuError {
    /// A media port cannot be bound: the operator sets another.
    #[error("cannot listen for media on {address} (--media-listen): {error}")]
    Listen {
        /// The address that cannot be bound.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The system refuses a thread or a poll.
    #[error("cannot start a media thread: {0}")]
    Thread(io::Error),
    /// No certificate could be made.
    #[error("cannot make the certificate of media connections")]
    Certificate,
}

/// The SFU; cloning it is cheap. It stops when the last handle is dropped.
#[derive(Clone)]
pub struct Sfu {
    /// Shared by all handles.
    inner: Arc<Inner>,
}

/// The state that all handles share.
struct Inner {
    /// One per thread.
    shards: Vec<ShardHandle>,
    /// The path through our own TURN server, once it is started.
    relay: Arc<OnceLock<Arc<dyn RelayPath>>>,
    /// The counters of all shards.
    metrics: MediaMetrics,
    /// The key of the next room.
    rooms: AtomicU64,
}

/// The addresses at which browsers reach a shard, now and before.
#[derive(Default)]
struct Candidates {
    /// The current addresses.
    current: Vec<SocketAddr>,
    /// Former addresses, the newest last; [`MAX_FORMER`] at most. Connections through our own TURN
    /// server go on using them: their packets never leave the process.
    former: Vec<SocketAddr>,
}

impl Candidates {
    /// Whether this is one of them.
    fn contains(&self, address: SocketAddr) -> bool {
        self.current.contains(&address) || self.former.contains(&address)
    }

    /// Replaces the current addresses.
    fn replace(&mut self, current: Vec<SocketAddr>) {
        let before = std::mem::replace(&mut self.current, current);
        self.former.extend(before);
        let Self { current, former } = self;
        former.retain(|address| !current.contains(address));
        former.drain(..former.len().saturating_sub(MAX_FORMER));
    }
}

/// The handle of one shard.
struct ShardHandle {
    /// The queue of messages.
    messages: SyncSender<ShardMessage>,
    /// The queue of relayed datagrams.
    relayed: SyncSender<RelayedDatagram>,
    /// Wakes the thread for both queues.
    waker: Waker,
    /// The bound port.
    port: u16,
    /// The address families its sockets serve.
    families: Families,
    /// The addresses at which browsers reach it. The lock is never held across an await.
    candidates: RwLock<Candidates>,
    /// Rooms pinned to it.
    rooms: AtomicUsize,
    /// The share of time that it is busy, in thousandths.
    load: Arc<AtomicU32>,
}

impl Sfu {
    /// Starts the threads.
    ///
    /// # Errors
    /// A port is in use or the system refuses: the operator corrects the named setting.
    pub fn start(options: &SfuOptions) -> Result<Self, SfuError> {
        let relay = Arc::default();
        let metrics = MediaMetrics::default();
        let shards =
            (0..options.shards.max(1)).map(|number| start(options, number, &relay, &metrics));
        let inner = Inner {
            shards: shards.collect::<Result<_, _>>()?,
            relay,
            metrics,
            rooms: AtomicU64::new(1),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The counters of all shards.
    pub fn metrics(&self) -> &MediaMetrics {
        &self.inner.metrics
    }

    /// Sets the path through our own TURN server; the first call counts.
    pub fn set_relay(&self, relay: Arc<dyn RelayPath>) {
        let _ = self.inner.relay.set(relay);
    }

    /// The address families that every shard serves.
    pub fn families(&self) -> Families {
        let mut families = self.inner.shards.iter().map(|shard| shard.families);
        let first = families.next().unwrap_or(Families::Both);
        families.fold(
            first,
            |all, one| if all == Families::Both { one } else { all },
        )
    }

    /// Replaces the addresses at which browsers reach this machine. New connections get them as
    /// candidates, existing ones with their next offer. Returns false where the queue of a shard is
    /// full: call again, the call is idempotent.
    pub fn set_addresses(&self, addresses: &[Advertised]) -> bool {
        let mut posted = true;
        for (number, shard) in (0..).zip(&self.inner.shards) {
            let sockets = addresses.iter().map(|a| a.socket(number, shard.port));
            let candidates: Vec<SocketAddr> = sockets.collect();
            let known = shard.candidates.write();
            let mut known = known.unwrap_or_else(PoisonError::into_inner);
            known.replace(candidates.clone());
            drop(known);
            posted &= shard.send(ShardMessage::SetCandidates { candidates });
        }
        posted
    }

    /// Whether browsers reach the SFU at this address, or did before a change.
    pub fn owns(&self, address: SocketAddr) -> bool {
        self.inner.shards.iter().any(|shard| shard.owns(address))
    }

    /// Answers a STUN Binding request of this transaction at every media port, for some seconds:
    /// a probe of the operator's checks.
    pub fn expect_probe(&self, transaction: [u8; 12]) {
        for shard in &self.inner.shards {
            shard.send(ShardMessage::ExpectProbe { transaction });
        }
    }

    /// The addresses at which browsers reach the shards.
    pub fn candidates(&self) -> Vec<SocketAddr> {
        let shards = self.inner.shards.iter();
        let candidates = shards.map(|shard| {
            let known = shard.candidates.read();
            let known = known.unwrap_or_else(PoisonError::into_inner);
            known.current.clone()
        });
        candidates.collect::<Vec<_>>().concat()
    }

    /// The load of each shard, from 0 to 1.
    pub fn loads(&self) -> impl Iterator<Item = f64> + '_ {
        let shards = self.inner.shards.iter();
        shards.map(|shard| f64::from(shard.load.load(Ordering::Relaxed)) / 1000.0)
    }

    /// Opens a room on the shard with the least load. The receiver gets its events. Nothing where
    /// the queue of the shard is full or the shard has stopped.
    pub fn open_room(&self) -> Option<(MediaHandle, mpsc::Receiver<Event>)> {
        let room = RoomKey(self.inner.rooms.fetch_add(1, Ordering::Relaxed));
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let burden = |shard: &ShardHandle| {
            let rooms = shard.rooms.load(Ordering::Relaxed) as u32;
            (shard.load.load(Ordering::Relaxed) / 100, rooms)
        };
        let shards = self.inner.shards.iter().enumerate();
        let (shard, handle) = shards
            .min_by_key(|(_, shard)| burden(shard))
            .expect("there is a shard: `start` made one at least");
        if !handle.send(ShardMessage::OpenRoom { room, events }) {
            return None;
        }
        handle.rooms.fetch_add(1, Ordering::Relaxed);
        let media = MediaHandle {
            sfu: self.clone(),
            shard,
            room,
        };
        Some((media, receiver))
    }

    /// An SFU with one shard that has no thread, and the queue of that shard, which holds `length`
    /// messages.
    #[cfg(test)]
    pub fn without_thread(length: usize) -> (Self, std::sync::mpsc::Receiver<ShardMessage>) {
        let (messages, queue) = sync_channel(length);
        let (relayed, _) = sync_channel(0);
        let poll = mio::Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let shard = ShardHandle {
            messages,
            relayed,
            waker,
            port: 0,
            families: Families::Both,
            candidates: RwLock::default(),
            rooms: AtomicUsize::new(0),
            load: Arc::default(),
        };
        let inner = Inner {
            shards: vec![shard],
            relay: Arc::default(),
            metrics: MediaMetrics::default(),
            rooms: AtomicU64::new(1),
        };
        let sfu = Self {
            inner: Arc::new(inner),
        };
        (sfu, queue)
    }

    /// Delivers a datagram that came through our own TURN server. With a full queue it is lost.
    pub fn deliver_relayed(&self, source: SocketAddr, local: SocketAddr, bytes: &[u8]) {
        let mut shards = self.inner.shards.iter();
        if let Some(shard) = shards.find(|shard| shard.owns(local)) {
            let relayed = RelayedDatagram {
                source,
                local,
                bytes: bytes.to_vec(),
            };
            let _ = shard.relayed.try_send(relayed);
            let _ = shard.waker.wake();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for shard in &self.shards {
            shard.send(ShardMessage::Stop);
        }
    }
}

impl ShardHandle {
    /// Whether browsers reach it at this address, or did.
    fn owns(&self, address: SocketAddr) -> bool {
        let candidates = self.candidates.read();
        let candidates = candidates.unwrap_or_else(PoisonError::into_inner);
        candidates.contains(address)
    }

    /// Sends a message. Returns false where the queue is full or the shard has stopped.
    fn send(&self, letter: ShardMessage) -> bool {
        let posted = self.messages.try_send(letter).is_ok();
        let _ = self.waker.wake();
        posted
    }
}

/// The media of one room. Dropping the handle closes every connection of the room, also where the
/// queue of the shard is full: the shard closes a room whose receiver of events is dropped.
pub struct MediaHandle {
    /// Keeps the SFU running.
    sfu: Sfu,
    /// The shard of the room.
    shard: usize,
    /// The key of the room.
    room: RoomKey,
}

impl MediaHandle {
    /// Sends a command. Returns false where the queue is full or the shard has stopped.
    pub fn send(&self, command: Command) -> bool {
        let room = self.room;
        self.handle().send(ShardMessage::Command { room, command })
    }

    /// Asks for a report of each connection of the room. Nothing arrives where the queue is full or
    /// the shard has stopped.
    pub fn inspect(&self) -> oneshot::Receiver<Vec<ConnectionReport>> {
        let (reply, reported) = oneshot::channel();
        let room = self.room;
        self.handle().send(ShardMessage::Inspect { room, reply });
        reported
    }

    /// The room's shard.
    fn handle(&self) -> &ShardHandle {
        &self.sfu.inner.shards[self.shard]
    }
}

impl Drop for MediaHandle {
    fn drop(&mut self) {
        let handle = self.handle();
        handle.rooms.fetch_sub(1, Ordering::Relaxed);
        handle.send(ShardMessage::CloseRoom { room: self.room });
    }
}

/// Starts a shard.
fn start(
    options: &SfuOptions,
    number: usize,
    relay: &Arc<OnceLock<Arc<dyn RelayPath>>>,
    metrics: &MediaMetrics,
) -> Result<ShardHandle, SfuError> {
    let mut address = options.listen;
    if address.port() != 0 {
        address.set_port(address.port().saturating_add(number as u16));
    }
    let bound = Worker::bind(address).map_err(|error| SfuError::Listen { address, error })?;
    let crypto = from_feature_flags();
    let certificate = crypto.dtls_provider.generate_certificate();
    let terms = SharedRtcConfig {
        candidates: Vec::new(),
        certificate: certificate.ok_or(SfuError::Certificate)?,
    };
    let (messages, rooms) = sync_channel(MESSAGE_QUEUE);
    let (relayed, turn) = sync_channel(RELAYED_QUEUE);
    let mail = ShardInbox {
        messages: rooms,
        relayed: turn,
    };
    let load = Arc::new(AtomicU32::new(0));
    let core = Core::new(terms, metrics.clone(), Instant::now());
    let shard = Worker::new(
        core,
        bound.udp,
        bound.tcp,
        mail,
        relay.clone(),
        load.clone(),
    );
    let (shard, waker) = shard.map_err(SfuError::Thread)?;
    let name = format!("noom-media-{number}");
    let thread = thread::Builder::new().name(name);
    thread
        .spawn(move || shard.run())
        .map_err(SfuError::Thread)?;
    Ok(ShardHandle {
        messages,
        relayed,
        waker,
        port: bound.port,
        families: bound.families,
        candidates: RwLock::default(),
        rooms: AtomicUsize::new(0),
        load,
    })
}
