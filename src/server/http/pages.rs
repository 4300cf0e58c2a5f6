//! Rendering apart from everything else.
//!
//! A page takes a hundred times as long as passing a message on, so pages and server
//! functions are run on threads of their own: whoever talks does not wait for whoever comes.
//! How many an address may ask for is in [`super::refusal`].

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
use std::{future::Future, time::Duration};
use tokio::{task::JoinSet, time::timeout};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, DefaultPredicate},
};

/// Bytes of a page at most. 16 MiB: a hundred times the largest history.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

/// How long a page may take, its data included. 15 s: browsers wait longer, people do not.
const RENDER_TIMEOUT: Duration = Duration::from_secs(15);

/// Packs pages for those who take it: a page of messages becomes a tenth. At the fastest
/// level, because each is made for one person. What a page says twice is no secret (BREACH
/// needs one), and its nonce is another one each time.
pub fn compression() -> CompressionLayer<DefaultPredicate> {
    CompressionLayer::new().quality(CompressionLevel::Fastest)
}

/// Runs what is left of a request on the threads for pages. Given up with the request.
pub async fn on_page_runtime(
    State(context): State<AppContext>,
    request: Request,
    next: Next,
) -> Response {
    render_on_page_runtime(&context, next.run(request)).await
}

/// Makes a response, its whole body included, on the threads for pages.
pub async fn render_on_page_runtime<R>(context: &AppContext, rendering: R) -> Response
where
    R: Future<Output = Response> + Send + 'static,
{
    let mut task = JoinSet::new();
    task.spawn_on(
        async move { collect_body(rendering.await).await },
        &context.pages,
    );
    match timeout(RENDER_TIMEOUT, task.join_next()).await {
        Ok(Some(Ok(response))) => response,
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(_) => {
            static GIVEN_UP: LogThrottle = LogThrottle::new();
            if let Some(count) = GIVEN_UP.record() {
                tracing::error!(within = ?RENDER_TIMEOUT, count, "a page was given up");
            }
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Writes into each page what its body looks like, before it is packed.
pub async fn stamp_fingerprint(request: Request, next: Next) -> Response {
    with_fingerprint(next.run(request).await).await
}

/// The same for one response.
pub async fn with_fingerprint(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        return response;
    }
    let (head, body) = response.into_parts();
    match to_bytes(body, MAX_PAGE_BYTES).await {
        Ok(bytes) => {
            let mut page = Vec::from(bytes);
            fingerprint::stamp(&mut page);
            Response::from_parts(head, Body::from(page))
        }
        Err(error) => interrupted_page(&error),
    }
}

/// The response with a body that is all there.
async fn collect_body(response: Response) -> Response {
    let (head, body) = response.into_parts();
    match to_bytes(body, MAX_PAGE_BYTES).await {
        Ok(bytes) => Response::from_parts(head, Body::from(bytes)),
        Err(error) => interrupted_page(&error),
    }
}

/// A page that could not be read to its end.
fn interrupted_page(error: &axum::Error) -> Response {
    static BROKE_OFF: LogThrottle = LogThrottle::new();
    log_throttle::error(&BROKE_OFF, error, "a page broke off");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
