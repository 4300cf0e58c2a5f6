//! Copies bytes between JavaScript and the module, and calls methods by name.
//!
//! One import serves both directions: every other one would be in the script that each page loads.

use js_sys::{Array, Function, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    /// `Reflect.apply` on a view of the module's memory.
    #[wasm_bindgen(js_namespace = Reflect, js_name = apply, catch)]
    fn apply_to_bytes(
        function: &Function,
        this: &mut [u8],
        arguments: &Array,
    ) -> Result<JsValue, JsValue>;
}

/// A property of an object; `undefined` if there is none.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}

/// A number of an object; 0 if there is none.
pub fn number(object: &JsValue, name: &str) -> f64 {
    get(object, name).as_f64().unwrap_or_default()
}

/// Calls a method of an object.
///
/// # Errors
/// What the method throws, or that there is no such method.
pub fn call(object: &JsValue, name: &str, arguments: &[&JsValue]) -> Result<JsValue, JsValue> {
    let method: Function = Reflect::get(object, &name.into())?.dyn_into()?;
    method.apply(object, &arguments.iter().copied().collect::<Array>())
}

/// A method of every typed array of bytes.
fn method_of_bytes(name: &str) -> Result<Function, JsValue> {
    let window = web_sys::window().map(JsValue::from).unwrap_or_default();
    let class = Reflect::get(&window, &"Uint8Array".into())?;
    Reflect::get(&get(&class, "prototype"), &name.into())?.dyn_into()
}

/// A copy of bytes as a `Uint8Array`.
///
/// # Errors
/// The browser has no memory for it.
pub fn to_js(mut bytes: Vec<u8>) -> Result<JsValue, JsValue> {
    apply_to_bytes(&method_of_bytes("slice")?, &mut bytes, &Array::new())
}

/// A copy of `length` bytes of a `Uint8Array`.
///
/// # Errors
/// It is no array of bytes, or longer.
pub fn from_js(array: &JsValue, length: usize) -> Result<Vec<u8>, JsValue> {
    let mut bytes = vec![0; length];
    let source: Array = [array].into_iter().collect();
    apply_to_bytes(&method_of_bytes("set")?, &mut bytes, &source)?;
    Ok(bytes)
}

/// A view of an `ArrayBuffer` from a byte on, without a copy.
///
/// # Errors
/// It is no buffer.
pub fn view(buffer: &JsValue, from: usize) -> Result<JsValue, JsValue> {
    let window = web_sys::window().map(JsValue::from).unwrap_or_default();
    let class: Function = Reflect::get(&window, &"Uint8Array".into())?.dyn_into()?;
    let arguments: Array = [buffer, &JsValue::from_f64(from as f64)]
        .into_iter()
        .collect();
    Reflect::construct(&class, &arguments)
}
