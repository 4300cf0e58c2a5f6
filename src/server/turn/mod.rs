//! A STUN and TURN server (RFC 8489, RFC 8656) for browsers that no direct path reaches.
//!
//! Relayed addresses are virtual: an external address of this machine and a port that belongs
//! to no socket. Packets pass between clients of this server, or between a client and the SFU
//! inside the process. The server sends nothing to an address that a client names, so it
//! cannot be used as an open relay.
//!
//! A packet's path: a listener ([`udp`], [`tcp`] with [`stream`]) hands a frame to the
//! [`engine`]. [`frame`] validates it, [`credentials`] authenticate a request, [`methods`]
//! answers it, [`forward`] relays data. [`allocations`] holds the state: who has which relayed
//! address, with the [`permissions`] of each allocation and the call [`sessions`] whose members
//! may allocate. The `turn-server` crate contributes the codec and the pool of ports.

mod allocations;
mod client;
mod credentials;
mod engine;
mod external;
mod forward;
mod frame;
mod handle;
mod hmac;
mod local_peer;
mod methods;
mod nonce;
mod options;
mod permissions;
mod probe;
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
pub use probe::{Carrier, ProbeError, probe_allocation};
pub use stats::{DropReason, Refusal, Traffic, TurnStats};
