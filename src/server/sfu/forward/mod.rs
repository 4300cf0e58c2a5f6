//! The forwarding of RTP packets.
//!
//! [`packet`] parses a received packet once for all subscribers, [`munger`] rewrites sequence
//! numbers, timestamps and picture ids for one outgoing stream.

pub mod munger;
pub mod packet;
