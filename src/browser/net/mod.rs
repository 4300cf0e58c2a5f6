//! Connections to the room service: frames out, frames in.
//!
//! [`transport`] is a [`websocket`] or, where a network blocks that, [`long_poll`]; which of
//! the two is chosen in [`crate::state::transport`]. [`fetch`] sends single requests.

pub mod fetch;
mod long_poll;
pub mod transport;
pub mod websocket;
