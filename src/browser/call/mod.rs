//! The call in the browser: one's own devices, and a peer connection to each of the
//! others.
//!
//! [`CallDriver`] is told what the server says and what the person wants. What to
//! negotiate is decided in [`crate::state::negotiation`]; [`connector`] carries it out,
//! with another browser ([`peer`]) or with the server's SFU ([`sfu`]). [`view`] knows what
//! is on the screen, [`stats`] what the browser counts, [`lines`] how good a line to somebody is,
//! [`reach`] whether media gets through.
//! [`media`] owns cameras and microphones; [`devices`] asks the browser for them;
//! [`playback`] plays what the others send.

mod connector;
mod crossing;
mod descriptions;
mod devices;
mod driver;
mod figures;
mod lines;
mod local;
mod media;
mod peer;
mod playback;
mod reach;
mod sfu;
mod stats;
mod view;

pub use driver::CallDriver;
pub use media::Media;
