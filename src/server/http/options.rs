//! Answers `OPTIONS` (RFC 9110, 9.3.7), with which proxies check whether a server is up.
//!
//! The response names the methods of the route. It has no CORS headers, so it grants other sites
//! nothing.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};

/// Methods of the server as a whole, for `OPTIONS *`.
const ALL_METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST");

/// Middleware: answers `OPTIONS`. A route without a handler for `OPTIONS` refuses the method, and
/// axum lists the methods of the route in `Allow`, outside of every layer.
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
