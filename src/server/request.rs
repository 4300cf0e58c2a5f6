//! The request a page or server function is being answered for.
//!
//! Read from the Leptos context, so only valid while rendering or inside a server
//! function; outside of both everything is simply absent.

use crate::i18n::{LANGUAGE_COOKIE, Locale, choose};
use crate::server::{
    http::{IsHttps, content_security_policy},
    net::ClientAddress,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// How long cookies last, in seconds: a year.
const COOKIE_MAX_AGE_S: u32 = 365 * 24 * 60 * 60;

/// What the names of cookies begin with that a browser takes by TLS only, for one host only.
const HOST_PREFIX: &str = "__Host-";

/// A header of the request.
pub fn header(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    parts.headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Whose request it is.
pub fn client_address() -> ClientAddress {
    let parts = use_context::<Parts>();
    let client = parts.and_then(|parts| parts.extensions.get().copied());
    client.unwrap_or(ClientAddress::UNKNOWN)
}

/// Whether the person's browser speaks TLS, as far as we know.
pub fn is_https() -> bool {
    let parts = use_context::<Parts>();
    parts.is_some_and(|parts| parts.extensions.get() == Some(&IsHttps(true)))
}

/// A cookie of the request, percent-decoded.
pub fn cookie(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    cookie_of(&parts.headers, is_https(), name)
}

/// What a cookie is called: by TLS with a prefix (RFC 6265bis, 4.1.3), so that neither a
/// plain connection nor a neighbouring host can put one of its own in its place.
fn cookie_name(https: bool, name: &str) -> String {
    let prefix = if https { HOST_PREFIX } else { "" };
    format!("{prefix}{name}")
}

/// A cookie among these headers, percent-decoded.
pub fn cookie_of(headers: &HeaderMap, https: bool, name: &str) -> Option<String> {
    let name = cookie_name(https, name);
    let lines = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    percent_decode_str(value)
        .decode_utf8()
        .ok()
        .map(|value| value.into_owned())
}

/// Sets a cookie for a year, or forgets it. `secret` keeps it from the script.
pub fn set_cookie(name: &str, value: Option<&str>, secret: bool) {
    let Some(response) = use_context::<ResponseOptions>() else {
        return;
    };
    let max_age = if value.is_some() { COOKIE_MAX_AGE_S } else { 0 };
    let value = utf8_percent_encode(value.unwrap_or_default(), NON_ALPHANUMERIC);
    let https = is_https();
    let name = cookie_name(https, name);
    let secret = if secret { "; HttpOnly" } else { "" };
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={max_age}; SameSite=Lax{secret}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.append_header(header::SET_COOKIE, cookie);
    }
}

/// The path of the request, as it was sent.
pub fn path() -> String {
    use_context::<Parts>().map_or_else(String::new, |parts| parts.uri.path().to_owned())
}

/// The path and query of the request, without the parameter that asks for the page without
/// script.
pub fn address_without_plain() -> String {
    let uri = use_context::<Parts>().map(|parts| parts.uri);
    let query = uri.as_ref().and_then(|uri| uri.query()).unwrap_or_default();
    let is_plain = |pair: &str| pair == "plain" || pair.starts_with("plain=");
    let kept = query.split('&').filter(|pair| !is_plain(pair));
    let kept = kept.collect::<Vec<_>>().join("&");
    let path = uri.as_ref().map_or("/", |uri| uri.path());
    // Two slashes, or one and a backslash, would be the name of another site (URL Standard).
    let path = format!("/{}", path.trim_start_matches(['/', '\\']));
    match kept.is_empty() {
        true => path,
        false => format!("{path}?{kept}"),
    }
}

/// One parameter of the query, percent-decoded.
pub fn query(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    let mut pairs = parts
        .uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    let value = value.replace('+', " ");
    percent_decode_str(&value)
        .decode_utf8()
        .ok()
        .map(|value| value.into_owned())
}

/// Whether a page of this site led the browser here (Fetch Metadata). What a script
/// fetches is no navigation, and a redirect by another site is another site's. Without the
/// headers nobody knows, so no.
pub fn is_own_navigation() -> bool {
    let says = |name, wanted| header(name).is_some_and(|value| value == wanted);
    says("sec-fetch-site", "same-origin") && says("sec-fetch-mode", "navigate")
}

/// The language to answer in.
pub fn locale() -> Locale {
    let (query, cookie) = (query("lang"), cookie(LANGUAGE_COOKIE));
    choose(
        query.as_deref(),
        cookie.as_deref(),
        header("accept-language").as_deref(),
    )
}

/// Gives the page being rendered its Content-Security-Policy, with the nonce of this
/// response, keeps it out of shared caches, and asks proxies to leave its HTML as it is.
pub fn set_page_policy() {
    let Some(response) = use_context::<ResponseOptions>() else {
        return;
    };
    let nonce = use_nonce().map(|nonce| nonce.to_string());
    let policy = content_security_policy(nonce.as_deref(), header("host").as_deref());
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
    let caching = HeaderValue::from_static("no-store, no-transform");
    response.insert_header(header::CACHE_CONTROL, caching);
}
