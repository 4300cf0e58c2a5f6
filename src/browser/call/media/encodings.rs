//! Encodings of sent tracks (W3C WebRTC, `RTCRtpEncodingParameters`): the simulcast layers of the
//! camera, the bitrate of a shared screen, the active layers, and the codec.

use crate::browser::call::rtc::peer_connection::transceivers;
use crate::protocol::{Codec, Source};
use crate::state::layers::scales;
use js_sys::{Array, Object, Promise, Reflect};
use std::cell::RefCell;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{MediaStreamTrack, RtcPeerConnection, RtcRtpSender};

/// The camera's simulcast layers: `rid`, `scaleResolutionDownBy`, `maxBitrate` in bit/s.
/// 150, 500 and 1,500 kbit/s are usual for 180, 360 and 720 lines.
const LAYERS: [(&str, f64, f64); 3] = [
    ("q", 4.0, 150_000.0),
    ("h", 2.0, 500_000.0),
    ("f", 1.0, 1_500_000.0),
];
/// `maxBitrate` of a shared screen, in bit/s: sharp, and enough for text that scrolls.
const SCREEN_BPS: f64 = 2_500_000.0;

/// The `sendEncodings` of a source; `None` for audio.
pub fn send_encodings(source: Source) -> Option<Array> {
    match source {
        Source::Camera => Some(LAYERS.into_iter().map(layer).collect()),
        Source::Screen => {
            let only = Object::new();
            set(&only, "maxBitrate", SCREEN_BPS);
            Some(Array::of1(&only))
        }
        Source::Microphone | Source::ScreenAudio => None,
    }
}

/// An entry of the camera's `sendEncodings`.
fn layer((rid, scale, bps): (&str, f64, f64)) -> Object {
    let entry = Object::new();
    let _ = Reflect::set(&entry, &"rid".into(), &rid.into());
    set(&entry, "scaleResolutionDownBy", scale);
    set(&entry, "maxBitrate", bps);
    entry
}

fn set(object: &Object, name: &str, value: f64) {
    let _ = Reflect::set(object, &name.into(), &value.into());
}

/// Scales the layers of a camera to its resolution by [`scales`].
pub fn fit(sender: &RtcRtpSender, camera: &MediaStreamTrack) {
    let settings = camera.get_settings();
    let (Some(width), Some(height)) = (settings.get_width(), settings.get_height()) else {
        return;
    };
    let scales = scales(width.max(0) as u32, height.max(0) as u32);
    change(sender.clone(), move |_, encoding| {
        let rid = text(encoding, "rid");
        let Some(index) = LAYERS.iter().position(|(layer, ..)| *layer == rid) else {
            return false;
        };
        put(encoding, "scaleResolutionDownBy", &scales[index].into())
    });
}

/// A method of an object, if it has one.
pub fn function(object: &JsValue, name: &str) -> Option<js_sys::Function> {
    let found = Reflect::get(object, &name.into()).ok()?;
    found.dyn_into::<js_sys::Function>().ok()
}

/// A string property; empty if it is missing.
pub fn text(object: &JsValue, name: &str) -> String {
    let found = Reflect::get(object, &name.into()).unwrap_or_default();
    found.as_string().unwrap_or_default()
}

/// Sets a property unless it has this value. Returns whether it changed.
fn put(object: &JsValue, name: &str, value: &JsValue) -> bool {
    let differs = Reflect::get(object, &name.into()).is_ok_and(|before| before != *value);
    differs && Reflect::set(object, &name.into(), value).is_ok()
}

/// Activates the named layers of a source and deactivates the others. The name of a single
/// encoding is empty.
pub fn set_active(pc: &RtcPeerConnection, source: Source, rids: &[String]) {
    let rids = rids.to_vec();
    change_of(pc, source, move |_, encoding| {
        let active = rids.contains(&text(encoding, "rid"));
        put(encoding, "active", &active.into())
    });
}

/// Sends a source in another codec (W3C WebRTC extensions, `RTCRtpEncodingParameters.codec`).
/// A browser without this field ignores it and sends in the first codec of the answer.
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
    /// The last change of encodings; the next one waits for it.
    static LAST: RefCell<Promise> = RefCell::new(Promise::resolve(&JsValue::NULL));
}

/// Changes the encodings of a sender. `encoding` receives the parameters and one encoding, and
/// returns whether it changed the encoding; `setParameters` is called if any changed. Changes
/// run in sequence, because `getParameters` returns the old values during a change.
fn change(sender: RtcRtpSender, encoding: impl Fn(&JsValue, &JsValue) -> bool + 'static) {
    let before = LAST.with(|last| last.borrow().clone());
    let next = future_to_promise(async move {
        let _ = JsFuture::from(before).await;
        let parameters: JsValue = sender.get_parameters().into();
        let encodings = Reflect::get(&parameters, &"encodings".into()).unwrap_or_default();
        let encodings = Array::from(&encodings).to_vec();
        let changed = encodings.iter().filter(|each| encoding(&parameters, each));
        let changed = changed.count() > 0;
        if let Some(method) = function(&sender, "setParameters").filter(|_| changed) {
            // If the browser refuses, the encodings stay as they are.
            let set = method.call1(&sender, &parameters).ok();
            if let Some(set) = set.and_then(|set| set.dyn_into::<Promise>().ok()) {
                let _ = JsFuture::from(set).await;
            }
        }
        Ok(JsValue::NULL)
    });
    LAST.with(|last| *last.borrow_mut() = next);
}
