//! The loop of all clients on one thread. It sends due packets, fires timeouts, and reads the
//! sockets; nothing in it blocks on anything else.

use super::{
    context::{ClientContext, ClientEvent},
    counters::Counters,
    peer::Peer,
};
use crate::media::net::{
    impairment::{Direction, Impairment, NetworkEmulator},
    socket_pool::{ReceiveBuffers, SOCKETS, SocketPool},
};
use anyhow::Result;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Longest pause between two checks for commands.
const MAX_WAIT: Duration = Duration::from_millis(2);
/// Batches read from one socket before the next socket's turn.
const BATCHES_PER_TURN: usize = 4;

/// A command to the clients.
pub enum Command {
    /// Adds a client.
    Add(Box<Peer>),
    /// Removes a client.
    Remove(u32),
    /// Sets all counters to zero.
    ResetCounters,
    /// Requests the counters.
    Report(oneshot::Sender<Counters>),
    /// Ends the loop.
    Stop,
}

/// All clients of a scenario, on one thread.
pub struct ClientLoop {
    sockets: Arc<SocketPool>,
    commands: Receiver<Command>,
    /// Receives the clients' events.
    events: mpsc::UnboundedSender<ClientEvent>,
    /// The clients by index.
    peers: BTreeMap<u32, Peer>,
    /// Timeouts of clients, the earliest first.
    timeouts: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Due packets by client and flow, the earliest first.
    sends: BinaryHeap<Reverse<(Instant, u32, usize)>>,
    /// The counters of the current window.
    counters: Counters,
    /// Buffers for received datagrams.
    buffers: ReceiveBuffers,
    /// The emulated network between sockets and clients.
    emulator: NetworkEmulator,
}

impl ClientLoop {
    /// A loop without clients.
    pub fn new(
        sockets: Arc<SocketPool>,
        commands: Receiver<Command>,
        events: mpsc::UnboundedSender<ClientEvent>,
        impairment: Impairment,
    ) -> Self {
        Self {
            sockets,
            commands,
            events,
            peers: BTreeMap::new(),
            timeouts: BinaryHeap::new(),
            sends: BinaryHeap::new(),
            counters: Counters::new(),
            buffers: ReceiveBuffers::new(),
            emulator: NetworkEmulator::new(impairment),
        }
    }

    /// Runs until [`Command::Stop`].
    ///
    /// # Errors
    /// A socket fails.
    pub fn run(mut self) -> Result<()> {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                if self.handle_command(command) {
                    return Ok(());
                }
            }
            self.send_due();
            self.fire_timeouts();
            self.deliver_due();
            if !self.receive()? {
                self.sockets.wait(self.next_deadline())?;
            }
        }
    }

    /// When the loop has to continue at the latest.
    fn next_deadline(&self) -> Instant {
        let latest = Instant::now() + MAX_WAIT;
        let send = self.sends.peek().map(|Reverse((at, ..))| *at);
        let timeout = self.timeouts.peek().map(|Reverse((at, _))| *at);
        let delivery = self.emulator.next();
        let deadlines = [send, timeout, delivery];
        deadlines.into_iter().flatten().fold(latest, Instant::min)
    }

    /// Executes a command. Returns whether it ends the loop.
    fn handle_command(&mut self, command: Command) -> bool {
        match command {
            Command::Add(peer) => {
                let index = peer.index;
                if peer.flows.is_empty() {
                    self.emulator.impair(index, Instant::now());
                }
                self.peers.insert(index, *peer);
                self.with_peer(index, Instant::now(), Peer::on_timeout);
            }
            Command::Remove(index) => {
                self.peers.remove(&index);
            }
            Command::ResetCounters => {
                self.counters = Counters::new();
                self.peers
                    .values_mut()
                    .for_each(|peer| peer.streams.reset());
            }
            Command::Report(answer) => {
                self.count_window_end(Instant::now());
                let _ = answer.send(self.counters.clone());
            }
            Command::Stop => return true,
        }
        false
    }

    /// Adds what is known only at the end of a window: lost packets, and frames that are overdue.
    fn count_window_end(&mut self, now: Instant) {
        for peer in self.peers.values() {
            let gaps = peer.open_frame_gaps(now);
            gaps.for_each(|gap| self.counters.record_frame_gap(gap));
            for (payload_type, lost) in peer.streams.lost() {
                self.counters.lost += lost;
                if peer.is_audio(payload_type) {
                    self.counters.lost_audio += lost;
                }
            }
        }
    }

    /// Runs an action of a client, then schedules its timeout and new flows.
    fn with_peer(
        &mut self,
        index: u32,
        now: Instant,
        action: impl FnOnce(&mut Peer, &mut ClientContext<'_>),
    ) {
        let Some(peer) = self.peers.get_mut(&index).filter(|peer| !peer.closed) else {
            return;
        };
        let mut context = ClientContext {
            sockets: &self.sockets,
            emulator: &mut self.emulator,
            counters: &mut self.counters,
            events: &self.events,
            now,
        };
        action(peer, &mut context);
        if peer.scheduled.is_none_or(|at| peer.next_timeout < at) {
            peer.scheduled = Some(peer.next_timeout);
            self.timeouts.push(Reverse((peer.next_timeout, index)));
        }
        if std::mem::take(&mut peer.starts_flows) {
            let start = peer.start_of_flows(now);
            for (number, outgoing) in peer.flows.iter_mut().enumerate() {
                outgoing.flow.start_at(start);
                self.sends.push(Reverse((start, index, number)));
            }
        }
    }

    /// Sends due packets.
    fn send_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, index, flow))) = self.sends.peek().copied() {
            if at > now {
                return;
            }
            self.sends.pop();
            self.with_peer(index, now, |peer, context| peer.send(flow, context));
            let peer = self.peers.get(&index).filter(|peer| !peer.closed);
            if let Some(outgoing) = peer.and_then(|peer| peer.flows.get(flow)) {
                self.sends.push(Reverse((outgoing.flow.due, index, flow)));
            }
        }
    }

    /// Fires the timeouts of clients.
    fn fire_timeouts(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, index))) = self.timeouts.peek().copied() {
            if at > now {
                return;
            }
            self.timeouts.pop();
            let Some(peer) = self.peers.get_mut(&index) else {
                continue;
            };
            // An earlier timeout has replaced this entry and has fired already.
            if peer.scheduled != Some(at) {
                continue;
            }
            peer.scheduled = None;
            let is_due = peer.next_timeout <= now;
            self.with_peer(index, now, |peer, context| {
                if is_due {
                    peer.on_timeout(context);
                }
            });
        }
    }

    /// Delivers the datagrams whose emulated delay is over.
    fn deliver_due(&mut self) {
        let now = Instant::now();
        while let Some(datagram) = self.emulator.pop_due(now) {
            let (client, server) = (datagram.client, datagram.server);
            match datagram.direction {
                Direction::Up => self.sockets.send(client, server, &datagram.bytes),
                Direction::Down => self.with_peer(client, now, |peer, context| {
                    peer.on_datagram(server, &datagram.bytes, context);
                }),
            }
        }
    }

    /// Reads the sockets. Returns whether there may be more to read.
    fn receive(&mut self) -> Result<bool> {
        let sockets = self.sockets.clone();
        let mut buffers = std::mem::replace(&mut self.buffers, ReceiveBuffers::none());
        let mut more = false;
        for socket in 0..SOCKETS {
            for batch in 1..=BATCHES_PER_TURN {
                let mut now = None;
                let full = sockets.receive(socket, &mut buffers, |index, from, datagram| {
                    let now = *now.get_or_insert_with(Instant::now);
                    if !self
                        .emulator
                        .hold(Direction::Down, index, from, datagram, now)
                    {
                        self.with_peer(index, now, |peer, context| {
                            peer.on_datagram(from, datagram, context)
                        });
                    }
                })?;
                more |= full && batch == BATCHES_PER_TURN;
                if !full {
                    break;
                }
            }
        }
        self.buffers = buffers;
        Ok(more)
    }
}
