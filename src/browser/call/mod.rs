//! The call in the browser: the local devices and the connections to the others.
//!
//! [`controller`] handles messages and the user's actions. [`connections`] holds a peer
//! connection to each participant ([`p2p`]) or one to the server's SFU ([`sfu`]); [`migration`]
//! opens them and moves media from one kind to the other. Both are [`rtc`] connections, whose
//! negotiation is decided in [`crate::state::negotiation`]. [`media`] owns cameras,
//! microphones and playback. [`viewport`] knows what is on the screen; [`quality`],
//! [`reachability`] and [`statistics`] watch the connections. [`context`] holds the state that
//! they share.
//!
//! Imports between these modules form no cycle; `src/tests/architecture.rs` checks it.

mod connections;
mod context;
mod controller;
mod media;
mod migration;
mod p2p;
mod quality;
mod reachability;
pub mod rtc;
mod sfu;
mod statistics;
mod viewport;

pub use controller::CallController;
pub use media::Media;
