//! Plain HTTP beside TLS: leads to https, and answers a certificate authority (RFC 8555, 8.3) and
//! health checks of this machine, which know no name to verify.

use super::{health, host::HostNames};
use crate::server::{context::AppContext, tls::HttpTokens};
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use std::sync::Arc;

/// Where plain requests are led.
#[derive(Clone)]
struct Target {
    /// Names of this server; other names are not led anywhere.
    names: Arc<HostNames>,
    /// Port of the TLS listener.
    port: u16,
    /// Answers to challenges; `None` without a public authority.
    tokens: Option<HttpTokens>,
}

/// The routes of a listener that speaks plain HTTP for a TLS listener on `port`.
pub fn redirect_router(context: &AppContext, port: u16, tokens: Option<HttpTokens>) -> Router {
    let target = Target {
        names: Arc::new(HostNames::new(&context.config)),
        port,
        tokens,
    };
    let checks = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(context.clone());
    Router::new()
        .route("/.well-known/acme-challenge/{token}", get(answer_challenge))
        .fallback(redirect)
        .with_state(target)
        .merge(checks)
}

/// The key authorization of a token, or 404.
async fn answer_challenge(State(target): State<Target>, Path(token): Path<String>) -> Response {
    match target.tokens.and_then(|tokens| tokens.get(&token)) {
        Some(authorization) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            (kind, authorization).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// 308 to the same path by https, or 421 for a host name that is not of this server.
async fn redirect(State(target): State<Target>, uri: Uri, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    match location(&target, host, &uri) {
        Some(location) => {
            let moved = [(header::LOCATION, location)];
            (StatusCode::PERMANENT_REDIRECT, moved).into_response()
        }
        None => {
            let text = "This server speaks https, and not for this host name.";
            (StatusCode::MISDIRECTED_REQUEST, text).into_response()
        }
    }
}

/// The https address of a request.
fn location(target: &Target, host: &str, uri: &Uri) -> Option<HeaderValue> {
    if !target.names.allow(host) {
        return None;
    }
    let authority: http::uri::Authority = host.parse().ok()?;
    let name = authority.host();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let url = match target.port {
        443 => format!("https://{name}{path}"),
        port => format!("https://{name}:{port}{path}"),
    };
    url.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::{Config, FileLayer, Flags};
    use clap::Parser;

    fn target(port: u16) -> Target {
        let flags = ["noom", "--domain", "meet.example"];
        let flags = Flags::try_parse_from(flags).expect("flags");
        let config = Config::resolve(&flags, &|_| None, &FileLayer::default()).expect("config");
        Target {
            names: Arc::new(HostNames::new(&config)),
            port,
            tokens: None,
        }
    }

    fn led(port: u16, host: &str, path: &str) -> Option<String> {
        let uri = path.parse().expect("a path");
        let location = location(&target(port), host, &uri)?;
        Some(location.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_plain_request_is_led_to_the_same_path_by_https() {
        let led_to = |host, path| led(443, host, path).expect("led");
        assert_eq!(
            led_to("meet.example", "/room/a?x=1"),
            "https://meet.example/room/a?x=1"
        );
        assert_eq!(led_to("meet.example:80", "/"), "https://meet.example/");
        assert_eq!(led_to("192.0.2.7", "/"), "https://192.0.2.7/");
        assert_eq!(led_to("[2001:db8::7]:80", "/"), "https://[2001:db8::7]/");
        let other = led(8443, "192.0.2.7:8443", "/lan");
        assert_eq!(other.as_deref(), Some("https://192.0.2.7:8443/lan"));
    }

    #[test]
    fn a_foreign_host_name_is_led_nowhere() {
        for host in [
            "evil.example",
            "",
            "meet.example.evil.example",
            "a@meet.example",
        ] {
            assert_eq!(led(443, host, "/"), None, "{host}");
        }
    }
}
