//! One element on the whole screen (Fullscreen API).

use leptos::prelude::document;
use web_sys::Element;

/// Whether the browser can; on phones some cannot.
pub fn is_there() -> bool {
    document().fullscreen_enabled()
}

/// Puts an element on the whole screen, or back where it is there already. A browser that
/// refuses changes nothing.
pub fn toggle(element: &Element) {
    match document().fullscreen_element() {
        Some(_) => document().exit_fullscreen(),
        None => drop(element.request_fullscreen()),
    }
}
