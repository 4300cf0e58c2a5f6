//! The server: one process with the pages, the rooms and the store.
//!
//! * [`config`], [`limits`] the settings and the fixed numbers, [`profile`] which set of limits
//!   applies; [`telemetry`], [`metrics`], [`error`] logs, counters and refusals.
//! * [`commands`] what the binary does besides serving.
//! * [`context`] the state every handler and page can reach.
//! * [`http`] the routes, the socket, the files, the rules for every request.
//! * [`net`] the sockets of both address families, the listener, and the limits per network address.
//! * [`addresses`] by which people reach media and TURN here.
//! * [`rooms`] presence, chat and calls of each room, as a pure core in an actor.
//! * [`entry`] checks requests to enter a room; [`visits`] remembers them for people without script.
//! * [`store`] the SQLite database; [`disk`] the free space beside it.
//! * [`sfu`] passes media on where a call does not run browser to browser.
//! * [`tls`] the certificate: by ACME, by a local authority, or from files.
//! * [`blocked_media`] counts reports of media that does not get through.
//! * [`check`] the page `/check`, on which everybody tests connection and devices.
//! * [`turn`] the TURN server; `turn_relay` connects it to calls and the SFU.
//! * [`retention`] deletes old messages, where the operator sets that; [`clock`] guards its time.
//! * [`empty_rooms`] forgets rooms in which nothing is kept and nobody is.
//! * [`files`] receives files that are kept with messages, and signs their links.
//! * [`doctor`] checks whether people can reach the server, and says what mends it.
//! * [`operator`] the account of the operator and the pages under `/admin`.
//! * `load` the busy share of the process; [`priority`] the priorities of its threads.
//! * [`token_bucket`] the algorithm of every rate limit; [`log_throttle`] bounds the log lines that
//!   clients can cause; [`origin`] web origins.
//! * [`invites`] signs the links that let somebody into a room.
//! * `invitation` prints the addresses of a self-signed server, and a QR code.
//! * [`room_names`] proposes names of private rooms.
//! * [`serve`] starts all parts and stops them in order; [`service_manager`] reports that to
//!   systemd, and takes the sockets that it keeps open.

pub mod addresses;
pub mod authority;
mod base_path;
pub mod blocked_media;
pub mod check;
pub mod clock;
pub mod commands;
pub mod config;
pub mod context;
pub mod disk;
pub mod doctor;
pub mod empty_rooms;
pub mod entry;
pub mod error;
pub mod files;
pub mod http;
mod identity;
mod invitation;
pub mod invites;
pub mod limits;
mod load;
pub mod log_throttle;
pub mod metrics;
pub mod net;
pub mod operator;
pub mod origin;
mod password_hasher;
pub mod priority;
pub mod profile;
pub mod request;
pub mod retention;
pub mod room_names;
pub mod rooms;
mod serve;
pub mod service_manager;
pub mod sfu;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod token_bucket;
pub mod turn;
mod turn_relay;
pub mod visits;

pub use base_path::{BasePath, MAX_BASE_PATH_BYTES};
pub use context::AppContext;
pub use identity::{new_session_token, participant_id};
pub use serve::{Server, serve};
