//! HTTP: the routes as a table, and the rules that hold for every one of them.
//!
//! * [`router`] which path is answered by what.
//! * [`origin`] refuses requests made by other sites; [`security`] the headers.
//! * [`assets`] the files the pages load, from inside the binary.
//! * [`health`] whether it lives, whether it can serve, what it counts.
//! * [`ws`] the socket of the room protocol.

mod assets;
mod health;
mod origin;
mod router;
mod security;
mod ws;

pub use assets::{AssetNames, Assets};
pub use health::Gauges;
pub use origin::Origin;
pub use router::router;
pub use security::content_security_policy;
pub use ws::Addresses;
