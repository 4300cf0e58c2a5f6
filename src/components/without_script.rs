//! The page without script (`?plain=1`), for browsers in which the script failed. Only the
//! server renders it, and its forms and links lead to pages without script.

use crate::paths;
use leptos::prelude::*;

/// Context value: whether the page is without script. Cached, because it is read often.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy)]
struct Plain;

/// Reads from the request whether its page is without script, once per page.
#[cfg(feature = "ssr")]
pub fn provide_without_script() {
    if crate::server::request::query("plain").is_some() {
        provide_context(Plain);
    }
}

/// Whether this page is rendered for a browser whose script failed.
pub fn is_without_script() -> bool {
    #[cfg(feature = "ssr")]
    return use_context::<Plain>().is_some();
    #[cfg(not(feature = "ssr"))]
    false
}

/// The address of a page of this site for a link, with `?plain=1` if the current page is without
/// script.
pub fn page_address(path: &str) -> String {
    let address = paths::address(path);
    #[cfg(feature = "ssr")]
    if is_without_script() {
        return crate::api::plain_path(address);
    }
    address
}

/// A hidden field by which a form's server function recognises a page without script.
#[component]
pub fn WithoutScriptField() -> impl IntoView {
    is_without_script().then(|| view! { <input type="hidden" name="plain" value="1" /> })
}

/// Context value: the message of this page's author that the room refused.
#[cfg(feature = "ssr")]
#[derive(Clone)]
struct RefusedText(crate::protocol::ChatText);

/// Puts a message that the room refused into the composer of the page without script.
#[cfg(feature = "ssr")]
pub fn provide_refused_text(text: crate::protocol::ChatText) {
    provide_context(RefusedText(text));
}

/// The message that the room refused, as the HTML inside the composer's `<textarea>`.
pub fn refused_text() -> Option<String> {
    #[cfg(feature = "ssr")]
    return use_context::<RefusedText>().map(|RefusedText(text)| {
        // Character references are the only markup that a `<textarea>` has.
        let text = text.as_str().replace('&', "&amp;");
        text.replace('<', "&lt;").replace('>', "&gt;")
    });
    #[cfg(not(feature = "ssr"))]
    None
}
