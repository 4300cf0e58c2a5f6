//! A packet of a publisher, read once for everybody who gets it.

use crate::server::sfu::codec::{AUDIO_CLOCK, Codec, red::PreviousPayload, vp9::Vp9Descriptor};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use str0m::{
    media::Mid,
    rtp::{ExtensionValues, RtpPacket, Vp8Descriptor},
};

/// A packet on its way to the slots bound to its track.
pub struct MediaPacket {
    /// Its place in the source's order, extended beyond 16 bits.
    pub seq: u64,
    /// Its media time.
    pub time: u32,
    /// Whether a frame ends with it.
    pub marker: bool,
    /// What every receiver gets of the header extensions.
    pub extensions: ExtensionValues,
    /// The payload, shared by all receivers.
    pub payload: Arc<[u8]>,
    /// What it is coded in.
    pub codec: Codec,
    /// What its payload says of its place among other pictures.
    pub descriptor: Descriptor,
    /// Whether a receiver can begin with it: the start of a keyframe, or any sound.
    pub is_decodable_start: bool,
    /// What is to be added to its media time to get that of each layer of its track; told
    /// of packets a receiver can begin with.
    pub layer_time_offsets: [Option<u32>; 3],
    /// When it came.
    pub received_at: Instant,
    /// When it was taken, as far as that is known; else when it came.
    pub capture_time: Instant,
}

/// The descriptor before a payload, where its numbers are to go on from source to source.
#[derive(Debug, Clone, Copy)]
pub enum Descriptor {
    /// Nothing in it is to be changed.
    Plain,
    /// A VP8 payload descriptor (RFC 7741).
    Vp8(Vp8Descriptor),
    /// A VP9 payload descriptor (RFC 9628).
    Vp9(Vp9Descriptor),
}

impl Descriptor {
    /// Parses the descriptor at the start of `payload`.
    fn parse(codec: Codec, payload: &[u8]) -> Self {
        match codec {
            Codec::Vp8 => Vp8Descriptor::parse(payload).map_or(Self::Plain, Self::Vp8),
            Codec::Vp9 => Vp9Descriptor::parse(payload).map_or(Self::Plain, Self::Vp9),
            Codec::Opus | Codec::H264 | Codec::Av1 => Self::Plain,
        }
    }

    /// The picture id, where there is one.
    pub fn picture_id(&self) -> Option<u16> {
        match self {
            Self::Plain => None,
            Self::Vp8(vp8) => vp8.picture_id(),
            Self::Vp9(vp9) => vp9.picture_id(),
        }
    }

    /// The index of base-layer pictures (TL0PICIDX), where there is one.
    pub fn tl0(&self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Vp8(vp8) => vp8.tl0_pic_idx(),
            Self::Vp9(vp9) => vp9.tl0(),
        }
    }
}

impl MediaPacket {
    /// Reads a packet of this codec.
    pub fn parse(packet: RtpPacket, codec: Codec, now: Instant) -> Self {
        let descriptor = Descriptor::parse(codec, &packet.payload);
        let is_decodable_start = codec.is_decodable_start(&packet.payload);
        let extensions = ExtensionValues {
            audio_level: packet.header.ext_vals.audio_level,
            voice_activity: packet.header.ext_vals.voice_activity,
            video_orientation: packet.header.ext_vals.video_orientation,
            ..ExtensionValues::default()
        };
        Self {
            seq: *packet.seq_no,
            time: packet.header.timestamp,
            marker: packet.header.marker,
            extensions,
            payload: packet.payload,
            codec,
            descriptor,
            is_decodable_start,
            layer_time_offsets: [None; 3],
            received_at: now,
            capture_time: now,
        }
    }

    /// The packet of sound before this one, where that came with it.
    pub fn recover_previous(&self, before: PreviousPayload) -> Self {
        let ticks = u64::from(before.time_offset);
        let earlier = Duration::from_micros(ticks * 1_000_000 / u64::from(AUDIO_CLOCK));
        Self {
            seq: self.seq - 1,
            time: self.time.wrapping_sub(before.time_offset),
            marker: false,
            extensions: self.extensions.clone(),
            payload: before.payload,
            codec: self.codec,
            descriptor: self.descriptor,
            is_decodable_start: true,
            layer_time_offsets: self.layer_time_offsets,
            received_at: self.received_at,
            capture_time: self.capture_time - earlier,
        }
    }

    /// How loud it is, in -dBov (RFC 6464), and whether it is a voice.
    pub fn audio_level(&self) -> Option<(u8, bool)> {
        let level = self.extensions.audio_level?;
        let voice = self.extensions.voice_activity.unwrap_or(true);
        Some((level.unsigned_abs().min(127), voice))
    }

    /// How tall the picture of a VP8 keyframe is (RFC 6386 9.1), where this packet says so.
    pub fn keyframe_height(&self) -> Option<u32> {
        /// The tag of a frame, 3 bytes, then the start code.
        const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
        if !self.is_decodable_start || self.codec != Codec::Vp8 {
            return None;
        }
        let code = self.payload.iter().take(16).collect::<Vec<_>>();
        let place = code
            .windows(3)
            .position(|w| w.iter().copied().eq(&START_CODE))?;
        let bytes = self.payload.get(place + 5..place + 7)?;
        let height = u32::from(u16::from_le_bytes([bytes[0], bytes[1]]) & 0x3fff);
        (height > 0).then_some(height)
    }
}

/// Which of a peer's media descriptions a stream belongs to, and which layer of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketOrigin {
    /// The media description that the sender publishes on.
    pub mid: Mid,
    /// The track of the room.
    pub track: usize,
    /// Its layer, lowest first.
    pub layer: usize,
}
