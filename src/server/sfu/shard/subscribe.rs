//! Subscriptions: down tracks carry the video that a peer wants and the loudest voices.
//!
//! A subscription keeps its down track while it is wanted, so that video does not jump from one
//! element to another.

use super::core::Core;
use crate::protocol::{Slot, Source};
use crate::server::sfu::{
    command::Event,
    keys::RoomKey,
    publish::track::Subscription,
    subscribe::{allocator, assign, down_track::DownTrack},
};
use std::{cmp::Reverse, time::Instant};
use str0m::bwe::BweKind;

/// Voices that a peer receives, besides pinned ones.
const MAX_VOICES: usize = 3;

impl Core {
    /// Updates the subscriptions of every peer of a room.
    pub(super) fn update_room_subscriptions(&mut self, room: RoomKey, now: Instant) {
        let peers = self.rooms.get(&room).map(|room| room.peers.clone());
        for index in peers.into_iter().flatten() {
            self.update_subscriptions(index, now);
        }
        self.tick_layers(room, now);
    }

    /// Updates the subscriptions of a peer and sends its slots.
    pub(super) fn update_subscriptions(&mut self, index: usize, now: Instant) {
        let pictures = self.wanted_video(index);
        self.subscribe(index, true, &pictures);
        let downstream = &mut self.peers[index].downstream;
        if downstream.has_video() {
            downstream.on_video_assigned(now);
        }
        let sounds = self.wanted_audio(index, now);
        self.subscribe(index, false, &sounds);
        self.allocate(index, now);
        self.send_slots(index);
    }

    /// Updates the audio subscriptions of a peer and sends its slots.
    pub(super) fn update_audio_subscriptions(&mut self, index: usize, now: Instant) {
        let sounds = self.wanted_audio(index, now);
        self.subscribe(index, false, &sounds);
        self.send_slots(index);
    }

    /// The video tracks that a peer wants, by priority.
    fn wanted_video(&self, index: usize) -> Vec<usize> {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return Vec::new();
        };
        let mut wanted: Vec<_> = peer
            .downstream
            .wanted
            .iter()
            .filter(|w| w.source.is_video() && w.height > 0)
            .filter_map(|w| {
                let track = room.track_of(&w.id, w.source)?;
                let sent = &room.tracks[track];
                (sent.owner != index && !sent.is_muted()).then(|| (room.priority_of(w), track))
            })
            .collect();
        wanted.sort_by_key(|(priority, _)| Reverse(*priority));
        wanted.dedup_by_key(|(_, track)| *track);
        wanted.into_iter().map(|(_, track)| track).collect()
    }

    /// The audio tracks of a peer, by priority: pinned voices, the loudest voice, the audio of
    /// screens, the next loudest voices.
    fn wanted_audio(&self, index: usize, now: Instant) -> Vec<usize> {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return Vec::new();
        };
        let others = room.tracks.iter().filter(|(_, track)| track.owner != index);
        let sounds = others.filter(|(_, track)| track.has_audio(now));
        let (voices, screens): (Vec<_>, Vec<_>) =
            sounds.partition(|(_, track)| track.source == Source::Microphone);
        let pinned = voices
            .iter()
            .filter(|(_, track)| peer.downstream.has_pinned(&track.person));
        let pinned = pinned.map(|(key, _)| *key);
        let all = voices.iter().map(|(key, _)| *key);
        let quiet = all.clone().filter(|_| voices.len() <= MAX_VOICES);
        let loudest = room.loudest.loudest().map(|key| key as usize);
        let loudest = loudest.filter(|key| all.clone().any(|voice| voice == *key));
        let mut heard = without_duplicates(loudest.chain(quiet));
        heard.truncate(MAX_VOICES);
        let rest = heard.split_off(1.min(heard.len()));
        let screens = screens.into_iter().map(|(key, _)| key);
        without_duplicates(pinned.chain(heard).chain(screens).chain(rest))
    }

    /// Subscribes to these tracks, as many as there are down tracks of the kind.
    fn subscribe(&mut self, index: usize, video: bool, wanted: &[usize]) {
        let slots = &self.peers[index].downstream.down_tracks;
        let places = slots.iter().filter(|slot| slot.video == video).count();
        let wanted = &wanted[..places.min(wanted.len())];
        self.unsubscribe_all_but(index, video, wanted);
        for track in wanted {
            self.subscribe_to(index, video, *track);
        }
    }

    /// Ends the subscriptions of one kind to all tracks but these.
    fn unsubscribe_all_but(&mut self, index: usize, video: bool, wanted: &[usize]) {
        let Self { peers, rooms, .. } = self;
        let peer = &mut peers[index];
        let Some(room) = rooms.get_mut(&peer.room) else {
            return;
        };
        let slots = peer.downstream.down_tracks.iter_mut().enumerate();
        for (place, slot) in slots.filter(|(_, slot)| slot.video == video) {
            let Some(track) = slot.track.filter(|track| !wanted.contains(track)) else {
                continue;
            };
            slot.unbind(&mut peer.rtc);
            if let Some(track) = room.tracks.get_mut(track) {
                track
                    .subscriptions
                    .retain(|b| b.peer != index || b.down_track != place);
            }
        }
    }

    /// Subscribes a free down track to a track, unless one has it.
    fn subscribe_to(&mut self, index: usize, video: bool, track: usize) {
        let Self { peers, rooms, .. } = self;
        let peer = &mut peers[index];
        let Some(room) = rooms.get_mut(&peer.room) else {
            return;
        };
        if peer
            .downstream
            .down_tracks
            .iter()
            .any(|slot| slot.track == Some(track))
        {
            return;
        }
        let places: Vec<_> = peer
            .downstream
            .down_tracks
            .iter()
            .map(DownTrack::state)
            .collect();
        let free = assign::best_down_track(&places, video, room.counterpart(track));
        if let (Some(place), Some(bound)) = (free, room.tracks.get_mut(track)) {
            let slot = &mut peer.downstream.down_tracks[place];
            slot.track = Some(track);
            slot.target_layer = (!video).then_some(0);
            bound.subscriptions.push(Subscription {
                peer: index,
                down_track: place,
            });
        }
    }

    /// Allocates the bandwidth of a peer to its video.
    pub(super) fn allocate(&mut self, index: usize, now: Instant) {
        let mut wanted = self.video_requests(index, now);
        self.shed_load(index, &mut wanted);
        let peer = &mut self.peers[index];
        let sound = peer.audio_bps();
        let budget = peer
            .bandwidth
            .budget(now)
            .map(|bps| bps.saturating_sub(sound));
        let shares = peer.downstream.allocator.allocate(now, budget, &wanted);
        peer.update_probing(&shares, sound, now);
        let (room, drains) = (peer.room, peer.bandwidth.link.is_draining(now));
        let tracks = self.rooms.get(&room).map(|room| &room.tracks);
        let mut asked = Vec::new();
        for choice in &shares.choices {
            let slot = &mut peer.downstream.down_tracks[choice.key as usize];
            if slot.apply_choice(&mut peer.rtc, choice, drains) {
                tracing::debug!(person = ?peer.person, ?budget, ?choice, "video allocation changed");
            }
            let (Some(track), Some(layer)) = (slot.track, slot.target_layer) else {
                continue;
            };
            let waits = peer.connected && !drains && slot.awaits_keyframe();
            let carried = tracks.and_then(|tracks| tracks.get(track));
            if waits && carried.is_some_and(|track| slot.can_carry(track)) {
                asked.push((track, layer, slot.current_layer.is_none()));
            }
        }
        for (track, layer, first) in asked {
            match first {
                true => self.request_first_keyframe(room, track, layer, now),
                false => {
                    self.request_keyframe(room, track, layer, now);
                }
            }
        }
    }

    /// Pauses the video above the limit of a busy shard, the lowest priority first.
    fn shed_load(&mut self, index: usize, wanted: &mut Vec<allocator::VideoRequest>) {
        let peer = &mut self.peers[index];
        let room = self.rooms.get(&peer.room);
        let Some(most) = room.and_then(|room| room.video_limit.limit()) else {
            return;
        };
        if wanted.len() > most {
            wanted.sort_by_key(|wanted| Reverse(wanted.priority));
            for refused in wanted.drain(most..) {
                peer.downstream.down_tracks[refused.key as usize].pause();
            }
        }
    }

    /// What the video subscriptions of a peer could carry.
    fn video_requests(&self, index: usize, now: Instant) -> Vec<allocator::VideoRequest> {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return Vec::new();
        };
        let bound = peer
            .downstream
            .down_tracks
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.video);
        let wish = |(place, slot): (usize, &DownTrack)| {
            let track = room.tracks.get(slot.track?)?;
            let wanted = peer.downstream.wanted_of(&track.person, track.source)?;
            let mut layers = [None; 3];
            for (place, (rate, layer)) in layers.iter_mut().zip(&track.layers).enumerate() {
                let live = track.is_layer_live(place, now) && slot.can_carry(track);
                *rate = live.then(|| allocator::LayerRate {
                    height: layer.height,
                    bps: layer.meter.bitrate_bps(now),
                });
            }
            Some(allocator::VideoRequest {
                key: place as u32,
                priority: room.priority_of(wanted),
                height: wanted.height,
                layers,
                single: track.layers.len() == 1,
            })
        };
        bound.filter_map(wish).collect()
    }

    /// Handles an estimate of str0m.
    pub(super) fn on_bandwidth_estimate(&mut self, index: usize, estimate: &BweKind, now: Instant) {
        if let BweKind::Twcc { estimate, .. } = estimate {
            // A lower estimate is acted upon at once, a higher one at the next tick.
            if self.peers[index].bandwidth.on_estimate(*estimate) {
                self.allocate(index, now);
                self.send_slots(index);
            }
        }
    }

    /// Sends the whole state of a peer again, free slots included.
    pub(super) fn resync(&self, index: usize) {
        let peer = &self.peers[index];
        let event = Event::Slots {
            peer: peer.key,
            slots: peer
                .downstream
                .down_tracks
                .iter()
                .map(|slot| slot.announced.clone())
                .collect(),
        };
        self.send_event(peer.room, event);
        self.resync_layers(index);
        self.resync_screen_codecs(index);
        self.resync_qualities(peer.room);
    }

    /// Sends the slots of a peer that changed.
    pub(super) fn send_slots(&mut self, index: usize) {
        let Self { peers, rooms, .. } = self;
        let peer = &mut peers[index];
        let Some(room) = rooms.get(&peer.room) else {
            return;
        };
        let news = peer.downstream.down_tracks.iter_mut().filter_map(|slot| {
            let track = slot.track.and_then(|track| room.tracks.get(track));
            let now = Slot {
                mid: slot.announced.mid.clone(),
                id: track.map(|track| track.person.clone()),
                source: track.map(|track| track.source),
                paused: slot.paused,
            };
            slot.take_announcement(now)
        });
        let slots: Vec<Slot> = news.collect();
        if !slots.is_empty() {
            room.send_event(Event::Slots {
                peer: peer.key,
                slots,
            });
        }
    }
}

/// The keys in their order, each once.
fn without_duplicates(keys: impl Iterator<Item = usize>) -> Vec<usize> {
    keys.fold(Vec::new(), |mut known, key| {
        if !known.contains(&key) {
            known.push(key);
        }
        known
    })
}

#[cfg(test)]
#[path = "subscribe_tests.rs"]
mod tests;
