//! The server: one process with the pages, the rooms and the store.
//!
//! * [`config`], [`limits`], [`telemetry`], [`metrics`], [`error`] what it is told and what it says.
//! * [`commands`] what the binary does besides serving.
//! * [`context`] the state every handler and page can reach.
//! * [`http`] the routes, the socket, the files, the rules for every request.
//! * [`net`] the sockets of both address families, the listener, and the limits per network address.
//! * [`addresses`] by which people reach media and TURN here.
//! * [`rooms`] who is where and what is said; the thinking is pure.
//! * [`store`] what lasts; [`disk`] how much space is left for it.
//! * [`sfu`] passes media on where a call does not run browser to browser.
//! * `certificate` reads TLS files, and again when they change.
//! * [`blocked_media`] what people report of media that does not get through.
//! * [`turn`] relays for whoever cannot be reached otherwise; `turn_relay` puts it together with the rest.
//! * [`retention`] forgets what is old, where the operator wants that; [`clock`] tells it when.
//! * `load` how busy it is; [`priority`] which threads wait for which. [`log_throttle`] bounds the log lines that clients can cause.
//! * [`serve`] puts them together and takes them down again.

pub mod addresses;
pub mod blocked_media;
mod certificate;
pub mod clock;
pub mod commands;
pub mod config;
pub mod context;
pub mod disk;
pub mod error;
pub mod http;
mod identity;
pub mod limits;
mod load;
pub mod log_throttle;
pub mod metrics;
pub mod net;
pub mod origin;
pub mod priority;
pub mod request;
pub mod retention;
pub mod rooms;
mod serve;
pub mod sfu;
pub mod store;
pub mod telemetry;
pub mod token_bucket;
pub mod turn;
mod turn_relay;

pub use context::AppContext;
pub use identity::{new_session_token, participant_id};
pub use serve::{Server, serve};
