//! The document shell and the routes.

#[cfg(feature = "ssr")]
use crate::api::THEME_COOKIE;
use crate::i18n::*;
use crate::pages::{NotFoundPage, RoomRoute, WelcomePage};
use leptos::prelude::*;
use leptos::text_prop::TextProp;
use leptos_i18n::Locale as _;
use leptos_meta::{Html, MetaTags, provide_meta_context};
use leptos_router::components::{ParentRoute, Route, Router, Routes};
use leptos_router::{Lazy, SsrMode, path};

/// The cookie by which the server knows the device's zone, in minutes east of UTC.
pub const ZONE_COOKIE: &str = "noom_zone";

/// The document around the application, rendered on the server only.
///
/// It also sets the page's Content-Security-Policy, because the nonce is made here.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let PageFacts {
        theme,
        secure,
        css,
        scripts,
    } = page_facts();
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
                <Hydration scripts />
                <MetaTags />
            </head>
            <body>
                <App />
                // A log is read from its end, also before the script is there.
                <script nonce=use_nonce()>
                    "document.querySelector('.chat__log')?.scrollTo(0,1e9)"
                </script>
            </body>
        </html>
    }
}

/// What the shell needs to know of the request and the build.
struct PageFacts {
    theme: Option<String>,
    /// There where cookies are for TLS only.
    secure: Option<&'static str>,
    css: String,
    scripts: Scripts,
}

/// Where the script and the modules of the page are.
struct Scripts {
    js: String,
    wasm: String,
    /// What draws a room, where this is one: its module, and the script that loads it.
    room: Option<[String; 2]>,
}

#[cfg(feature = "ssr")]
fn page_facts() -> PageFacts {
    use crate::server::context::AppContext;
    use crate::server::request;

    request::set_page_policy();
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
        },
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
        },
    }
}

/// Says when the page has been painted; at once where nobody looks, and not too late where
/// the browser does not say.
const PAINTED: &str = "const painted=new Promise(done=>{\
    if(document.hidden)done();\
    setTimeout(done,500);\
    new PerformanceObserver(done).observe({type:\"paint\",buffered:true})});";

/// Loads the script and the wasm module, and hydrates what is on the screen by then.
///
/// Our own, because the framework's puts the nonce into an attribute that scripts
/// and styles can read; here it stands in `nonce` only.
#[component]
fn Hydration(
    /// Where everything is.
    scripts: Scripts,
) -> impl IntoView {
    let nonce = use_nonce();
    let Scripts { js, wasm, room } = scripts;
    // What draws a room is asked for as soon as the page is there, before the script knows
    // that it needs it.
    let room = room.map_or_else(String::new, |[wasm, js]| {
        format!(
            "painted.then(()=>{{\
            const link=facts=>document.head.prepend(\
            Object.assign(document.createElement(\"link\"),facts));\
            link({{rel:\"preload\",as:\"fetch\",crossOrigin:\"\",href:\"{wasm}\"}});\
            link({{rel:\"modulepreload\",href:\"{js}\"}})}});"
        )
    });
    let script = format!(
        "{PAINTED}{room}\
        import(\"{js}\").then(m=>m.default({{module_or_path:\"{wasm}\"}})\
        .then(()=>painted).then(()=>m.hydrate()))"
    );
    view! {
        <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="" />
        <script type="module" nonce=nonce>
            {script}
        </script>
    }
}

/// The application: everything inside `<body>`, the same on both sides.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_zone();
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
    return crate::browser::language::of_document();
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

/// How times are shown: the zone the server was told of until the browser is asked.
#[derive(Clone, Copy)]
pub struct Zone {
    /// Minutes east of UTC that the page was rendered with.
    rendered: StoredValue<i32>,
    /// Whether to ask the browser, moment by moment.
    ask_browser: RwSignal<bool>,
}

impl Zone {
    /// From now on times are those of the browser. Called when the page is hydrated: before
    /// that it says what the server wrote.
    pub fn ask_browser(self) {
        self.ask_browser.set(true);
    }

    /// The offset from UTC at a moment, in minutes; tracked.
    pub fn offset_minutes(self, at_ms: i64) -> i32 {
        #[cfg(feature = "hydrate")]
        if self.ask_browser.get() {
            return crate::browser::clock::offset_minutes(at_ms);
        }
        let _ = (at_ms, self.ask_browser);
        self.rendered.get_value()
    }
}

/// Provides [`Zone`]. The browser starts with the offset the page was rendered with,
/// so that hydration finds what it expects, and asks the device afterwards.
fn provide_zone() {
    let rendered = SharedValue::new(rendered_offset).into_inner();
    let zone = Zone {
        rendered: StoredValue::new(rendered),
        ask_browser: RwSignal::new(false),
    };
    provide_context(zone);
    #[cfg(feature = "hydrate")]
    Effect::new(move || {
        let now = crate::browser::clock::now_ms();
        let offset = crate::browser::clock::offset_minutes(now);
        crate::browser::storage::set_cookie(ZONE_COOKIE, &offset.to_string());
    });
}

/// The zone of the request's cookie, in minutes east of UTC; UTC where there is none.
fn rendered_offset() -> i32 {
    #[cfg(feature = "ssr")]
    let cookie = crate::server::request::cookie(ZONE_COOKIE);
    #[cfg(not(feature = "ssr"))]
    let cookie: Option<String> = None;
    let offset = cookie.and_then(|text| text.parse().ok());
    offset
        .filter(|minutes: &i32| minutes.abs() <= 14 * 60)
        .unwrap_or(0)
}
