//! Who gets a connection: so many of one address, so many in all.

use crate::server::{
    context::AppContext,
    http::health::Place,
    net::{ClientAddress, Permit, PermitError},
};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

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
pub fn admit(context: &AppContext, client: ClientAddress) -> Result<Admission, PermitError> {
    let _permit = context.sockets.acquire(client.0)?;
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
