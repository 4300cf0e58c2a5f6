//! The theme of the page: the device's, until the user chooses one.

use crate::api::THEME_COOKIE;
use crate::browser::dom::storage;
use web_sys::Element;

/// The `<html>` element.
pub(super) fn root() -> Option<Element> {
    web_sys::window()?.document()?.document_element()
}

/// Whether the page is dark now.
pub fn is_dark() -> bool {
    let chosen = root().and_then(|root| root.get_attribute("data-theme"));
    match chosen.as_deref() {
        Some("dark") => true,
        Some("light") => false,
        _ => device_is_dark(),
    }
}

fn device_is_dark() -> bool {
    let query = web_sys::window().and_then(|window| {
        window
            .match_media("(prefers-color-scheme: dark)")
            .ok()
            .flatten()
    });
    query.is_some_and(|query| query.matches())
}

/// Sets the theme and stores it on the device.
pub fn set_dark(dark: bool) {
    let theme = if dark { "dark" } else { "light" };
    if let Some(root) = root() {
        let _ = root.set_attribute("data-theme", theme);
    }
    storage::set_cookie(THEME_COOKIE, theme);
}
