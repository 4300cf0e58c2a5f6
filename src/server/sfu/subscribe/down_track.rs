//! One outgoing stream of a peer: what it carries changes, the stream goes on.

use super::{allocator::Choice, assign::Place, rtx_policy::Resend};
use crate::server::sfu::{
    codec::{AUDIO_CLOCK, Codec, PayloadTypes, VIDEO_CLOCK, red::Redundancy},
    forward::{
        munger::{Packet, Rewriter, Rewritten},
        packet::{Descriptor, Forwarded},
    },
    publish::track::Track,
};
use crate::{protocol::Slot as Told, server::metrics::media::Carried};
use std::{sync::Arc, time::Instant};
use str0m::{
    Rtc,
    media::{MediaKind, Mid, Pt},
    rtp::{RtpWrite, Ssrc, StreamTx, Vp8Patch},
};

/// Of what is sent, how much may be sent again. Half: on a line that loses one in ten some
/// are asked for two and three times, and a lost keyframe would cost more.
const RESEND_RATIO: f32 = 0.5;

/// A receiving media description of a person, seen from the sender.
pub struct OutSlot {
    /// The description.
    pub mid: Mid,
    /// Whether it carries pictures.
    pub video: bool,
    /// The name of the stream it belongs to: slots of one are played in step.
    stream: String,
    /// The stream.
    ssrc: Ssrc,
    /// How this person numbers the codecs they take.
    payload_types: PayloadTypes,
    /// The codec that went through last.
    codec: Option<Codec>,
    /// The packet it began with, in its source's order.
    began: u64,
    /// What is sent a second time; none while everything is sent once.
    redundancy: Option<Redundancy>,
    /// The track it is bound to.
    pub track: Option<usize>,
    /// The layer that goes through.
    pub current: Option<usize>,
    /// The layer that is to go through, from its next keyframe on.
    pub target: Option<usize>,
    /// The layer its size asks for, whatever the line carries.
    pub wished: Option<usize>,
    /// Whether it is bound and the line is too narrow for it.
    pub paused: bool,
    /// What the person was last told of it.
    pub told: Told,
    /// How long it can send again.
    kept: Resend,
    /// Keeps the stream continuous.
    rewriter: Rewriter,
}

impl OutSlot {
    /// The slot of a media description that we send by; none where the person takes no
    /// codec of ours. `red`: whether they offered RED in it; `resend`: what is kept of it.
    pub fn new(rtc: &mut Rtc, mid: Mid, red: bool, resend: Resend, now: Instant) -> Option<Self> {
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
            keep(stream, resend);
            // Its sender has paced it already. Held back here, a keyframe would take seconds
            // on a line that is thought to be narrow.
            stream.set_unpaced(true);
        }
        let (first_seq, clock) = (
            rand::random::<u16>() & 0x7fff,
            if video { VIDEO_CLOCK } else { AUDIO_CLOCK },
        );
        // str0m reports a media time of 0 until something is written.
        let mut rewriter = Rewriter::new(
            first_seq,
            0,
            clock,
            rand::random::<u16>() & 0x7fff,
            rand::random(),
        );
        rewriter.runs_since(now);
        Some(Self {
            mid,
            video,
            stream: name,
            ssrc: stream.ssrc(),
            payload_types,
            codec: None,
            began: 0,
            redundancy: None,
            track: None,
            current: None,
            target: None,
            wished: None,
            paused: false,
            told: Told {
                mid: mid.to_string(),
                id: None,
                source: None,
                paused: false,
            },
            kept: resend,
            rewriter,
        })
    }

    /// The connection is up: what has not begun runs since now, as its first report says.
    pub fn connected(&mut self, now: Instant) {
        if self.codec.is_none() {
            self.rewriter.runs_since(now);
        }
    }

    /// Keeps pictures for this long from now on; what was kept is gone.
    pub fn keep(&mut self, rtc: &mut Rtc, resend: Resend) {
        self.kept = resend;
        if self.video {
            self.forget(rtc);
        }
    }

    /// Sends nothing again of what it sent so far: a decoder goes on with the next keyframe,
    /// and on a line that has become narrow, what was lost of a larger layer would take the
    /// place of it for seconds.
    fn forget(&self, rtc: &mut Rtc) {
        if let Some(stream) = rtc.direct_api().stream_tx(&self.ssrc) {
            keep(stream, self.kept);
        }
    }

    /// What of it matters for who is bound to it.
    pub fn place(&self) -> Place<'_> {
        Place {
            stream: &self.stream,
            video: self.video,
            track: self.track,
        }
    }

    /// Carries nothing any more.
    pub fn free(&mut self) {
        self.pause();
        self.track = None;
        self.paused = false;
    }

    /// Carries what was chosen from its next keyframe on; true where that is something else
    /// than before. `drains`: there is no place for what it carries until then.
    pub fn choose(&mut self, rtc: &mut Rtc, choice: &Choice, drains: bool) -> bool {
        let before = (self.target, self.wished);
        (self.target, self.wished) = (choice.layer, choice.wanted_layer);
        self.paused = choice.layer.is_none() && choice.wanted_layer.is_some();
        let stops = self.target.is_none() || (drains && self.is_waiting());
        if stops && self.current.take().is_some() {
            self.forget(rtc);
        }
        before != (self.target, self.wished)
    }

    /// Carries nothing for a while, though it is bound.
    pub fn pause(&mut self) {
        self.current = None;
        self.target = None;
        self.wished = None;
        self.paused = true;
    }

    /// Lets a packet of the bound track through where it is of the right layer; true
    /// where it was written.
    pub fn pass(&mut self, rtc: &mut Rtc, packet: &Forwarded, layer: usize) -> bool {
        let Some(pt) = self.payload_types.of(packet.codec) else {
            self.codec = self.codec.filter(|_| self.current != Some(layer));
            return false;
        };
        let before = self.current;
        let goes_on = before == Some(layer) && self.codec == Some(packet.codec);
        if !goes_on && !self.begin(packet, layer) {
            return false;
        }
        if self.video && self.current != before {
            self.forget(rtc);
        }
        if packet.payload.is_empty() {
            // Padding: the gap it leaves is closed.
            self.rewriter.skip(packet.seq);
            return false;
        }
        self.write(rtc, packet, pt)
    }

    /// Begins with a packet, where it is of the right layer and can be begun with: with
    /// another source, another layer, or the same one in another codec.
    fn begin(&mut self, packet: &Forwarded, layer: usize) -> bool {
        let same = self.current == Some(layer);
        let late = same && packet.seq < self.began;
        if late || !packet.starts || !(same || may_begin(self.current, self.target, layer)) {
            return false;
        }
        // Another layer of the same picture goes on at its own place in time.
        let offset = match self.current.replace(layer) {
            Some(before) if before == layer => Some(0),
            before => before.and_then(|before| packet.offsets[before]),
        };
        match offset {
            Some(offset) => self.rewriter.switch_source_with_offset(offset),
            None => self.rewriter.switch_source(),
        }
        // A decoder that begins takes any numbers, and changing VP9's would cost a copy.
        if self.codec.replace(packet.codec) != Some(packet.codec) && packet.codec == Codec::Vp9 {
            self.rewriter.keep_picture_ids();
        }
        self.began = packet.seq;
        true
    }

    /// Writes a packet under this stream's own numbers.
    fn write(&mut self, rtc: &mut Rtc, packet: &Forwarded, pt: Pt) -> bool {
        let numbered = self.rewriter.rewrite(&Packet {
            seq: packet.seq,
            time: packet.time,
            at: packet.at,
            picture_id: packet.descriptor.picture_id(),
            tl0: packet.descriptor.tl0(),
        });
        let Some(numbered) = numbered else {
            return false;
        };
        let (pt, payload) = match self.twice(packet, &numbered, pt) {
            Some((pt, both)) => (pt, both.into()),
            None => (pt, payload(packet, &numbered)),
        };
        let seq = numbered.seq.into();
        let mut write = RtpWrite::new(pt, seq, numbered.time, packet.taken, payload)
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
    pub fn shows(&self) -> bool {
        self.video && self.target.is_some()
    }

    /// What it carries, for whoever counts. `single`: its track has one layer.
    pub fn carried(&self, single: bool) -> Carried {
        match self.current {
            _ if self.paused => Carried::Paused,
            None => Carried::Waiting,
            Some(_) if single => Carried::Single,
            Some(layer) => Carried::Layer(layer),
        }
    }

    /// Sound together with what was sent before, and the payload type of both in one; none
    /// where it is to be sent alone.
    fn twice(&mut self, packet: &Forwarded, numbered: &Rewritten, pt: Pt) -> Option<(Pt, Vec<u8>)> {
        let red = self.payload_types.red()?;
        let both = self.redundancy.as_mut()?;
        let both = both.wrap(*pt, numbered.time, &packet.payload)?;
        Some((red, both))
    }

    /// Has sound sent twice from now on, or once.
    pub fn send_twice(&mut self, twice: bool) {
        self.redundancy = match twice {
            true => Some(self.redundancy.take().unwrap_or_default()),
            false => None,
        };
    }

    /// Whether the person takes a codec here.
    pub fn takes(&self, codec: Codec) -> bool {
        self.payload_types.of(codec).is_some()
    }

    /// Whether a track can go through: not where it comes in a codec the person lacks.
    pub fn can_carry(&self, track: &Track) -> bool {
        track.codec.is_none_or(|codec| self.takes(codec))
    }

    /// Whether the person still waits for a layer's keyframe.
    pub fn is_waiting(&self) -> bool {
        self.target.is_some() && self.target != self.current
    }

    /// What it carries now, where the person does not know yet.
    pub fn news(&mut self, now: Told) -> Option<Told> {
        if self.told == now {
            return None;
        }
        self.told = now.clone();
        Some(now)
    }
}

/// Sets how long a stream can send again.
fn keep(stream: &mut StreamTx, resend: Resend) {
    stream.set_rtx_cache(resend.packets(), resend.age(), Some(RESEND_RATIO));
}

/// Whether a keyframe of this layer may be the next picture: of the layer that is waited
/// for, and before there is any picture of a lower one as well.
fn may_begin(current: Option<usize>, target: Option<usize>, layer: usize) -> bool {
    target.is_some_and(|target| layer == target || (current.is_none() && layer < target))
}

/// The payload under this stream's own numbers; VP8's are put in as it is sent.
fn payload(packet: &Forwarded, numbered: &Rewritten) -> Arc<[u8]> {
    match &packet.descriptor {
        Descriptor::Vp9(vp9) => vp9.patch(&packet.payload, numbered.picture_id, numbered.tl0),
        Descriptor::Plain | Descriptor::Vp8(_) => packet.payload.clone(),
    }
}

/// The VP8 descriptor under this stream's own numbers.
fn vp8_patch(packet: &Forwarded, numbered: &Rewritten) -> Option<Vp8Patch> {
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
            let begins = may_begin(current, target, layer);
            assert_eq!(begins, expected, "{current:?} {target:?} {layer}");
        }
    }
}
