//! One client's connection over either transport, [`super::ws`] or [`super::long_poll`].
//!
//! Text frames come in through an [`InboundSource`] and go out through an outbox. [`admission`]
//! bounds the connections of an address, [`lifecycle`] runs one from its start to its end,
//! [`dispatch`] handles each message, [`message_rates`] bounds what one connection may send.
//! `docs/protocol.md` lists every refusal.

mod admission;
mod dispatch;
mod lifecycle;
mod message_rates;

pub use admission::ConnectionPermits;
pub(super) use admission::{ConnectionPermit, Transport, admit};
pub(super) use lifecycle::{Connection, Disconnect, Inbound, InboundSource, departure_of};
