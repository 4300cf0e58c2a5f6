//! One client's connection, whatever carries it: [`super::ws`] or [`super::poll`].
//!
//! Text frames come in through [`Incoming`], what is said to the client goes out through
//! an outbox. [`admission`] decides who gets a connection, [`life`] is its course,
//! [`dialogue`] answers what it says; [`rates`] holds what one connection may send. Every refusal is in `docs/protocol.md`.

mod admission;
mod dialogue;
mod life;
mod rates;

pub(super) use admission::{Admission, admit, warn};
pub(super) use life::{Connection, End, Heard, Incoming, departure};
