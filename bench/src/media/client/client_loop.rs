//! What the thread that is all clients does, over and over.

use super::{
    counters::Tally,
    generator::{Command, Note, Surroundings},
    peer::Peer,
};
use crate::media::net::{
    impairment::{Sky, Way, Weather},
    socket_pool::{Inbox, LANES, Lanes},
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
pub struct Crew {
    /// The sockets.
    lanes: Arc<Lanes>,
    /// What is to be done.
    orders: Receiver<Command>,
    /// Where notes go.
    notes: mpsc::UnboundedSender<Note>,
    /// The clients by number.
    peers: BTreeMap<u32, Peer>,
    /// Whose clock to look at when, the earliest first.
    alarms: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Whose flow is due when, the earliest first.
    sends: BinaryHeap<Reverse<(Instant, u32, usize)>>,
    /// What is counted.
    tally: Tally,
    /// Where datagrams are read to.
    inbox: Inbox,
    /// What is between sockets and clients.
    sky: Sky,
}

impl Crew {
    /// Nobody yet.
    pub fn new(
        lanes: Arc<Lanes>,
        orders: Receiver<Command>,
        notes: mpsc::UnboundedSender<Note>,
        weather: Weather,
    ) -> Self {
        Self {
            lanes,
            orders,
            notes,
            peers: BTreeMap::new(),
            alarms: BinaryHeap::new(),
            sends: BinaryHeap::new(),
            tally: Tally::new(),
            inbox: Inbox::new(),
            sky: Sky::new(weather),
        }
    }

    /// Works until told to stop.
    pub fn run(mut self) -> Result<()> {
        loop {
            while let Ok(command) = self.orders.try_recv() {
                if self.obey(command) {
                    return Ok(());
                }
            }
            self.send_due();
            self.ring();
            self.let_fall();
            if !self.receive()? {
                let until = Instant::now() + PATIENCE;
                let send = self.sends.peek().map_or(until, |Reverse((at, ..))| *at);
                let alarm = self.alarms.peek().map_or(until, |Reverse((at, _))| *at);
                let rain = self.sky.next().unwrap_or(until);
                self.lanes.wait(until.min(send).min(alarm).min(rain))?;
            }
        }
    }

    /// Does as told. Whether that is to stop.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Add(peer) => {
                let index = peer.index;
                if peer.flows.is_empty() {
                    self.sky.expose(index, Instant::now());
                }
                self.peers.insert(index, *peer);
                self.with(index, Instant::now(), Peer::wake);
            }
            Command::Remove(index) => {
                self.peers.remove(&index);
            }
            Command::Mark => {
                self.tally = Tally::new();
                self.peers.values_mut().for_each(|peer| peer.tracks.mark());
            }
            Command::Report(answer) => {
                let now = Instant::now();
                for peer in self.peers.values() {
                    // A picture that has not come yet is late by that much already.
                    let silences = peer.silences(now);
                    silences.for_each(|silence| self.tally.note_gap(silence));
                    for (payload_type, lost) in peer.tracks.lost() {
                        self.tally.lost += lost;
                        if peer.is_sound(payload_type) {
                            self.tally.lost_sounds += lost;
                        }
                    }
                }
                let _ = answer.send(self.tally.clone());
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
        action: impl FnOnce(&mut Peer, &mut Surroundings<'_>),
    ) {
        let Some(peer) = self.peers.get_mut(&index).filter(|peer| !peer.ended) else {
            return;
        };
        let mut around = Surroundings {
            lanes: &self.lanes,
            sky: &mut self.sky,
            tally: &mut self.tally,
            notes: &self.notes,
            now,
        };
        action(peer, &mut around);
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
            self.with(index, now, |peer, around| peer.send(flow, around));
            let peer = self.peers.get(&index).filter(|peer| !peer.ended);
            if let Some(outgoing) = peer.and_then(|peer| peer.flows.get(flow)) {
                self.sends.push(Reverse((outgoing.flow.due, index, flow)));
            }
        }
    }

    /// Looks at the clocks that want it.
    fn ring(&mut self) {
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
            self.with(index, now, |peer, around| {
                if is_due {
                    peer.wake(around);
                }
            });
        }
    }

    /// Passes on what was held back long enough.
    fn let_fall(&mut self) {
        let now = Instant::now();
        while let Some(drop) = self.sky.fall(now) {
            match drop.way {
                Way::Up => self.lanes.send(drop.client, drop.other, &drop.bytes),
                Way::Down => self.with(drop.client, now, |peer, around| {
                    peer.receive(drop.other, &drop.bytes, around);
                }),
            }
        }
    }

    /// Takes in what has come. Whether there may be more.
    fn receive(&mut self) -> Result<bool> {
        let lanes = self.lanes.clone();
        let mut inbox = std::mem::replace(&mut self.inbox, Inbox::none());
        let mut more = false;
        for lane in 0..LANES {
            for turn in 1..=TURNS {
                let mut now = None;
                let full = lanes.receive(lane, &mut inbox, |index, from, datagram| {
                    let now = *now.get_or_insert_with(Instant::now);
                    if !self.sky.hold(Way::Down, index, from, datagram, now) {
                        self.with(index, now, |peer, around| {
                            peer.receive(from, datagram, around)
                        });
                    }
                })?;
                more |= full && turn == TURNS;
                if !full {
                    break;
                }
            }
        }
        self.inbox = inbox;
        Ok(more)
    }
}
