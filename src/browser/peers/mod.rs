//! Files that go from browser to browser.
//!
//! The room holds an [`entry`], which passes each [`request`] on. [`controller`] runs what
//! [`crate::state::transfers`] decides; [`peer`] is the connection to one participant with its data
//! [`channel`]; [`sink`] keeps what arrives on the device. [`bytes`] copies bytes between the browser
//! and the module. All but the entry is a wasm module of its own, which the entry loads when somebody
//! shares a file or is offered one: call nothing of it from elsewhere.

mod bytes;
mod channel;
mod controller;
mod entry;
mod peer;
mod request;
mod sink;

pub use entry::PeersEntry;
pub use request::{Parts, Request};
