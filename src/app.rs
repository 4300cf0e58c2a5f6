//! The document shell and the routes.

#[cfg(feature = "ssr")]
use crate::api::THEME_COOKIE;
use crate::components::{TimeZone, page_address};
#[cfg(feature = "ssr")]
use crate::components::{is_without_script, provide_without_script};
use crate::i18n::*;
use crate::pages::{NotFoundPage, RoomRoute, WelcomePage};
use crate::paths;
use leptos::prelude::*;
use leptos::text_prop::TextProp;
use leptos_i18n::Locale as _;
use leptos_meta::{Html, MetaTags, provide_meta_context};
use leptos_router::components::{ParentRoute, Route, Router, Routes};
use leptos_router::{Lazy, SsrMode, path};

/// The document around the application, rendered on the server only.
///
/// It also sets the page's Content-Security-Policy, because the nonce is made here.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let PageFacts {
        theme,
        secure,
        base,
        css,
        scripts,
        again,
    } = page_facts();
    let plain = again.is_some().then_some("is-plain");
    let below = base
        .is_some()
        .then(|| view! { <script nonce=use_nonce()>{BELOW}</script> });
    // Where the script hydrates, nothing of ours may be before the application.
    let (start, body) = match again {
        Some(again) => (
            ().into_any(),
            view! { <WithoutScriptBody again /> }.into_any(),
        ),
        None => (
            view! { <Hydration scripts /> }.into_any(),
            view! { <App /> }.into_any(),
        ),
    };
    view! {
        <!DOCTYPE html>
        <html data-theme=theme data-secure=secure data-base=base>
            <head>
                <meta charset="utf-8" />
                <meta
                    name="viewport"
                    content="width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content"
                />
                // Forms send their Origin to this site; other sites receive no referrer.
                <meta name="referrer" content="same-origin" />
                <meta name="color-scheme" content="light dark" />
                <link rel="stylesheet" href=css />
                <link rel="icon" href=paths::address("/favicon.svg") type="image/svg+xml" />
                <link rel="manifest" href=paths::address("/manifest.webmanifest") />
                <AutoReload options=options.clone() />
                {below}
                {start}
                <MetaTags />
            </head>
            <body class=plain>
                {body}
                // Scrolls a log to its end before the main script has loaded. Nodes after this
                // script were added by others, such as extensions.
                <script nonce=use_nonce() data-end="">
                    "document.querySelector('.chat__log')?.scrollTo(0,1e9)"
                </script>
            </body>
        </html>
    }
}

/// The banner of the page without script: the reason, what works, and a link back.
#[component]
fn WithoutScriptBody(
    /// The path of the page with script.
    again: String,
) -> impl IntoView {
    let locale = language_of_page();
    let (again, here) = (paths::address(&again), page_address(&again));
    view! {
        <div class="plain" role="alert">
            <div>
                <h1 class="plain__title">{td_string!(locale, common.plain_title)}</h1>
                <p>{td_string!(locale, common.plain_text)}</p>
            </div>
            <p class="plain__ways">
                <a class="button button--primary button--small" href=again>
                    {td_string!(locale, common.try_again)}
                </a>
                <a class="button button--quiet button--small" href=here>
                    {td_string!(locale, common.plain_reload)}
                </a>
            </p>
        </div>
        <App />
        // Restores the text typed on the page that failed.
        <script nonce=use_nonce()>{KEPT}</script>
    }
}

/// Leads a browser that came by an address without the base path to the one with it, where the page
/// expects to be. It stops the page first, so that no part of it starts at the wrong address.
pub(crate) const BELOW: &str = "(function(){var base=document.documentElement.dataset.base;\
    if((location.pathname+'/').indexOf(base+'/')){\
    stop();location.replace(base+location.pathname+location.search+location.hash)}})()";

/// Restores typed text into the fields of the page without script, once.
const KEPT: &str = "(function(){var state=history.state,kept=state&&state.noom;if(!kept)return;\
    for(var name in kept.fields){\
    var field=document.querySelector('[name=\"'+name+'\"]:not([type=hidden])');\
    if(field&&!field.value)field.value=kept.fields[name]}\
    history.replaceState(null,'')})()";

/// Facts about the request and the build that the shell uses.
struct PageFacts {
    theme: Option<String>,
    /// Set if cookies are `Secure`.
    secure: Option<&'static str>,
    /// The base path, unless it is empty.
    base: Option<String>,
    css: String,
    scripts: Scripts,
    /// On a page without script: the path of the page with script.
    again: Option<String>,
}

/// Addresses of the script and the wasm modules of the page.
struct Scripts {
    js: String,
    wasm: String,
    /// On a room's page: the script that loads wasm modules, and those of the room.
    room: Option<Vec<String>>,
    /// The text shown while a failed page waits for the server.
    wait: &'static str,
}

#[cfg(feature = "ssr")]
fn page_facts() -> PageFacts {
    use crate::server::context::AppContext;
    use crate::server::request;

    request::set_page_policy();
    provide_without_script();
    paths::provide_base_path();
    let locale = request::locale();
    if request::query("lang").is_some() {
        request::set_cookie(LANGUAGE_COOKIE, Some(locale.as_str()), false);
    }
    let names = expect_context::<AppContext>().assets.names();
    let file = |name: String| paths::address(&format!("/pkg/{name}"));
    let base = paths::base();
    PageFacts {
        theme: request::cookie(THEME_COOKIE).filter(|theme| theme == "light" || theme == "dark"),
        secure: request::is_https().then_some(""),
        base: (!base.is_root()).then(|| base.to_string()),
        css: file(names.css),
        scripts: Scripts {
            js: file(names.js),
            wasm: file(names.wasm),
            room: names
                .room
                .filter(|_| request::path().starts_with("/room/"))
                .map(|files| files.into_iter().map(file).collect()),
            wait: td_string!(locale, common.waits_for_server),
        },
        again: is_without_script().then(request::address_without_plain),
    }
}

/// Unused in the browser, where the shell is never rendered.
#[cfg(not(feature = "ssr"))]
fn page_facts() -> PageFacts {
    let none = String::new;
    PageFacts {
        theme: None,
        secure: None,
        base: None,
        css: none(),
        scripts: Scripts {
            js: none(),
            wasm: none(),
            room: None,
            wait: "",
        },
        again: None,
    }
}

/// Leads browsers that cannot parse [`start_script`] to the page without script.
const UNREAD: &str = "addEventListener('load',function(){\
    self.noom||location.replace('?plain=1')})";

/// `start.js` without comments and indentation.
#[cfg(feature = "ssr")]
fn start_script() -> &'static str {
    static SENT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let lines = include_str!("start.js").lines().map(str::trim);
        let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
        code.collect::<Vec<_>>().join("\n")
    });
    &SENT
}

/// Unused in the browser, where the shell is never rendered.
#[cfg(not(feature = "ssr"))]
fn start_script() -> &'static str {
    ""
}

/// Loads the script and the wasm module, and hydrates the page.
///
/// Replaces the framework's script, which puts the nonce into an attribute that scripts and
/// styles can read; here it is in `nonce` only. It also checks that the page is as the server
/// sent it: `server/http/fingerprint.rs` fills in `data-page`.
#[component]
fn Hydration(
    /// Addresses of the script and the wasm modules.
    scripts: Scripts,
) -> impl IntoView {
    let Scripts {
        js,
        wasm,
        room,
        wait,
    } = scripts;
    view! {
        <link
            rel="preload"
            href=wasm.clone()
            r#as="fetch"
            r#type="application/wasm"
            crossorigin=""
        />
        // `data-cfasync`: excludes the script from rewriting by a proxy.
        <script
            type="module"
            nonce=use_nonce()
            data-page="????????"
            data-cfasync="false"
            data-js=js
            data-wasm=wasm
            data-room=room.map(|files| files.join(" "))
            data-wait=wait
        >
            {start_script()}
        </script>
        <script nonce=use_nonce() data-cfasync="false">
            {UNREAD}
        </script>
    }
}

/// The application: the content of `<body>`, the same on server and browser.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    TimeZone::provide();
    let i18n = I18n::provide(language_of_page());
    let room = Lazy::<RoomRoute>::new();
    view! {
        <Html attr:lang=language_attribute(i18n) />
        <Router base=paths::router_base()>
            <div class="page">
                <Routes fallback=NotFoundPage>
                    <Route path=path!("/") view=WelcomePage ssr=SsrMode::Async />
                    <ParentRoute path=path!("/room/:name") view=room ssr=SsrMode::Async>
                        <Route path=path!("") view=|| () />
                        <Route path=path!("call") view=|| () />
                    </ParentRoute>
                </Routes>
            </div>
        </Router>
    }
}

/// The language of the page: the server chooses it, the browser reads it from the document.
fn language_of_page() -> Locale {
    #[cfg(feature = "ssr")]
    return crate::server::request::locale();
    #[cfg(feature = "hydrate")]
    return crate::browser::dom::language::of_document();
    #[cfg(not(any(feature = "ssr", feature = "hydrate")))]
    Locale::default()
}

/// The value of `<html lang>`, which follows the language in the browser. On the server it is a
/// plain string, because the head is written after the page's signals are disposed.
fn language_attribute(i18n: I18n) -> TextProp {
    match cfg!(feature = "ssr") {
        true => TextProp::from(i18n.get_locale_untracked().as_str()),
        false => TextProp::from(move || i18n.get_locale().as_str()),
    }
}
