//! Building and verifying the media packets of clients.

use super::context::ClientContext;
use crate::media::traffic::{
    flow::{FlowKind, Packet},
    rtp::{self, FIXED_BYTES, Header},
    srtp::{Srtp, TAG_BYTES},
    stamp::{Place, Stamp, nanos},
};
use std::time::Instant;
use str0m::{
    Rtc,
    format::Codec,
    media::{Mid, Rid},
    rtp::{ExtensionValues, RtpWrite},
};

/// Audio payload type without negotiation.
pub const PLAIN_AUDIO_PT: u8 = 111;
/// Video payload type without negotiation.
const PLAIN_VIDEO_PT: u8 = 96;

/// The RID of a flow (RFC 8852).
pub fn rid_of(kind: FlowKind) -> Option<&'static str> {
    match kind {
        FlowKind::Video { rid, .. } => rid,
        FlowKind::Audio { .. } => None,
    }
}

/// Verifies a decrypted payload and records its latency. `None` counts as corrupt, and an empty
/// payload is padding.
pub fn verify_payload(
    payload: Option<&[u8]>,
    is_audio: bool,
    context: &mut ClientContext<'_>,
) -> Option<Stamp> {
    let place = if is_audio { Place::Audio } else { Place::Video };
    let payload = payload.unwrap_or(&[0]);
    if payload.is_empty() {
        return None;
    }
    let stamp = Stamp::read(payload, place);
    match stamp {
        Some(stamp) => {
            let age = nanos(context.now).saturating_sub(stamp.nanos) / 1_000;
            context.counters.latency.saturating_record(age.max(1));
        }
        None => context.counters.corrupt += 1,
    }
    stamp
}

/// Builds the SRTP packet of a client without WebRTC.
pub fn protect(index: u32, flow: usize, kind: FlowKind, packet: &Packet, up: &Srtp) -> Vec<u8> {
    let payload_type = match kind {
        FlowKind::Audio { .. } => PLAIN_AUDIO_PT,
        FlowKind::Video { .. } => PLAIN_VIDEO_PT,
    };
    let header = Header {
        length: FIXED_BYTES,
        payload_type,
        seq: packet.seq as u16,
        time: packet.time,
        ssrc: index << 2 | flow as u32,
    };
    let mut bytes = rtp::fixed_header(payload_type, packet.marker, header).to_vec();
    bytes.extend(&packet.payload);
    bytes.resize(bytes.len() + TAG_BYTES, 0);
    up.protect(&mut bytes, FIXED_BYTES);
    bytes
}

/// Passes a packet to the WebRTC endpoint.
pub fn write(rtc: &mut Rtc, mid: Mid, kind: FlowKind, packet: Packet, now: Instant) {
    let (codec, is_video) = match kind {
        FlowKind::Audio { .. } => (Codec::Opus, false),
        FlowKind::Video { .. } => (Codec::Vp8, true),
    };
    let found = rtc.codec_config().find(|p| p.spec().codec == codec);
    let Some(pt) = found.map(|params| params.pt()) else {
        return;
    };
    let mut extensions = ExtensionValues::default();
    if let FlowKind::Audio { level } = kind {
        extensions.audio_level = Some(level);
        extensions.voice_activity = Some(level > -50);
    }
    let Packet {
        seq, time, marker, ..
    } = packet;
    let mut direct = rtc.direct_api();
    let Some(stream) = direct.stream_tx_by_mid(mid, rid_of(kind).map(Rid::from)) else {
        return;
    };
    stream.write_rtp(
        RtpWrite::new(pt, seq.into(), time, now, packet.payload)
            .marker(marker)
            .nackable(is_video)
            .ext_vals(extensions),
    );
}
