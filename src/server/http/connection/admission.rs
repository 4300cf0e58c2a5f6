//! Who gets a connection: so many of one address, so many in all.

use crate::{
    protocol::{REFUSAL_HEADER, Refusal},
    server::{
        context::AppContext,
        http::health::SocketGuard,
        log_throttle::{self, LogThrottle},
        net::{ClientAddress, Permit, PermitError},
    },
};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

/// Refusals are told of once a minute.
static REFUSED: LogThrottle = LogThrottle::new();

/// A counted connection; dropping it counts it out.
pub struct ConnectionPermit {
    /// Among those of its address, and among all.
    _permit: Permit,
    /// Holds up the end of a graceful stop.
    _guard: SocketGuard,
}

/// Lets a connection in, which was asked for with these headers.
///
/// # Errors
/// The refusal to answer; the client tries again later.
pub fn admit(
    context: &AppContext,
    client: ClientAddress,
    headers: &HeaderMap,
) -> Result<ConnectionPermit, PermitError> {
    let permit = context.socket_permits.acquire(client.0);
    let _permit = permit.inspect_err(|refusal| warn(*refusal, headers))?;
    let _guard = context.open_sockets.clone().enter();
    Ok(ConnectionPermit { _permit, _guard })
}

/// Tells the operator of connections that were refused.
pub fn warn(refusal: PermitError, headers: &HeaderMap) {
    let Some(count) = REFUSED.record() else {
        return;
    };
    let origin = log_throttle::printable(headers.get(header::ORIGIN));
    let host = log_throttle::printable(headers.get(header::HOST));
    let limit = match refusal {
        PermitError::PerAddress => "--sockets-per-address or --polls-per-address",
        PermitError::Total => "of the server",
    };
    tracing::warn!(
        origin,
        host,
        count,
        limit,
        "connections were refused, because there were as many as the limit allows"
    );
}

impl IntoResponse for PermitError {
    fn into_response(self) -> Response {
        let (status, why, text) = match self {
            Self::PerAddress => (
                StatusCode::TOO_MANY_REQUESTS,
                Refusal::TooManyConnections,
                "too many connections from your address",
            ),
            Self::Total => (
                StatusCode::SERVICE_UNAVAILABLE,
                Refusal::ServerFull,
                "too many connections",
            ),
        };
        let headers = [
            (header::RETRY_AFTER.as_str(), "10"),
            (header::CACHE_CONTROL.as_str(), "no-store"),
            (REFUSAL_HEADER, why.code()),
        ];
        (status, headers, text).into_response()
    }
}
