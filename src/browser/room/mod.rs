//! One room in one tab: one connection, kept alive, feeding the state.
//!
//! The policy is elsewhere and pure: when to reconnect in [`crate::state::connection`],
//! by which transport in [`crate::state::transport`], what to send in
//! [`crate::state::outbox`], what messages mean in [`crate::state::apply_to_store`].
//! [`controller`] owns the timers and the connection; [`connection`] opens, probes and
//! replaces it; [`messages`] sends what a person writes; [`persistence`] keeps identity,
//! unsent messages and the read position on the device.

mod connection;
mod controller;
mod messages;
mod persistence;

pub use controller::RoomController;
