//! A shard: one thread, one media port, and the rooms pinned to it.
//!
//! [`worker`] is the thread with its sockets and its clock; [`core`] is the sans-IO state that
//! it drives. Only this folder implements methods of [`core::Core`]; every other folder of the
//! SFU exports types and pure functions.

#[cfg(test)]
mod attacker_tests;
pub mod coalesce;
pub mod core;
mod forward;
mod inspect;
mod lifecycle;
pub mod media_room;
pub mod message;
mod mute;
pub mod offer_queue;
mod probes;
pub mod receive;
mod screen_codec;
mod subscribe;
mod tick;
pub mod timers;
pub mod worker;
