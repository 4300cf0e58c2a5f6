//! The codecs that the SFU forwards; the same for all rooms.
//!
//! Media is not transcoded: a sender may use any of them, and a receiver gets a track only if it
//! negotiated the codec. Payload types differ per connection (RFC 8866 5.14), so the sender's is
//! replaced by the receiver's.

pub mod red;
pub mod vp9;

use red::PreviousPayload;
use str0m::{
    Rtc,
    format::{self, CodecConfig, FormatParams},
    media::{Frequency, Mid, Pt},
    rtp::RtpPacket,
};
use strum::VariantArray;
use vp9::Vp9Descriptor;

/// The profile-level-id of Constrained Baseline, level 3.1 (RFC 6184 8.1), which every WebRTC
/// endpoint with H.264 supports (RFC 7742 6.2).
const H264_PROFILE: u32 = 0x0042_e01f;
/// The NAL unit type of a sequence parameter set (H.264 7.4.1).
const H264_SPS: u8 = 7;

/// The RTP clock rate of all video codecs in Hz (RFC 7741 and its siblings).
pub const VIDEO_CLOCK: u32 = 90_000;
/// The RTP clock rate of Opus in Hz (RFC 7587 4.1).
pub const AUDIO_CLOCK: u32 = 48_000;

/// A codec that the SFU forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum Codec {
    /// Audio at 48 kHz (RFC 7587).
    Opus,
    /// Video: the cameras of our own page, because every browser sends VP8 simulcast.
    Vp8,
    /// Video: shared screens, if every receiver supports it.
    Vp9,
    /// Video of clients that prefer H.264.
    H264,
    /// Video of clients that prefer AV1.
    Av1,
}

impl Codec {
    /// Converts from str0m; none for a codec that is not forwarded.
    fn from_str0m(codec: format::Codec) -> Option<Self> {
        match codec {
            format::Codec::Opus => Some(Self::Opus),
            format::Codec::Vp8 => Some(Self::Vp8),
            format::Codec::Vp9 => Some(Self::Vp9),
            format::Codec::H264 => Some(Self::H264),
            format::Codec::Av1 => Some(Self::Av1),
            _ => None,
        }
    }

    /// The RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => AUDIO_CLOCK,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => VIDEO_CLOCK,
        }
    }

    /// Whether a receiver can start decoding at this payload: any audio, the start of a keyframe.
    pub fn is_decodable_start(self, payload: &[u8]) -> bool {
        match self {
            Self::Opus => !payload.is_empty(),
            Self::Vp8 => format::detect_vp8_keyframe(payload),
            Self::Vp9 => Vp9Descriptor::parse(payload).is_some_and(|d| d.is_keyframe_start()),
            // A keyframe cannot be decoded without its parameter sets, which precede it, often in
            // a separate packet.
            Self::H264 => format::detect_h264_nalu(payload, H264_SPS),
            Self::Av1 => format::detect_av1_keyframe(payload),
        }
    }
}

/// Enables exactly our codecs on a connection, VP8 first. Each costs a dozen lines per media
/// description in an answer, so there is one profile per codec and no unused feedback type.
pub fn enable_codecs(config: &mut CodecConfig) {
    let profile_0 = FormatParams {
        profile_id: Some(0),
        ..FormatParams::default()
    };
    let (pt, resend) = (Pt::from(98), Some(Pt::from(99)));
    config.clear();
    config.enable_opus(true, true);
    config.enable_vp8(true);
    let clock = Frequency::NINETY_KHZ;
    config.add_config(pt, resend, format::Codec::Vp9, clock, None, profile_0);
    config.add_h264(108.into(), Some(109.into()), true, H264_PROFILE);
    config.enable_av1(true);
    for params in config.iter_mut() {
        params.set_fb_remb(false);
        params.set_fb_fir(false);
    }
}

/// The codec of a received packet; none if its payload type is unknown or its RED is malformed.
/// A RED payload is replaced by its primary block; the redundant block is returned.
pub fn unwrap_packet(
    rtc: &Rtc,
    packet: &mut RtpPacket,
) -> Option<(Codec, Option<PreviousPayload>)> {
    let pt = packet.header.payload_type;
    let wraps = |params: &format::PayloadParams| params.red() == Some(pt);
    let known = rtc.codec_config().find(|p| p.pt() == pt || wraps(p))?;
    let mut before = None;
    if wraps(known) {
        let blocks = red::parse(&packet.payload, *known.pt())?;
        packet.payload = blocks.primary;
        before = blocks.previous;
    }
    Some((Codec::from_str0m(known.spec().codec)?, before))
}

/// The payload types of a peer in one media description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayloadTypes {
    /// Payload type per codec, indexed by `Codec` discriminant.
    codecs: [Option<Pt>; Codec::VARIANTS.len()],
    /// The payload type of RED audio; none if not negotiated.
    red: Option<Pt>,
}

impl PayloadTypes {
    /// The payload types negotiated in a media description.
    pub fn negotiated(rtc: &Rtc, mid: Mid) -> Self {
        let theirs = rtc.media(mid).map(|media| media.remote_pts());
        let both = rtc.codec_config().iter().filter_map(|params| {
            let negotiated = theirs?.contains(&params.pt());
            let codec = Codec::from_str0m(params.spec().codec)?;
            negotiated.then_some((codec, params))
        });
        let mut types = Self::default();
        for (codec, params) in both {
            types.codecs[codec as usize] = Some(params.pt());
            types.red = types.red.or(params.red());
        }
        types
    }

    /// The payload type of a codec; none if not negotiated.
    pub fn of(&self, codec: Codec) -> Option<Pt> {
        self.codecs[codec as usize]
    }

    /// Keeps or removes the payload type of RED.
    pub fn with_red(self, red: bool) -> Self {
        let red = self.red.filter(|_| red);
        Self { red, ..self }
    }

    /// The payload type of RED audio; none if not negotiated or removed.
    pub fn red(&self) -> Option<Pt> {
        self.red
    }

    /// Whether no codec was negotiated.
    pub fn is_empty(&self) -> bool {
        self.codecs.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_codec_is_offered_once_and_vp8_is_the_first_video_codec() {
        let mut config = CodecConfig::new_with_defaults();
        enable_codecs(&mut config);
        let codecs: Vec<_> = config
            .iter()
            .map(|p| Codec::from_str0m(p.spec().codec))
            .collect();
        let all: Vec<_> = Codec::VARIANTS.iter().copied().map(Some).collect();
        assert_eq!(codecs, all);
        let resent = config.iter().filter(|p| p.resend().is_some()).count();
        assert_eq!(resent, 4, "RTX for video only");
        let twice = config.iter().filter(|p| p.red().is_some()).count();
        assert_eq!(twice, 1, "RED for audio");
    }

    #[test]
    fn decoding_starts_at_keyframes_and_any_audio() {
        let cases: [(Codec, &[u8], bool); 14] = [
            (Codec::Opus, &[1], true),
            (Codec::Opus, &[], false),
            (
                Codec::Vp8,
                &[0x10, 0, 0, 0, 0x9d, 1, 0x2a, 9, 0, 9, 0],
                true,
            ),
            (Codec::Vp8, &[0x10, 1], false),
            // The start of a keyframe, the start of another frame, the middle of a keyframe.
            (Codec::Vp9, &[0x88, 5, 1], true),
            (Codec::Vp9, &[0xc8, 5, 1], false),
            (Codec::Vp9, &[0x80, 5, 1], false),
            // An SPS alone; an SPS in a STAP-A; a slice of a keyframe; another slice.
            (Codec::H264, &[0x67, 0x42], true),
            (Codec::H264, &[24, 0, 1, 0x67, 0, 1, 0x68], true),
            (Codec::H264, &[0x65, 1], false),
            (Codec::H264, &[0x41, 1], false),
            // The start of a coded video sequence, and its continuation.
            (Codec::Av1, &[0x18, 1], true),
            (Codec::Av1, &[0x10, 1], false),
            (Codec::Av1, &[], false),
        ];
        for (codec, payload, starts) in cases {
            assert_eq!(
                codec.is_decodable_start(payload),
                starts,
                "{codec:?} {payload:x?}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_do_not_panic(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            for codec in Codec::VARIANTS {
                codec.is_decodable_start(&payload);
            }
        }
    }
}
