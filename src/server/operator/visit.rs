//! What the operator's pages, and the page `/check`, read of a request.

use super::session::COOKIE;
use crate::{
    i18n::{LANGUAGE_COOKIE, Locale, choose},
    server::{
        BasePath,
        http::{IsConfidential, IsHttps},
        log_throttle,
        net::{ClientAddress, forwarded},
        request::{CookieScope, cookie_of},
    },
};
use http::{HeaderMap, Method, header, request::Parts};
use std::{convert::Infallible, net::IpAddr};

/// The header of a request by which an open page refreshes itself.
const REFRESH_HEADER: &str = "noom-refresh";

/// The facts about a request to the operator's pages.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The scope of cookies, which has the base path of the server.
    pub cookies: CookieScope,
    /// The address of the browser.
    pub address: IpAddr,
    /// Whether the browser runs on this machine, without a proxy in between.
    pub is_local: bool,
    /// Whether no network carried the request in the clear.
    pub is_confidential: bool,
    /// The language of the answer.
    pub locale: Locale,
    /// The language that the address asks for.
    pub chosen: Option<Locale>,
    /// The address of this page up to a further parameter, which a link to the other language adds.
    pub here: String,
    /// The secret in the cookie.
    pub secret: Option<String>,
    /// What the browser calls itself.
    pub agent: String,
    /// The theme that the person chose.
    pub theme: Option<String>,
    /// Whether an open page refreshes itself.
    pub is_refresh: bool,
}

impl Visit {
    /// The facts about this request.
    pub fn of(parts: &Parts) -> Self {
        let headers = &parts.headers;
        let client = parts.extensions.get().copied();
        let ClientAddress(address) = client.unwrap_or(ClientAddress::UNKNOWN);
        let https = parts.extensions.get() == Some(&IsHttps(true));
        let base: BasePath = parts.extensions.get().cloned().unwrap_or_default();
        let asked = parts.uri.query().and_then(|query| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == "lang")
        });
        let asked = asked.map(|(_, language)| language);
        let cookie = cookie_of(headers, https, LANGUAGE_COOKIE);
        let accepted = text(headers, header::ACCEPT_LANGUAGE);
        let locale = choose(asked, cookie.as_deref(), accepted);
        let theme = cookie_of(headers, https, crate::api::THEME_COOKIE);
        Self {
            here: base.address(&here(parts)),
            cookies: CookieScope { https, base },
            address,
            is_confidential: parts.extensions.get() == Some(&IsConfidential(true)),
            is_local: address.is_loopback() && !forwarded::has_forwarding(headers),
            locale,
            chosen: asked.map(|_| locale),
            secret: cookie_of(headers, https, COOKIE).filter(|secret| !secret.is_empty()),
            agent: log_throttle::printable(headers.get(header::USER_AGENT)),
            theme: theme.filter(|theme| theme == "light" || theme == "dark"),
            is_refresh: headers.contains_key(REFRESH_HEADER),
        }
    }

    /// The address of a path of the server.
    pub fn to(&self, path: &str) -> String {
        self.cookies.base.address(path)
    }

    /// Whether a password may cross this connection: it is encrypted, or does not leave the machine.
    pub fn is_private(&self) -> bool {
        self.is_confidential || self.is_local
    }
}

impl<S: Sync> axum::extract::FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The path of a page up to a further parameter, without the parameters of one visit and without
/// the secret of a link. What answers a form has no address of its own.
fn here(parts: &Parts) -> String {
    if parts.method != Method::GET {
        return "/admin?".to_owned();
    }
    let query = parts.uri.query().unwrap_or_default().split('&');
    let kept = query.filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !["", "lang", "said", "token"].contains(&name)
    });
    let kept: String = kept.map(|pair| format!("{pair}&")).collect();
    format!("{}?{kept}", parts.uri.path())
}

/// A header as text.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
