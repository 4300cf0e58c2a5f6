//! One client's connection over either transport, [`super::ws`] or [`super::long_poll`].
//!
//! An [`InboundSource`] delivers text frames, an outbox sends them. [`admission`] limits the
//! connections of an address, [`lifecycle`] runs a connection from start to end, [`dispatch`]
//! handles each message, [`message_rates`] limits the messages of one connection.
//! `docs/protocol.md` lists every refusal.

mod admission;
mod dispatch;
mod lifecycle;
mod message_rates;

pub use admission::ConnectionPermits;
pub(super) use admission::{ConnectionPermit, Transport, admit};
pub(super) use lifecycle::{Connection, Disconnect, Inbound, InboundSource, departure_of};
