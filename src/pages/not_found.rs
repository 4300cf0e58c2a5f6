//! Any other address.

use crate::components::{Masthead, PageTitle, page_address};
use crate::i18n::*;
use crate::words;
use leptos::prelude::*;

/// Page not found, with status 404.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    let i18n = use_i18n();
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        use axum::http::StatusCode;
        response.set_status(StatusCode::NOT_FOUND);
    }
    view! {
        <PageTitle text=words!(i18n, common.not_found_title) />
        <Masthead />
        <main id="content" class="full">
            <h1>{words!(i18n, common.not_found_title)}</h1>
            <p>{words!(i18n, common.not_found_text)}</p>
            <a class="button button--primary" href=page_address("/")>
                {words!(i18n, common.home)}
            </a>
        </main>
    }
}
