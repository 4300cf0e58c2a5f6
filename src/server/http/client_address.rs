//! Determines the client's address of each request, once for all handlers.
//!
//! All requests of a trusted proxy use the proxy's connections, so the limit of connections per
//! address does not apply to them. The limit applies to concurrent requests of the address that
//! the proxy names instead, except those for which the listener reserves connections.

use crate::server::{
    BasePath,
    context::AppContext,
    doctor,
    log_throttle::LogThrottle,
    net::{
        forwarded,
        listener::{IsEncrypted, uses_reserve},
        sockets,
    },
};
use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::Version;
use std::net::SocketAddr;

/// Throttle of the warning about untrusted proxies: one line a minute.
static UNTRUSTED_PROXY: LogThrottle = LogThrottle::new();

/// Request extension: whether the browser used TLS, according to the public URL or a trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsHttps(pub bool);

/// Request extension: whether the request crossed no network in the clear, as far as the server
/// knows: by TLS of its own, or by that of a proxy which is trusted or on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsConfidential(pub bool);

/// Middleware: adds [`ClientAddress`](crate::server::net::ClientAddress) [`IsHttps`] and
/// [`IsConfidential`] to the
/// request.
pub async fn identify(
    State(context): State<AppContext>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let proxies = &context.config.trusted_proxies;
    let trusted = proxies.contains(peer.ip());
    let headers = request.headers();
    let address = proxies.client(peer.ip(), headers);
    let public = context.config.public_url.as_ref();
    let encrypted = request.extensions().get() == Some(&IsEncrypted(true));
    let https = match public {
        Some(url) => url.is_https(),
        None => encrypted || (trusted && forwarded::is_forwarded_https(headers)),
    };
    let by_proxy = trusted || peer.ip().to_canonical().is_loopback();
    let confidential = encrypted || (https && by_proxy);
    if !trusted
        && forwarded::has_forwarding(headers)
        && let Some(count) = UNTRUSTED_PROXY.record()
    {
        // The log line omits the address, because it may be that of a client.
        tracing::warn!(
            count,
            "requests with forwarding headers came from an untrusted address; if it is a proxy, add \
             it to --trusted-proxies, or all clients behind it count as one address"
        );
    }
    if let Some(mark) = headers.get(doctor::HEADER) {
        let arrival = doctor::Arrival {
            peer: sockets::canonical(peer),
            has_upgrade: headers.contains_key(http::header::UPGRADE),
            has_forwarding: forwarded::has_forwarding(headers),
            is_trusted: trusted,
            is_encrypted: encrypted,
        };
        context.doctor.record_arrival(mark, arrival);
    }
    let extensions = request.extensions_mut();
    extensions.insert(address);
    extensions.insert(IsHttps(https));
    extensions.insert(IsConfidential(confidential));
    // One connection of HTTP/2 carries many requests, as one of a proxy does.
    let shares_connection = trusted || request.version() == Version::HTTP_2;
    if !shares_connection || uses_reserve(&request, &BasePath::default()) {
        return next.run(request).await;
    }
    match context.request_permits.acquire(address.0) {
        Ok(_permit) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}
