//! Keyboard navigation in a toolbar (roving tabindex).

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// Moves the focus by a key: arrows cyclically, Home and End to the ends. The focused button
/// becomes the toolbar's tab stop. Returns false for other keys.
pub fn move_focus(bar: &Element, key: &str) -> bool {
    let buttons = visible_buttons(bar);
    let focused = web_sys::window()
        .and_then(|w| w.document())
        .and_then(|d| d.active_element());
    let place = buttons
        .iter()
        .position(|button| focused.as_ref() == Some(AsRef::<Element>::as_ref(button)));
    let (Some(place), count) = (place, buttons.len()) else {
        return false;
    };
    let next = match key {
        "ArrowRight" => (place + 1) % count,
        "ArrowLeft" => (place + count - 1) % count,
        "Home" => 0,
        "End" => count - 1,
        _ => return false,
    };
    for (at, button) in buttons.iter().enumerate() {
        button.set_tab_index(if at == next { 0 } else { -1 });
    }
    buttons[next].focus().is_ok()
}

/// The buttons that are visible at the current width.
fn visible_buttons(bar: &Element) -> Vec<HtmlElement> {
    let Ok(found) = bar.query_selector_all("button") else {
        return vec![];
    };
    let buttons = (0..found.length()).filter_map(|at| found.item(at)?.dyn_into().ok());
    buttons
        .filter(|button: &HtmlElement| button.offset_width() > 0)
        .collect()
}
