//! A packet of a publisher, parsed once for all subscribers.

use crate::server::sfu::codec::{AUDIO_CLOCK, Codec, red::PreviousPayload, vp9::Vp9Descriptor};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use str0m::{
    media::Mid,
    rtp::{ExtensionValues, RtpPacket, Vp8Descriptor},
};

/// A received media packet, as the down tracks forward it.
pub struct MediaPacket {
    /// The extended sequence number of the source.
    pub seq: u64,
    /// The RTP timestamp of the source.
    pub time: u32,
    /// The RTP marker bit: the last packet of a video frame.
    pub marker: bool,
    /// The header extensions that are forwarded: audio level and video orientation.
    pub extensions: ExtensionValues,
    /// The payload, shared by all receivers.
    pub payload: Arc<[u8]>,
    /// The codec of the payload, without RED.
    pub codec: Codec,
    /// The payload descriptor.
    pub descriptor: Descriptor,
    /// Whether a receiver can start decoding here: the start of a keyframe, or any audio.
    pub is_decodable_start: bool,
    /// The offsets from this layer's RTP timestamps to those of each layer of the track; only
    /// set on packets with `is_decodable_start`.
    pub layer_time_offsets: [Option<u32>; 3],
    /// When the packet was received.
    pub received_at: Instant,
    /// When the media was captured, by our clock; `received_at` if unknown.
    pub capture_time: Instant,
}

/// The payload descriptor of a codec whose picture numbers are rewritten.
#[derive(Debug, Clone, Copy)]
pub enum Descriptor {
    /// A payload that is forwarded unchanged.
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

    /// The picture ID, if present.
    pub fn picture_id(&self) -> Option<u16> {
        match self {
            Self::Plain => None,
            Self::Vp8(vp8) => vp8.picture_id(),
            Self::Vp9(vp9) => vp9.picture_id(),
        }
    }

    /// TL0PICIDX, the index of base-layer pictures, if present.
    pub fn tl0(&self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Vp8(vp8) => vp8.tl0_pic_idx(),
            Self::Vp9(vp9) => vp9.tl0(),
        }
    }
}

impl MediaPacket {
    /// Parses a received packet of this codec.
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

    /// Rebuilds the lost packet before this one from its redundant block (RFC 2198).
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

    /// The audio level in -dBov (RFC 6464) and the voice activity flag.
    pub fn audio_level(&self) -> Option<(u8, bool)> {
        let level = self.extensions.audio_level?;
        let voice = self.extensions.voice_activity.unwrap_or(true);
        Some((level.unsigned_abs().min(127), voice))
    }

    /// The height of a VP8 keyframe in px (RFC 6386 9.1), if this packet holds its header.
    pub fn keyframe_height(&self) -> Option<u32> {
        /// The start code; it follows the frame tag of 3 bytes.
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

/// The media description, track and layer that a received stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketOrigin {
    /// The media description that the sender publishes on.
    pub mid: Mid,
    /// The index of the track in the room.
    pub track: usize,
    /// The index of the simulcast layer, lowest first.
    pub layer: usize,
}
