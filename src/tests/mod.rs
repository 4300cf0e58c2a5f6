//! In-crate integration tests: a real server on port 0 and typed clients.
//!
//! [`harness`] starts the server on a SQLite file of its own and speaks to it through
//! real sockets. Nothing here sleeps: a test waits for what it claims, or for the answer
//! to a `ping` that follows what must not have happened.

mod addresses;
mod architecture;
mod backup;
mod call;
mod documents;
mod export;
mod faults;
mod files;
mod flood;
mod fuzz;
mod guest;
pub mod harness;
mod hostile;
mod limits;
mod listener;
mod media;
mod metrics;
mod networks;
mod pages;
mod poll;
mod poller;
mod prejoin;
mod reconnect;
mod refusals;
mod requests;
mod retention;
mod rooms;
mod search;
mod text;
