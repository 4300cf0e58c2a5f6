//! The path of a packet: from its publisher to the down tracks that subscribe to its track.

use super::core::Core;
use crate::protocol::Source;
use crate::server::sfu::{
    codec::{self, red::PreviousPayload},
    forward::packet::{MediaPacket, PacketOrigin},
    keys::RoomKey,
    peer::guard::guarded,
    publish::{capture_clock::SenderReport, track::Track},
};
use std::time::Instant;
use str0m::{
    media::{KeyframeRequestKind, Mid},
    rtp::RtpPacket,
};

/// The largest payload forwarded, in bytes. With headers it fits an Ethernet frame; str0m has room
/// for 2,000 bytes and panics beyond.
const MAX_PAYLOAD: usize = 1_450;

impl Core {
    /// Forwards a packet.
    pub(super) fn on_rtp_packet(&mut self, index: usize, packet: RtpPacket, now: Instant) {
        if let Some(seq) = packet.header.ext_vals.transport_cc {
            self.peers[index].upstream.twcc_guard.on_packet(seq);
        }
        let Some(origin) = self.find_origin(index, &packet) else {
            self.metrics.unknown_ssrc_packets.inc();
            return;
        };
        if self.is_muted(index, origin, &packet) {
            self.metrics.muted_packets.inc();
            return;
        }
        let report = packet.last_sender_info.as_ref().map(SenderReport::from);
        let Some((mut packet, before)) = self.parse_packet(index, packet, report, now) else {
            return;
        };
        let room = self.peers[index].room;
        let Some(track) = self.track(room, origin.track) else {
            return;
        };
        track.on_packet(origin, &mut packet, report);
        let (source, seq) = (track.source, packet.seq);
        let before = before.filter(|_| track.red_recovery.recovers_previous(seq));
        let is_new = source.is_video() || track.red_recovery.accepts(seq);
        if let (Source::Microphone, Some(level)) = (source, packet.audio_level()) {
            self.on_audio_level(room, origin.track, level, now);
        }
        self.metrics.received_packets.inc();
        self.media_packets_received = self.media_packets_received.saturating_add(1);
        if !is_new {
            return;
        }
        if let Some(before) = before {
            self.metrics.red_recovered_packets.inc();
            self.forward_to_subscribers(origin, &packet.recover_previous(before), index);
        }
        self.forward_to_subscribers(origin, &packet, index);
    }

    /// Parses a packet, and the previous payload that RED carries in it. Returns none where the
    /// payload is malformed or too large.
    fn parse_packet(
        &mut self,
        index: usize,
        mut packet: RtpPacket,
        report: Option<SenderReport>,
        now: Instant,
    ) -> Option<(MediaPacket, Option<PreviousPayload>)> {
        let peer = &mut self.peers[index];
        let (codec, before) = codec::unwrap_packet(&peer.rtc, &mut packet)?;
        if packet.payload.len() > MAX_PAYLOAD {
            self.metrics.oversized_packets.inc();
            return None;
        }
        let mut packet = MediaPacket::parse(packet, codec, now);
        if let Some(theirs) = report.and_then(|r| r.ntp_time_of(packet.time, codec.clock_rate())) {
            packet.capture_time = peer.upstream.capture_clock.capture_time(theirs, now);
        }
        Some((packet, before))
    }

    /// Records the audio level of a packet: -dBov, and whether the sender detects voice.
    fn on_audio_level(&mut self, room: RoomKey, track: usize, level: (u8, bool), now: Instant) {
        if let Some(room) = self.rooms.get_mut(&room) {
            let (level, voice) = level;
            room.speakers.level(track as u32, level, voice, now);
            room.loudest.level(track as u32, level, voice, now);
        }
    }

    /// Forwards a packet to every subscription of its track.
    fn forward_to_subscribers(&mut self, origin: PacketOrigin, packet: &MediaPacket, index: usize) {
        let room = self.peers[index].room;
        let Some(track) = self.track(room, origin.track) else {
            return;
        };
        // Taken out while peers are borrowed.
        let bound = std::mem::take(&mut track.subscriptions);
        let mut passed = 0;
        for place in &bound {
            // A keyframe sent before DTLS is done would be lost, and requests are rate-limited.
            let Some(peer) = self.peers.get_mut(place.peer).filter(|peer| peer.connected) else {
                continue;
            };
            let Some(slot) = peer.downstream.down_tracks.get_mut(place.down_track) else {
                continue;
            };
            let passes = guarded(|| Ok(slot.forward(&mut peer.rtc, packet, origin.layer)));
            if passes.is_none() {
                self.closing.push(place.peer);
            }
            if passes == Some(true) {
                passed += 1;
                peer.has_writes = true;
                if !std::mem::replace(&mut peer.dirty, true) {
                    self.dirty.push(place.peer);
                }
                if slot.video
                    && let Some(waited) = peer.on_video_forwarded(packet.received_at)
                {
                    self.metrics
                        .first_frame_seconds
                        .observe(waited.as_secs_f64());
                }
            }
        }
        self.metrics.forwarded_packets.inc_by(passed);
        if let Some(room) = self.rooms.get_mut(&room) {
            room.packets_forwarded += passed;
            if let Some(track) = room.tracks.get_mut(origin.track) {
                track.subscriptions = bound;
            }
        }
    }

    /// Whether a packet is dropped because a host muted its source. Here, before anything counts
    /// it: a muted packet has no audio level, no bitrate, no payload to recover and no receiver.
    fn is_muted(&mut self, index: usize, origin: PacketOrigin, packet: &RtpPacket) -> bool {
        let track = self.track(self.peers[index].room, origin.track);
        track.is_some_and(|track| track.drops(origin.layer, packet.header.ssrc, *packet.seq_no))
    }

    /// A track of a room, by its key.
    fn track(&mut self, room: RoomKey, track: usize) -> Option<&mut Track> {
        self.rooms.get_mut(&room)?.tracks.get_mut(track)
    }

    /// The track and layer of a packet, by its SSRC; for a new SSRC by its MID and RID.
    fn find_origin(&mut self, index: usize, packet: &RtpPacket) -> Option<PacketOrigin> {
        let ssrc = packet.header.ssrc;
        let peer = self.peers.get_mut(index)?;
        if let Some(origin) = peer.upstream.origin_of(ssrc) {
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
        let layer = found.layer_by_rid(rid)?;
        let origin = PacketOrigin { mid, track, layer };
        peer.upstream.register_ssrc(ssrc, origin);
        Some(origin)
    }

    /// Handles the keyframe request of a receiver.
    pub(super) fn on_keyframe_request(&mut self, index: usize, mid: Mid, now: Instant) {
        self.metrics.keyframe_requests_received.inc();
        let peer = &self.peers[index];
        let slot = peer
            .downstream
            .down_tracks
            .iter()
            .find(|slot| slot.mid == mid);
        let Some((track, layer)) =
            slot.and_then(|s| Some((s.track?, s.current_layer.or(s.target_layer)?)))
        else {
            return;
        };
        self.request_keyframe(peer.room, track, layer, now);
    }

    /// Requests a keyframe of a layer, rate-limited. Returns whether the sender was asked now.
    pub(super) fn request_keyframe(
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
        wanted.keyframes.request(now);
        let due = wanted.keyframes.take_due(now);
        if due {
            let (owner, mid, rid) = (track.owner, track.mid, wanted.rid);
            self.send_pli(owner, mid, rid);
        }
        due
    }

    /// Sends a picture loss indication (RFC 4585 6.3.1).
    pub(super) fn send_pli(&mut self, owner: usize, mid: Mid, rid: Option<str0m::media::Rid>) {
        let Some(peer) = self.peers.get_mut(owner) else {
            return;
        };
        let mut direct = peer.rtc.direct_api();
        if let Some(stream) = direct.stream_rx_by_mid(mid, rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            self.metrics.keyframe_requests_sent.inc();
            self.mark_dirty(owner);
        }
    }
}
