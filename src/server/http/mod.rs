//! HTTP: the routes, and the middleware that applies to all of them.
//!
//! * [`router`] maps each path to its handler; [`base_path`] serves all of them below another path.
//! * [`pages`] renders pages on separate threads; [`fingerprint`] lets the browser detect a page
//!   that was changed in transit.
//! * [`client_address`] finds the client of a request; [`host`] refuses unknown host names (DNS
//!   rebinding); [`cross_origin`] refuses requests by other sites (CSRF); [`security`] sets the
//!   headers.
//! * [`redirect`] leads plain HTTP to https; [`lan`] helps devices trust a local
//!   authority.
//! * [`refusal`] answers requests beyond a rate and malformed ones.
//! * [`assets`] serves the embedded files that pages load; [`asset_names`] finds their hashed
//!   names.
//! * [`files`] receives and serves the files of messages.
//! * [`health`] answers `/healthz` and `/readyz`; [`metrics`] answers `/metrics`,
//!   over a network by a secret ([`metrics_token`]); [`doctor`] runs the checks for
//!   `noom doctor`.
//! * [`connection`] serves the room protocol to one client, over [`ws`] or [`long_poll`].

mod asset_names;
mod assets;
mod base_path;
mod client_address;
mod connection;
mod cross_origin;
mod doctor;
mod files;
mod fingerprint;
mod health;
mod host;
mod lan;
mod long_poll;
mod metrics;
mod metrics_token;
mod options;
mod pages;
mod redirect;
mod refusal;
mod router;
mod security;
mod ws;

pub use asset_names::AssetNames;
pub use assets::Assets;
pub use client_address::{IsConfidential, IsHttps};
pub use connection::ConnectionPermits;
pub use files::{FormFiles, expire_uploads};
pub use health::{OpenSockets, Readiness, notes};
pub use host::{machine_name, names_of_machine};
pub use long_poll::PollRegistry;
pub use metrics_token::MetricsToken;
pub use redirect::redirect_router;
pub use refusal::limit_page_rate;
pub use router::{metrics_router, router};
pub use security::content_security_policy;
