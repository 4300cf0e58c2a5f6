//! The fragment in the address of this page.
//!
//! A browser sends no fragment to a server. The page removes what it has read, so that it stays neither
//! in the history nor in an address that somebody copies.

use wasm_bindgen::JsValue;

/// The fragment with its `#`; empty if the address has none.
pub fn fragment() -> Option<String> {
    web_sys::window()?.location().hash().ok()
}

/// Removes the fragment. `None` if the browser refuses.
pub fn remove_fragment() -> Option<()> {
    let window = web_sys::window()?;
    let (location, history) = (window.location(), window.history().ok()?);
    let (path, query) = (location.pathname().ok()?, location.search().ok()?);
    let state = history.state().unwrap_or(JsValue::NULL);
    let address = format!("{path}{query}");
    history
        .replace_state_with_url(&state, "", Some(&address))
        .ok()
}
