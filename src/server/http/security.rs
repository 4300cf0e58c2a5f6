//! The security headers of every response.

use crate::server::{context::AppContext, net::listener::IsEncrypted};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{
    HeaderName, HeaderValue,
    header::{
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    },
};
use std::fmt::Write;

/// `Permissions-Policy` of pages and their frames.
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), \
                           autoplay=(self), picture-in-picture=(self), screen-wake-lock=(self), \
                           geolocation=(), usb=(), serial=(), payment=()";

/// Content-Security-Policy of responses that are not pages. A document with this policy loads and
/// runs nothing. Short, because a first load has five such responses.
const NO_PAGE: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
                       frame-ancestors 'none'";

/// Middleware: adds the security headers. Pages set their own policy, and only pages may use
/// devices.
pub async fn add_headers(
    State(context): State<AppContext>,
    request: Request,
    next: Next,
) -> Response {
    // A proxy that ends TLS passes the header on; here it has a meaning on TLS alone.
    let public = context.config.public_url.as_ref();
    let encrypted = request.extensions().get() == Some(&IsEncrypted(true))
        || public.is_some_and(|url| url.is_https());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if encrypted && context.config.has_strict_transport() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
    let (name, value) = if headers.contains_key(CONTENT_SECURITY_POLICY) {
        (HeaderName::from_static("permissions-policy"), PERMISSIONS)
    } else {
        (CONTENT_SECURITY_POLICY, NO_PAGE)
    };
    headers.insert(name, HeaderValue::from_static(value));
    response
}

/// Content-Security-Policy of a page. `nonce` allows the scripts and styles of the page. `host`,
/// the `Host` of the request, allows WebSockets in browsers whose `'self'` does not cover `ws:`. A
/// malformed nonce or host is omitted.
pub fn content_security_policy(nonce: Option<&str>, host: Option<&str>) -> String {
    let mut nonce_source = String::new();
    if let Some(nonce) = nonce.filter(|nonce| is_nonce(nonce)) {
        let _ = write!(nonce_source, " 'nonce-{nonce}'");
    }
    let mut connect = String::from("'self'");
    if let Some(host) = host.filter(|host| is_host(host)) {
        let _ = write!(connect, " ws://{host} wss://{host}");
    }
    format!(
        "default-src 'none'; script-src 'self'{nonce_source} 'wasm-unsafe-eval'; \
         style-src 'self'{nonce_source}; img-src 'self' blob:; media-src 'self' blob:; \
         font-src 'self'; connect-src {connect}; worker-src 'self'; manifest-src 'self'; \
         form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    )
}

/// Whether the text is base64 in any alphabet.
fn is_nonce(nonce: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+/-_=".contains(c);
    !nonce.is_empty() && nonce.chars().all(allowed)
}

/// Whether the text is a host with an optional port, without characters that end the directive. A
/// policy cannot name an IPv6 address (CSP Level 3, 2.3.1, host-part).
fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    !host.is_empty() && host.len() <= 260 && host.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_strict_and_cannot_be_widened_by_a_header() {
        let policy = content_security_policy(Some("abc+/="), Some("meet.org:3000"));
        assert!(policy.contains("script-src 'self' 'nonce-abc+/=' 'wasm-unsafe-eval';"));
        assert!(policy.contains("connect-src 'self' ws://meet.org:3000 wss://meet.org:3000;"));
        assert!(policy.ends_with("frame-ancestors 'none'") && !policy.contains("unsafe-inline"));
        let hostile = content_security_policy(Some("a' *"), Some("a; script-src *"));
        assert_eq!(hostile, content_security_policy(None, None));
        let six = content_security_policy(None, Some("[2001:db8::7]:3000"));
        assert_eq!(six, content_security_policy(None, None));
    }
}
