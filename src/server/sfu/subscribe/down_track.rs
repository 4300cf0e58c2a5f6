//! One outgoing RTP stream of a peer. Its source changes; the stream stays continuous.

use super::{allocator::Choice, assign::DownTrackState, rtx_policy::RtxCacheSize};
use crate::server::sfu::{
    codec::{AUDIO_CLOCK, Codec, PayloadTypes, VIDEO_CLOCK, red::RedSender},
    forward::{
        munger::{MungedHeader, RtpMunger, SourceHeader},
        packet::{Descriptor, MediaPacket},
    },
    publish::track::Track,
};
use crate::{protocol::Slot, server::metrics::ForwardedLayer};
use std::{sync::Arc, time::Instant};
use str0m::{
    Rtc,
    media::{MediaKind, Mid, Pt},
    rtp::{RtpWrite, Ssrc, StreamTx, Vp8Patch},
};

/// The largest ratio of retransmitted to sent bytes. 0.5: at 10 % loss some packets are
/// requested two or three times, and a lost keyframe costs more.
const RTX_RATIO: f32 = 0.5;

/// A media description on which this server sends to a peer.
pub struct DownTrack {
    /// The media description that this peer receives on.
    pub mid: Mid,
    /// Whether the media kind is video; audio otherwise.
    pub video: bool,
    /// The MediaStream ID (RFC 8830). Browsers synchronise the tracks of one stream.
    stream_id: String,
    /// The outgoing SSRC, fixed for the life of the slot.
    ssrc: Ssrc,
    /// The payload types that the receiver negotiated.
    payload_types: PayloadTypes,
    /// The codec of the current source; none before the first packet.
    codec: Option<Codec>,
    /// The extended sequence number of the first packet of the current source.
    start_seq: u64,
    /// The RED encoder (RFC 2198); none while audio is sent without redundancy.
    red_sender: Option<RedSender>,
    /// The index of the subscribed track in the room; none while unbound.
    pub track: Option<usize>,
    /// The layer that is forwarded; none until its first keyframe.
    pub current_layer: Option<usize>,
    /// The layer to forward from its next keyframe on; none while paused.
    pub target_layer: Option<usize>,
    /// The layer that the displayed size asks for, regardless of bandwidth.
    pub desired_layer: Option<usize>,
    /// Whether the video is paused because the bandwidth does not suffice.
    pub paused: bool,
    /// The state that was last sent to the receiver.
    pub announced: Slot,
    /// The size of the retransmission cache.
    rtx_cache_size: RtxCacheSize,
    /// Rewrites RTP headers so that the stream stays continuous.
    munger: RtpMunger,
}

impl DownTrack {
    /// Creates the down track of a media description; none if no codec was negotiated.
    /// `red`: whether the receiver offered RED; `resend`: the size of the retransmission cache.
    pub fn new(
        rtc: &mut Rtc,
        mid: Mid,
        red: bool,
        resend: RtxCacheSize,
        now: Instant,
    ) -> Option<Self> {
        let media = rtc.media(mid)?;
        let video = media.kind() == MediaKind::Video;
        let name = media.stream_id().to_owned();
        let payload_types = PayloadTypes::negotiated(rtc, mid).with_red(red);
        if payload_types.is_empty() {
            return None;
        }
        let mut direct = rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None)?;
        if video {
            set_rtx_cache(stream, resend);
            // The publisher has paced the packets already. Paced again at a low estimate, a
            // keyframe would take seconds.
            stream.set_unpaced(true);
        }
        let (first_seq, clock) = (
            rand::random::<u16>() & 0x7fff,
            if video { VIDEO_CLOCK } else { AUDIO_CLOCK },
        );
        // str0m reports RTP timestamp 0 in sender reports until a packet is written.
        let mut munger = RtpMunger::new(
            first_seq,
            0,
            clock,
            rand::random::<u16>() & 0x7fff,
            rand::random(),
        );
        munger.set_start_time(now);
        Some(Self {
            mid,
            video,
            stream_id: name,
            ssrc: stream.ssrc(),
            payload_types,
            codec: None,
            start_seq: 0,
            red_sender: None,
            track: None,
            current_layer: None,
            target_layer: None,
            desired_layer: None,
            paused: false,
            announced: Slot {
                mid: mid.to_string(),
                id: None,
                source: None,
                paused: false,
            },
            rtx_cache_size: resend,
            munger,
        })
    }

    /// Starts the RTP clock of a stream that has sent nothing, for its first sender report.
    pub fn on_connected(&mut self, now: Instant) {
        if self.codec.is_none() {
            self.munger.set_start_time(now);
        }
    }

    /// Sets the size of the video retransmission cache and empties it.
    pub fn set_rtx_cache_size(&mut self, rtc: &mut Rtc, resend: RtxCacheSize) {
        self.rtx_cache_size = resend;
        if self.video {
            self.clear_rtx_cache(rtc);
        }
    }

    /// Empties the retransmission cache before a keyframe. After a drop in bandwidth,
    /// retransmissions of the larger layer would delay the new one for seconds.
    fn clear_rtx_cache(&self, rtc: &mut Rtc) {
        if let Some(stream) = rtc.direct_api().stream_tx(&self.ssrc) {
            set_rtx_cache(stream, self.rtx_cache_size);
        }
    }

    /// The state that [`super::assign`] needs.
    pub fn state(&self) -> DownTrackState<'_> {
        DownTrackState {
            stream_id: &self.stream_id,
            video: self.video,
            track: self.track,
        }
    }

    /// Ends the subscription. Nothing of its track is retransmitted from now on.
    pub fn unbind(&mut self, rtc: &mut Rtc) {
        if self.video {
            self.clear_rtx_cache(rtc);
        }
        self.pause();
        self.track = None;
        self.paused = false;
    }

    /// Applies the allocator's choice from the next keyframe on; true if a layer changed.
    /// `drains`: stop the current layer at once, because a queue has to drain.
    pub fn apply_choice(&mut self, rtc: &mut Rtc, choice: &Choice, drains: bool) -> bool {
        let before = (self.target_layer, self.desired_layer);
        (self.target_layer, self.desired_layer) = (choice.layer, choice.desired_layer);
        self.paused = choice.layer.is_none() && choice.desired_layer.is_some();
        let stops = self.target_layer.is_none() || (drains && self.awaits_keyframe());
        if stops && self.current_layer.take().is_some() {
            self.clear_rtx_cache(rtc);
        }
        before != (self.target_layer, self.desired_layer)
    }

    /// Stops forwarding and keeps the subscription.
    pub fn pause(&mut self) {
        self.current_layer = None;
        self.target_layer = None;
        self.desired_layer = None;
        self.paused = true;
    }

    /// Forwards a packet of the subscribed track if it belongs to the right layer; true if
    /// the packet was written.
    pub fn forward(&mut self, rtc: &mut Rtc, packet: &MediaPacket, layer: usize) -> bool {
        let Some(pt) = self.payload_types.of(packet.codec) else {
            self.codec = self.codec.filter(|_| self.current_layer != Some(layer));
            return false;
        };
        let before = self.current_layer;
        let goes_on = before == Some(layer) && self.codec == Some(packet.codec);
        if !goes_on && !self.begin_source(packet, layer) {
            return false;
        }
        if self.video && self.current_layer != before {
            self.clear_rtx_cache(rtc);
        }
        if packet.payload.is_empty() {
            // Padding is not forwarded; the munger closes the gap.
            self.munger.skip(packet.seq);
            return false;
        }
        self.write_rtp(rtc, packet, pt)
    }

    /// Starts a source with a decodable packet of the right layer: another track, another
    /// layer, or the same layer in another codec.
    fn begin_source(&mut self, packet: &MediaPacket, layer: usize) -> bool {
        let same = self.current_layer == Some(layer);
        let late = same && packet.seq < self.start_seq;
        if late
            || !packet.is_decodable_start
            || !(same || may_begin_layer(self.current_layer, self.target_layer, layer))
        {
            return false;
        }
        // Another layer of the same track continues at its own capture time.
        let offset = match self.current_layer.replace(layer) {
            Some(before) if before == layer => Some(0),
            before => before.and_then(|before| packet.layer_time_offsets[before]),
        };
        match offset {
            Some(offset) => self.munger.switch_source_with_offset(offset),
            None => self.munger.switch_source(),
        }
        // A new decoder accepts any picture ID, and rewriting VP9's would copy the payload.
        if self.codec.replace(packet.codec) != Some(packet.codec) && packet.codec == Codec::Vp9 {
            self.munger.keep_picture_ids();
        }
        self.start_seq = packet.seq;
        true
    }

    /// Writes a packet with the rewritten header.
    fn write_rtp(&mut self, rtc: &mut Rtc, packet: &MediaPacket, pt: Pt) -> bool {
        let numbered = self.munger.munge(&SourceHeader {
            seq: packet.seq,
            time: packet.time,
            received_at: packet.received_at,
            picture_id: packet.descriptor.picture_id(),
            tl0: packet.descriptor.tl0(),
        });
        let Some(numbered) = numbered else {
            return false;
        };
        let (pt, payload) = match self.with_redundancy(packet, &numbered, pt) {
            Some((pt, both)) => (pt, both.into()),
            None => (pt, payload(packet, &numbered)),
        };
        let seq = numbered.seq.into();
        let mut write = RtpWrite::new(pt, seq, numbered.time, packet.capture_time, payload)
            .marker(packet.marker)
            .ext_vals(packet.extensions.clone())
            .nackable(self.video);
        if let Some(patch) = vp8_patch(packet, &numbered) {
            write = write.vp8_patch(patch);
        }
        let mut direct = rtc.direct_api();
        let Some(stream) = direct.stream_tx(&self.ssrc) else {
            return false;
        };
        stream.write_rtp(write);
        true
    }

    /// Whether a video layer is forwarded or will be from its next keyframe on.
    pub fn sends_video(&self) -> bool {
        self.video && self.target_layer.is_some()
    }

    /// The state for the metrics. `single`: the track has one layer.
    pub fn forwarded_layer(&self, single: bool) -> ForwardedLayer {
        match self.current_layer {
            _ if self.paused => ForwardedLayer::Paused,
            None => ForwardedLayer::Waiting,
            Some(_) if single => ForwardedLayer::Single,
            Some(layer) => ForwardedLayer::Layer(layer),
        }
    }

    /// The RED payload type and the audio payload with its predecessor; none if the packet
    /// is sent without redundancy.
    fn with_redundancy(
        &mut self,
        packet: &MediaPacket,
        numbered: &MungedHeader,
        pt: Pt,
    ) -> Option<(Pt, Vec<u8>)> {
        let red = self.payload_types.red()?;
        let both = self.red_sender.as_mut()?;
        let both = both.wrap(*pt, numbered.time, &packet.payload)?;
        Some((red, both))
    }

    /// Turns RED redundancy for audio on or off.
    pub fn set_redundancy(&mut self, twice: bool) {
        self.red_sender = match twice {
            true => Some(self.red_sender.take().unwrap_or_default()),
            false => None,
        };
    }

    /// Whether the receiver negotiated this codec.
    pub fn accepts(&self, codec: Codec) -> bool {
        self.payload_types.of(codec).is_some()
    }

    /// Whether the receiver can decode the track; true while its codec is unknown.
    pub fn can_carry(&self, track: &Track) -> bool {
        track.codec.is_none_or(|codec| self.accepts(codec))
    }

    /// Whether the target layer waits for a keyframe.
    pub fn awaits_keyframe(&self) -> bool {
        self.target_layer.is_some() && self.target_layer != self.current_layer
    }

    /// Returns the state and records it as announced; none if the receiver knows it.
    pub fn take_announcement(&mut self, now: Slot) -> Option<Slot> {
        if self.announced == now {
            return None;
        }
        self.announced = now.clone();
        Some(now)
    }
}

/// Sets the retransmission cache of a stream, which empties it.
fn set_rtx_cache(stream: &mut StreamTx, resend: RtxCacheSize) {
    stream.set_rtx_cache(resend.max_packets(), resend.max_age(), Some(RTX_RATIO));
}

/// Whether a keyframe of this layer may start the source: the target layer always, a
/// lower one only while nothing is forwarded.
fn may_begin_layer(current: Option<usize>, target: Option<usize>, layer: usize) -> bool {
    target.is_some_and(|target| layer == target || (current.is_none() && layer < target))
}

/// The payload with rewritten VP9 picture IDs; str0m patches VP8 when it sends.
fn payload(packet: &MediaPacket, numbered: &MungedHeader) -> Arc<[u8]> {
    match &packet.descriptor {
        Descriptor::Vp9(vp9) => vp9.patch(&packet.payload, numbered.picture_id, numbered.tl0),
        Descriptor::Plain | Descriptor::Vp8(_) => packet.payload.clone(),
    }
}

/// The rewritten VP8 picture ID and TL0PICIDX.
fn vp8_patch(packet: &MediaPacket, numbered: &MungedHeader) -> Option<Vp8Patch> {
    let Descriptor::Vp8(vp8) = &packet.descriptor else {
        return None;
    };
    let mut patch = vp8.patch();
    if let Some(picture_id) = numbered.picture_id {
        patch = patch.picture_id(picture_id);
    }
    if let Some(tl0) = numbered.tl0 {
        patch = patch.tl0_pic_idx(tl0);
    }
    patch.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_keyframe_may_be_of_a_lower_layer_and_a_later_one_only_of_the_target() {
        let cases = [
            (None, Some(2), 2, true),
            (None, Some(2), 0, true),
            (None, Some(0), 1, false),
            (None, None, 0, false),
            (Some(0), Some(2), 2, true),
            (Some(0), Some(2), 1, false),
            (Some(2), Some(0), 0, true),
            (Some(0), None, 1, false),
        ];
        for (current, target, layer, expected) in cases {
            let begins = may_begin_layer(current, target, layer);
            assert_eq!(begins, expected, "{current:?} {target:?} {layer}");
        }
    }
}
