//! Keyboard navigation in a toolbar (roving tabindex).

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// Moves the focus by a key: arrows cyclically, Home and End to the ends. The focused button
/// becomes the toolbar's tab stop. Returns false for other keys.
pub fn move_focus(bar: &Element, key: &str) -> bool {
    let buttons = visible_buttons(bar);
    let (Some(place), count) = (focused_place(&buttons), buttons.len()) else {
        return false;
    };
    let next = match key {
        "ArrowRight" => (place + 1) % count,
        "ArrowLeft" => (place + count - 1) % count,
        "Home" => 0,
        "End" => count - 1,
        _ => return false,
    };
    focus_button(&buttons, next)
}

/// Moves the focus by a key in a grid of rows of `columns` buttons: arrows without going round, Home and
/// End to the ends. The focused button becomes the grid's tab stop. Returns false for other keys.
pub fn move_focus_in_grid(grid: &Element, key: &str, columns: usize) -> bool {
    let buttons = visible_buttons(grid);
    let Some(place) = focused_place(&buttons) else {
        return false;
    };
    let last = buttons.len() - 1;
    let next = match key {
        "ArrowRight" => place + 1,
        "ArrowLeft" => place.saturating_sub(1),
        "ArrowDown" => place + columns,
        "ArrowUp" => place.checked_sub(columns).unwrap_or(place),
        "Home" => 0,
        "End" => last,
        _ => return false,
    };
    focus_button(&buttons, next.min(last))
}

/// Gives the focus to the first button. Returns whether there is one.
pub fn focus_first(bar: &Element) -> bool {
    focus_button(&visible_buttons(bar), 0)
}

/// Focuses the button at a place, which becomes the tab stop.
fn focus_button(buttons: &[HtmlElement], place: usize) -> bool {
    for (at, button) in buttons.iter().enumerate() {
        button.set_tab_index(if at == place { 0 } else { -1 });
    }
    let button = buttons.get(place);
    button.is_some_and(|button| button.focus().is_ok())
}

/// The place of the button that has the focus.
fn focused_place(buttons: &[HtmlElement]) -> Option<usize> {
    let focused = web_sys::window()?.document()?.active_element()?;
    let is_focused = |button: &HtmlElement| AsRef::<Element>::as_ref(button) == &focused;
    buttons.iter().position(is_focused)
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
