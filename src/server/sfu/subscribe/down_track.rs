//! One outgoing stream of a peer: what it carries changes, the stream goes on.

use super::{allocator::Choice, assign::DownTrackState, rtx_policy::RtxCacheSize};
use crate::server::sfu::{
    codec::{AUDIO_CLOCK, Codec, PayloadTypes, VIDEO_CLOCK, red::RedSender},
    forward::{
        munger::{MungedHeader, RtpMunger, SourceHeader},
        packet::{Descriptor, MediaPacket},
    },
    publish::track::Track,
};
use crate::{protocol::Slot as Told, server::metrics::Carried};
use std::{sync::Arc, time::Instant};
use str0m::{
    Rtc,
    media::{MediaKind, Mid, Pt},
    rtp::{RtpWrite, Ssrc, StreamTx, Vp8Patch},
};

/// Of what is sent, how much may be sent again. Half: on a line that loses one in ten some
/// are asked for two and three times, and a lost keyframe would cost more.
const RTX_RATIO: f32 = 0.5;

/// A receiving media description of a person, seen from the sender.
pub struct DownTrack {
    /// The media description that this peer receives on.
    pub mid: Mid,
    /// Whether it carries pictures.
    pub video: bool,
    /// The name of the stream it belongs to: slots of one are played in step.
    stream_id: String,
    /// The outgoing SSRC, fixed for the life of the slot.
    ssrc: Ssrc,
    /// How this person numbers the codecs they take.
    payload_types: PayloadTypes,
    /// The codec that went through last.
    codec: Option<Codec>,
    /// The packet it began with, in its source's order.
    start_seq: u64,
    /// What is sent a second time; none while everything is sent once.
    red_sender: Option<RedSender>,
    /// The track it is bound to.
    pub track: Option<usize>,
    /// The layer that goes through.
    pub current_layer: Option<usize>,
    /// The layer that is to go through, from its next keyframe on.
    pub target_layer: Option<usize>,
    /// The layer its size asks for, whatever the line carries.
    pub desired_layer: Option<usize>,
    /// Whether it is bound and the line is too narrow for it.
    pub paused: bool,
    /// What the person was last told of it.
    pub announced: Told,
    /// How long it can send again.
    rtx_cache_size: RtxCacheSize,
    /// Keeps the stream continuous.
    munger: RtpMunger,
}

impl DownTrack {
    /// The slot of a media description that we send by; none where the person takes no
    /// codec of ours. `red`: whether they offered RED in it; `resend`: what is kept of it.
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
            // Its sender has paced it already. Held back here, a keyframe would take seconds
            // on a line that is thought to be narrow.
            stream.set_unpaced(true);
        }
        let (first_seq, clock) = (
            rand::random::<u16>() & 0x7fff,
            if video { VIDEO_CLOCK } else { AUDIO_CLOCK },
        );
        // str0m reports a media time of 0 until something is written.
        let mut rewriter = RtpMunger::new(
            first_seq,
            0,
            clock,
            rand::random::<u16>() & 0x7fff,
            rand::random(),
        );
        rewriter.set_start_time(now);
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
            announced: Told {
                mid: mid.to_string(),
                id: None,
                source: None,
                paused: false,
            },
            rtx_cache_size: resend,
            munger: rewriter,
        })
    }

    /// The connection is up: what has not begun runs since now, as its first report says.
    pub fn on_connected(&mut self, now: Instant) {
        if self.codec.is_none() {
            self.munger.set_start_time(now);
        }
    }

    /// Keeps pictures for this long from now on; what was kept is gone.
    pub fn set_rtx_cache_size(&mut self, rtc: &mut Rtc, resend: RtxCacheSize) {
        self.rtx_cache_size = resend;
        if self.video {
            self.clear_rtx_cache(rtc);
        }
    }

    /// Sends nothing again of what it sent so far: a decoder goes on with the next keyframe,
    /// and on a line that has become narrow, what was lost of a larger layer would take the
    /// place of it for seconds.
    fn clear_rtx_cache(&self, rtc: &mut Rtc) {
        if let Some(stream) = rtc.direct_api().stream_tx(&self.ssrc) {
            set_rtx_cache(stream, self.rtx_cache_size);
        }
    }

    /// What of it matters for who is bound to it.
    pub fn state(&self) -> DownTrackState<'_> {
        DownTrackState {
            stream_id: &self.stream_id,
            video: self.video,
            track: self.track,
        }
    }

    /// Carries nothing any more.
    pub fn unbind(&mut self) {
        self.pause();
        self.track = None;
        self.paused = false;
    }

    /// Carries what was chosen from its next keyframe on; true where that is something else
    /// than before. `drains`: there is no place for what it carries until then.
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

    /// Carries nothing for a while, though it is bound.
    pub fn pause(&mut self) {
        self.current_layer = None;
        self.target_layer = None;
        self.desired_layer = None;
        self.paused = true;
    }

    /// Lets a packet of the bound track through where it is of the right layer; true
    /// where it was written.
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
            // Padding: the gap it leaves is closed.
            self.munger.skip(packet.seq);
            return false;
        }
        self.write_rtp(rtc, packet, pt)
    }

    /// Begins with a packet, where it is of the right layer and can be begun with: with
    /// another source, another layer, or the same one in another codec.
    fn begin_source(&mut self, packet: &MediaPacket, layer: usize) -> bool {
        let same = self.current_layer == Some(layer);
        let late = same && packet.seq < self.start_seq;
        if late
            || !packet.is_decodable_start
            || !(same || may_begin_layer(self.current_layer, self.target_layer, layer))
        {
            return false;
        }
        // Another layer of the same picture goes on at its own place in time.
        let offset = match self.current_layer.replace(layer) {
            Some(before) if before == layer => Some(0),
            before => before.and_then(|before| packet.layer_time_offsets[before]),
        };
        match offset {
            Some(offset) => self.munger.switch_source_with_offset(offset),
            None => self.munger.switch_source(),
        }
        // A decoder that begins takes any numbers, and changing VP9's would cost a copy.
        if self.codec.replace(packet.codec) != Some(packet.codec) && packet.codec == Codec::Vp9 {
            self.munger.keep_picture_ids();
        }
        self.start_seq = packet.seq;
        true
    }

    /// Writes a packet under this stream's own numbers.
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

    /// Whether a picture goes through it, or is to.
    pub fn sends_video(&self) -> bool {
        self.video && self.target_layer.is_some()
    }

    /// What it carries, for whoever counts. `single`: its track has one layer.
    pub fn carried(&self, single: bool) -> Carried {
        match self.current_layer {
            _ if self.paused => Carried::Paused,
            None => Carried::Waiting,
            Some(_) if single => Carried::Single,
            Some(layer) => Carried::Layer(layer),
        }
    }

    /// Sound together with what was sent before, and the payload type of both in one; none
    /// where it is to be sent alone.
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

    /// Has sound sent twice from now on, or once.
    pub fn set_redundancy(&mut self, twice: bool) {
        self.red_sender = match twice {
            true => Some(self.red_sender.take().unwrap_or_default()),
            false => None,
        };
    }

    /// Whether the person takes a codec here.
    pub fn accepts(&self, codec: Codec) -> bool {
        self.payload_types.of(codec).is_some()
    }

    /// Whether a track can go through: not where it comes in a codec the person lacks.
    pub fn can_carry(&self, track: &Track) -> bool {
        track.codec.is_none_or(|codec| self.accepts(codec))
    }

    /// Whether the person still waits for a layer's keyframe.
    pub fn awaits_keyframe(&self) -> bool {
        self.target_layer.is_some() && self.target_layer != self.current_layer
    }

    /// What it carries now, where the person does not know yet.
    pub fn take_announcement(&mut self, now: Told) -> Option<Told> {
        if self.announced == now {
            return None;
        }
        self.announced = now.clone();
        Some(now)
    }
}

/// Sets how long a stream can send again.
fn set_rtx_cache(stream: &mut StreamTx, resend: RtxCacheSize) {
    stream.set_rtx_cache(resend.max_packets(), resend.max_age(), Some(RTX_RATIO));
}

/// Whether a keyframe of this layer may be the next picture: of the layer that is waited
/// for, and before there is any picture of a lower one as well.
fn may_begin_layer(current: Option<usize>, target: Option<usize>, layer: usize) -> bool {
    target.is_some_and(|target| layer == target || (current.is_none() && layer < target))
}

/// The payload under this stream's own numbers; VP8's are put in as it is sent.
fn payload(packet: &MediaPacket, numbered: &MungedHeader) -> Arc<[u8]> {
    match &packet.descriptor {
        Descriptor::Vp9(vp9) => vp9.patch(&packet.payload, numbered.picture_id, numbered.tl0),
        Descriptor::Plain | Descriptor::Vp8(_) => packet.payload.clone(),
    }
}

/// The VP8 descriptor under this stream's own numbers.
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
    fn a_first_picture_may_be_a_smaller_one_and_a_next_one_only_what_is_waited_for() {
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
