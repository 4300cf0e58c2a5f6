//! The focus in a dialog, and its end.

use crate::browser::dom::js::call;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// What the browser focuses when a dialog opens.
const FOCUSABLE: &str = "input,select,textarea,button,summary,a[href]";

/// Moves the focus to the first control of a dialog that is open.
pub fn focus_first(dialog: &Element) {
    let first = dialog.query_selector(FOCUSABLE).ok().flatten();
    if let Some(first) = first.and_then(|first| first.dyn_into::<HtmlElement>().ok()) {
        let _ = first.focus();
    }
}

/// Closes the dialog that an element is in.
pub fn close_around(element: &Element) {
    if let Ok(Some(dialog)) = element.closest("dialog") {
        call(&dialog, "close");
    }
}
