//! What is due by the clock: speakers, keyframe requests, allocations, watched layers, silent peers.

use super::core::Core;
use crate::server::sfu::{
    command::Event,
    keys::RoomKey,
    peer::{Expiry, guard::take_panics},
    subscribe::down_track::DownTrack,
};
use crate::{
    protocol::{PersonQuality, Quality},
    server::metrics::{DownTrackCounts, IcePath},
};
use std::time::{Duration, Instant};
use str0m::stats::PeerStats;

/// The interval between two ticks.
const TICK_INTERVAL: Duration = Duration::from_millis(50);
/// Ticks between two allocations: 100 ms.
const ALLOCATION_TICKS: u64 = 2;
/// Ticks between two checks of watched layers, codecs and silent peers: 500 ms.
const LAYER_TICKS: u64 = 10;

impl Core {
    /// Runs what is due each [`TICK_INTERVAL`].
    pub(super) fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK_INTERVAL;
        self.ticks += 1;
        self.metrics.connection_panics.inc_by(take_panics());
        let rooms: Vec<RoomKey> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.tick_speakers(room, now);
            self.tick_keyframes(room, now);
            if self.ticks.is_multiple_of(ALLOCATION_TICKS) {
                self.tick_allocations(room, now);
            }
            if self.ticks.is_multiple_of(LAYER_TICKS) {
                self.tick_layers(room, now);
                self.choose_screen_codecs(room);
            }
        }
        if self.ticks.is_multiple_of(LAYER_TICKS) {
            self.close_abandoned_rooms();
            self.close_silent_peers(now);
            self.update_distribution();
        }
    }

    /// Closes the rooms whose actor has ended while the queue of this shard was full.
    fn close_abandoned_rooms(&mut self) {
        let abandoned = self.rooms.iter().filter(|(_, room)| room.is_abandoned());
        let abandoned: Vec<RoomKey> = abandoned.map(|(key, _)| *key).collect();
        for room in abandoned {
            self.close_room(room);
        }
    }

    /// Updates the dominant speaker and the forwarded voices, and all subscriptions after a mute.
    fn tick_speakers(&mut self, key: RoomKey, now: Instant) {
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        let floor = room.speakers.tick(now);
        let voices = room.loudest.tick(now) | room.update_audible_screens(now);
        room.send_speakers(now);
        let mutes = std::mem::take(&mut room.mutes_changed);
        if voices {
            let peers = room.peers.clone();
            peers
                .iter()
                .for_each(|peer| self.update_audio_subscriptions(*peer, now));
        }
        if floor || mutes {
            self.update_room_subscriptions(key, now);
        }
    }

    /// Repeats keyframe requests that were not answered.
    fn tick_keyframes(&mut self, key: RoomKey, now: Instant) {
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        let mut due = Vec::new();
        for (_, track) in &mut room.tracks {
            for layer in &mut track.layers {
                if layer.keyframes.take_due(now) {
                    due.push((track.owner, track.mid, layer.rid));
                }
            }
        }
        for (owner, mid, rid) in due {
            self.send_pli(owner, mid, rid);
        }
    }

    /// Allocates the bandwidth of every peer of a room.
    fn tick_allocations(&mut self, key: RoomKey, now: Instant) {
        let peers = self.rooms.get(&key).map(|room| room.peers.clone());
        for index in peers.into_iter().flatten() {
            if self.peers[index]
                .downstream
                .down_tracks
                .iter()
                .any(|slot| slot.video && slot.track.is_some())
            {
                self.allocate(index, now);
                self.send_slots(index);
            }
        }
    }

    /// Sends every sender of a room its watched layers, where they changed.
    pub(super) fn tick_layers(&mut self, key: RoomKey, now: Instant) {
        let tracks = self.rooms.get(&key).map(|room| &room.tracks);
        let tracks = tracks.into_iter().flat_map(|tracks| tracks.iter());
        let tracks: Vec<usize> = tracks.map(|(track, _)| track).collect();
        for track in tracks {
            self.send_watched_layers(key, track, now);
        }
    }

    /// Sends the watched layers of the tracks that a peer subscribes to: a new peer should not
    /// wait for the next tick.
    pub(super) fn send_wanted_layers(&mut self, index: usize, now: Instant) {
        let peer = &self.peers[index];
        let room = peer.room;
        let pictures = peer.downstream.down_tracks.iter().filter(|slot| slot.video);
        let tracks: Vec<usize> = pictures.filter_map(|slot| slot.track).collect();
        for track in tracks {
            self.send_watched_layers(room, track, now);
        }
    }

    /// Sends the watched layers of a track to its sender, where they changed.
    fn send_watched_layers(&mut self, key: RoomKey, track: usize, now: Instant) {
        let Self { peers, rooms, .. } = self;
        let Some(room) = rooms.get_mut(&key) else {
            return;
        };
        let Some(track) = room.tracks.get_mut(track) else {
            return;
        };
        let slots = track.subscriptions.iter().filter_map(|bound| {
            let slot = peers
                .get(bound.peer)?
                .downstream
                .down_tracks
                .get(bound.down_track)?;
            Some([slot.current_layer, slot.target_layer, slot.desired_layer])
        });
        let watched = slots.flatten().flatten();
        // Lower layers stay: each may be the fallback.
        let wanted = watched.fold(0_u8, |set, layer| set | ((2_u8 << layer) - 1));
        if let (Some(rids), Some(owner)) = (
            track.update_watched_layers(wanted, now),
            peers.get(track.owner),
        ) {
            let event = Event::Layers {
                peer: owner.key,
                source: track.source,
                rids,
            };
            room.send_event(event);
        }
    }

    /// Sends a sender the watched layers of all its tracks again.
    pub(super) fn resync_layers(&self, index: usize) {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return;
        };
        for (_, track) in room.tracks.iter().filter(|(_, t)| t.owner == index) {
            if let Some(rids) = track.watched_rids() {
                let (peer, source) = (peer.key, track.source);
                room.send_event(Event::Layers { peer, source, rids });
            }
        }
    }

    /// Closes the peers that do not connect or have fallen silent.
    fn close_silent_peers(&mut self, now: Instant) {
        for (index, peer) in &self.peers {
            let Some(expiry) = peer.expiry(now) else {
                continue;
            };
            self.closing.push(index);
            match expiry {
                Expiry::NeverConnected => self.metrics.ice_result(IcePath::Failed),
                Expiry::Silent => {}
            }
        }
    }

    /// Records the load of the shard, from 0 to 1. Its busiest room may get less video.
    pub fn on_load(&mut self, load: f64, now: Instant) {
        let busiest = self
            .rooms
            .iter()
            .max_by_key(|(_, room)| room.packets_forwarded);
        let busiest = busiest.map(|(key, _)| *key);
        let rooms: Vec<RoomKey> = self.rooms.keys().copied().collect();
        for key in rooms {
            let shown = self.max_videos_sent(key);
            let Some(room) = self.rooms.get_mut(&key) else {
                continue;
            };
            room.packets_forwarded = 0;
            if room
                .video_limit
                .update(load, busiest == Some(key), shown, now)
            {
                tracing::info!(load, most = ?room.video_limit.limit(), "video limit of a room changed");
                self.tick_allocations(key, now);
            }
        }
    }

    /// The most videos that one peer of a room receives.
    fn max_videos_sent(&self, key: RoomKey) -> usize {
        let peers = self.rooms.get(&key).map(|room| &room.peers);
        let peers = peers
            .into_iter()
            .flatten()
            .filter_map(|p| self.peers.get(*p));
        let shown = |slots: &[DownTrack]| slots.iter().filter(|slot| slot.sends_video()).count();
        peers
            .map(|peer| shown(&peer.downstream.down_tracks))
            .max()
            .unwrap_or(0)
    }

    /// Counts what down tracks of video carry.
    pub(super) fn update_distribution(&mut self) {
        let mut now = DownTrackCounts::default();
        for (_, peer) in &self.peers {
            let tracks = self.rooms.get(&peer.room).map(|room| &room.tracks);
            for slot in peer.downstream.down_tracks.iter().filter(|slot| slot.video) {
                let track = slot.track.and_then(|track| tracks?.get(track));
                if let Some(track) = track {
                    now.count(slot.forwarded_layer(track.layers.len() == 1));
                }
            }
        }
        self.metrics.update_down_tracks(&mut self.distribution, now);
    }

    /// Handles a connection that is up: requests keyframes of its video.
    pub(super) fn on_connected(&mut self, index: usize, now: Instant) {
        let peer = &mut self.peers[index];
        if !std::mem::replace(&mut peer.connected, true) {
            self.metrics.ice_result(peer.transport.ice_path());
        }
        let slots = peer.downstream.down_tracks.iter_mut();
        slots.for_each(|slot| slot.on_connected(now));
        let room = peer.room;
        let waiting = peer.downstream.down_tracks.iter().filter(|slot| slot.video);
        let waiting = waiting
            .filter_map(|slot| Some((slot.track?, slot.current_layer.or(slot.target_layer)?)));
        let waiting: Vec<_> = waiting.collect();
        for (track, layer) in waiting {
            self.request_first_keyframe(room, track, layer, now);
        }
        self.resync_qualities(room);
    }

    /// Requests a first keyframe: of this layer, or of the lowest where this one was asked for a
    /// moment ago.
    pub(super) fn request_first_keyframe(
        &mut self,
        room: RoomKey,
        track: usize,
        layer: usize,
        now: Instant,
    ) {
        if !self.request_keyframe(room, track, layer, now) && layer > 0 {
            self.request_keyframe(room, track, 0, now);
        }
    }

    /// Sends the qualities that are not good again, for a peer that has missed them.
    pub(super) fn resync_qualities(&self, key: RoomKey) {
        let Some(room) = self.rooms.get(&key) else {
            return;
        };
        let peers = room.peers.iter().filter_map(|index| self.peers.get(*index));
        let people = peers.filter_map(|peer| {
            let id = peer.person.clone();
            let quality = peer
                .bandwidth
                .quality()
                .filter(|told| *told != Quality::Good)?;
            Some(PersonQuality { id, quality })
        });
        let people: Vec<_> = people.collect();
        if !people.is_empty() {
            room.send_event(Event::Qualities { people });
        }
    }

    /// Records statistics of a connection, and sends its quality where it changed.
    pub(super) fn on_peer_stats(&mut self, index: usize, stats: &PeerStats) {
        let peer = &mut self.peers[index];
        if let Some(quality) = peer.on_peer_stats(stats) {
            let people = vec![PersonQuality {
                id: peer.person.clone(),
                quality,
            }];
            let room = peer.room;
            self.send_event(room, Event::Qualities { people });
        }
    }
}

#[cfg(test)]
#[path = "tick_tests.rs"]
mod tests;
