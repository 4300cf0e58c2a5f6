//! Who gets a connection: so many of one address, so many in all.

use super::address::client_address;
use crate::server::{
    context::AppContext,
    http::health::Place,
    net::{Permit, PermitError},
};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use std::net::IpAddr;

/// A counted connection; dropping it counts it out.
pub struct Admission {
    /// Among those of its address, and among all.
    _permit: Permit,
    /// Holds up the end of a graceful stop.
    _place: Place,
}

/// Lets a connection in.
///
/// # Errors
/// The refusal to answer; the client tries again later.
pub fn admit(
    context: &AppContext,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<Admission, PermitError> {
    let client = client_address(peer, headers, &context.config.trusted_proxies);
    let _permit = context.sockets.acquire(client)?;
    let _place = context.gauges.clone().enter();
    Ok(Admission { _permit, _place })
}

impl IntoResponse for PermitError {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::OfAddress => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many connections from your address",
            ),
            Self::InAll => (StatusCode::SERVICE_UNAVAILABLE, "too many connections"),
        };
        let headers = [
            (header::RETRY_AFTER, "10"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (status, headers, text).into_response()
    }
}
