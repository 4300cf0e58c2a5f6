//! How this document was opened.

use crate::state::prejoin::Opening;
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// How the browser opened this document at its current address; [`Opening::Other`] if it was
/// opened at another path.
pub fn opening() -> Opening {
    document_opening().unwrap_or(Opening::Other)
}

fn document_opening() -> Option<Opening> {
    let window = web_sys::window()?;
    let entry = window
        .performance()?
        .get_entries_by_type("navigation")
        .get(0);
    let text = |name: &str| {
        let value = Reflect::get(&entry, &JsValue::from_str(name)).ok()?;
        value.as_string()
    };
    let here = window.location();
    let opened_at = text("name")?;
    let opened_at = opened_at.strip_prefix(&here.origin().ok()?)?;
    let path = opened_at.split(['?', '#']).next()?;
    let opened_here = path == here.pathname().ok()?;
    opened_here.then(|| text("type").map(|kind| Opening::of_type(&kind)))?
}
