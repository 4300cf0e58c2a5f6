//! Refuses requests for names that are not ours (DNS rebinding).
//!
//! A page on a name of its owner's, which suddenly resolves to this server's address, is of
//! the same origin as this server to a browser, and could read everything. What it cannot do
//! is send another `Host` than its own name. So a name has to be one of ours; an address is
//! always fine, because there is nothing to rebind about it.

use crate::{
    protocol::{REFUSAL_HEADER, Refusal},
    server::{config::Config, log_throttle},
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, Version, header};
use std::{net::Ipv6Addr, sync::Arc};

/// Refusals are told of once a minute.
static REFUSED: log_throttle::LogThrottle = log_throttle::LogThrottle::new();

/// Answered whatever name is asked: what orchestrators ask by names of their own, and which
/// holds no secret.
const ANY_NAME: [&str; 2] = ["/healthz", "/readyz"];

/// The names that are ours, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

/// What a `Host` says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostKind {
    /// An IP address.
    Address,
    /// A name, in lower case, without a dot at its end.
    Name(String),
}

impl HostNames {
    /// The host of the public URL, and what this machine is called.
    pub fn new(config: &Config) -> Self {
        let public = config.public_url.as_ref().map(|url| url.host().to_owned());
        let machine = rustix::system::uname();
        Self::of(public, &machine.nodename().to_string_lossy())
    }

    /// Of these two.
    fn of(public: Option<String>, machine: &str) -> Self {
        let machine = machine.to_ascii_lowercase();
        let short = machine.split('.').next().unwrap_or_default().to_owned();
        let on_this_network = format!("{short}.local");
        let names = public.into_iter().chain([machine, short, on_this_network]);
        Self(names.filter(|name| !name.is_empty()).collect())
    }

    /// Whether a `Host`, or the authority of a request's target, is ours.
    fn allow(&self, host: &str) -> bool {
        match parse_host(host) {
            Some(HostKind::Address) => true,
            Some(HostKind::Name(name)) => {
                name == "localhost" || name.ends_with(".localhost") || self.0.contains(&name)
            }
            None => false,
        }
    }
}

/// Takes the port off; nothing where it is no host.
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
                    "requests for a name that is not ours were refused; if it is, name it in \
                     --public-url"
                );
            }
            let why = [(REFUSAL_HEADER, Refusal::UnknownHost.code())];
            (refusal.0, why, refusal.1).into_response()
        }
    }
}

/// Whether the request may pass, or what it is answered.
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
    // No browser leaves the name out.
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
            "This server does not know itself by the name in the address. Its operator sets the \
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
    fn addresses_and_our_own_names_are_answered_and_no_other_name_is() {
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
    fn the_target_of_a_request_counts_as_much_as_its_host() {
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
