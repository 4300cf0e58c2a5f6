//! What happens by the clock: shares of lines, keyframes asked for again, who speaks, who
//! watches which layer, who is silent for too long.

use super::core::Core;
use crate::server::sfu::{RoomKey, command::Event, subscribe::down_track::OutSlot};
use crate::{
    protocol::{PersonQuality, Quality},
    server::metrics::media::{self as counts, Path},
};
use std::time::{Duration, Instant};
use str0m::{media::Mid, stats::PeerStats};

/// Between two ticks.
const TICK: Duration = Duration::from_millis(50);
/// Lines are shared out each so many ticks: 100 ms.
const SHARE_TICKS: u64 = 2;
/// Layers nobody watches are looked for each so many ticks: 500 ms.
const WATCH_TICKS: u64 = 10;
/// Silence after which a connection is over. 12 s: whoever vanishes is gone for the others
/// within 15 s, and a browser makes a fresh connection after ten.
const SILENT_FOR: Duration = Duration::from_secs(12);
/// How long a connection may take to come up.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

impl Core {
    /// Does what is due each [`TICK`].
    pub(super) fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        self.ticks += 1;
        let rooms: Vec<RoomKey> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.tick_speakers(room, now);
            self.tick_keyframes(room, now);
            if self.ticks.is_multiple_of(SHARE_TICKS) {
                self.tick_shares(room, now);
            }
            if self.ticks.is_multiple_of(WATCH_TICKS) {
                self.tick_layers(room, now);
                self.choose_codecs(room);
            }
        }
        if self.ticks.is_multiple_of(WATCH_TICKS) {
            self.tick_silence(now);
            self.tick_distribution();
        }
    }

    /// Who has the floor, and whose voices go through.
    fn tick_speakers(&mut self, key: RoomKey, now: Instant) {
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        let floor = room.speakers.tick(now);
        let voices = room.loudest.tick(now) | room.tick_screens(now);
        room.tell_speakers(now);
        if voices {
            let peers = room.peers.clone();
            peers.iter().for_each(|peer| self.bind_sounds(*peer, now));
        }
        if floor {
            self.bind_room(key, now);
        }
    }

    /// Asks again for keyframes that did not come.
    fn tick_keyframes(&mut self, key: RoomKey, now: Instant) {
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        let mut due = Vec::new();
        for (_, track) in &mut room.tracks {
            for layer in &mut track.layers {
                if layer.keyframes.due(now) {
                    due.push((track.owner, track.mid, layer.rid));
                }
            }
        }
        for (owner, mid, rid) in due {
            self.ask_keyframe(owner, mid, rid);
        }
    }

    /// Shares out everybody's line.
    fn tick_shares(&mut self, key: RoomKey, now: Instant) {
        let peers = self.rooms.get(&key).map(|room| room.peers.clone());
        for index in peers.into_iter().flatten() {
            if self.peers[index]
                .slots
                .iter()
                .any(|slot| slot.video && slot.track.is_some())
            {
                self.allocate(index, now);
                self.tell_slots(index);
            }
        }
    }

    /// Tells senders which of their layers are watched.
    pub(super) fn tick_layers(&mut self, key: RoomKey, now: Instant) {
        let tracks = self.rooms.get(&key).map(|room| &room.tracks);
        let tracks = tracks.into_iter().flat_map(|tracks| tracks.iter());
        let tracks: Vec<usize> = tracks.map(|(track, _)| track).collect();
        for track in tracks {
            self.tell_watched(key, track, now);
        }
    }

    /// Tells the senders of what a peer is to see: somebody who has just come should not
    /// wait for the next tick.
    pub(super) fn wake_layers(&mut self, index: usize, now: Instant) {
        let peer = &self.peers[index];
        let room = peer.room;
        let pictures = peer.slots.iter().filter(|slot| slot.video);
        let tracks: Vec<usize> = pictures.filter_map(|slot| slot.track).collect();
        for track in tracks {
            self.tell_watched(room, track, now);
        }
    }

    /// Tells a sender which of its layers are watched, where that changed.
    fn tell_watched(&mut self, key: RoomKey, track: usize, now: Instant) {
        let Self { peers, rooms, .. } = self;
        let Some(room) = rooms.get_mut(&key) else {
            return;
        };
        let Some(track) = room.tracks.get_mut(track) else {
            return;
        };
        let slots = track.bound.iter().filter_map(|bound| {
            let slot = peers.get(bound.peer)?.slots.get(bound.slot)?;
            Some([slot.current, slot.target, slot.wished])
        });
        let watched = slots.flatten().flatten();
        // A layer that is not wanted itself may be the next best: the ones below stay.
        let wanted = watched.fold(0_u8, |set, layer| set | ((2_u8 << layer) - 1));
        if let (Some(rids), Some(owner)) = (track.watch(wanted, now), peers.get(track.owner)) {
            let event = Event::Layers {
                peer: owner.key,
                source: track.source,
                rids,
            };
            room.tell(event);
        }
    }

    /// Tells a sender again which of their layers are watched.
    pub(super) fn remind_of_layers(&self, index: usize) {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return;
        };
        for (_, track) in room.tracks.iter().filter(|(_, t)| t.owner == index) {
            if let Some(rids) = track.watched() {
                let (peer, source) = (peer.key, track.source);
                room.tell(Event::Layers { peer, source, rids });
            }
        }
    }

    /// Lets go of whoever has been silent for too long.
    fn tick_silence(&mut self, now: Instant) {
        for (index, peer) in &self.peers {
            let late = !peer.connected && now > peer.since + CONNECT_WITHIN;
            if late || now > peer.heard + SILENT_FOR {
                self.over.push(index);
                if !peer.connected {
                    counts::connected(Path::Failed);
                }
            }
        }
    }

    /// Takes in how busy the shard was, from 0 to 1: its busiest room may get fewer pictures.
    pub fn loaded(&mut self, load: f64, now: Instant) {
        let busiest = self.rooms.iter().max_by_key(|(_, room)| room.passed);
        let busiest = busiest.map(|(key, _)| *key);
        let rooms: Vec<RoomKey> = self.rooms.keys().copied().collect();
        for key in rooms {
            let shown = self.shown(key);
            let Some(room) = self.rooms.get_mut(&key) else {
                continue;
            };
            room.passed = 0;
            if room.ceiling.measure(load, busiest == Some(key), shown, now) {
                tracing::info!(load, most = ?room.ceiling.most(), "pictures a person in a room");
                self.tick_shares(key, now);
            }
        }
    }

    /// The most pictures that anybody in a room gets.
    fn shown(&self, key: RoomKey) -> usize {
        let peers = self.rooms.get(&key).map(|room| &room.peers);
        let peers = peers
            .into_iter()
            .flatten()
            .filter_map(|p| self.peers.get(*p));
        let shown = |slots: &[OutSlot]| slots.iter().filter(|slot| slot.shows()).count();
        peers.map(|peer| shown(&peer.slots)).max().unwrap_or(0)
    }

    /// Counts what receivers get.
    pub(super) fn tick_distribution(&mut self) {
        let mut now = counts::Distribution::default();
        for (_, peer) in &self.peers {
            let tracks = self.rooms.get(&peer.room).map(|room| &room.tracks);
            for slot in peer.slots.iter().filter(|slot| slot.video) {
                let track = slot.track.and_then(|track| tracks?.get(track));
                if let Some(track) = track {
                    now.count(slot.carried(track.layers.len() == 1));
                }
            }
        }
        self.distribution.replace(now);
    }

    /// A connection is up: its pictures are asked for.
    pub(super) fn connected(&mut self, index: usize, now: Instant) {
        let peer = &mut self.peers[index];
        if !std::mem::replace(&mut peer.connected, true) {
            counts::connected(peer.path);
        }
        let slots = peer.slots.iter_mut();
        slots.for_each(|slot| slot.connected(now));
        let room = peer.room;
        let waiting = peer.slots.iter().filter(|slot| slot.video);
        let waiting = waiting.filter_map(|slot| Some((slot.track?, slot.current.or(slot.target)?)));
        let waiting: Vec<_> = waiting.collect();
        for (track, layer) in waiting {
            self.want_first(room, track, layer, now);
        }
        self.remind_of_qualities(room);
    }

    /// A first picture is wanted: of this layer, or of the lowest where this one was asked
    /// for a moment ago.
    pub(super) fn want_first(&mut self, room: RoomKey, track: usize, layer: usize, now: Instant) {
        if !self.want_keyframe(room, track, layer, now) && layer > 0 {
            self.want_keyframe(room, track, 0, now);
        }
    }

    /// How unevenly a stream of somebody comes; the worst counts until the next sample.
    pub(super) fn jittered(&mut self, index: usize, mid: Mid, ticks: u32) {
        let peer = &mut self.peers[index];
        let source = peer.offered.iter().find(|(known, _)| *known == mid);
        // Pictures come in bursts: of them jitter says little.
        if source.is_some_and(|(_, source)| !source.is_video()) {
            peer.jitter_ms = peer.jitter_ms.max(f64::from(ticks) / 48.0);
        }
    }

    /// Tells again whose connections are not good: somebody may not know.
    pub(super) fn remind_of_qualities(&self, key: RoomKey) {
        let Some(room) = self.rooms.get(&key) else {
            return;
        };
        let peers = room.peers.iter().filter_map(|index| self.peers.get(*index));
        let people = peers.filter_map(|peer| {
            let id = peer.person.clone();
            let quality = peer.quality.told().filter(|told| *told != Quality::Good)?;
            Some(PersonQuality { id, quality })
        });
        let people: Vec<_> = people.collect();
        if !people.is_empty() {
            room.tell(Event::Qualities { people });
        }
    }

    /// How a connection is: told where that changed.
    pub(super) fn looked_at(&mut self, index: usize, stats: &PeerStats) {
        let peer = &mut self.peers[index];
        if let Some(quality) = peer.looked_at(stats) {
            let people = vec![PersonQuality {
                id: peer.person.clone(),
                quality,
            }];
            let room = peer.room;
            self.tell(room, Event::Qualities { people });
        }
    }
}

#[cfg(test)]
#[path = "tick_tests.rs"]
mod tests;
