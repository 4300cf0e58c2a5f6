//! Copying text to the clipboard.

use wasm_bindgen_futures::{JsFuture, spawn_local};

/// Copies the full address of `path`; `done` is called once it is on the clipboard.
/// Does nothing if the browser refuses.
pub fn copy_address(path: &str, done: impl FnOnce() + 'static) {
    let Some(window) = web_sys::window() else {
        return;
    };
    let origin = window.location().origin().unwrap_or_default();
    copy(format!("{origin}{path}"), done);
}

/// Copies a text; `done` is called once it is on the clipboard.
pub fn copy(text: String, done: impl FnOnce() + 'static) {
    let Some(window) = web_sys::window() else {
        return;
    };
    // `navigator.clipboard` exists in a secure context only.
    if !window.is_secure_context() {
        return;
    }
    let promise = window.navigator().clipboard().write_text(&text);
    spawn_local(async move {
        if JsFuture::from(promise).await.is_ok() {
            done();
        }
    });
}
