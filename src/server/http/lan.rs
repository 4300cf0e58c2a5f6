//! `/lan`: helps devices of the network trust the local authority of a self-signed server.
//!
//! The page is plain HTML without script, because it is read on devices that do not trust the
//! server yet. Without a local authority the paths do not exist.

use super::{router::fallback, security::content_security_policy};
use crate::{
    i18n::{LANGUAGE_COOKIE, Locale, choose, td_string},
    server::{
        BasePath,
        context::AppContext,
        request::cookie_of,
        tls::{LocalAuthority, ServerTls},
    },
};
use axum::{
    Router,
    extract::{Request, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, Uri, header};
use leptos::prelude::*;
use leptos_i18n::Locale as _;
use qrcode::{QrCode, render::svg};

/// Path of the page.
const LAN: &str = "/lan";

/// The routes of the page and its files.
pub fn routes() -> Router<AppContext> {
    Router::new()
        .route(LAN, get(page))
        .route("/lan/noom-authority.crt", get(certificate))
        .route("/lan/qr.svg", get(code))
}

/// The local authority of this server.
fn authority(context: &AppContext) -> Option<&LocalAuthority> {
    match &context.tls {
        Some(ServerTls::SelfSigned(local)) => Some(local),
        Some(ServerTls::Files(_) | ServerTls::Acme(..)) | None => None,
    }
}

/// The page, or 404 without a local authority.
async fn page(State(context): State<AppContext>, request: Request) -> Response {
    let Some(local) = authority(&context) else {
        return fallback(State(context), request).await;
    };
    let locale = language(request.uri(), request.headers());
    let base = base_of(&request);
    let css = base.address(&format!("/pkg/{}", context.assets.names().css));
    let html = html(locale, &base, css, local.fingerprint());
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            content_security_policy(None, None),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Html(html)).into_response()
}

/// The certificate of the authority, or 404.
async fn certificate(State(context): State<AppContext>, request: Request) -> Response {
    match authority(&context) {
        Some(local) => {
            let headers = [
                (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, local.certificate().to_owned()).into_response()
        }
        None => fallback(State(context), request).await,
    }
}

/// The QR code of the page's address, or 404.
async fn code(State(context): State<AppContext>, request: Request) -> Response {
    let base = base_of(&request);
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let drawn = host
        .filter(|_| authority(&context).is_some())
        .and_then(|host| {
            let code = QrCode::new(format!("https://{host}{base}{LAN}")).ok()?;
            Some(code.render::<svg::Color<'_>>().build())
        });
    match drawn {
        Some(svg) => ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response(),
        None => fallback(State(context), request).await,
    }
}

/// The base path of the server.
fn base_of(request: &Request) -> BasePath {
    request.extensions().get().cloned().unwrap_or_default()
}

/// The language that the request asks for.
fn language(uri: &Uri, headers: &HeaderMap) -> Locale {
    let query = uri.query().unwrap_or_default().split('&');
    let query = query.filter_map(|pair| pair.strip_prefix("lang=")).next();
    let accept = headers.get(header::ACCEPT_LANGUAGE);
    choose(
        query,
        cookie_of(headers, true, LANGUAGE_COOKIE).as_deref(),
        accept.and_then(|accept| accept.to_str().ok()),
    )
}

/// The HTML document in a language.
fn html(locale: Locale, base: &BasePath, css: String, fingerprint: String) -> String {
    let steps = [
        ("iPhone, iPad", td_string!(locale, lan.ios)),
        ("Android", td_string!(locale, lan.android)),
        ("macOS", td_string!(locale, lan.macos)),
        ("Windows", td_string!(locale, lan.windows)),
        ("Linux", td_string!(locale, lan.linux)),
        ("Firefox", td_string!(locale, lan.firefox)),
    ];
    let steps = steps.map(|(system, text)| {
        view! {
            <h2>{system}</h2>
            <p>{text}</p>
        }
    });
    let other = match locale {
        Locale::en => Locale::ko,
        Locale::ko => Locale::en,
    };
    let other_name = match other {
        Locale::en => "English",
        Locale::ko => "한국어",
    };
    let title = td_string!(locale, lan.title);
    let document = view! {
        <!DOCTYPE html>
        <html lang=locale.as_str()>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <title>{title}" · Noom"</title>
                <link rel="stylesheet" href=css />
                <link rel="icon" href=base.address("/favicon.svg") type="image/svg+xml" />
            </head>
            <body>
                <main id="content" class="lan">
                    <p>
                        <a href=format!("{base}{LAN}?lang={}", other.as_str()) lang=other.as_str()>
                            {other_name}
                        </a>
                    </p>
                    <h1>{title}</h1>
                    <p>{td_string!(locale, lan.intro)}</p>
                    <p>{td_string!(locale, lan.caution)}</p>
                    <p>
                        <a
                            class="button button--primary"
                            href=base.address("/lan/noom-authority.crt")
                            download=""
                        >
                            {td_string!(locale, lan.download)}
                        </a>
                    </p>
                    <p>{td_string!(locale, lan.fingerprint)}<br /><code>{fingerprint}</code></p>
                    {steps.into_iter().collect_view()}
                    <p>{td_string!(locale, lan.done)}</p>
                    <p>
                        <a class="button button--quiet" href=base.address("/")>
                            {td_string!(locale, common.home)}
                        </a>
                    </p>
                    <h2>{td_string!(locale, lan.scan)}</h2>
                    <p>
                        <img
                            class="lan__code"
                            src=base.address("/lan/qr.svg")
                            width="240"
                            height="240"
                            alt=td_string!(locale, lan.scan)
                        />
                    </p>
                </main>
            </body>
        </html>
    };
    document.to_html()
}
