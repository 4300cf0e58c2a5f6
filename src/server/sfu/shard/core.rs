//! All peers and rooms of one shard. Sans IO: datagrams and commands come in with the
//! time, datagrams and events go out; sockets, threads and clocks are [`super::worker`]'s.
//!
//! What comes in makes peers dirty; [`Core::settle`] drains them until none is. The path
//! of a packet is in [`super::receive`] and [`super::forward`], who gets what in [`super::subscribe`], who comes and
//! goes in [`super::lifecycle`], what happens by the clock in [`super::tick`].

use super::{media_room::MediaRoom, timers::Timers};
use crate::server::sfu::{
    PeerKey, RoomKey,
    command::{Command, Event},
    ingress::demux::Demux,
    peer::{Peer, SharedRtcConfig},
};
use crate::{
    protocol::MAX_WANTED,
    server::metrics::{Distribution, MediaMetrics},
};
use slab::Slab;
use std::{
    cell::Cell,
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use str0m::{Event as RtcEvent, Output, RtcError, net::Transmit};
use tokio::sync::mpsc;

/// How many moments of a peer pass in one drain. On an estimated line `str0m` lets a packet
/// go and asks to be told the time before the next: one at a time, each would be a turn of
/// the thread and a system call. A keyframe has up to a few hundred packets.
const MAX_TIMEOUTS_PER_DRAIN: usize = 512;

/// A datagram to send.
pub struct OutgoingDatagram {
    /// From which address of this machine: the one the peer talks to.
    pub local_ip: Option<IpAddr>,
    /// What, and where to.
    pub transmit: Transmit,
}

/// Everything one shard looks after.
pub struct Core {
    /// The connections.
    pub(in crate::server::sfu) peers: Slab<Peer>,
    /// The rooms they are in.
    pub(super) rooms: HashMap<RoomKey, MediaRoom>,
    /// Which peer of a room is which.
    pub(super) keys: HashMap<(RoomKey, PeerKey), usize>,
    /// Whose datagram is whose.
    pub(super) demux: Demux,
    /// When peers want to be woken.
    pub(super) timers: Timers,
    /// Peers that have something to say.
    pub(super) dirty: Vec<usize>,
    /// Peers that are over.
    pub(super) closing: Vec<usize>,
    /// Datagrams to send.
    pub(super) outgoing: Vec<OutgoingDatagram>,
    /// What every connection has in common.
    pub(super) rtc_config: SharedRtcConfig,
    /// When [`super::tick`] is due.
    pub(super) next_tick: Instant,
    /// Counts the ticks.
    pub(super) ticks: u64,
    /// Media packets that came in since that was asked last.
    pub(super) media_packets_received: u32,
    /// What receivers get, as it was counted last.
    pub(super) distribution: Distribution,
    /// The counters of this SFU, shared with its other shards.
    pub(super) metrics: MediaMetrics,
}

impl Core {
    /// Nobody is here.
    pub fn new(rtc_config: SharedRtcConfig, metrics: MediaMetrics, now: Instant) -> Self {
        Self {
            peers: Slab::new(),
            rooms: HashMap::new(),
            keys: HashMap::new(),
            demux: Demux::default(),
            timers: Timers::default(),
            dirty: Vec::new(),
            closing: Vec::new(),
            outgoing: Vec::new(),
            rtc_config,
            next_tick: now,
            ticks: 0,
            media_packets_received: 0,
            distribution: Distribution::default(),
            metrics,
        }
    }

    /// A room opens.
    pub fn open_room(&mut self, room: RoomKey, events: mpsc::Sender<Event>) {
        self.rooms.insert(
            room,
            MediaRoom::new(events, self.metrics.dropped_events.clone()),
        );
    }

    /// A room closes, and every connection of it.
    pub fn close_room(&mut self, room: RoomKey) {
        let Some(closed) = self.rooms.get(&room) else {
            return;
        };
        for peer in closed.peers.clone() {
            self.remove_peer(peer);
        }
        self.rooms.remove(&room);
        self.update_distribution();
    }

    /// Browsers reach us by these addresses from now on. Connections that are there get them
    /// beside their own: an ICE restart offers both, and finds the one that is left.
    pub fn set_candidates(&mut self, candidates: Vec<SocketAddr>) {
        let all: Vec<usize> = self.peers.iter().map(|(index, _)| index).collect();
        for index in all {
            self.peers[index].add_candidates(&candidates);
            self.mark_dirty(index);
        }
        self.rtc_config.candidates = candidates;
    }

    /// Does what a room says.
    pub fn handle_command(&mut self, room: RoomKey, command: Command, now: Instant) {
        match command {
            Command::Offer {
                peer,
                person,
                offer,
            } => self.handle_offer(room, peer, person, offer, now),
            Command::Subscribe { peer, mut wanted } => {
                wanted.truncate(MAX_WANTED);
                if let Some(index) = self.keys.get(&(room, peer)).copied() {
                    self.peers[index].wanted = wanted;
                    self.update_subscriptions(index, now);
                    self.send_wanted_layers(index, now);
                }
            }
            Command::Resync { peer } => {
                if let Some(index) = self.keys.get(&(room, peer)).copied() {
                    self.resync(index);
                }
            }
            Command::Close { peer } => {
                if let Some(index) = self.keys.get(&(room, peer)).copied() {
                    self.remove_peer(index);
                }
            }
        }
        self.settle(now);
    }

    /// Drains whoever has something to say, until nobody has.
    pub fn settle(&mut self, now: Instant) {
        loop {
            if let Some(index) = self.closing.pop() {
                self.on_disconnected(index);
            } else if let Some(index) = self.dirty.pop() {
                self.drain(index, now);
            } else {
                return;
            }
        }
    }

    /// The moment something is to be done at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let tick = (!self.rooms.is_empty()).then_some(self.next_tick);
        [self.timers.next(), tick].into_iter().flatten().min()
    }

    /// Wakes whoever wanted to be woken by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due: Vec<usize> = std::iter::from_fn(|| self.timers.pop(now)).collect();
        for index in due {
            if let Some(peer) = self.peers.get_mut(index) {
                // Drained before the next one: str0m's reports take 46 kB while they wait,
                // and everybody's are due at the same moment.
                match peer.handle_timeout(now) {
                    Some(()) => self.drain(index, now),
                    None => self.closing.push(index),
                }
            }
        }
        if now >= self.next_tick && !self.rooms.is_empty() {
            self.tick(now);
        }
        self.settle(now);
    }

    /// The datagrams to send, in order.
    pub fn outgoing(&mut self) -> &mut Vec<OutgoingDatagram> {
        &mut self.outgoing
    }

    /// How many media packets came in since this was asked last.
    pub fn take_media_packets_received(&mut self) -> u32 {
        std::mem::take(&mut self.media_packets_received)
    }

    /// A bug went through: every connection is over and everybody is told, so that they come
    /// back to the rooms, which go on.
    pub fn restart(&mut self, now: Instant) {
        self.metrics.connection_panics.inc();
        for ((room, peer), _) in std::mem::take(&mut self.keys) {
            self.metrics.connections.dec();
            self.metrics.disconnects.inc();
            self.send_event(room, Event::Closed { peer });
        }
        self.rooms.values_mut().for_each(MediaRoom::clear);
        self.peers = Slab::new();
        self.demux = Demux::default();
        self.timers = Timers::default();
        self.dirty.clear();
        self.closing.clear();
        self.outgoing.clear();
        self.next_tick = now;
        self.update_distribution();
    }

    /// A peer has something to say.
    pub(super) fn mark_dirty(&mut self, index: usize) {
        if let Some(peer) = self.peers.get_mut(index)
            && !std::mem::replace(&mut peer.dirty, true)
        {
            self.dirty.push(index);
        }
    }

    /// Tells a room.
    pub(super) fn send_event(&self, room: RoomKey, event: Event) {
        if let Some(room) = self.rooms.get(&room) {
            room.send_event(event);
        }
    }

    /// Takes out of a peer what it has to say.
    pub(super) fn drain(&mut self, index: usize, now: Instant) {
        if let Some(peer) = self.peers.get_mut(index) {
            peer.dirty = false;
            if std::mem::take(&mut peer.has_writes) && peer.handle_timeout(now).is_none() {
                return self.closing.push(index);
            }
        }
        let mut moments = 0..MAX_TIMEOUTS_PER_DRAIN;
        loop {
            let Some(peer) = self.peers.get_mut(index) else {
                return;
            };
            match guarded(|| peer.rtc.poll_output()) {
                Some(Output::Transmit(transmit)) => self.outgoing.push(peer.address(transmit)),
                Some(Output::Event(event)) => {
                    let happens = || {
                        self.handle_rtc_event(index, event, now);
                        Ok(())
                    };
                    if guarded(happens).is_none() {
                        return self.closing.push(index);
                    }
                }
                Some(Output::Timeout(at)) if peer.is_due(at) && moments.next().is_some() => {
                    if peer.handle_timeout(at).is_none() {
                        return self.closing.push(index);
                    }
                }
                Some(Output::Timeout(at)) => {
                    match peer.rtc.is_alive() {
                        true => self.timers.set(index, at),
                        false => self.closing.push(index),
                    }
                    return;
                }
                None => return self.closing.push(index),
            }
        }
    }

    /// Something happened on a connection.
    fn handle_rtc_event(&mut self, index: usize, event: RtcEvent, now: Instant) {
        match event {
            RtcEvent::RtpPacket(packet) => self.on_rtp_packet(index, packet, now),
            RtcEvent::Connected => self.on_connected(index, now),
            RtcEvent::KeyframeRequest(request) => self.on_keyframe_request(index, request.mid, now),
            RtcEvent::EgressBitrateEstimate(estimate) => {
                self.on_bandwidth_estimate(index, &estimate, now)
            }
            RtcEvent::PeerStats(stats) => self.on_peer_stats(index, &stats),
            RtcEvent::MediaEgressStats(stats) => {
                self.peers[index].stats_window.on_media_stats(&stats)
            }
            RtcEvent::MediaIngressStats(stats) => self.on_jitter(index, stats.mid, stats.jitter),
            RtcEvent::Closed => self.closing.push(index),
            _ => {}
        }
    }
}

thread_local! {
    /// Panics that [`guarded`] caught on this thread since the last tick. Each shard has a
    /// thread of its own.
    pub(super) static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// Does a step of a connection. An error or a bug in it ends that connection alone
/// (trust P10); nothing then.
pub(in crate::server::sfu) fn guarded<T>(step: impl FnOnce() -> Result<T, RtcError>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a media connection gives up");
            None
        }
        Err(_) => {
            PANICS.set(PANICS.get() + 1);
            tracing::error!("a media connection failed by a bug and was ended");
            None
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
