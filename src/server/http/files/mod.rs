//! Files over HTTP: [`upload`] receives them, [`form`] receives them with a message by the page's form,
//! [`download`] serves them, and [`export`] writes down a room.

mod download;
mod export;
mod form;
mod multipart;
mod upload;

pub use form::FormFiles;

use super::refusal;
use crate::server::context::AppContext;
use axum::{
    Router,
    middleware::from_fn,
    routing::{get, head, post},
};
use std::time::{Duration, Instant};

/// Longest interval between two looks for uploads that have expired.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// Forgets uploads that no message has in time, until the server stops.
pub async fn expire_uploads(context: AppContext) {
    let mut stopping = context.stopping.clone();
    let lasts = context.timing.upload_lasts;
    let expiry = async {
        loop {
            tokio::time::sleep(EXPIRY_INTERVAL.min(lasts / 2)).await;
            context.store.uploads().expire(Instant::now(), lasts);
        }
    };
    tokio::select! {
        () = expiry => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// The routes whose requests have no body.
pub fn routes() -> Router<AppContext> {
    Router::new().route("/files/{token}/{name}", get(download::serve))
}

/// The route of exports. Each request counts as a page, so that others than participants, who get
/// nothing, do not use up the exports of those.
pub fn export_routes() -> Router<AppContext> {
    Router::new().route("/room/{name}/export", get(export::serve))
}

/// The routes of uploads, whose bodies are larger than those of other requests and are not read in
/// one piece.
pub fn upload_routes() -> Router<AppContext> {
    Router::new()
        .route(
            "/uploads/{room}",
            post(upload::begin).options(upload::options),
        )
        .route(
            "/uploads/{room}/message",
            post(form::post).layer(from_fn(refusal::set_error_status)),
        )
        .route(
            "/uploads/{room}/{id}",
            head(upload::progress)
                .patch(upload::append)
                .delete(upload::end)
                .options(upload::options),
        )
}
