//! The sockets of a shard and the datagrams that pass through them.
//!
//! [`udp`] batches system calls, [`tcp`] frames datagrams (RFC 4571), [`relay`] is the path
//! through our own TURN server, [`path`] the verified address pair that a [`datagram`] takes.
//! Nothing here knows a peer or a room.

pub mod datagram;
pub mod path;
pub mod relay;
pub mod tcp;
pub mod udp;
