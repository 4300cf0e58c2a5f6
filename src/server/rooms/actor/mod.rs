//! The tasks around the rooms.
//!
//! [`task`] is the actor that owns one room and runs its effects, [`message`] its mailbox.
//! [`registry`] finds and starts actors, [`load`] reads a room's log from the store, and
//! [`visibility`] decides what a request sees of a room. [`media`] reaches the SFU, [`summaries`]
//! publishes the list of open rooms, [`operator`] is how the operator reaches them, and [`clear`]
//! deletes the messages of a room. Others hold a [`handle`] to a room, or a [`membership`] once
//! their socket has entered it.

pub mod clear;
pub mod handle;
pub mod load;
pub mod media;
pub mod membership;
pub mod message;
pub mod operator;
pub mod registry;
pub mod summaries;
pub mod task;
pub mod visibility;
