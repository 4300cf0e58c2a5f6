//! In-crate integration tests: a real server on port 0 and typed clients.
//!
//! [`harness`] starts a server on its own SQLite file and connects to it through real sockets. No
//! test sleeps: it waits for the expected event. To show that an event does not happen, it sends a
//! `ping` and checks what arrives before the `pong`.

mod acme;
mod addresses;
mod admin;
mod architecture;
mod attachments;
mod backup;
mod base_path;
mod call;
mod check;
mod deploy;
mod direct;
mod doctor;
mod documents;
mod export;
mod faults;
mod file_forms;
mod files;
mod flood;
mod fuzz;
mod guest;
mod h2_sockets;
pub mod harness;
mod hidden;
mod hostile;
mod hosts;
mod invite_files;
mod limits;
mod listener;
mod marks;
mod media;
mod mentions;
mod metrics;
mod networks;
mod pages;
mod pebble;
mod pins;
mod poll;
mod poller;
mod prejoin;
mod private;
mod private_holes;
mod quotas;
mod reconnect;
mod refusals;
mod requests;
mod retention;
mod roles;
mod rooms;
mod search;
mod text;
mod tls;
mod unread;
mod visits;
