//! Who gets what: tracks are bound to slots by what people want to see and who is heard.
//!
//! A binding stays while it is wanted, so that a picture does not jump from slot to slot.

use super::core::Core;
use crate::protocol::{Slot as Told, Source};
use crate::server::sfu::{
    RoomKey,
    bwe::estimate::Estimate,
    command::Event,
    publish::track::Bound,
    subscribe::{allocator, assign, down_track::OutSlot},
};
use std::{cmp::Reverse, time::Instant};
use str0m::bwe::BweKind;

/// How many voices anybody hears, besides pinned ones.
const VOICES: usize = 3;

impl Core {
    /// Binds everybody's slots anew.
    pub(super) fn bind_room(&mut self, room: RoomKey, now: Instant) {
        let peers = self.rooms.get(&room).map(|room| room.peers.clone());
        for index in peers.into_iter().flatten() {
            self.bind(index, now);
        }
        self.tick_layers(room, now);
    }

    /// Binds one peer's slots anew and tells them.
    pub(super) fn bind(&mut self, index: usize, now: Instant) {
        let pictures = self.wanted_pictures(index);
        self.place(index, true, &pictures);
        let peer = &mut self.peers[index];
        if peer
            .slots
            .iter()
            .any(|slot| slot.video && slot.track.is_some())
        {
            peer.watches_since.get_or_insert(now);
        }
        let sounds = self.wanted_sounds(index, now);
        self.place(index, false, &sounds);
        self.allocate(index, now);
        self.tell_slots(index);
    }

    /// Binds one peer's slots of sound anew.
    pub(super) fn bind_sounds(&mut self, index: usize, now: Instant) {
        let sounds = self.wanted_sounds(index, now);
        self.place(index, false, &sounds);
        self.tell_slots(index);
    }

    /// The tracks on a peer's screen, most wanted first.
    fn wanted_pictures(&self, index: usize) -> Vec<usize> {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return Vec::new();
        };
        let mut wanted: Vec<_> = peer
            .wanted
            .iter()
            .filter(|w| w.source.is_video() && w.height > 0)
            .filter_map(|w| {
                let track = room.track_of(&w.id, w.source)?;
                (room.tracks[track].owner != index).then(|| (room.priority_of(w), track))
            })
            .collect();
        wanted.sort_by_key(|(priority, _)| Reverse(*priority));
        wanted.dedup_by_key(|(_, track)| *track);
        wanted.into_iter().map(|(_, track)| track).collect()
    }

    /// What a peer hears, most wanted first: pinned voices, the loudest of all, the sound of
    /// screens, and the next loudest.
    fn wanted_sounds(&self, index: usize, now: Instant) -> Vec<usize> {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return Vec::new();
        };
        let others = room.tracks.iter().filter(|(_, track)| track.owner != index);
        let sounds = others.filter(|(_, track)| track.is_sound(now));
        let (voices, screens): (Vec<_>, Vec<_>) =
            sounds.partition(|(_, track)| track.source == Source::Microphone);
        let pinned = voices.iter().filter(|(_, track)| peer.pins(&track.person));
        let pinned = pinned.map(|(key, _)| *key);
        let all = voices.iter().map(|(key, _)| *key);
        let quiet = all.clone().filter(|_| voices.len() <= VOICES);
        let loudest = room.loudest.loudest().map(|key| key as usize);
        let loudest = loudest.filter(|key| all.clone().any(|voice| voice == *key));
        let mut heard = once_each(loudest.chain(quiet));
        heard.truncate(VOICES);
        let rest = heard.split_off(1.min(heard.len()));
        let screens = screens.into_iter().map(|(key, _)| key);
        once_each(pinned.chain(heard).chain(screens).chain(rest))
    }

    /// Binds these tracks to the slots of one kind, as many as there are slots.
    fn place(&mut self, index: usize, video: bool, wanted: &[usize]) {
        let slots = &self.peers[index].slots;
        let places = slots.iter().filter(|slot| slot.video == video).count();
        let wanted = &wanted[..places.min(wanted.len())];
        self.free_all_but(index, video, wanted);
        for track in wanted {
            self.place_one(index, video, *track);
        }
    }

    /// Frees a peer's slots of one kind that carry anything but these tracks.
    fn free_all_but(&mut self, index: usize, video: bool, wanted: &[usize]) {
        let Self { peers, rooms, .. } = self;
        let peer = &mut peers[index];
        let Some(room) = rooms.get_mut(&peer.room) else {
            return;
        };
        let slots = peer.slots.iter_mut().enumerate();
        for (place, slot) in slots.filter(|(_, slot)| slot.video == video) {
            let Some(track) = slot.track.filter(|track| !wanted.contains(track)) else {
                continue;
            };
            slot.free();
            if let Some(track) = room.tracks.get_mut(track) {
                track.bound.retain(|b| b.peer != index || b.slot != place);
            }
        }
    }

    /// Binds a track to a free slot of a peer, unless it has one.
    fn place_one(&mut self, index: usize, video: bool, track: usize) {
        let Self { peers, rooms, .. } = self;
        let peer = &mut peers[index];
        let Some(room) = rooms.get_mut(&peer.room) else {
            return;
        };
        if peer.slots.iter().any(|slot| slot.track == Some(track)) {
            return;
        }
        let places: Vec<_> = peer.slots.iter().map(OutSlot::place).collect();
        let free = assign::choose(&places, video, room.other_half(track));
        if let (Some(place), Some(bound)) = (free, room.tracks.get_mut(track)) {
            let slot = &mut peer.slots[place];
            slot.track = Some(track);
            slot.target = (!video).then_some(0);
            bound.bound.push(Bound {
                peer: index,
                slot: place,
            });
        }
    }

    /// Shares a peer's line out among its pictures.
    pub(super) fn allocate(&mut self, index: usize, now: Instant) {
        let mut wanted = self.wishes(index, now);
        self.refuse(index, &mut wanted);
        let peer = &mut self.peers[index];
        let sound = peer.sound_bps();
        let budget = peer.budget(now).map(|bps| bps.saturating_sub(sound));
        let shares = peer.allocator.allocate(now, budget, &wanted);
        if peer.estimated {
            peer.hold_ready(&shares, sound, now);
        }
        let (room, drains) = (peer.room, peer.line.drains(now));
        let tracks = self.rooms.get(&room).map(|room| &room.tracks);
        let mut asked = Vec::new();
        for choice in &shares.choices {
            let slot = &mut peer.slots[choice.key as usize];
            if slot.choose(&mut peer.rtc, choice, drains) {
                tracing::debug!(person = ?peer.person, ?budget, ?choice, "a picture is chosen anew");
            }
            let (Some(track), Some(layer)) = (slot.track, slot.target) else {
                continue;
            };
            let waits = peer.connected && !drains && slot.is_waiting();
            let carried = tracks.and_then(|tracks| tracks.get(track));
            if waits && carried.is_some_and(|track| slot.can_carry(track)) {
                asked.push((track, layer, slot.current.is_none()));
            }
        }
        for (track, layer, first) in asked {
            match first {
                true => self.want_first(room, track, layer, now),
                false => {
                    self.want_keyframe(room, track, layer, now);
                }
            }
        }
    }

    /// Pauses what is more than the room's shard can do, the least important first.
    fn refuse(&mut self, index: usize, wanted: &mut Vec<allocator::Wanted>) {
        let peer = &mut self.peers[index];
        let room = self.rooms.get(&peer.room);
        let Some(most) = room.and_then(|room| room.ceiling.most()) else {
            return;
        };
        if wanted.len() > most {
            wanted.sort_by_key(|wanted| Reverse(wanted.priority));
            for refused in wanted.drain(most..) {
                peer.slots[refused.key as usize].pause();
            }
        }
    }

    /// What a peer's bound slots of pictures could carry.
    fn wishes(&self, index: usize, now: Instant) -> Vec<allocator::Wanted> {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return Vec::new();
        };
        let bound = peer.slots.iter().enumerate().filter(|(_, slot)| slot.video);
        let wish = |(place, slot): (usize, &OutSlot)| {
            let track = room.tracks.get(slot.track?)?;
            let wanted = peer.wants(&track.person, track.source)?;
            let mut layers = [None; 3];
            for (place, (rate, layer)) in layers.iter_mut().zip(&track.layers).enumerate() {
                let live = track.is_live(place, now) && slot.can_carry(track);
                *rate = live.then(|| allocator::LayerRate {
                    height: layer.height,
                    bps: layer.meter.bitrate_bps(now),
                });
            }
            Some(allocator::Wanted {
                key: place as u32,
                priority: room.priority_of(wanted),
                height: wanted.height,
                layers,
                single: track.layers.len() == 1,
            })
        };
        bound.filter_map(wish).collect()
    }

    /// A peer's line carries more or less than was thought.
    pub(super) fn estimated(&mut self, index: usize, estimate: &BweKind, now: Instant) {
        if let BweKind::Twcc { estimate, .. } = estimate {
            let known = &mut self.peers[index].estimate;
            let before = known.map(|line| line.bps());
            let line = known.get_or_insert(Estimate::told(*estimate));
            line.tells(*estimate);
            let bps = line.bps();
            tracing::debug!(bps, told = estimate.as_u64(), "a line is estimated anew");
            // Less is acted upon at once, more at the next tick.
            if before.is_some_and(|before| bps < before) {
                self.allocate(index, now);
                self.tell_slots(index);
            }
        }
    }

    /// Tells a peer everything again, free slots too: it may believe otherwise.
    pub(super) fn remind(&self, index: usize) {
        let peer = &self.peers[index];
        let event = Event::Slots {
            peer: peer.key,
            slots: peer.slots.iter().map(|slot| slot.told.clone()).collect(),
        };
        self.tell(peer.room, event);
        self.remind_of_layers(index);
        self.remind_of_codecs(index);
        self.remind_of_qualities(peer.room);
    }

    /// Tells a peer what its slots carry, where that changed.
    pub(super) fn tell_slots(&mut self, index: usize) {
        let Self { peers, rooms, .. } = self;
        let peer = &mut peers[index];
        let Some(room) = rooms.get(&peer.room) else {
            return;
        };
        let news = peer.slots.iter_mut().filter_map(|slot| {
            let track = slot.track.and_then(|track| room.tracks.get(track));
            let now = Told {
                mid: slot.told.mid.clone(),
                id: track.map(|track| track.person.clone()),
                source: track.map(|track| track.source),
                paused: slot.paused,
            };
            slot.news(now)
        });
        let slots: Vec<Told> = news.collect();
        if !slots.is_empty() {
            room.tell(Event::Slots {
                peer: peer.key,
                slots,
            });
        }
    }
}

/// Each of these where it comes first.
fn once_each(keys: impl Iterator<Item = usize>) -> Vec<usize> {
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
