//! What the thread that is all clients does, over and over.

use super::{
    counters::Counters,
    generator::{ClientContext, ClientEvent, Command},
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
use tokio::sync::mpsc;

/// The longest pause between two looks at commands.
const PATIENCE: Duration = Duration::from_millis(2);
/// Batches taken from one socket before it is another's turn.
const TURNS: usize = 4;

/// All clients, from inside.
pub struct ClientLoop {
    /// The sockets.
    lanes: Arc<SocketPool>,
    /// What is to be done.
    orders: Receiver<Command>,
    /// Where notes go.
    notes: mpsc::UnboundedSender<ClientEvent>,
    /// The clients by number.
    peers: BTreeMap<u32, Peer>,
    /// Whose clock to look at when, the earliest first.
    alarms: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Whose flow is due when, the earliest first.
    sends: BinaryHeap<Reverse<(Instant, u32, usize)>>,
    /// What is counted.
    counters: Counters,
    /// Where datagrams are read to.
    buffers: ReceiveBuffers,
    /// What is between sockets and clients.
    emulator: NetworkEmulator,
}

impl ClientLoop {
    /// Nobody yet.
    pub fn new(
        lanes: Arc<SocketPool>,
        orders: Receiver<Command>,
        notes: mpsc::UnboundedSender<ClientEvent>,
        impairment: Impairment,
    ) -> Self {
        Self {
            lanes,
            orders,
            notes,
            peers: BTreeMap::new(),
            alarms: BinaryHeap::new(),
            sends: BinaryHeap::new(),
            counters: Counters::new(),
            buffers: ReceiveBuffers::new(),
            emulator: NetworkEmulator::new(impairment),
        }
    }

    /// Works until told to stop.
    pub fn run(mut self) -> Result<()> {
        loop {
            while let Ok(command) = self.orders.try_recv() {
                if self.handle_command(command) {
                    return Ok(());
                }
            }
            self.send_due();
            self.fire_timeouts();
            self.deliver_due();
            if !self.receive()? {
                let until = Instant::now() + PATIENCE;
                let send = self.sends.peek().map_or(until, |Reverse((at, ..))| *at);
                let alarm = self.alarms.peek().map_or(until, |Reverse((at, _))| *at);
                let rain = self.emulator.next().unwrap_or(until);
                self.lanes.wait(until.min(send).min(alarm).min(rain))?;
            }
        }
    }

    /// Does as told. Whether that is to stop.
    fn handle_command(&mut self, command: Command) -> bool {
        match command {
            Command::Add(peer) => {
                let index = peer.index;
                if peer.flows.is_empty() {
                    self.emulator.expose(index, Instant::now());
                }
                self.peers.insert(index, *peer);
                self.with(index, Instant::now(), Peer::wake);
            }
            Command::Remove(index) => {
                self.peers.remove(&index);
            }
            Command::Mark => {
                self.counters = Counters::new();
                self.peers.values_mut().for_each(|peer| peer.tracks.mark());
            }
            Command::Report(answer) => {
                let now = Instant::now();
                for peer in self.peers.values() {
                    // A picture that has not come yet is late by that much already.
                    let silences = peer.silences(now);
                    silences.for_each(|silence| self.counters.record_frame_gap(silence));
                    for (payload_type, lost) in peer.tracks.lost() {
                        self.counters.lost += lost;
                        if peer.is_audio(payload_type) {
                            self.counters.lost_audio += lost;
                        }
                    }
                }
                let _ = answer.send(self.counters.clone());
            }
            Command::Stop => return true,
        }
        false
    }

    /// Lets a client do something, and keeps its appointments.
    fn with(
        &mut self,
        index: u32,
        now: Instant,
        action: impl FnOnce(&mut Peer, &mut ClientContext<'_>),
    ) {
        let Some(peer) = self.peers.get_mut(&index).filter(|peer| !peer.ended) else {
            return;
        };
        let mut context = ClientContext {
            lanes: &self.lanes,
            emulator: &mut self.emulator,
            counters: &mut self.counters,
            notes: &self.notes,
            now,
        };
        action(peer, &mut context);
        if peer.alarm.is_none_or(|alarm| peer.due < alarm) {
            peer.alarm = Some(peer.due);
            self.alarms.push(Reverse((peer.due, index)));
        }
        if std::mem::take(&mut peer.begins) {
            let start = peer.start_of_flows(now);
            for (number, outgoing) in peer.flows.iter_mut().enumerate() {
                outgoing.flow.begin(start);
                self.sends.push(Reverse((start, index, number)));
            }
        }
    }

    /// Sends what is due.
    fn send_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, index, flow))) = self.sends.peek().copied() {
            if at > now {
                return;
            }
            self.sends.pop();
            self.with(index, now, |peer, context| peer.send(flow, context));
            let peer = self.peers.get(&index).filter(|peer| !peer.ended);
            if let Some(outgoing) = peer.and_then(|peer| peer.flows.get(flow)) {
                self.sends.push(Reverse((outgoing.flow.due, index, flow)));
            }
        }
    }

    /// Looks at the clocks that want it.
    fn fire_timeouts(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, index))) = self.alarms.peek().copied() {
            if at > now {
                return;
            }
            self.alarms.pop();
            let Some(peer) = self.peers.get_mut(&index) else {
                continue;
            };
            // Another alarm was set for an earlier time and has been answered.
            if peer.alarm != Some(at) {
                continue;
            }
            peer.alarm = None;
            let is_due = peer.due <= now;
            self.with(index, now, |peer, context| {
                if is_due {
                    peer.wake(context);
                }
            });
        }
    }

    /// Passes on what was held back long enough.
    fn deliver_due(&mut self) {
        let now = Instant::now();
        while let Some(drop) = self.emulator.fall(now) {
            match drop.way {
                Direction::Up => self.lanes.send(drop.client, drop.other, &drop.bytes),
                Direction::Down => self.with(drop.client, now, |peer, context| {
                    peer.receive(drop.other, &drop.bytes, context);
                }),
            }
        }
    }

    /// Takes in what has come. Whether there may be more.
    fn receive(&mut self) -> Result<bool> {
        let lanes = self.lanes.clone();
        let mut buffers = std::mem::replace(&mut self.buffers, ReceiveBuffers::none());
        let mut more = false;
        for lane in 0..SOCKETS {
            for turn in 1..=TURNS {
                let mut now = None;
                let full = lanes.receive(lane, &mut buffers, |index, from, datagram| {
                    let now = *now.get_or_insert_with(Instant::now);
                    if !self
                        .emulator
                        .hold(Direction::Down, index, from, datagram, now)
                    {
                        self.with(index, now, |peer, context| {
                            peer.receive(from, datagram, context)
                        });
                    }
                })?;
                more |= full && turn == TURNS;
                if !full {
                    break;
                }
            }
        }
        self.buffers = buffers;
        Ok(more)
    }
}
