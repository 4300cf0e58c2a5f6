//! The state of one shard, sans IO: datagrams and commands go in with the time, datagrams and
//! events come out. The sockets, the thread and the clock are [`super::worker`]'s.
//!
//! Input marks peers dirty; [`Core::settle`] drains them until none is left. [`super::receive`]
//! and [`super::forward`] are the path of a packet, [`super::subscribe`] assigns tracks,
//! [`super::lifecycle`] adds and removes peers, [`super::mute`] mutes their sources, [`super::tick`] does what is due by the clock.

use super::{media_room::MediaRoom, probes::Probes, timers::Timers};
use crate::{
    protocol::MAX_WANTED,
    server::{
        metrics::{DownTrackCounts, MediaMetrics},
        sfu::{
            command::{Command, Event},
            ingress::demux::Demux,
            keys::{PeerKey, RoomKey},
            peer::{Peer, guard::guarded, session::SharedRtcConfig},
            transport::datagram::OutgoingDatagram,
        },
    },
};
use slab::Slab;
use std::{collections::HashMap, net::SocketAddr, time::Instant};
use str0m::{Event as RtcEvent, Output};
use tokio::sync::mpsc;

/// Timeouts of one peer that pass in one drain. 512: a keyframe has up to a few hundred packets.
/// With bandwidth estimation str0m wants a timeout between two packets; one per turn of the
/// thread would cost a system call each.
const MAX_TIMEOUTS_PER_DRAIN: usize = 512;

/// The peers and rooms of one shard.
pub struct Core {
    /// The peers, by index.
    pub(super) peers: Slab<Peer>,
    /// The rooms that are pinned to this shard.
    pub(super) rooms: HashMap<RoomKey, MediaRoom>,
    /// The index of each peer.
    pub(super) keys: HashMap<(RoomKey, PeerKey), usize>,
    /// Finds the peer of a datagram.
    pub(super) demux: Demux,
    /// Probes of the operator's checks.
    pub(super) probes: Probes,
    /// The timeouts of all peers.
    pub(super) timers: Timers,
    /// Peers that have output.
    pub(super) dirty: Vec<usize>,
    /// Peers that are to be closed.
    pub(super) closing: Vec<usize>,
    /// Datagrams to send.
    pub(super) outgoing: Vec<OutgoingDatagram>,
    /// The configuration that all connections share.
    pub(super) rtc_config: SharedRtcConfig,
    /// When [`super::tick`] is due.
    pub(super) next_tick: Instant,
    /// Counts the ticks.
    pub(super) ticks: u64,
    /// Media packets received since [`Core::take_media_packets_received`].
    pub(super) media_packets_received: u32,
    /// What receivers get, as it was counted last.
    pub(super) distribution: DownTrackCounts,
    /// The counters of this SFU, shared with its other shards.
    pub(super) metrics: MediaMetrics,
}

impl Core {
    /// A shard without rooms.
    pub fn new(rtc_config: SharedRtcConfig, metrics: MediaMetrics, now: Instant) -> Self {
        Self {
            peers: Slab::new(),
            rooms: HashMap::new(),
            keys: HashMap::new(),
            demux: Demux::default(),
            probes: Probes::default(),
            timers: Timers::default(),
            dirty: Vec::new(),
            closing: Vec::new(),
            outgoing: Vec::new(),
            rtc_config,
            next_tick: now,
            ticks: 0,
            media_packets_received: 0,
            distribution: DownTrackCounts::default(),
            metrics,
        }
    }

    /// Opens a room.
    pub fn open_room(&mut self, room: RoomKey, events: mpsc::Sender<Event>) {
        let dropped_events = self.metrics.dropped_events.clone();
        self.rooms
            .insert(room, MediaRoom::new(events, dropped_events));
    }

    /// Closes a room and every connection of it.
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

    /// Replaces the addresses at which browsers reach the shard. Existing connections get them
    /// beside their own: an ICE restart offers both, and finds the one that works.
    pub fn set_candidates(&mut self, candidates: Vec<SocketAddr>) {
        let all: Vec<usize> = self.peers.iter().map(|(index, _)| index).collect();
        for index in all {
            self.peers[index].add_candidates(&candidates);
            self.mark_dirty(index);
        }
        self.rtc_config.candidates = candidates;
    }

    /// Handles a command of a room. Peers that are gone are ignored.
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
                    self.peers[index].downstream.wanted = wanted;
                    self.update_subscriptions(index, now);
                    self.send_wanted_layers(index, now);
                }
            }
            Command::SetMuted { peer, sources } => {
                if let Some(index) = self.keys.get(&(room, peer)).copied() {
                    self.set_muted(index, sources);
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

    /// Drains dirty peers and removes closing ones until there are none.
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

    /// When [`Core::handle_timeout`] is due at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let tick = (!self.rooms.is_empty()).then_some(self.next_tick);
        [self.timers.next(), tick].into_iter().flatten().min()
    }

    /// Handles the timeouts that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due: Vec<usize> = std::iter::from_fn(|| self.timers.pop(now)).collect();
        for index in due {
            if let Some(peer) = self.peers.get_mut(index) {
                // Drained before the next peer: str0m's reports take 46 kB while they wait, and
                // those of all peers are due at the same moment.
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

    /// The datagrams to send, in order. The caller empties the list.
    pub fn outgoing(&mut self) -> &mut Vec<OutgoingDatagram> {
        &mut self.outgoing
    }

    /// The number of media packets received since the last call.
    pub fn take_media_packets_received(&mut self) -> u32 {
        std::mem::take(&mut self.media_packets_received)
    }

    /// Recovers from a panic outside of any peer's guard: closes every connection and reports
    /// them as closed. The rooms go on, and browsers connect again.
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

    /// Queues a peer for draining.
    pub(super) fn mark_dirty(&mut self, index: usize) {
        if let Some(peer) = self.peers.get_mut(index)
            && !std::mem::replace(&mut peer.dirty, true)
        {
            self.dirty.push(index);
        }
    }

    /// Sends an event to a room.
    pub(super) fn send_event(&self, room: RoomKey, event: Event) {
        if let Some(room) = self.rooms.get(&room) {
            room.send_event(event);
        }
    }

    /// Takes all output of a peer: datagrams, events, and the next timeout.
    pub(super) fn drain(&mut self, index: usize, now: Instant) {
        if let Some(peer) = self.peers.get_mut(index) {
            peer.dirty = false;
            if std::mem::take(&mut peer.has_writes) && peer.handle_timeout(now).is_none() {
                return self.closing.push(index);
            }
        }
        let mut timeouts = 0..MAX_TIMEOUTS_PER_DRAIN;
        loop {
            let Some(peer) = self.peers.get_mut(index) else {
                return;
            };
            match guarded(|| peer.rtc.poll_output()) {
                Some(Output::Transmit(transmit)) => self.outgoing.push(peer.address(transmit)),
                Some(Output::Event(event)) => {
                    let handle = || {
                        self.handle_rtc_event(index, event, now);
                        Ok(())
                    };
                    if guarded(handle).is_none() {
                        return self.closing.push(index);
                    }
                }
                Some(Output::Timeout(at)) if peer.is_due(at) && timeouts.next().is_some() => {
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

    /// Handles an event of str0m.
    fn handle_rtc_event(&mut self, index: usize, event: RtcEvent, now: Instant) {
        match event {
            RtcEvent::RtpPacket(packet) => self.on_rtp_packet(index, packet, now),
            RtcEvent::Connected => self.on_connected(index, now),
            RtcEvent::KeyframeRequest(request) => self.on_keyframe_request(index, request.mid, now),
            RtcEvent::EgressBitrateEstimate(estimate) => {
                self.on_bandwidth_estimate(index, &estimate, now);
            }
            RtcEvent::PeerStats(stats) => self.on_peer_stats(index, &stats),
            RtcEvent::MediaEgressStats(stats) => self.peers[index].bandwidth.on_media_stats(&stats),
            RtcEvent::MediaIngressStats(stats) => {
                self.peers[index]
                    .upstream
                    .on_jitter(stats.mid, stats.jitter);
            }
            RtcEvent::Closed => self.closing.push(index),
            // str0m's enum is non-exhaustive. Everything else is for endpoints with frames or
            // data channels.
            _ => {}
        }
    }

    /// Whether every peer is connected.
    #[cfg(test)]
    pub fn is_everyone_connected(&self) -> bool {
        self.peers.iter().all(|(_, peer)| peer.connected)
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
