//! Encodes a picture again, without what a camera stored in it.

use super::files::Bytes;
use crate::protocol::MediaType;
use crate::state::pictures::Encoding;
use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Calls a method with one argument, or with none.
fn call(of: &JsValue, name: &str, argument: Option<&JsValue>) -> Option<JsValue> {
    let method: Function = Reflect::get(of, &name.into()).ok()?.dyn_into().ok()?;
    let result = match argument {
        Some(argument) => method.call1(of, argument),
        None => method.call0(of),
    };
    result.ok()
}

/// What a promise resolves to.
async fn resolved(promise: JsValue) -> Option<JsValue> {
    let promise: Promise = promise.dyn_into().ok()?;
    JsFuture::from(promise).await.ok()
}

/// The picture in another encoding, upright, with as many pixels, and its format. `None` if the browser
/// cannot decode it or has no function for it.
pub async fn encoded(picture: &Bytes, encoding: Encoding) -> Option<(Bytes, MediaType)> {
    let window = JsValue::from(web_sys::window()?);
    // Turns the picture as its orientation says.
    let bitmap = resolved(call(&window, "createImageBitmap", Some(picture.value()))?).await?;
    let document = web_sys::window()?.document()?;
    let canvas: JsValue = document.create_element("canvas").ok()?.into();
    for side in ["width", "height"] {
        let pixels = Reflect::get(&bitmap, &side.into()).ok()?;
        Reflect::set(&canvas, &side.into(), &pixels).ok()?;
    }
    let canvas = call(&canvas, "transferControlToOffscreen", None)?;
    let context = call(&canvas, "getContext", Some(&"2d".into()))?;
    let draw: Function = Reflect::get(&context, &"drawImage".into())
        .ok()?
        .dyn_into()
        .ok()?;
    let place = Array::from_iter([bitmap, JsValue::from(0), JsValue::from(0)]);
    draw.apply(&context, &place).ok()?;
    for media_type in [encoding.media_type, encoding.otherwise] {
        let options = Object::new();
        Reflect::set(&options, &"type".into(), &media_type.name().into()).ok()?;
        Reflect::set(&options, &"quality".into(), &encoding.quality.into()).ok()?;
        let written = call(&canvas, "convertToBlob", Some(options.as_ref()))?;
        let bytes = Bytes::of(resolved(written).await?)?;
        // A browser that does not write the format writes another one.
        if bytes.media_type() == media_type.name() {
            return Some((bytes, media_type));
        }
    }
    None
}
