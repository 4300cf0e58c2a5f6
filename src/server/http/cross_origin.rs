//! Refuses requests that other sites make a browser send (CSRF, cross-site WebSocket hijacking).
//!
//! One layer guards all routes, because server functions and the WebSocket have no such check of
//! their own. An unsafe method or an upgrade must come from this server's origin. Clients other
//! than browsers send neither `Origin` nor Fetch Metadata and pass.

use crate::{
    protocol::{REFUSAL_HEADER, Refusal},
    server::{
        context::AppContext,
        log_throttle::{self, LogThrottle},
        origin::Origin,
    },
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, header};

/// Throttle of the warning about refused requests: one line a minute.
static REFUSED: LogThrottle = LogThrottle::new();

/// Middleware: refuses requests of other origins with 403.
pub async fn guard(State(context): State<AppContext>, request: Request, next: Next) -> Response {
    let public = context.config.public_url.as_ref().map(|url| url.origin());
    if check(request.method(), request.headers(), request.uri(), public) {
        return next.run(request).await;
    }
    if let Some(count) = REFUSED.record() {
        let origin = log_throttle::printable(request.headers().get(header::ORIGIN));
        let host = log_throttle::printable(request.headers().get(header::HOST));
        tracing::warn!(
            origin,
            host,
            count,
            "requests of another origin were refused"
        );
    }
    let text = "this request came from another site";
    let why = [(REFUSAL_HEADER, Refusal::ForeignOrigin.code())];
    (StatusCode::FORBIDDEN, why, text).into_response()
}

/// Whether the request may pass.
fn check(method: &Method, headers: &HeaderMap, uri: &Uri, public: Option<&Origin>) -> bool {
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    // HTTP/2 upgrades by extended CONNECT (RFC 8441), which is not a safe method.
    if safe && !headers.contains_key(header::UPGRADE) {
        return true;
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin
            .to_str()
            .ok()
            .and_then(Origin::parse)
            .is_some_and(|origin| is_own_origin(&origin, headers, uri, public)),
        (Some(_), Some(_)) => false,
        (None, _) => fetch_metadata_allows(headers),
    }
}

/// Whether the origin equals the public URL or, without one, the host of the request.
fn is_own_origin(origin: &Origin, headers: &HeaderMap, uri: &Uri, public: Option<&Origin>) -> bool {
    if let Some(public) = public {
        return origin == public;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    host.is_some_and(|host| origin.matches_host(host))
}

/// Whether Fetch Metadata says `same-origin` or `none`, or is absent.
fn fetch_metadata_allows(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_none_or(|site| site == "same-origin" || site == "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(method: &str, headers: &[(&'static str, &str)], public: Option<&str>) -> bool {
        let method: Method = method.parse().expect("method");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("value"));
        }
        let public = public.map(|text| Origin::parse(text).expect("origin"));
        check(&method, &map, &Uri::from_static("/"), public.as_ref())
    }

    #[test]
    fn only_the_own_origin_may_send_unsafe_requests_or_upgrades() {
        let host = ("host", "good.com:3000");
        let table = [
            ("http://good.com:3000", true),
            ("https://good.com:3000", true),
            ("HTTP://GOOD.com:3000", true),
            ("http://good.com", false),
            ("http://good.com:3001", false),
            ("http://good.com:3000.evil.com", false),
            ("http://good.com.evil.com:3000", false),
            ("http://evilgood.com:3000", false),
            ("http://evil.com@good.com:3000", false),
            ("http://good.com:3000/", false),
            ("ftp://good.com:3000", false),
            ("good.com:3000", false),
            ("null", false),
            ("", false),
        ];
        for (origin, own) in table {
            let headers = [host, ("origin", origin)];
            assert_eq!(allowed("POST", &headers, None), own, "{origin}");
            let upgrade = [host, ("origin", origin), ("upgrade", "websocket")];
            assert_eq!(allowed("GET", &upgrade, None), own, "{origin}");
            assert!(allowed("GET", &headers, None), "reading is free: {origin}");
        }
        let twice = [
            host,
            ("origin", "http://good.com:3000"),
            ("origin", "http://evil.com"),
        ];
        assert!(!allowed("POST", &twice, None));
    }

    #[test]
    fn a_public_url_is_compared_exactly_and_the_host_header_does_not_matter() {
        let public = Some("https://meet.org");
        let origin = |origin| [("host", "127.0.0.1:3000"), ("origin", origin)];
        assert!(allowed("POST", &origin("https://meet.org"), public));
        assert!(allowed("POST", &origin("https://meet.org:443"), public));
        assert!(!allowed("POST", &origin("http://meet.org"), public));
        assert!(!allowed("POST", &origin("http://127.0.0.1:3000"), public));
    }

    #[test]
    fn a_default_port_behind_a_proxy_may_be_left_out_on_one_side() {
        let headers = |origin| [("host", "meet.org:443"), ("origin", origin)];
        assert!(allowed("POST", &headers("https://meet.org"), None));
        assert!(!allowed("POST", &headers("http://meet.org"), None));
    }

    #[test]
    fn without_an_origin_fetch_metadata_decides_and_without_both_it_is_no_browser() {
        let table = [
            (None, true),
            (Some("same-origin"), true),
            (Some("none"), true),
            (Some("same-site"), false),
            (Some("cross-site"), false),
            (Some("new-fangled"), false),
        ];
        for (site, passes) in table {
            let mut headers = vec![("host", "good.com"), ("upgrade", "websocket")];
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            assert_eq!(allowed("GET", &headers, None), passes, "{site:?}");
            assert_eq!(allowed("DELETE", &headers, None), passes, "{site:?}");
        }
    }
}
