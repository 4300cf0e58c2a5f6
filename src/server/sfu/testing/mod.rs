//! What the tests of the SFU share: a browser without sockets, and an attacker who has the
//! keys of a connection.

pub mod attacker;
pub mod browser;
