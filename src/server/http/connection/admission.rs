//! Who gets a connection: so many of one address, so many in all.

use crate::{
    protocol::{REFUSAL_HEADER, Refusal},
    server::{
        context::AppContext,
        http::health::Place,
        log_throttle::{self, RareWarning},
        net::{ClientAddress, Permit, PermitError},
    },
};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

/// Refusals are told of once a minute.
static REFUSED: RareWarning = RareWarning::new();

/// A counted connection; dropping it counts it out.
pub struct Admission {
    /// Among those of its address, and among all.
    _permit: Permit,
    /// Holds up the end of a graceful stop.
    _place: Place,
}

/// Lets a connection in, which was asked for with these headers.
///
/// # Errors
/// The refusal to answer; the client tries again later.
pub fn admit(
    context: &AppContext,
    client: ClientAddress,
    headers: &HeaderMap,
) -> Result<Admission, PermitError> {
    let permit = context.sockets.acquire(client.0);
    let _permit = permit.inspect_err(|refusal| warn(*refusal, headers))?;
    let _place = context.gauges.clone().enter();
    Ok(Admission { _permit, _place })
}

/// Tells the operator of connections that were refused.
pub fn warn(refusal: PermitError, headers: &HeaderMap) {
    let Some(count) = REFUSED.happened() else {
        return;
    };
    let origin = log_throttle::shown(headers.get(header::ORIGIN));
    let host = log_throttle::shown(headers.get(header::HOST));
    let limit = match refusal {
        PermitError::OfAddress => "--sockets-per-address or --polls-per-address",
        PermitError::InAll => "of the server",
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
            Self::OfAddress => (
                StatusCode::TOO_MANY_REQUESTS,
                Refusal::TooManyConnections,
                "too many connections from your address",
            ),
            Self::InAll => (
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
