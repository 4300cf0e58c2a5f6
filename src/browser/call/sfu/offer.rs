//! What an offer to the SFU carries: one's own sources, the camera in three sizes, and
//! slots for what the others send.

use crate::browser::call::descriptions::{add_transceiver, transceivers};
use crate::browser::call::media::{Media, Outlet};
use crate::browser::call::playback::settle;
use crate::protocol::Source;
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    RtcPeerConnection, RtcRtpSender, RtcRtpTransceiver, RtcRtpTransceiverDirection as Direction,
};

/// Voices heard at once.
const VOICES: usize = 3;
/// The camera's encodings (W3C WebRTC 5.2.8): name, how many times smaller, bit/s at most.
/// 150, 500 and 1,500 kbit/s: usual for 180, 360 and 720 lines.
const LAYERS: [(&str, f64, f64); 3] = [
    ("q", 4.0, 150_000.0),
    ("h", 2.0, 500_000.0),
    ("f", 1.0, 1_500_000.0),
];
/// The screen's only encoding: sharp, and enough for text that scrolls.
const SCREEN_BPS: f64 = 2_500_000.0;
/// What is offered; fewer codecs keep the description small, and every browser has these.
const CODECS: [&str; 3] = ["audio/opus", "video/VP8", "video/rtx"];

/// Puts on a connection what its offer is to carry: everything on the first, more slots later.
///
/// # Errors
/// What the browser says.
pub async fn prepare(
    media: &Media,
    pc: &RtcPeerConnection,
    pictures: usize,
) -> Result<(), JsValue> {
    let known = transceivers(pc);
    if known.is_empty() {
        let senders = Source::ALL.map(|source| send(media, pc, source).sender());
        for _ in 0..VOICES {
            receive(pc, "audio");
        }
        media.send_through(Outlet::Sfu, senders.into()).await?;
    }
    let slots = known.len().saturating_sub(Source::ALL.len() + VOICES);
    for _ in slots..pictures {
        receive(pc, "video");
    }
    Ok(())
}

/// A transceiver for a source of one's own.
fn send(media: &Media, pc: &RtcPeerConnection, source: Source) -> RtcRtpTransceiver {
    let encodings = match source {
        Source::Camera => Some(LAYERS.iter().map(|layer| encoding(*layer)).collect()),
        Source::Screen => {
            let only = Object::new();
            set(&only, "maxBitrate", SCREEN_BPS);
            Some(Array::of1(&only))
        }
        Source::Microphone | Source::ScreenAudio => None,
    };
    let stream = media.outgoing(source);
    let encodings: Option<Array> = encodings;
    let sender = add_transceiver(
        pc,
        source.kind(),
        Direction::Sendonly,
        Some(&stream),
        encodings.as_ref(),
    );
    prefer(&sender, source.kind());
    sender
}

/// A slot.
fn receive(pc: &RtcPeerConnection, kind: &str) {
    let slot = add_transceiver(pc, kind, Direction::Recvonly, None, None);
    prefer(&slot, kind);
}

/// An entry of `sendEncodings`.
fn encoding((rid, smaller, bps): (&str, f64, f64)) -> Object {
    let entry = Object::new();
    let _ = Reflect::set(&entry, &"rid".into(), &rid.into());
    set(&entry, "scaleResolutionDownBy", smaller);
    set(&entry, "maxBitrate", bps);
    entry
}

fn set(object: &Object, name: &str, value: f64) {
    let _ = Reflect::set(object, &name.into(), &value.into());
}

/// Offers only [`CODECS`], where the browser lets one choose.
fn prefer(transceiver: &RtcRtpTransceiver, kind: &str) {
    let function = |object: &JsValue, name: &str| {
        let found = Reflect::get(object, &name.into()).ok()?;
        found.dyn_into::<js_sys::Function>().ok()
    };
    let class = Reflect::get(&js_sys::global(), &"RTCRtpReceiver".into()).unwrap_or_default();
    let able = function(&class, "getCapabilities");
    let able = able.and_then(|able| able.call1(&class, &kind.into()).ok());
    let codecs = able.map(|able| Reflect::get(&able, &"codecs".into()).unwrap_or_default());
    let wanted = Array::from(&codecs.unwrap_or_default()).filter(&mut |codec, _, _| {
        let name = Reflect::get(&codec, &"mimeType".into()).unwrap_or_default();
        name.as_string()
            .is_some_and(|name| CODECS.iter().any(|c| c.eq_ignore_ascii_case(&name)))
    });
    let choose = function(transceiver, "setCodecPreferences");
    if let Some(choose) = choose.filter(|_| wanted.length() > 0) {
        let _ = choose.call1(transceiver, &wanted);
    }
}

/// Switches on the named layers of a source and the others off.
pub fn set_active(pc: &RtcPeerConnection, source: Source, rids: &[String]) {
    let place = Source::ALL.iter().position(|other| *other == source);
    let Some(sender) = place.and_then(|place| Some(transceivers(pc).get(place)?.sender())) else {
        return;
    };
    let parameters: JsValue = sender.get_parameters().into();
    let encodings = Reflect::get(&parameters, &"encodings".into()).unwrap_or_default();
    for encoding in Array::from(&encodings).iter() {
        let rid = Reflect::get(&encoding, &"rid".into()).unwrap_or_default();
        let active = rid.as_string().is_some_and(|rid| rids.contains(&rid));
        let _ = Reflect::set(&encoding, &"active".into(), &active.into());
    }
    change(&sender, &parameters);
}

/// Hands parameters back to a sender.
fn change(sender: &RtcRtpSender, parameters: &JsValue) {
    let method = Reflect::get(sender, &"setParameters".into()).ok();
    if let Some(method) = method.and_then(|m| m.dyn_into::<js_sys::Function>().ok()) {
        settle(method.call1(sender, parameters));
    }
}
