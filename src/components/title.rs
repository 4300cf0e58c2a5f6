//! The title of a page.

use leptos::prelude::*;
use leptos::text_prop::TextProp;
use leptos_meta::Title;

/// Sets the title, which follows the language in the browser.
///
/// The server writes the head after the page's signals are gone: there it is a word.
#[component]
pub fn PageTitle(
    /// What to call the page.
    text: Signal<&'static str>,
) -> impl IntoView {
    let text = match cfg!(feature = "ssr") {
        true => TextProp::from(text.get_untracked()),
        false => TextProp::from(move || text.get()),
    };
    view! { <Title text /> }
}
