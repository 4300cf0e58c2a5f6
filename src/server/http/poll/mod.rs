//! The room protocol over HTTP long-polling, for networks that block WebSocket.
//!
//! `POST /poll` opens a connection and says things, `GET /poll` waits for what is said to
//! it ([`requests`]). Each connection is a [`task`], found by its secret in [`Polls`] for
//! as long as it runs: [`incoming`] is what it hears, [`desk`] hands out what it is told,
//! [`shelf`] keeps that until it is acknowledged. Nothing here knows what is said; that
//! is [`super::connection`], as for a WebSocket.

mod desk;
mod incoming;
mod polls;
mod requests;
mod shelf;
mod task;

pub use polls::Polls;
pub(super) use requests::{listen, say};
