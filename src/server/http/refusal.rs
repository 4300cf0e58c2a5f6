//! Refusals over HTTP: rate limits, the status of failed server functions, and bodies that arrive
//! too slowly.

use crate::{
    api::ApiError,
    i18n::{LANGUAGE_COOKIE, choose, td_string},
    server::{
        context::AppContext,
        net::{ClientAddress, RequestKind},
        request::cookie_of,
    },
};
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;
use tokio::time::timeout;

/// Header of a response in which a server function returned an error.
const SERVER_FUNCTION_ERROR: &str = "serverfnerror";
/// Value of `Retry-After`, in seconds. 10: every bucket holds tokens again by then.
const RETRY_AFTER_S: &str = "10";
/// Size limit of a serialized [`ApiError`]. 4 KiB: a variant and a field.
const MAX_REFUSAL_BYTES: usize = 4 * 1024;

/// Middleware: limits the rate of pages and server functions per address. They are the most
/// expensive requests.
pub async fn limit_page_rate(
    State(context): State<AppContext>,
    request: Request,
    next: Next,
) -> Response {
    match page_is_allowed(&context, &request) {
        true => next.run(request).await,
        false if is_called_by_script(&request) => too_many_requests_json(),
        false => too_many_requests(request.headers()),
    }
}

/// Whether a script calls a server function. Scripts expect a serialized error, not a text.
fn is_called_by_script(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let for_people = accept.is_some_and(|accept| accept.contains("text/html"));
    request.uri().path().starts_with("/api/") && !for_people
}

/// A 429 response with a serialized [`ApiError`].
fn too_many_requests_json() -> Response {
    let json = serde_json::to_string(&ApiError::TooMany).unwrap_or_default();
    let headers = [
        (header::RETRY_AFTER, RETRY_AFTER_S),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "application/json"),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, json).into_response()
}

/// Takes a token for one page from the bucket of the client's address; false if it is empty.
pub fn page_is_allowed(context: &AppContext, request: &Request) -> bool {
    let client = request.extensions().get().copied();
    let ClientAddress(ip) = client.unwrap_or(ClientAddress::UNKNOWN);
    context.request_rates.allow(RequestKind::Page, ip)
}

/// A 429 response with a text in the user's language. The Back button of the browser restores the
/// input of a form.
pub fn too_many_requests(headers: &HeaderMap) -> Response {
    let mut schemes = [false, true].into_iter();
    let language = schemes.find_map(|https| cookie_of(headers, https, LANGUAGE_COOKIE));
    let accepted = headers.get(header::ACCEPT_LANGUAGE);
    let accepted = accepted.and_then(|accepted| accepted.to_str().ok());
    let locale = choose(None, language.as_deref(), accepted);
    let text = td_string!(locale, common.too_many_requests);
    let headers = [
        (header::RETRY_AFTER, RETRY_AFTER_S),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, text).into_response()
}

/// Middleware: sets the status of refusals by server functions. Leptos answers refusals and
/// failures of the server with 500.
pub async fn set_error_status(request: Request, next: Next) -> Response {
    let request_headers = request.headers().clone();
    let response = next.run(request).await;
    if !response.headers().contains_key(SERVER_FUNCTION_ERROR) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_REFUSAL_BYTES).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let error = serde_json::from_slice(&bytes).unwrap_or(ApiError::Unavailable);
    let is_form = head.status.is_redirection();
    match error {
        ApiError::TooMany if is_form => return too_many_requests(&request_headers),
        ApiError::TooMany => {
            head.status = StatusCode::TOO_MANY_REQUESTS;
            let seconds = http::HeaderValue::from_static(RETRY_AFTER_S);
            head.headers.insert(header::RETRY_AFTER, seconds);
        }
        ApiError::Request | ApiError::Invalid { .. } => {
            head.status = StatusCode::BAD_REQUEST;
            head.headers.remove(header::LOCATION);
        }
        ApiError::TooManyRooms
        | ApiError::SearchTimedOut
        | ApiError::SearchBusy
        | ApiError::Unavailable
            if is_form => {}
        ApiError::TooManyRooms
        | ApiError::SearchTimedOut
        | ApiError::SearchBusy
        | ApiError::Unavailable => {
            head.status = StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    Response::from_parts(head, Body::from(bytes))
}

/// Middleware: reads the whole body of a request within `Timing::body_timeout`. Bodies are
/// at most as large as the largest form, so handlers receive a body in one piece.
pub async fn read_body(
    State(context): State<AppContext>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let reading = Bytes::from_request(Request::new(body), &());
    match timeout(context.timing.body_timeout, reading).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => {
            let close = [(header::CONNECTION, "close")];
            let text = "the request took too long";
            (StatusCode::REQUEST_TIMEOUT, close, text).into_response()
        }
    }
}
