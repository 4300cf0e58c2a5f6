//! The address of this page: its room, and its fragment.
//!
//! A browser sends no fragment to a server. The page removes what it has read, so that it stays neither
//! in the history nor in an address that somebody copies.

use crate::paths::{self, address};
use crate::protocol::RoomName;
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

/// The room whose page this is.
pub fn room_of_address() -> Option<RoomName> {
    let path = web_sys::window()?.location().pathname().ok()?;
    RoomName::parse(&RoomName::in_path(paths::path_of(&path))?).ok()
}

/// Removes a fragment that begins with `prefix` from the address of the page. Returns the rest of it.
pub fn take_from_fragment(prefix: &str) -> Option<String> {
    let fragment = fragment()?;
    let secret = fragment.strip_prefix(prefix)?;
    let _ = remove_fragment();
    Some(secret.to_owned())
}

/// The address of a room with a fragment of this start and secret.
pub fn room_link(room: &RoomName, start: &str, secret: &str) -> Option<String> {
    let origin = web_sys::window()?.location().origin().ok()?;
    let path = address(&room.path());
    Some(format!("{origin}{path}{start}{secret}"))
}
