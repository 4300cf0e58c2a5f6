//! STUN and TURN: the way in for whoever no packet of the SFU or of another browser reaches.
//!
//! Relay addresses are virtual: an external address of ours and a number that names no socket.
//! Packets go between our own clients, or to the SFU and back inside the process. Nothing is
//! ever sent to an address somebody names, so this is no open relay, whatever one asks for.
//!
//! A listener ([`udp`], [`tcp`]) hands frames to the [`engine`]; [`methods`] answers what
//! proves itself by [`credentials`] of a stay in a call ([`sessions`]), [`forward`] passes packets on by what [`allocations`] and
//! [`permissions`] say. The codec and the port numbers are those of the `turn-server` crate.

mod allocations;
mod client;
mod credentials;
mod engine;
mod external;
mod forward;
mod frame;
mod handle;
mod local_peer;
mod methods;
mod nonce;
mod options;
mod permissions;
mod request;
mod response;
mod sessions;
mod stats;
mod stream;
mod tcp;
mod udp;

#[cfg(test)]
mod tests;

pub use credentials::Credentials;
pub use handle::Turn;
pub use local_peer::{LocalPeer, RelaySender};
pub use options::{TurnError, TurnLimits, TurnOptions};
pub use stats::{DropReason, Refusal, Traffic, TurnStats};
