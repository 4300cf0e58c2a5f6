//! The tasks around the rooms: [`task`] owns one room and runs its effects, [`message`] is what
//! it is sent, [`handle`] is how everybody else talks to one.
//!
//! [`registry`] finds and makes rooms, [`load`] reads them from the store, [`summaries`]
//! publishes the list of open rooms.

pub mod handle;
pub mod load;
pub mod message;
pub mod registry;
pub mod summaries;
pub mod task;
