//! The document around a page that the server draws by itself: those of the operator, and `/check`.

use super::super::visit::Visit;
use crate::{i18n::td_string, server::http::Assets};
use axum::response::Html;
use leptos::prelude::*;
use leptos_i18n::Locale as _;

/// The parts of a page that differ.
pub struct Document {
    /// The title of the page, with the name of the product.
    pub title: String,
    /// The path of the page's own style, beside that of the site.
    pub style: &'static str,
    /// The path of the page's script, if it has one.
    pub script: Option<&'static str>,
    /// Whether search engines may list the page.
    pub is_listed: bool,
    /// What stands in the header beside the other language.
    pub tools: AnyView,
    /// The element `main`.
    pub main: AnyView,
    /// What follows the page in the body.
    pub after: AnyView,
}

impl Document {
    /// The page as HTML.
    pub fn render(self, visit: &Visit) -> Html<String> {
        let Self {
            title,
            style,
            script,
            is_listed,
            tools,
            main,
            after,
        } = self;
        let locale = visit.locale;
        let (other, language) = (locale.other(), locale.as_str());
        let css = visit.to(&format!("/pkg/{}", Assets::embedded().names().css));
        let script = script.map(|path| view! { <script src=visit.to(path) defer></script> });
        let robots = (!is_listed).then(|| view! { <meta name="robots" content="noindex" /> });
        let page = view! {
            <!DOCTYPE html>
            <html lang=language data-theme=visit.theme.clone()>
                <head>
                    <meta charset="utf-8" />
                    <meta name="viewport" content="width=device-width, initial-scale=1" />
                    // Forms and scripts send their Origin to this site; other sites receive no referrer.
                    <meta name="referrer" content="same-origin" />
                    {robots}
                    <meta name="color-scheme" content="light dark" />
                    <title>{title}</title>
                    <link rel="stylesheet" href=css />
                    <link rel="stylesheet" href=visit.to(style) />
                    <link rel="icon" href=visit.to("/favicon.svg") type="image/svg+xml" />
                    {script}
                </head>
                <body>
                    <div class="page">
                        <a class="skip" href="#content">
                            {td_string!(locale, common.skip)}
                        </a>
                        <header class="masthead">
                            <a class="masthead__logo" href=visit.to("/")>
                                "Noom"
                            </a>
                            <div class="masthead__tools">
                                <a
                                    class="lang"
                                    translate="no"
                                    href=format!("{}lang={}", visit.here, other.as_str())
                                    hreflang=other.as_str()
                                    lang=other.as_str()
                                >
                                    {other.own_name()}
                                </a>
                                {tools}
                            </div>
                        </header>
                        {main}
                    </div>
                    {after}
                </body>
            </html>
        };
        Html(page.to_html())
    }
}
