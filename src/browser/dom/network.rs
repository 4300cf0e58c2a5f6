//! What the browser says about the network.

use crate::browser::dom::js::get;

/// Whether the user asked the browser to save data (`Save-Data`).
pub fn saves_data() -> bool {
    let navigator = web_sys::window().map(|window| window.navigator());
    let connection = navigator.and_then(|navigator| get(&navigator, "connection"));
    let saves = connection.and_then(|connection| get(&connection, "saveData"));
    saves.is_some_and(|saves| saves.is_truthy())
}
