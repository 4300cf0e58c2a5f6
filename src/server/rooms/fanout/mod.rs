//! From a room to its sockets: [`connections`] the sockets of one room, [`throttle`] how often
//! they are written to, [`frames`] what they share, [`outbox`] the bounded queue towards each.

pub mod connections;
pub mod frames;
pub mod outbox;
pub mod throttle;
