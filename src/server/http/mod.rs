//! HTTP: the routes as a table, and the rules that hold for every one of them.
//!
//! * [`router`] which path is answered by what.
//! * [`pages`] renders on threads of its own; [`fingerprint`] lets the browser see whether
//!   somebody changed a page on its way.
//! * [`client_address`] whose request it is; [`host`] refuses names that are not ours; [`cross_origin`]
//!   refuses requests made by other sites; [`security`] the headers.
//! * [`refusal`] what is answered to whoever asks too much, or what makes no sense.
//! * [`assets`] the files the pages load, from inside the binary; [`asset_names`] what they
//!   are called.
//! * [`health`] whether it lives, whether it can serve; [`metrics`] what it counts.
//! * [`connection`] the room protocol with one client, carried by [`ws`] or [`long_poll`].

mod asset_names;
mod assets;
mod client_address;
mod connection;
mod cross_origin;
mod fingerprint;
mod health;
mod host;
mod long_poll;
mod metrics;
mod options;
mod pages;
mod refusal;
mod router;
mod security;
mod ws;

pub use asset_names::AssetNames;
pub use assets::Assets;
pub use client_address::IsHttps;
pub use connection::ConnectionPermits;
pub use health::{OpenSockets, Readiness};
pub use long_poll::PollRegistry;
pub use router::{metrics_router, router};
pub use security::content_security_policy;
