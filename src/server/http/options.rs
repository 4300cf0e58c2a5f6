//! `OPTIONS` (RFC 9110 section 9.3.7), as proxies check whether a server is up.
//!
//! The answer names the methods of the route and nothing else: no header lets another site's
//! page in (CORS).

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};

/// The methods of the server as a whole: `OPTIONS *`.
const ALL: HeaderValue = HeaderValue::from_static("GET,HEAD,POST");

/// The layer. A route that has no answer of its own to `OPTIONS` refuses the method; axum names
/// those it takes in `Allow`, outside of every layer.
pub async fn answer(request: Request, next: Next) -> Response {
    if request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    if request.uri().path() == "*" {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, ALL)]).into_response();
    }
    let refusal = next.run(request).await;
    match refusal.status() {
        StatusCode::METHOD_NOT_ALLOWED => StatusCode::NO_CONTENT.into_response(),
        _ => refusal,
    }
}
