//! The path of a packet: from the one who sends it to the slots bound to its track.

use super::core::{Core, guarded};
use crate::server::sfu::{
    RoomKey,
    codec::{self, red::Before},
    forward::packet::{Forwarded, Origin},
    publish::capture_clock::Report,
    publish::track::Track,
};
use crate::{protocol::Source, server::metrics::media as counts};
use std::time::Instant;
use str0m::{
    media::{KeyframeRequestKind, Mid},
    rtp::RtpPacket,
};

/// The largest payload passed on, in bytes. With its headers it fits a datagram of Ethernet;
/// str0m has room for 2,000 bytes and panics beyond.
const MAX_PAYLOAD: usize = 1_450;

impl Core {
    /// Passes a packet on.
    pub(super) fn forward(&mut self, index: usize, packet: RtpPacket, now: Instant) {
        if let Some(seq) = packet.header.ext_vals.transport_cc {
            self.peers[index].transport_seq.came(seq);
        }
        let Some(origin) = self.origin(index, &packet) else {
            counts::PACKETS_HOMELESS.add(1);
            return;
        };
        let report = packet.last_sender_info.as_ref().map(Report::from);
        let Some((mut packet, before)) = self.read(index, packet, report, now) else {
            return;
        };
        let room = self.peers[index].room;
        let Some(track) = self.track(room, origin.track) else {
            return;
        };
        track.came(origin, &mut packet, report);
        let (source, seq) = (track.source, packet.seq);
        let before = before.filter(|_| track.mender.mends(seq));
        let is_new = source.is_video() || track.mender.takes(seq);
        if let (Source::Microphone, Some(level)) = (source, packet.level()) {
            self.hears(room, origin.track, level, now);
        }
        counts::PACKETS_IN.add(1);
        self.passed = self.passed.saturating_add(1);
        if !is_new {
            return;
        }
        if let Some(before) = before {
            counts::PACKETS_MENDED.add(1);
            self.pass(origin, &packet.mended(before), index);
        }
        self.pass(origin, &packet, index);
    }

    /// Reads a packet, with the sound before it where that came along; nothing where it makes
    /// no sense or is too large.
    fn read(
        &mut self,
        index: usize,
        mut packet: RtpPacket,
        report: Option<Report>,
        now: Instant,
    ) -> Option<(Forwarded, Option<Before>)> {
        let peer = &mut self.peers[index];
        let (codec, before) = codec::read(&peer.rtc, &mut packet)?;
        if packet.payload.len() > MAX_PAYLOAD {
            counts::PACKETS_TOO_LARGE.add(1);
            return None;
        }
        let mut packet = Forwarded::read(packet, codec, now);
        if let Some(theirs) = report.and_then(|r| r.at(packet.time, codec.clock_rate())) {
            packet.taken = peer.capture.taken(theirs, now);
        }
        Some((packet, before))
    }

    /// Somebody's voice is so loud, and may be one.
    fn hears(&mut self, room: RoomKey, track: usize, level: (u8, bool), now: Instant) {
        if let Some(room) = self.rooms.get_mut(&room) {
            let (level, voice) = level;
            room.speakers.level(track as u32, level, voice, now);
            room.loudest.level(track as u32, level, voice, now);
        }
    }

    /// Gives a packet to every slot bound to its track.
    fn pass(&mut self, origin: Origin, packet: &Forwarded, index: usize) {
        let room = self.peers[index].room;
        let Some(track) = self.track(room, origin.track) else {
            return;
        };
        // Taken out for the while: peers are written to as it is read.
        let bound = std::mem::take(&mut track.bound);
        let mut passed = 0;
        for place in &bound {
            // A keyframe for somebody who cannot be reached yet would be lost, and the next
            // one is not asked for so soon.
            let Some(peer) = self.peers.get_mut(place.peer).filter(|peer| peer.connected) else {
                continue;
            };
            let Some(slot) = peer.slots.get_mut(place.slot) else {
                continue;
            };
            let passes = guarded(|| Ok(slot.pass(&mut peer.rtc, packet, origin.layer)));
            if passes.is_none() {
                self.over.push(place.peer);
            }
            if passes == Some(true) {
                passed += 1;
                peer.written = true;
                if !std::mem::replace(&mut peer.dirty, true) {
                    self.dirty.push(place.peer);
                }
                if slot.video && !std::mem::replace(&mut peer.served, true) {
                    let waited = packet.at.saturating_duration_since(peer.waits_since());
                    counts::FIRST_FRAME_SECONDS.observe(waited.as_secs_f64());
                }
            }
        }
        counts::PACKETS_OUT.add(passed);
        if let Some(room) = self.rooms.get_mut(&room) {
            room.passed += passed;
            if let Some(track) = room.tracks.get_mut(origin.track) {
                track.bound = bound;
            }
        }
    }

    /// A track of a room.
    fn track(&mut self, room: RoomKey, track: usize) -> Option<&mut Track> {
        self.rooms.get_mut(&room)?.tracks.get_mut(track)
    }

    /// Which track and layer a packet belongs to.
    fn origin(&mut self, index: usize, packet: &RtpPacket) -> Option<Origin> {
        let ssrc = packet.header.ssrc;
        let peer = self.peers.get_mut(index)?;
        if let Some(origin) = peer.origin(ssrc) {
            return Some(origin);
        }
        let mut direct = peer.rtc.direct_api();
        let stream = direct.stream_rx(&ssrc)?;
        let (mid, rid) = (stream.mid(), stream.rid());
        let room = self.rooms.get(&peer.room)?;
        let ours = room.tracks.iter();
        let (track, found) = ours
            .filter(|(_, track)| track.owner == index)
            .find(|(_, track)| track.mid == mid)?;
        let layer = found.layer_of(rid)?;
        let origin = Origin { mid, track, layer };
        peer.meet(ssrc, origin);
        Some(origin)
    }

    /// Somebody cannot decode what a slot carries: its source is asked for a keyframe.
    pub(super) fn keyframe_asked(&mut self, index: usize, mid: Mid, now: Instant) {
        counts::KEYFRAMES_ASKED.add(1);
        let peer = &self.peers[index];
        let slot = peer.slots.iter().find(|slot| slot.mid == mid);
        let Some((track, layer)) = slot.and_then(|s| Some((s.track?, s.current.or(s.target)?)))
        else {
            return;
        };
        self.want_keyframe(peer.room, track, layer, now);
    }

    /// A keyframe of a layer is wanted; its sender is asked as often as is fit. True where
    /// it was asked now.
    pub(super) fn want_keyframe(
        &mut self,
        room: RoomKey,
        track: usize,
        layer: usize,
        now: Instant,
    ) -> bool {
        let Some(track) = self.track(room, track) else {
            return false;
        };
        let Some(wanted) = track.layers.get_mut(layer) else {
            return false;
        };
        wanted.keyframes.want(now);
        let due = wanted.keyframes.due(now);
        if due {
            let (owner, mid, rid) = (track.owner, track.mid, wanted.rid);
            self.ask_keyframe(owner, mid, rid);
        }
        due
    }

    /// Sends a picture loss indication (RFC 4585 6.3.1).
    pub(super) fn ask_keyframe(&mut self, owner: usize, mid: Mid, rid: Option<str0m::media::Rid>) {
        let Some(peer) = self.peers.get_mut(owner) else {
            return;
        };
        let mut direct = peer.rtc.direct_api();
        if let Some(stream) = direct.stream_rx_by_mid(mid, rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            counts::KEYFRAMES_SENT.add(1);
            self.soil(owner);
        }
    }
}
