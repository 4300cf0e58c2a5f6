//! Calls to `navigator.mediaDevices`.

use crate::browser::dom::js::Listener;
use crate::state::call::{Cause, DeviceChoice, DeviceKind, cause_of};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DisplayMediaStreamConstraints, DomException, MediaDeviceInfo, MediaDeviceKind, MediaDevices,
    MediaStream, MediaStreamConstraints, MediaStreamTrack,
};

/// Time after which the page reports that the browser has not replied, in milliseconds. A
/// later result still counts.
pub const ANSWER_WITHIN_MS: u32 = 8_000;

/// The preferred camera or microphone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevicePreference {
    /// The `deviceId`; empty for the default device.
    pub device_id: String,
    /// Whether to prefer the rear camera, on phones.
    pub rear: bool,
}

/// `navigator.mediaDevices`; `None` outside a secure context.
fn media_devices() -> Option<MediaDevices> {
    let navigator = web_sys::window()?.navigator();
    let devices = Reflect::get(&navigator, &"mediaDevices".into()).ok()?;
    devices.dyn_into().ok()
}

/// Calls `action` at each `devicechange` event.
pub fn watch_devices(action: impl Fn() + 'static) -> Option<Listener> {
    let devices = media_devices()?;
    Some(Listener::new(&devices, "devicechange", move |_| action()))
}

/// The constraints for one device.
fn constraint(kind: DeviceKind, preference: &DevicePreference) -> JsValue {
    let wanted = Object::new();
    let set = |object: &Object, key: &str, value: &JsValue| {
        let _ = Reflect::set(object, &key.into(), value);
    };
    if !preference.device_id.is_empty() {
        let exact = Object::new();
        set(&exact, "exact", &preference.device_id.as_str().into());
        set(&wanted, "deviceId", &exact);
    }
    match kind {
        DeviceKind::Camera => {
            if preference.device_id.is_empty() {
                let facing = if preference.rear {
                    "environment"
                } else {
                    "user"
                };
                set(&wanted, "facingMode", &facing.into());
            }
            set(&wanted, "width", &ideal(1280));
            set(&wanted, "height", &ideal(720));
        }
        DeviceKind::Microphone => {
            for quality in ["echoCancellation", "noiseSuppression", "autoGainControl"] {
                set(&wanted, quality, &JsValue::TRUE);
            }
        }
    }
    wanted.into()
}

fn ideal(pixels: u32) -> JsValue {
    let object = Object::new();
    let _ = Reflect::set(&object, &"ideal".into(), &pixels.into());
    object.into()
}

/// Requests a camera, a microphone or both at once.
///
/// # Errors
/// The cause, which applies to all of the requested devices.
pub async fn ask(
    camera: Option<&DevicePreference>,
    microphone: Option<&DevicePreference>,
) -> Result<Vec<MediaStreamTrack>, Cause> {
    let devices = media_devices().ok_or(Cause::Insecure)?;
    let constraints = MediaStreamConstraints::new();
    if let Some(preference) = camera {
        constraints.set_video(&constraint(DeviceKind::Camera, preference));
    }
    if let Some(preference) = microphone {
        constraints.set_audio(&constraint(DeviceKind::Microphone, preference));
    }
    let promise = devices
        .get_user_media_with_constraints(&constraints)
        .map_err(|error| cause(&error))?;
    tracks(JsFuture::from(promise).await)
}

/// Requests a screen, window or tab, which the user chooses in the browser's dialog.
///
/// # Errors
/// The cause; [`Cause::Refused`] if the user cancels.
pub async fn ask_screen() -> Result<Vec<MediaStreamTrack>, Cause> {
    let devices = media_devices().ok_or(Cause::Insecure)?;
    let constraints = DisplayMediaStreamConstraints::new();
    constraints.set_video(&JsValue::TRUE);
    // Audio of the tab or the system, if the browser and the user allow it.
    constraints.set_audio(&JsValue::TRUE);
    let promise = devices
        .get_display_media_with_constraints(&constraints)
        .map_err(|error| cause(&error))?;
    tracks(JsFuture::from(promise).await)
}

/// Ends after [`ANSWER_WITHIN_MS`].
pub async fn answer_timeout() {
    TimeoutFuture::new(ANSWER_WITHIN_MS).await;
}

fn tracks(answer: Result<JsValue, JsValue>) -> Result<Vec<MediaStreamTrack>, Cause> {
    let stream: MediaStream = answer.map_err(|error| cause(&error))?.unchecked_into();
    Ok(stream
        .get_tracks()
        .iter()
        .map(JsCast::unchecked_into)
        .collect())
}

fn cause(error: &JsValue) -> Cause {
    if let Some(error) = error.dyn_ref::<DomException>() {
        return cause_of(&error.name(), &error.message());
    }
    let text = |key: &str| {
        let value = Reflect::get(error, &key.into()).ok();
        value
            .and_then(|value| value.as_string())
            .unwrap_or_default()
    };
    cause_of(&text("name"), &text("message"))
}

/// The available cameras, microphones and speakers.
pub async fn list() -> [Vec<DeviceChoice>; 3] {
    let mut lists = [vec![], vec![], vec![]];
    let Some(promise) = media_devices().and_then(|devices| devices.enumerate_devices().ok()) else {
        return lists;
    };
    let Ok(found) = JsFuture::from(promise).await else {
        return lists;
    };
    for device in js_sys::Array::from(&found).iter() {
        let device: MediaDeviceInfo = device.unchecked_into();
        let list = match device.kind() {
            MediaDeviceKind::Videoinput => 0,
            MediaDeviceKind::Audioinput => 1,
            _ => 2,
        };
        lists[list].push(DeviceChoice {
            id: device.device_id(),
            label: device.label(),
        });
    }
    lists
}

/// The `deviceId` of a track.
pub fn device_of(track: &MediaStreamTrack) -> String {
    let settings = Reflect::get(&track.get_settings(), &"deviceId".into()).ok();
    settings.and_then(|id| id.as_string()).unwrap_or_default()
}

/// The `facingMode` of a track, if known.
pub fn facing_of(track: &MediaStreamTrack) -> Option<String> {
    let facing = Reflect::get(&track.get_settings(), &"facingMode".into()).ok()?;
    facing.as_string().filter(|facing| !facing.is_empty())
}

/// Whether the browser has `getDisplayMedia`; on phones it does not.
pub fn screen_can_be_shared() -> bool {
    let devices = web_sys::window().map(|window| window.navigator().media_devices());
    let devices = devices.and_then(Result::ok);
    devices.is_some_and(|d| Reflect::has(&d, &"getDisplayMedia".into()).unwrap_or(false))
}

/// Whether the browser has `setSinkId`.
pub fn speaker_can_change() -> bool {
    let prototype = web_sys::window().and_then(|window| {
        let class = Reflect::get(&window, &"HTMLMediaElement".into()).ok()?;
        Reflect::get(&class, &"prototype".into()).ok()
    });
    prototype
        .is_some_and(|prototype| Reflect::has(&prototype, &"setSinkId".into()).unwrap_or(false))
}
