//! What an offer to the SFU carries: one's own sources, the camera in three sizes, and
//! slots for what the others send.

use crate::browser::call::media::{Destination, Media};
use crate::browser::call::rtc::peer_connection::{add_transceiver, transceivers};
use crate::browser::call::sfu::layers;
use crate::protocol::{Codec, Source};
use crate::state::codecs::{Purpose, rank};
use js_sys::{Array, Object, Promise, Reflect};
use std::cell::RefCell;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{
    RtcPeerConnection, RtcRtpSender, RtcRtpTransceiver, RtcRtpTransceiverDirection as Direction,
};

/// Sounds heard at once: three voices, and pinned ones and screens besides.
const SOUNDS: usize = 6;
/// The screen's only encoding: sharp, and enough for text that scrolls.
const SCREEN_BPS: f64 = 2_500_000.0;

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

/// A transceiver for a source of one's own.
fn send(media: &Media, pc: &RtcPeerConnection, source: Source) -> RtcRtpTransceiver {
    let encodings = match source {
        Source::Camera => Some(layers::encodings()),
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
    let purpose = match source {
        Source::Microphone | Source::ScreenAudio => Purpose::Sound,
        Source::Camera => Purpose::Camera,
        Source::Screen => Purpose::Screen,
    };
    prefer(&sender, source.kind(), purpose);
    sender
}

/// A slot.
fn receive(pc: &RtcPeerConnection, kind: &str, purpose: Purpose) {
    let slot = add_transceiver(pc, kind, Direction::Recvonly, None, None);
    prefer(&slot, kind, purpose);
}

pub(super) fn set(object: &Object, name: &str, value: f64) {
    let _ = Reflect::set(object, &name.into(), &value.into());
}

/// Offers only what serves this purpose, where the browser lets one choose.
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

/// A method of an object, where it has one.
fn function(object: &JsValue, name: &str) -> Option<js_sys::Function> {
    let found = Reflect::get(object, &name.into()).ok()?;
    found.dyn_into::<js_sys::Function>().ok()
}

/// A property that is text; empty where there is none.
pub(super) fn text(object: &JsValue, name: &str) -> String {
    let found = Reflect::get(object, &name.into()).unwrap_or_default();
    found.as_string().unwrap_or_default()
}

/// Sets a property where it is another; true where it was.
pub(super) fn put(object: &JsValue, name: &str, value: &JsValue) -> bool {
    let differs = Reflect::get(object, &name.into()).is_ok_and(|before| before != *value);
    differs && Reflect::set(object, &name.into(), value).is_ok()
}

/// Switches on the named layers of a source and the others off. A single one has no name.
pub fn set_active(pc: &RtcPeerConnection, source: Source, rids: &[String]) {
    let rids = rids.to_vec();
    change_of(pc, source, move |_, encoding| {
        let active = rids.contains(&text(encoding, "rid"));
        put(encoding, "active", &active.into())
    });
}

/// Has a source sent in another codec (W3C WebRTC extensions, `RTCRtpEncodingParameters.codec`).
/// A browser that knows no such field ignores it and sends in the first codec of the answer.
pub fn set_codec(pc: &RtcPeerConnection, source: Source, codec: Codec) {
    let mime = match codec {
        Codec::Vp8 => "video/vp8",
        Codec::Vp9 => "video/vp9",
    };
    change_of(pc, source, move |parameters, encoding| {
        let codecs = Reflect::get(parameters, &"codecs".into()).unwrap_or_default();
        let wanted = |codec: &JsValue| text(codec, "mimeType").eq_ignore_ascii_case(mime);
        let codec = Array::from(&codecs).iter().find(wanted);
        codec.is_some_and(|codec| Reflect::set(encoding, &"codec".into(), &codec).is_ok())
    });
}

/// Changes the encodings of a source, as [`change`] does.
fn change_of(
    pc: &RtcPeerConnection,
    source: Source,
    encoding: impl Fn(&JsValue, &JsValue) -> bool + 'static,
) {
    let place = Source::ALL.iter().position(|other| *other == source);
    if let Some(sender) = place.and_then(|place| Some(transceivers(pc).get(place)?.sender())) {
        change(sender, encoding);
    }
}

thread_local! {
    /// The last change of encodings, done or under way.
    static LAST: RefCell<Promise> = RefCell::new(Promise::resolve(&JsValue::NULL));
}

/// Changes the encodings of a sender. `encoding` is told the parameters and each encoding of
/// them, and says whether it changed that; they are handed back where any was. One change
/// after the other: what is read while one is under way is as it was before.
pub(super) fn change(
    sender: RtcRtpSender,
    encoding: impl Fn(&JsValue, &JsValue) -> bool + 'static,
) {
    let before = LAST.with(|last| last.borrow().clone());
    let next = future_to_promise(async move {
        let _ = JsFuture::from(before).await;
        let parameters: JsValue = sender.get_parameters().into();
        let encodings = Reflect::get(&parameters, &"encodings".into()).unwrap_or_default();
        let encodings = Array::from(&encodings).to_vec();
        let changed = encodings.iter().filter(|each| encoding(&parameters, each));
        let changed = changed.count() > 0;
        if let Some(method) = function(&sender, "setParameters").filter(|_| changed) {
            // A browser that refuses changes nothing.
            let set = method.call1(&sender, &parameters).ok();
            if let Some(set) = set.and_then(|set| set.dyn_into::<Promise>().ok()) {
                let _ = JsFuture::from(set).await;
            }
        }
        Ok(JsValue::NULL)
    });
    LAST.with(|last| *last.borrow_mut() = next);
}
