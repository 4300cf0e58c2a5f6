//! Renders pages on separate threads.
//!
//! Rendering a page takes a hundred times as long as forwarding a message. Pages and server
//! functions run on their own runtime, so that open rooms do not wait for page loads.
//! [`super::refusal`] limits the rate of pages.

use super::fingerprint;
use crate::server::{
    context::AppContext,
    log_throttle::{self, LogThrottle},
};
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use std::future::Future;
use tokio::{task::JoinSet, time::timeout};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, DefaultPredicate},
};

/// Size limit of a page, in bytes. 16 MiB: a hundred times the largest history.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

/// Compresses pages: a page of messages shrinks to a tenth. The level is the fastest, because each
/// page is rendered for one user. BREACH (CVE-2013-3587) needs a secret that repeats; the pages
/// hold none, and the nonce changes with each response.
pub fn compression() -> CompressionLayer<DefaultPredicate> {
    CompressionLayer::new().quality(CompressionLevel::Fastest)
}

/// Middleware: handles the request on the page runtime.
///
/// # Cancel safety
/// When dropped the request is cancelled.
pub async fn on_page_runtime(
    State(context): State<AppContext>,
    request: Request,
    next: Next,
) -> Response {
    render_on_page_runtime(&context, next.run(request)).await
}

/// Produces a response with its whole body on the page runtime.
pub async fn render_on_page_runtime<R>(context: &AppContext, rendering: R) -> Response
where
    R: Future<Output = Response> + Send + 'static,
{
    let mut task = JoinSet::new();
    task.spawn_on(
        async move { collect_body(rendering.await).await },
        &context.pages,
    );
    let within = context.timing.render_timeout;
    match timeout(within, task.join_next()).await {
        Ok(Some(Ok(response))) => response,
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(_) => {
            static TIMED_OUT: LogThrottle = LogThrottle::new();
            if let Some(count) = TIMED_OUT.record() {
                tracing::error!(?within, count, "rendering a page took too long");
            }
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Middleware: writes the fingerprint of the body into each page, before compression.
pub async fn stamp_fingerprint(request: Request, next: Next) -> Response {
    with_fingerprint(next.run(request).await).await
}

/// Writes the fingerprint into one response if it is HTML.
pub async fn with_fingerprint(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        return response;
    }
    let (head, body) = response.into_parts();
    match to_bytes(body, MAX_PAGE_BYTES).await {
        Ok(bytes) => {
            let mut page = Vec::from(bytes);
            fingerprint::write_fingerprint(&mut page);
            Response::from_parts(head, Body::from(page))
        }
        Err(error) => interrupted_page(&error),
    }
}

/// Reads the body of a response into memory.
async fn collect_body(response: Response) -> Response {
    let (head, body) = response.into_parts();
    match to_bytes(body, MAX_PAGE_BYTES).await {
        Ok(bytes) => Response::from_parts(head, Body::from(bytes)),
        Err(error) => interrupted_page(&error),
    }
}

/// The 500 response for a page whose body failed before its end.
fn interrupted_page(error: &axum::Error) -> Response {
    static INCOMPLETE: LogThrottle = LogThrottle::new();
    log_throttle::error(&INCOMPLETE, error, "the body of a page failed");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
