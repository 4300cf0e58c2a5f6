//! Answers `OPTIONS` (RFC 9110 section 9.3.7), which proxies send to check whether a server is up.
//!
//! The response lists the methods of the route. It has no CORS headers, so other sites get no
//! access.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};

/// Methods of the server as a whole, for `OPTIONS *`.
const ALL_METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST");

/// Middleware: answers `OPTIONS`. axum refuses the method on a route without a handler for it, and
/// lists the methods of the route in `Allow` outside of all layers. This layer replaces the status.
pub async fn answer(request: Request, next: Next) -> Response {
    if request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    if request.uri().path() == "*" {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, ALL_METHODS)]).into_response();
    }
    let refusal = next.run(request).await;
    match refusal.status() {
        StatusCode::METHOD_NOT_ALLOWED => StatusCode::NO_CONTENT.into_response(),
        _ => refusal,
    }
}
