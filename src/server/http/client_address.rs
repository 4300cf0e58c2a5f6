//! Whose request it is, found out once for every handler behind.
//!
//! Behind a trusted proxy all requests come over the proxy's connections, so that the limit of
//! connections says nothing there; requests under way are counted by the address it names.
//! Those that the listener keeps places free for are not counted here either.

use crate::server::{
    context::AppContext,
    log_throttle::LogThrottle,
    net::{forwarded, listener::uses_reserve},
};
use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::net::SocketAddr;

/// Proxies that nobody trusts are told of once a minute.
static UNTRUSTED_PROXY: LogThrottle = LogThrottle::new();

/// Whether the person's browser speaks TLS, as far as we know. An extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsHttps(pub bool);

/// The layer: adds [`ClientAddress`](crate::server::net::ClientAddress) and [`IsHttps`] to the request.
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
    let https = match public {
        Some(url) => url.is_https(),
        None => trusted && forwarded::is_forwarded_https(headers),
    };
    if !trusted
        && forwarded::has_forwarding(headers)
        && let Some(count) = UNTRUSTED_PROXY.record()
    {
        // Without the address: it may be a stranger's as well as a proxy's.
        tracing::warn!(
            count,
            "requests carry forwarding headers and come from no trusted proxy: if there is one, \
             everybody behind it counts as one address; name it in --trusted-proxies"
        );
    }
    let extensions = request.extensions_mut();
    extensions.insert(address);
    extensions.insert(IsHttps(https));
    if !trusted || uses_reserve(&request) {
        return next.run(request).await;
    }
    match context.request_permits.acquire(address.0) {
        Ok(_until_it_is_answered) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}
