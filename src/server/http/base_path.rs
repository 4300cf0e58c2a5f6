//! Serves the site below a base path (`--base-path`), for a reverse proxy that mounts it there.
//!
//! One layer around all routes translates between the addresses outside and the paths inside: the
//! routes, the middleware and the `Location` of their responses know nothing of the base path. A
//! request without it is served like one with it, because some proxies strip it and health checks
//! do not know it. Pages write the base path into their addresses; [`BasePath`] is an extension of
//! every request for that.

use crate::server::BasePath;
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, Uri, header};

/// The routes below a base path.
pub fn mount(router: Router, base: &BasePath) -> Router {
    if base.is_root() {
        return router;
    }
    let layer = from_fn_with_state(base.clone(), translate);
    // A layer of `router` itself would run after a route was chosen.
    Router::new().fallback_service(router).layer(layer)
}

/// Middleware: removes the base path from the request, and adds it to the `Location`.
async fn translate(State(base): State<BasePath>, mut request: Request, next: Next) -> Response {
    // The base path itself stays: its response leads to the first page.
    let rest = base.strip(request.uri().path());
    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
        match with_path(request.uri(), rest) {
            Some(uri) => *request.uri_mut() = uri,
            None => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    request.extensions_mut().insert(base.clone());
    let mut response = next.run(request).await;
    let location = response.headers().get(header::LOCATION);
    let inside = location.and_then(|location| location.to_str().ok());
    // Locations with a scheme are those of other listeners, or of the page that sent a form.
    let outside = inside
        .filter(|inside| inside.starts_with('/'))
        .and_then(|inside| HeaderValue::from_str(&base.address(inside)).ok());
    if let Some(outside) = outside {
        response.headers_mut().insert(header::LOCATION, outside);
    }
    response
}

/// A request target with another path, and the same query and authority.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Leads from the base path itself to the first page; `None` for another request.
pub fn to_first_page(request: &Request) -> Option<Response> {
    let base = request.extensions().get::<BasePath>()?;
    let uri = request.uri();
    if base.strip(uri.path()) != Some("") {
        return None;
    }
    let first = with_path(uri, "/")?;
    let first = first.path_and_query()?.as_str();
    // Not permanent: another server may have the address later.
    let location = [(header::LOCATION, HeaderValue::from_str(first).ok()?)];
    Some((StatusCode::TEMPORARY_REDIRECT, location).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_and_the_authority_of_a_request_stay() {
        let with = |uri: &str, path| {
            let uri = with_path(&uri.parse().expect("a URI"), path);
            uri.map(|uri| uri.to_string())
        };
        let expected = Some("/room/a%20b?q=/noom/&x".to_owned());
        assert_eq!(with("/noom/room/a%20b?q=/noom/&x", "/room/a%20b"), expected);
        let expected = Some("https://meet.org:8443/ws?".to_owned());
        assert_eq!(with("https://meet.org:8443/noom/ws?", "/ws"), expected);
        assert_eq!(with("/noom/a", "/a b"), None);
    }
}
