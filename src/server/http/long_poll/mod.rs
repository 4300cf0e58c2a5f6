//! The room protocol over HTTP long-polling, for networks that block WebSocket.
//!
//! `POST /poll` opens a connection and says things, `GET /poll` waits for what is said to
//! it ([`handlers`]). Each connection is a [`task`], found by its secret in [`PollRegistry`] for
//! as long as it runs: [`inbound`] is what it hears, [`responder`] hands out what it is told,
//! [`unacked_frames`] keeps that until it is acknowledged. Nothing here knows what is said; that
//! is [`super::connection`], as for a WebSocket.

mod handlers;
mod inbound;
mod registry;
mod responder;
mod task;
mod unacked_frames;

pub(super) use handlers::{get, post};
pub use registry::PollRegistry;
