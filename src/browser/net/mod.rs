//! Connections to the room service: frames out, frames in.
//!
//! A [`transport`] is a [`websocket`] or, if the network blocks that, a [`long_poll`];
//! [`crate::state::transport`] chooses. [`fetch`] sends single requests, and [`upload`] those of files.

pub mod fetch;
mod long_poll;
pub mod transport;
pub mod upload;
pub mod websocket;
