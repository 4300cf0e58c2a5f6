//! The thread of a shard: it waits for sockets, messages and timeouts, hands them to
//! [`super::core`], and sends what the core has to send. No packet crosses threads.

use super::{
    coalesce::{self, ReceiveCoalescer},
    core::Core,
    message::{ShardInbox, ShardMessage},
    offer_queue::OfferQueue,
};
use crate::server::net::sockets::{self, Families};
use crate::server::sfu::transport::{
    datagram::{OutgoingDatagram, ReceivedDatagram},
    relay::RelayPath,
    tcp::TcpTransport,
    udp::UdpTransport,
};
use mio::{Events, Interest, Poll, Token, Waker};
use std::{
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use str0m::net::{Protocol, Transmit};

/// The UDP socket.
const UDP: Token = Token(0);
/// The TCP listener.
const TCP: Token = Token(1);
/// Wakes the thread for messages and relayed datagrams.
const WAKER: Token = Token(2);
/// The token of the first TCP stream.
const FIRST_STREAM: usize = 16;
/// Batches of UDP datagrams received before messages and timeouts are handled again.
const MAX_UDP_BATCHES: usize = 8;
/// How long messages are handled in one poll. 5 ms: packets wait meanwhile.
const MESSAGE_TIME: Duration = Duration::from_millis(5);
/// Relayed datagrams received in one poll.
const MAX_RELAYED: usize = 256;
/// The longest wait. 1 s: a clock that stood still, as in a suspended machine, is noticed.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The interval over which the load is measured.
const LOAD_WINDOW: Duration = Duration::from_secs(1);

/// The state of the thread.
pub struct Worker {
    /// The peers and rooms.
    core: Core,
    /// Waits for the sockets and the waker.
    poll: Poll,
    /// The UDP port.
    udp: UdpTransport,
    /// The TCP port of the same number.
    tcp: TcpTransport,
    /// Messages and relayed datagrams of other threads.
    inbox: ShardInbox,
    /// Whether the inbox may hold more.
    has_messages: bool,
    /// Offers that wait to be answered.
    offers: OfferQueue,
    /// The path to peers behind our own TURN server.
    relay: Arc<OnceLock<Arc<dyn RelayPath>>>,
    /// The share of time that the thread is busy, in thousandths.
    load: Arc<AtomicU32>,
    /// Whether the UDP socket may hold more.
    is_udp_readable: bool,
}

/// The sockets of a shard.
pub struct ShardSockets {
    /// The UDP socket.
    pub udp: UdpTransport,
    /// The TCP listener, on the same port.
    pub tcp: TcpTransport,
    /// The port of both.
    pub port: u16,
    /// The address families that both serve.
    pub families: Families,
}

/// Takes one port for UDP and TCP; with port 0, any that is free for both.
fn bind_port(
    address: SocketAddr,
    families: Families,
) -> io::Result<(UdpTransport, TcpTransport, u16)> {
    /// With port 0: how often another port is tried.
    const TRIES: usize = 20;
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..if address.port() == 0 { TRIES } else { 1 } {
        let udp = UdpTransport::bind(address, families)?;
        let bound = udp.address()?;
        match TcpTransport::bind(bound, families, FIRST_STREAM) {
            Ok(tcp) => return Ok((udp, tcp, bound.port())),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Worker {
    /// The worker, and the waker for its inbox.
    ///
    /// # Errors
    /// The system refuses a poll, or to register the sockets.
    pub fn new(
        core: Core,
        mut udp: UdpTransport,
        mut tcp: TcpTransport,
        mail: ShardInbox,
        relay: Arc<OnceLock<Arc<dyn RelayPath>>>,
        load: Arc<AtomicU32>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        registry.register(udp.socket(), UDP, Interest::READABLE)?;
        registry.register(tcp.listener(), TCP, Interest::READABLE)?;
        let waker = Waker::new(registry, WAKER)?;
        let shard = Self {
            core,
            poll,
            udp,
            tcp,
            inbox: mail,
            has_messages: false,
            offers: OfferQueue::default(),
            relay,
            load,
            is_udp_readable: false,
        };
        Ok((shard, waker))
    }

    /// Binds the port of a shard, UDP and TCP; with port 0, any that is free for both.
    ///
    /// # Errors
    /// The port is taken or not ours to take.
    pub fn bind(address: SocketAddr) -> io::Result<ShardSockets> {
        let ((udp, tcp, port), families) = sockets::bind("--media-listen", address, bind_port)?;
        Ok(ShardSockets {
            udp,
            tcp,
            port,
            families,
        })
    }

    /// Runs until [`ShardMessage::Stop`].
    pub fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let (mut busy, mut since) = (Duration::ZERO, Instant::now());
        let mut gather = ReceiveCoalescer::new(since);
        loop {
            let wait = self.wait(Instant::now());
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a media shard cannot wait for its sockets");
                return;
            }
            let start = Instant::now();
            if self.guarded(start, |shard| shard.poll_once(&events, start)) == Some(false) {
                return;
            }
            let end = Instant::now();
            busy += end - start;
            let gathers = gather.on_packets(self.core.take_media_packets_received(), end);
            if gathers && self.is_idle() {
                std::thread::sleep(coalesce::COALESCE_DELAY);
            }
            if end - since >= LOAD_WINDOW {
                let share = busy.as_secs_f64() / (end - since).as_secs_f64();
                self.load.store((share * 1000.0) as u32, Ordering::Relaxed);
                self.guarded(end, |shard| {
                    shard.core.on_load(share, end);
                    let core = &shard.core;
                    shard.tcp.sweep(end, |source| core.has_stream(source));
                });
                (busy, since) = (Duration::ZERO, end);
            }
        }
    }

    /// Runs a step of the shard. A panic outside of any peer's guard closes all connections, not
    /// the shard: browsers connect again.
    fn guarded<T>(&mut self, now: Instant, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        if done.is_err() {
            tracing::error!("restarting the connections of a media shard after a panic");
            self.core.restart(now);
        }
        done.ok()
    }

    /// How long to wait for an event.
    fn wait(&self, now: Instant) -> Duration {
        if !self.is_idle() {
            return Duration::ZERO;
        }
        let deadline = self.core.deadline().unwrap_or(now + MAX_WAIT);
        deadline.saturating_duration_since(now).min(MAX_WAIT)
    }

    /// Whether no input is known to wait.
    fn is_idle(&self) -> bool {
        !(self.is_udp_readable
            || self.has_messages
            || self.tcp.is_unread()
            || !self.offers.is_empty())
    }

    /// Handles what is ready. Returns false where the thread is to stop.
    fn poll_once(&mut self, events: &Events, now: Instant) -> bool {
        let mut unread = self.tcp.unread();
        for event in events {
            match event.token() {
                UDP => self.is_udp_readable = true,
                TCP => self.tcp.accept(self.poll.registry(), now),
                WAKER => {}
                stream => {
                    unread.retain(|other| *other != stream);
                    self.read_stream(stream, now);
                }
            }
        }
        unread
            .into_iter()
            .for_each(|stream| self.read_stream(stream, now));
        if !self.handle_messages(now) {
            return false;
        }
        self.receive_relayed(now);
        self.answer_next_offer(now);
        self.core.handle_timeout(now);
        self.flush();
        for _ in 0..MAX_UDP_BATCHES {
            if !self.is_udp_readable {
                break;
            }
            let (core, now) = (&mut self.core, Instant::now());
            self.is_udp_readable = self.udp.receive(|datagram| core.receive(datagram, now));
            self.core.settle(now);
            self.flush();
        }
        true
    }

    /// Receives from a TCP stream.
    fn read_stream(&mut self, token: Token, now: Instant) {
        let core = &mut self.core;
        self.tcp.on_ready(token, now, |datagram| {
            core.receive(datagram, now);
            // After each frame: a stream delivers many at once, and one may end the peer.
            core.settle(now);
        });
    }

    /// Handles messages for [`MESSAGE_TIME`]. Returns false where the thread is to stop.
    fn handle_messages(&mut self, now: Instant) -> bool {
        self.has_messages = false;
        let begun = Instant::now();
        loop {
            match self.inbox.messages.try_recv() {
                Ok(ShardMessage::OpenRoom { room, events }) => self.core.open_room(room, events),
                Ok(ShardMessage::Command { room, command }) => {
                    if let Some(command) = self.offers.push(room, command) {
                        self.core.handle_command(room, command, now);
                    }
                }
                Ok(ShardMessage::Inspect { room, reply }) => {
                    let _ = reply.send(self.core.inspect(room, now));
                }
                Ok(ShardMessage::CloseRoom { room }) => {
                    self.offers.close_room(room);
                    self.core.close_room(room);
                }
                Ok(ShardMessage::SetCandidates { candidates }) => {
                    self.core.set_candidates(candidates);
                    self.core.settle(now);
                }
                Ok(ShardMessage::ExpectProbe { transaction }) => {
                    self.core.expect_probe(transaction, now);
                }
                Ok(ShardMessage::Stop) => return false,
                Err(_) => return true,
            }
            if begun.elapsed() > MESSAGE_TIME {
                self.has_messages = true;
                return true;
            }
        }
    }

    /// Answers one offer. Only one: packets wait meanwhile.
    fn answer_next_offer(&mut self, now: Instant) {
        if let Some((room, commands)) = self.offers.pop() {
            commands.for_each(|command| self.core.handle_command(room, command, now));
        }
    }

    /// Receives what came through our own TURN server.
    fn receive_relayed(&mut self, now: Instant) {
        for _ in 0..MAX_RELAYED {
            let Ok(relayed) = self.inbox.relayed.try_recv() else {
                return;
            };
            let incoming = ReceivedDatagram {
                proto: Protocol::Udp,
                is_relayed: true,
                source: relayed.source,
                local_ip: Some(relayed.local.ip()),
                bytes: &relayed.bytes,
            };
            self.core.receive(incoming, now);
            self.core.settle(now);
        }
        self.has_messages = true;
    }

    /// Sends the core's datagrams.
    fn flush(&mut self) {
        let mut out = std::mem::take(self.core.outgoing());
        let bytes = out.iter().map(|datagram| datagram.transmit.contents.len());
        self.core
            .metrics
            .sent_bytes
            .inc_by(bytes.sum::<usize>() as u64);
        self.core.metrics.sent_datagrams.inc_by(out.len() as u64);
        let mut rest = &out[..];
        while let Some(OutgoingDatagram { transmit, .. }) = rest.first() {
            rest = match transmit.proto {
                Protocol::Udp => self.send_udp(rest),
                _ => {
                    self.tcp.send(transmit.destination, &transmit.contents);
                    &rest[1..]
                }
            };
        }
        out.clear();
        *self.core.outgoing() = out;
    }

    /// Sends the first datagrams, as many as leave in one call, and returns the rest. Those to a
    /// relayed address of ours go to the TURN server.
    fn send_udp<'a>(&mut self, rest: &'a [OutgoingDatagram]) -> &'a [OutgoingDatagram] {
        let Transmit {
            source,
            destination,
            contents,
            ..
        } = &rest[0].transmit;
        if let Some(relay) = self.relay.get().filter(|relay| relay.owns(*destination)) {
            relay.send(*source, *destination, contents);
            return &rest[1..];
        }
        let (run, others) = rest.split_at(self.udp.gso_run(rest));
        self.udp.send(run);
        others
    }
}
