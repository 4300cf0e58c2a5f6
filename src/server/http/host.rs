//! Refuses requests whose `Host` is not a name of this server (DNS rebinding).
//!
//! An attacker can let the name of a page resolve to this server. The browser then treats the page
//! and the server as one origin, and the page could read all responses. The page cannot change the
//! `Host` of its requests, so a host name must be one of this server. IP addresses pass, because
//! they cannot be rebound.

use crate::{
    protocol::{REFUSAL_HEADER, Refusal},
    server::{
        config::Config,
        log_throttle,
        tls::{LOCAL_NAME, TlsMode},
    },
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, Version, header};
use std::{net::Ipv6Addr, sync::Arc};

/// Throttle of the warning about refused requests: one line per minute.
static REFUSED: log_throttle::LogThrottle = log_throttle::LogThrottle::new();

/// Paths that are served under any host name. Orchestrators use other names, and the responses hold
/// no secret.
const ANY_NAME: [&str; 2] = ["/healthz", "/readyz"];

/// Host names of this server, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

/// A parsed `Host` without its port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostKind {
    /// An IPv4 or IPv6 address.
    Address,
    /// A host name, in lower case, without a trailing dot.
    Name(String),
}

impl HostNames {
    /// The host of the public URL, and the names of this machine.
    pub fn new(config: &Config) -> Self {
        let public = config.public_url.as_ref().map(|url| url.host().to_owned());
        let local = matches!(config.tls, Some(TlsMode::SelfSigned));
        let local = local.then(|| LOCAL_NAME.to_owned());
        let named = public
            .into_iter()
            .chain(local)
            .chain(config.domains.clone());
        Self::of(named, &machine_name())
    }

    /// The configured names, and those of a machine.
    fn of(named: impl IntoIterator<Item = String>, machine: &str) -> Self {
        Self(named.into_iter().chain(names_of_machine(machine)).collect())
    }

    /// Whether a `Host`, or the authority of the request target, is a name of this server or an IP
    /// address.
    pub(super) fn allow(&self, host: &str) -> bool {
        match parse_host(host) {
            Some(HostKind::Address) => true,
            Some(HostKind::Name(name)) => {
                name == "localhost" || name.ends_with(".localhost") || self.0.contains(&name)
            }
            None => false,
        }
    }
}

/// The name of this machine.
pub fn machine_name() -> String {
    let machine = rustix::system::uname();
    machine.nodename().to_string_lossy().into_owned()
}

/// The names by which a network reaches a machine: its own, the first label, and that in `.local`.
pub fn names_of_machine(machine: &str) -> Vec<String> {
    let machine = machine.to_ascii_lowercase();
    let short = machine.split('.').next().unwrap_or_default().to_owned();
    if short.is_empty() {
        return Vec::new();
    }
    let on_this_network = format!("{short}.local");
    vec![machine, short, on_this_network]
}

/// Parses a `Host`, with or without port; `None` if it is malformed.
fn parse_host(host: &str) -> Option<HostKind> {
    let port_is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let (six, port) = rest.split_once(']')?;
        let port = port
            .strip_prefix(':')
            .map_or(port.is_empty(), port_is_number);
        return (port && six.parse::<Ipv6Addr>().is_ok()).then_some(HostKind::Address);
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || !port_is_number(port) {
        return None;
    }
    Some(match name.parse::<std::net::Ipv4Addr>() {
        Ok(_) => HostKind::Address,
        Err(_) => HostKind::Name(name.to_ascii_lowercase()),
    })
}

/// Middleware: refuses a request whose `Host` is not one of `names`.
pub async fn guard(State(names): State<Arc<HostNames>>, request: Request, next: Next) -> Response {
    match check(&names, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            if refusal.0 != StatusCode::MISDIRECTED_REQUEST {
                return refusal.into_response();
            }
            if let Some(count) = REFUSED.record() {
                let origin = log_throttle::printable(request.headers().get(header::ORIGIN));
                let host = log_throttle::printable(request.headers().get(header::HOST));
                tracing::warn!(
                    origin,
                    host,
                    count,
                    "requests for an unknown host name were refused; if it is this server, \
                     set it in --public-url"
                );
            }
            let why = [(REFUSAL_HEADER, Refusal::UnknownHost.code())];
            (refusal.0, why, refusal.1).into_response()
        }
    }
}

/// Checks the host of a request. Returns the status and text of a refusal.
fn check<B>(
    names: &HostNames,
    request: &http::Request<B>,
) -> Result<(), (StatusCode, &'static str)> {
    if ANY_NAME.contains(&request.uri().path()) {
        return Ok(());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().unwrap_or_default()),
        (None, None) => None,
        _ => return Err((StatusCode::BAD_REQUEST, "the request names several hosts")),
    };
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    // HTTP/1.1 requires a `Host`, and every browser sends one.
    if host.is_none() && authority.is_none() && request.version() >= Version::HTTP_11 {
        return Err((StatusCode::BAD_REQUEST, "the request names no host"));
    }
    match [host, authority]
        .into_iter()
        .flatten()
        .all(|name| names.allow(name))
    {
        true => Ok(()),
        false => Err((
            StatusCode::MISDIRECTED_REQUEST,
            "This server does not serve the host name in the address. Its operator sets the \
             name people use with --public-url (NOOM_PUBLIC_URL).",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> HostNames {
        HostNames::of(Some("meet.org".to_owned()), "Box.lan.example")
    }

    #[test]
    fn ip_addresses_and_own_names_pass_and_other_names_are_refused() {
        for host in [
            "127.0.0.1:3000",
            "192.0.2.1",
            "[::1]:3000",
            "[2001:db8::1]",
            "localhost:3000",
            "LOCALHOST",
            "noom.localhost",
            "meet.org",
            "meet.org:443",
            "MEET.org.",
            "box",
            "box.local:3000",
            "box.lan.example",
        ] {
            assert!(names().allow(host), "{host}");
        }
        for host in [
            "evil.com",
            "evil.com:3000",
            "meet.org.evil.com",
            "evilmeet.org",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "",
            ":80",
            "meet.org:x",
            "[::1",
            "[::1]x",
            "[evil.com]",
            "evil.com@meet.org",
            "meet.org/",
            "1.2.3",
        ] {
            assert!(!names().allow(host), "{host}");
        }
    }

    #[test]
    fn the_request_target_is_checked_like_the_host() {
        let status = |target: &str, hosts: &[&str], version| {
            let mut request = http::Request::get(target).version(version);
            for host in hosts {
                request = request.header("host", *host);
            }
            let request = request.body(()).expect("a request");
            check(&names(), &request).map_or_else(|(status, _)| status.as_u16(), |()| 200)
        };
        let (one, ten) = (Version::HTTP_11, Version::HTTP_10);
        assert_eq!(status("/", &["meet.org"], one), 200);
        assert_eq!(status("/", &["evil.com"], one), 421);
        assert_eq!(status("http://evil.com/", &["meet.org"], one), 421);
        assert_eq!(status("http://meet.org/", &["evil.com"], one), 421);
        assert_eq!(status("http://meet.org/", &[], one), 200);
        assert_eq!(status("/", &[], one), 400);
        assert_eq!(status("/", &[], ten), 200);
        assert_eq!(status("/", &["meet.org", "evil.com"], one), 400);
        assert_eq!(status("/healthz", &["evil.com"], one), 200);
        assert_eq!(status("/readyz", &[], one), 200);
    }
}
