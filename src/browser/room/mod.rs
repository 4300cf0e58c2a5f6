//! One room in one tab: one connection, kept alive, feeding the state.
//!
//! The policies are pure: reconnecting in [`crate::state::connection`], the transport in
//! [`crate::state::transport`], pacing in [`crate::state::outbox`], the effects of messages in
//! [`crate::state::apply_to_store`].
//! [`controller`] owns the timers and the connection; [`connection`] opens, probes and
//! replaces it; [`alerts`] shows notifications and plays sounds; [`export`] saves the log; [`entry`] shows password and invite; [`messages`] sends chat messages; [`moderation`] sends requests of hosts and
//! switches off what they mute; [`persistence`] stores identity, unsent messages and the read
//! position on the device; [`uploads`] sends files.

mod alerts;
mod connection;
mod controller;
mod entry;
mod export;
mod messages;
mod moderation;
mod persistence;
mod uploads;

pub use controller::RoomController;
