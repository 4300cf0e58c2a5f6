//! The title of a page.

use leptos::prelude::*;
use leptos::text_prop::TextProp;
use leptos_meta::Title;

/// Sets the title, which follows the language in the browser.
///
/// On the server it is a plain string, because the head is written after the page's signals
/// are disposed.
#[component]
pub fn PageTitle(
    /// Title of the page.
    text: Signal<&'static str>,
) -> impl IntoView {
    let text = match cfg!(feature = "ssr") {
        true => TextProp::from(text.get_untracked()),
        false => TextProp::from(move || text.get()),
    };
    view! { <Title text /> }
}
