//! The camera in three sizes.

use crate::browser::call::sfu::offer::{change, put, set, text};
use crate::state::layers::scales;
use js_sys::{Array, Object, Reflect};
use web_sys::{MediaStreamTrack, RtcRtpSender};

/// The camera's encodings (W3C WebRTC 5.2.8): name, how many times smaller, bit/s at most.
/// 150, 500 and 1,500 kbit/s: usual for 180, 360 and 720 lines.
const LAYERS: [(&str, f64, f64); 3] = [
    ("q", 4.0, 150_000.0),
    ("h", 2.0, 500_000.0),
    ("f", 1.0, 1_500_000.0),
];

/// The `sendEncodings` of a camera.
pub fn encodings() -> Array {
    LAYERS.into_iter().map(encoding).collect()
}

/// Has the layers of a camera fit its picture, as [`scales`] says.
pub fn fit(sender: &RtcRtpSender, camera: &MediaStreamTrack) {
    let settings = camera.get_settings();
    let (Some(width), Some(height)) = (settings.get_width(), settings.get_height()) else {
        return;
    };
    let scales = scales(width.max(0) as u32, height.max(0) as u32);
    change(sender.clone(), move |_, encoding| {
        let rid = text(encoding, "rid");
        let Some(place) = LAYERS.iter().position(|(layer, ..)| *layer == rid) else {
            return false;
        };
        put(encoding, "scaleResolutionDownBy", &scales[place].into())
    });
}

/// An entry of `sendEncodings`.
fn encoding((rid, smaller, bps): (&str, f64, f64)) -> Object {
    let entry = Object::new();
    let _ = Reflect::set(&entry, &"rid".into(), &rid.into());
    set(&entry, "scaleResolutionDownBy", smaller);
    set(&entry, "maxBitrate", bps);
    entry
}
