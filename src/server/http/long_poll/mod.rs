//! The room protocol over HTTP long-polling, for networks that block WebSocket.
//!
//! `POST /poll` opens a connection and sends batches of frames, `GET /poll` waits for frames
//! ([`handlers`]). Each connection is a [`task`]; [`PollRegistry`] finds it by its secret while it
//! runs. [`inbound`] orders the batches, [`responder`] answers the waiting request,
//! [`unacked_frames`] holds frames until the client acknowledges them. [`super::connection`]
//! handles the messages, as for a WebSocket.

mod handlers;
mod inbound;
mod registry;
mod responder;
mod task;
mod unacked_frames;

pub(super) use handlers::{get, post};
pub use registry::PollRegistry;
