//! From a room to its sockets.
//!
//! [`connections`] holds the sockets of one room and sends to one, some or all of them. [`frames`]
//! are serialised once and shared, [`throttle`] limits how often all sockets are written to, and
//! [`outbox`] is the bounded queue towards one socket.

pub mod connections;
pub mod frames;
pub mod outbox;
pub mod throttle;
