//! The document shell and the routes.

#[cfg(feature = "ssr")]
use crate::api::THEME_COOKIE;
use crate::components::{TimeZone, keep_without_script};
#[cfg(feature = "ssr")]
use crate::components::{is_without_script, provide_without_script};
use crate::i18n::*;
use crate::pages::{NotFoundPage, RoomRoute, WelcomePage};
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
        css,
        scripts,
        again,
    } = page_facts();
    let plain = again.is_some().then_some("is-plain");
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
        <html data-theme=theme data-secure=secure>
            <head>
                <meta charset="utf-8" />
                <meta
                    name="viewport"
                    content="width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content"
                />
                // Forms carry their Origin to this site; nobody else learns the address.
                <meta name="referrer" content="same-origin" />
                <meta name="color-scheme" content="light dark" />
                <link rel="stylesheet" href=css />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="manifest" href="/manifest.webmanifest" />
                <AutoReload options=options.clone() />
                {start}
                <MetaTags />
            </head>
            <body class=plain>
                {body}
                // A log is read from its end, also before the script is there. What is behind
                // this script is not ours.
                <script nonce=use_nonce() data-end="">
                    "document.querySelector('.chat__log')?.scrollTo(0,1e9)"
                </script>
            </body>
        </html>
    }
}

/// The page without script: what it is, a way out of it, and what can be done meanwhile.
#[component]
fn WithoutScriptBody(
    /// The address of the page with script.
    again: String,
) -> impl IntoView {
    let locale = language_of_page();
    let here = keep_without_script(again.clone());
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
        // What was typed on the page that failed.
        <script nonce=use_nonce()>{KEPT}</script>
    }
}

/// Puts what was typed back into the fields of the page without script, once.
const KEPT: &str = "(function(){var state=history.state,kept=state&&state.noom;if(!kept)return;\
    for(var name in kept.fields){\
    var field=document.querySelector('[name=\"'+name+'\"]:not([type=hidden])');\
    if(field&&!field.value)field.value=kept.fields[name]}\
    history.replaceState(null,'')})()";

/// What the shell needs to know of the request and the build.
struct PageFacts {
    theme: Option<String>,
    /// There where cookies are for TLS only.
    secure: Option<&'static str>,
    css: String,
    scripts: Scripts,
    /// Where the page without script was asked for: the address of the page with it.
    again: Option<String>,
}

/// Where the script and the modules of the page are.
struct Scripts {
    js: String,
    wasm: String,
    /// What draws a room, where this is one: its module, and the script that loads it.
    room: Option<[String; 2]>,
    /// What is said while a page that failed waits for the server.
    wait: &'static str,
}

#[cfg(feature = "ssr")]
fn page_facts() -> PageFacts {
    use crate::server::context::AppContext;
    use crate::server::request;

    request::set_page_policy();
    provide_without_script();
    let locale = request::locale();
    if request::query("lang").is_some() {
        request::set_cookie(LANGUAGE_COOKIE, Some(locale.as_str()), false);
    }
    let names = expect_context::<AppContext>().assets.names();
    PageFacts {
        theme: request::cookie(THEME_COOKIE).filter(|theme| theme == "light" || theme == "dark"),
        secure: request::is_https().then_some(""),
        css: format!("/pkg/{}", names.css),
        scripts: Scripts {
            js: format!("/pkg/{}", names.js),
            wasm: format!("/pkg/{}", names.wasm),
            room: names
                .room
                .filter(|_| request::path().starts_with("/room/"))
                .map(|files| files.map(|name| format!("/pkg/{name}"))),
            wait: td_string!(locale, common.waits_for_server),
        },
        again: is_without_script().then(request::address_without_plain),
    }
}

/// The shell is never rendered in the browser.
#[cfg(not(feature = "ssr"))]
fn page_facts() -> PageFacts {
    let none = String::new;
    PageFacts {
        theme: None,
        secure: None,
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

/// Browsers that do not even read [`start_script`] get the page without script.
const UNREAD: &str = "addEventListener('load',function(){\
    self.noom||location.replace('?plain=1')})";

/// `start.js` as it is sent.
#[cfg(feature = "ssr")]
fn start_script() -> &'static str {
    static SENT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let lines = include_str!("start.js").lines().map(str::trim);
        let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
        code.collect::<Vec<_>>().join("\n")
    });
    &SENT
}

/// The shell is never rendered in the browser.
#[cfg(not(feature = "ssr"))]
fn start_script() -> &'static str {
    ""
}

/// Loads the script and the wasm module, and hydrates what is on the screen by then.
///
/// Our own, because the framework's puts the nonce into an attribute that scripts
/// and styles can read; here it stands in `nonce` only. It checks that the page is the one we
/// sent: `server/http/fingerprint.rs` writes over `data-page`.
#[component]
fn Hydration(
    /// Where everything is.
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
        // `data-cfasync`: a proxy that loads scripts in its own way leaves these alone.
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

/// The application: everything inside `<body>`, the same on both sides.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    TimeZone::provide();
    let i18n = I18n::provide(language_of_page());
    let room = Lazy::<RoomRoute>::new();
    view! {
        <Html attr:lang=language_attribute(i18n) />
        <Router>
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

/// The language the page is rendered in: the server chooses, the browser reads it off
/// the document.
fn language_of_page() -> Locale {
    #[cfg(feature = "ssr")]
    return crate::server::request::locale();
    #[cfg(feature = "hydrate")]
    return crate::browser::dom::language::of_document();
    #[cfg(not(any(feature = "ssr", feature = "hydrate")))]
    Locale::default()
}

/// What `<html lang>` says; it follows the language in the browser. The server writes it
/// after the page's signals are gone: there it is a word.
fn language_attribute(i18n: I18n) -> TextProp {
    match cfg!(feature = "ssr") {
        true => TextProp::from(i18n.get_locale_untracked().as_str()),
        false => TextProp::from(move || i18n.get_locale().as_str()),
    }
}
