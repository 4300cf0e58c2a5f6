//! Full screen of one element (Fullscreen API).

use leptos::prelude::document;
use web_sys::Element;

/// Whether the browser supports full screen; some on phones do not.
pub fn is_there() -> bool {
    document().fullscreen_enabled()
}

/// Shows an element in full screen, or leaves full screen. Does nothing if the browser refuses.
pub fn toggle(element: &Element) {
    match document().fullscreen_element() {
        Some(_) => document().exit_fullscreen(),
        None => drop(element.request_fullscreen()),
    }
}
