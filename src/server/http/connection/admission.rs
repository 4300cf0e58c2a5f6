//! Who gets a connection: so many of one address, so many in all.

use super::address::{AddressSeat, client_address};
use crate::server::{context::AppContext, http::health::Place, limits::MAX_SOCKETS};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use std::net::IpAddr;

/// A counted connection; dropping it counts it out.
pub struct Admission {
    /// Among those of its address.
    _seat: AddressSeat,
    /// Among all.
    _place: Place,
}

/// Why there is no connection; the client tries again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// The address holds as many as it may.
    OfAddress,
    /// There are as many as there may be.
    InAll,
}

/// Lets a connection in.
///
/// # Errors
/// The refusal to answer.
pub fn admit(
    context: &AppContext,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<Admission, TooMany> {
    let client = client_address(peer, headers, &context.config.trusted_proxies);
    let most = context.config.sockets_per_address;
    let seat = context.addresses.enter(client, most);
    let _seat = seat.ok_or(TooMany::OfAddress)?;
    let place = context.gauges.clone().enter(MAX_SOCKETS);
    let _place = place.ok_or(TooMany::InAll)?;
    Ok(Admission { _seat, _place })
}

impl IntoResponse for TooMany {
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
