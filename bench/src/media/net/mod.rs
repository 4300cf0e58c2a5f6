//! The network between clients and server.
//!
//! * [`netns`] a network namespace of this program's own.
//! * [`socket_pool`] the sockets of many clients.
//! * [`impairment`] loss, delay, jitter and a rate limit.

pub mod impairment;
pub mod netns;
pub mod socket_pool;
