//! Noom: one binary in which people meet.
//!
//! # Layout
//!
//! The same crate is compiled twice: with `ssr` into the server, with `hydrate`
//! into the wasm module the pages load.
//!
//! * [`protocol`] every value that crosses the socket; both halves.
//! * [`state`] what a person sees, as plain data with a pure `apply`; both halves.
//! * [`session`] the handle components talk to; does nothing on the server.
//! * [`pages`], [`components`] one file a URL, one file a thing drawn.
//! * [`app`], [`api`], [`i18n`] the shell and its routes, the server functions, the words.
//! * `browser` (hydrate) the socket, the devices and the peer connections.
//! * `server` (ssr) HTTP, the rooms, the store.
//!
//! A line of code finds its room by asking, first yes wins: names `web_sys`?
//! `browser`. Names tokio, axum or SQL? `server`. Crosses the socket? `protocol`.
//! Changes what a person sees because of a message? `state`. Owns a URL? `pages`.
//! Draws? `components`.

#![recursion_limit = "512"]

pub mod api;
pub mod app;
#[cfg(feature = "hydrate")]
pub mod browser;
pub mod components;
pub mod i18n;
pub mod pages;
pub mod protocol;
#[cfg(feature = "ssr")]
pub mod server;
pub mod session;
pub mod state;
#[cfg(all(test, feature = "ssr"))]
mod tests;

/// Takes over the page the server rendered; called by `start.js`.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    use leptos::mount::hydrate_from_async;
    browser::dom::page::report_panics();
    wasm_bindgen_futures::spawn_local(components::hydrate_whole(async {
        let body = leptos::tachys::dom::body();
        hydrate_from_async(body, app::App).await.forget();
    }));
}

/// Draws the page anew, after what is there; called by `start.js` where that is not what the
/// server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn render() {
    browser::dom::page::report_panics();
    leptos::mount::mount_to_body(app::App);
}
