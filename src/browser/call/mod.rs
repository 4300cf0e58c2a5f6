//! The call in the browser: one's own devices, and a peer connection to each of the
//! others.
//!
//! [`CallController`] is told what the server says and what the person wants. What to
//! negotiate is decided in [`crate::state::negotiation`]; [`connector`] carries it out,
//! with another browser ([`peer`]) or with the server's SFU ([`sfu`]). [`view`] knows what
//! is on the screen, [`stats`] what the browser counts, [`lines`] how good a line to somebody is,
//! [`reach`] whether media gets through.
//! [`media`] owns cameras and microphones; [`devices`] asks the browser for them;
//! [`playback`] plays what the others send.

mod controller;
mod media;
mod migration;
mod p2p;
mod quality;
mod reachability;
mod rtc;
mod sfu;
mod statistics;
mod viewport;

pub use controller::CallController;
pub use media::Media;
