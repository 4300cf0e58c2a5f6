//! A bare forwarder, the physical limit of the machine.
//!
//! * [`forwarder`] the server, which is this program.
//! * [`send`] its ways to send.
//! * [`clients`] how clients join.

pub mod clients;
pub mod forwarder;
mod send;
