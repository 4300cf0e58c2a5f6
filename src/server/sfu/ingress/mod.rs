//! The checks that a received datagram passes before str0m reads it.
//!
//! [`demux`] finds the peer. [`rate_limit`], [`ssrc_limit`] and [`twcc_guard`] bound what one
//! peer can cost: bandwidth, SSRCs, and jumps of transport-wide sequence numbers.

pub mod demux;
pub mod rate_limit;
pub mod ssrc_limit;
pub mod twcc_guard;
