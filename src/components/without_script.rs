//! The page without script, `?plain=1`: where the script has failed. It is only rendered on
//! the server, and its forms and links lead to pages of the same kind.

use leptos::prelude::*;

/// That a page is of this kind. Asked for often: the request itself is large.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy)]
struct Plain;

/// Reads off the request whether its page is of this kind; once, around everything.
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

/// An address of ours as a page of this kind links it.
pub fn keep_without_script(path: String) -> String {
    #[cfg(feature = "ssr")]
    if is_without_script() {
        return crate::api::plain_path(path);
    }
    path
}

/// Tells a form's server function that it answers such a page.
#[component]
pub fn WithoutScriptField() -> impl IntoView {
    is_without_script().then(|| view! { <input type="hidden" name="plain" value="1" /> })
}
