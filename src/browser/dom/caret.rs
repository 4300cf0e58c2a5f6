//! The caret of a text field.

use crate::browser::dom::js::get;
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// The caret of a field, in UTF-16 code units; `None` while a part of the text is selected.
pub fn of(field: &JsValue) -> Option<u32> {
    let [start, end] = ["selectionStart", "selectionEnd"].map(|edge| get(field, edge)?.as_f64());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates"
    )]
    let caret = start.filter(|start| Some(*start) == end)? as u32;
    Some(caret)
}

/// Moves the caret of a field.
pub fn set(field: &JsValue, caret: u32) {
    let caret = JsValue::from_f64(f64::from(caret));
    // The end first: a start behind the end would move it.
    for edge in ["selectionEnd", "selectionStart"] {
        let _ = Reflect::set(field, &JsValue::from_str(edge), &caret);
    }
}
