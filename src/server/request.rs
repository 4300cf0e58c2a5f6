//! The request of the page or server function that runs now.
//!
//! The functions read the Leptos context, which exists while a page is rendered and inside a server
//! function. Elsewhere they return `None` or a default.

use crate::i18n::{LANGUAGE_COOKIE, Locale, choose};
use crate::server::{
    BasePath,
    http::{IsHttps, content_security_policy},
    net::ClientAddress,
    origin::Origin,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use leptos_i18n::Locale as _;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Lifetime of cookies, in seconds: a year.
const COOKIE_MAX_AGE_S: u32 = 365 * 24 * 60 * 60;

/// Prefix of cookies that browsers accept only over TLS and only for one host (RFC 6265bis,
/// section 4.1.3.2).
const HOST_PREFIX: &str = "__Host-";

/// A header of the request.
pub fn header(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    parts.headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Address of the client, or [`ClientAddress::UNKNOWN`].
pub fn client_address() -> ClientAddress {
    let parts = use_context::<Parts>();
    let client = parts.and_then(|parts| parts.extensions.get().copied());
    client.unwrap_or(ClientAddress::UNKNOWN)
}

/// Whether the browser used TLS, according to the public URL or a trusted proxy.
pub fn is_https() -> bool {
    let parts = use_context::<Parts>();
    parts.is_some_and(|parts| parts.extensions.get() == Some(&IsHttps(true)))
}

/// The site that the browser asked, by the `Host` of the request or, in HTTP/2, by its authority.
pub fn origin() -> Option<Origin> {
    let authority = || {
        use_context::<Parts>()?
            .uri
            .authority()
            .map(ToString::to_string)
    };
    let host = header("host").or_else(authority)?;
    let scheme = if is_https() { "https" } else { "http" };
    Origin::parse(&format!("{scheme}://{host}"))
}

/// A cookie of the request, percent-decoded.
pub fn cookie(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    cookie_of(&parts.headers, is_https(), name)
}

/// Name of a cookie: with the prefix over TLS, so that neither a plain connection nor a sibling
/// host can replace it (RFC 6265bis, section 4.1.3).
fn cookie_name(https: bool, name: &str) -> String {
    let prefix = if https { HOST_PREFIX } else { "" };
    format!("{prefix}{name}")
}

/// A cookie of these headers, percent-decoded.
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

/// The base path of the server.
pub fn base_path() -> BasePath {
    let parts = use_context::<Parts>();
    let base = parts.and_then(|parts| parts.extensions.get().cloned());
    base.unwrap_or_default()
}

/// Which requests carry a cookie.
#[derive(Debug, Clone)]
pub struct CookieScope {
    /// Whether the browser uses TLS.
    pub https: bool,
    /// The base path of the server.
    pub base: BasePath,
}

impl CookieScope {
    /// The path of a cookie without its `/` at the end. With the prefix the path must be `/` (RFC
    /// 6265bis, section 4.1.3.2), below a base path too.
    fn path(&self) -> &str {
        if self.https { "" } else { self.base.as_str() }
    }

    /// The attribute by which a cookie is sent over TLS only.
    fn secure(&self) -> &'static str {
        if self.https { "; Secure" } else { "" }
    }
}

/// Sets a cookie for a year; `None` deletes it. `secret` hides the cookie from scripts
/// (`HttpOnly`).
pub fn set_cookie(name: &str, value: Option<&str>, secret: bool) {
    let Some(response) = use_context::<ResponseOptions>() else {
        return;
    };
    let max_age = if value.is_some() { COOKIE_MAX_AGE_S } else { 0 };
    let value = utf8_percent_encode(value.unwrap_or_default(), NON_ALPHANUMERIC);
    let scope = CookieScope {
        https: is_https(),
        base: base_path(),
    };
    let name = cookie_name(scope.https, name);
    let secret = if secret { "; HttpOnly" } else { "" };
    let (path, secure) = (scope.path(), scope.secure());
    let cookie =
        format!("{name}={value}; Path={path}/; Max-Age={max_age}; SameSite=Lax{secret}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.append_header(header::SET_COOKIE, cookie);
    }
}

/// The header that sets a cookie which scripts cannot read and which no other site makes a browser
/// send, for this many seconds. `value` is of letters that cookies may hold; `None` if it is not.
pub fn strict_cookie(
    scope: &CookieScope,
    name: &str,
    value: &str,
    seconds: i64,
) -> Option<HeaderValue> {
    let name = cookie_name(scope.https, name);
    let (path, secure) = (scope.path(), scope.secure());
    let cookie = format!(
        "{name}={value}; Path={path}/; Max-Age={seconds}; SameSite=Strict; HttpOnly{secure}"
    );
    HeaderValue::from_str(&cookie).ok()
}

/// The header that remembers a chosen language for a year.
pub fn language_cookie(scope: &CookieScope, language: Locale) -> Option<HeaderValue> {
    let name = cookie_name(scope.https, LANGUAGE_COOKIE);
    let (language, path, secure) = (language.as_str(), scope.path(), scope.secure());
    let cookie = format!(
        "{name}={language}; Path={path}/; Max-Age={COOKIE_MAX_AGE_S}; SameSite=Lax{secure}"
    );
    HeaderValue::from_str(&cookie).ok()
}

/// The path of the request, percent-encoded as sent.
pub fn path() -> String {
    use_context::<Parts>().map_or_else(String::new, |parts| parts.uri.path().to_owned())
}

/// The path and query of the request, without the parameter `plain`, which selects the page without
/// script.
pub fn address_without_plain() -> String {
    let uri = use_context::<Parts>().map(|parts| parts.uri);
    let query = uri.as_ref().and_then(|uri| uri.query()).unwrap_or_default();
    let is_plain = |pair: &str| pair == "plain" || pair.starts_with("plain=");
    let kept = query.split('&').filter(|pair| !is_plain(pair));
    let kept = kept.collect::<Vec<_>>().join("&");
    let path = uri.as_ref().map_or("/", |uri| uri.path());
    // A path that begins with two slashes, or with a slash and a backslash, would name another host
    // (URL Standard).
    let path = format!("/{}", path.trim_start_matches(['/', '\\']));
    match kept.is_empty() {
        true => path,
        false => format!("{path}?{kept}"),
    }
}

/// A parameter of the query, percent-decoded.
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

/// Whether a page of this origin navigated here (Fetch Metadata). Requests of scripts are not
/// navigations, and a redirect by another site counts as cross-site. False without the headers.
pub fn is_own_navigation() -> bool {
    let header_is = |name, wanted| header(name).is_some_and(|value| value == wanted);
    header_is("sec-fetch-site", "same-origin") && header_is("sec-fetch-mode", "navigate")
}

/// The language of the response.
pub fn locale() -> Locale {
    let (query, cookie) = (query("lang"), cookie(LANGUAGE_COOKIE));
    choose(
        query.as_deref(),
        cookie.as_deref(),
        header("accept-language").as_deref(),
    )
}

/// Sets the Content-Security-Policy of the rendered page, with the nonce of this response, keeps
/// the page out of caches, and forbids proxies to transform its HTML.
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
