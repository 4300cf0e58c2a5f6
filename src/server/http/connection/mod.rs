//! One client's connection, whatever carries it: [`super::ws`] or [`super::long_poll`].
//!
//! Text frames come in through [`InboundSource`], what is said to the client goes out through
//! an outbox. [`admission`] decides who gets a connection, [`lifecycle`] is its course,
//! [`dispatch`] answers what it says; [`message_rates`] holds what one connection may send. Every refusal is in `docs/protocol.md`.

mod admission;
mod dispatch;
mod lifecycle;
mod message_rates;

pub use admission::ConnectionPermits;
pub(super) use admission::{ConnectionPermit, Transport, admit};
pub(super) use lifecycle::{Connection, Disconnect, Inbound, InboundSource, departure_of};
