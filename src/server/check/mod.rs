//! `/check`: the connection and device test for everybody.
//!
//! The page is HTML from the server ([`page`]) with a script of its own, `check.js`, so that it
//! costs other pages nothing. The script measures; [`crate::state::check`] decides what a result
//! means, and the page carries the [`words`] of every finding. [`handlers`] answers the script;
//! [`tickets`] bounds what a test uses.

mod handlers;
mod page;
mod tickets;
mod words;

use super::{context::AppContext, http::limit_page_rate};
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
#[cfg(test)]
pub use handlers::relay_names;
pub use tickets::Tickets;

/// Starts a test; no body.
const START: &str = "/check/start";
/// Ends a test; no body.
const END: &str = "/check/end";
/// Gives bytes to measure the way to the browser.
const DOWNLOAD: &str = "/check/download";
/// Takes bytes to measure the way from the browser.
const UPLOAD: &str = "/check/upload";
/// Takes an offer to the SFU.
const MEDIA: &str = "/check/media";

/// The media type of the body that a path of the test takes, empty for no body; `None` for a path
/// that is not of the test.
pub fn content_type(path: &str) -> Option<&'static str> {
    match path {
        START | END => Some(""),
        UPLOAD => Some("application/octet-stream"),
        MEDIA => Some("application/json"),
        _ => None,
    }
}

/// The routes of the page and its test.
pub fn router(context: &AppContext) -> Router<AppContext> {
    let page = Router::new()
        .route("/check", get(handlers::page))
        .layer(from_fn_with_state(context.clone(), limit_page_rate));
    Router::new()
        .merge(page)
        .route("/check/check.css", get(handlers::style))
        .route("/check/check.js", get(handlers::script))
        .route(START, post(handlers::start))
        .route(END, post(handlers::end))
        .route(DOWNLOAD, get(handlers::download))
        .route(UPLOAD, post(handlers::upload))
        .route(MEDIA, post(handlers::media))
        .layer(from_fn(handlers::no_store))
}
