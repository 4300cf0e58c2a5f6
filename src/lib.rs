//! Noom: rooms with chat and video calls, as one binary.
//!
//! # Layout
//!
//! The same crate is compiled twice: with `ssr` into the server, with `hydrate`
//! into the wasm module the pages load.
//!
//! * [`protocol`] the messages of the room protocol; both halves.
//! * [`state`] the state of a page, as plain data with a pure `apply`; both halves.
//! * [`paths`] the addresses of this site.
//! * [`session`] the handle that components use; does nothing on the server.
//! * [`pages`], [`components`] one file per URL, one file per component.
//! * [`app`], [`api`], [`i18n`] the shell and its routes, the server functions, translations.
//! * `browser` (hydrate) the socket, the devices and the peer connections.
//! * `server` (ssr) HTTP, the rooms, the store.
//!
//! The first match decides where code belongs. Uses `web_sys`: `browser`. Uses tokio, axum or
//! SQL: `server`. Is sent over the socket: `protocol`. Applies a message to the page's state:
//! `state`. Has a URL: `pages`. Draws: `components`.

#![recursion_limit = "512"]

pub mod api;
pub mod app;
#[cfg(feature = "hydrate")]
pub mod browser;
pub mod components;
pub mod i18n;
pub mod pages;
pub mod paths;
#[macro_use]
pub mod protocol;
#[cfg(feature = "ssr")]
pub mod server;
pub mod session;
pub mod state;
#[cfg(all(test, feature = "ssr"))]
mod tests;

/// Hydrates the page that the server rendered; called by `start.js`.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    use leptos::mount::hydrate_from_async;
    browser::dom::page::prepare();
    wasm_bindgen_futures::spawn_local(components::hydrate_whole(async {
        let body = leptos::tachys::dom::body();
        hydrate_from_async(body, app::App).await.forget();
    }));
}

/// Renders the page after the existing nodes; called by `start.js` if those are not what the
/// server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn render() {
    browser::dom::page::prepare();
    leptos::mount::mount_to_body(app::App);
}
