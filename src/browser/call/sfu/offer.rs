//! The transceivers of an offer to the SFU: the local sources, with a simulcast camera, and
//! receiving slots.

use crate::browser::call::media::encodings::{function, send_encodings, text};
use crate::browser::call::media::{Destination, Media};
use crate::browser::call::rtc::peer_connection::{add_transceiver, transceivers};
use crate::protocol::Source;
use crate::state::codecs::{Purpose, rank};
use js_sys::{Array, Reflect};
use wasm_bindgen::JsValue;
use web_sys::{RtcPeerConnection, RtcRtpTransceiver, RtcRtpTransceiverDirection as Direction};

/// Number of audio slots: three for the loudest speakers, and more for pinned participants and
/// screens.
const SOUNDS: usize = 6;

/// Adds the transceivers of an offer to a connection: all of them at first, more slots later.
///
/// # Errors
/// The `DOMException` of the browser.
pub async fn prepare(
    media: &Media,
    pc: &RtcPeerConnection,
    pictures: usize,
) -> Result<(), JsValue> {
    let known = transceivers(pc);
    if known.is_empty() {
        let senders = Source::ALL.map(|source| send(media, pc, source).sender());
        for _ in 0..SOUNDS {
            receive(pc, "audio", Purpose::Sound);
        }
        media.send_through(Destination::Sfu, senders.into()).await?;
    }
    let slots = known.len().saturating_sub(Source::ALL.len() + SOUNDS);
    for _ in slots..pictures {
        receive(pc, "video", Purpose::Slot);
    }
    Ok(())
}

/// Adds the sending transceiver of a local source.
fn send(media: &Media, pc: &RtcPeerConnection, source: Source) -> RtcRtpTransceiver {
    let stream = media.outgoing(source);
    let encodings = send_encodings(source);
    let sender = add_transceiver(
        pc,
        source.kind(),
        Direction::Sendonly,
        Some(&stream),
        encodings.as_ref(),
    );
    let purpose = match source {
        Source::Microphone | Source::ScreenAudio => Purpose::Sound,
        Source::Camera => Purpose::Camera,
        Source::Screen => Purpose::Screen,
    };
    prefer(&sender, source.kind(), purpose);
    sender
}

/// Adds a receiving transceiver.
fn receive(pc: &RtcPeerConnection, kind: &str, purpose: Purpose) {
    let slot = add_transceiver(pc, kind, Direction::Recvonly, None, None);
    prefer(&slot, kind, purpose);
}

/// Restricts a transceiver to the codecs of its purpose, if the browser supports that.
fn prefer(transceiver: &RtcRtpTransceiver, kind: &str, purpose: Purpose) {
    let class = Reflect::get(&js_sys::global(), &"RTCRtpReceiver".into()).unwrap_or_default();
    let able = function(&class, "getCapabilities");
    let able = able.and_then(|able| able.call1(&class, &kind.into()).ok());
    let codecs = able.map(|able| Reflect::get(&able, &"codecs".into()).unwrap_or_default());
    let listed = Array::from(&codecs.unwrap_or_default()).to_vec();
    let ranked = listed.into_iter().filter_map(|codec| {
        let rank = rank(
            purpose,
            &text(&codec, "mimeType"),
            &text(&codec, "sdpFmtpLine"),
        )?;
        Some((rank, codec))
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let choose = function(transceiver, "setCodecPreferences");
    if let Some(choose) = choose.filter(|_| !ranked.is_empty()) {
        let wanted: Array = ranked.into_iter().map(|(_, codec)| codec).collect();
        let _ = choose.call1(transceiver, &wanted);
    }
}
