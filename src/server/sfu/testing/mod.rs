//! Test helpers of the SFU: a browser without sockets, and an attacker with the keys of a
//! connection.

pub mod attacker;
pub mod browser;
