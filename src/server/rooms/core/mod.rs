//! The thinking of a room: a value that is told [`command`]s and answers with effects.
//!
//! Pure: reads no clock, no socket, no chance. [`room`] holds the state and dispatches;
//! [`presence`], [`chat`], [`call`] and [`media`] each handle one kind of command.
//! [`history`] is the end of the log in memory, [`budget`] what one member may cost the others.

pub mod budget;
pub mod call;
pub mod chat;
pub mod command;
pub mod history;
pub mod media;
pub mod presence;
#[cfg(test)]
mod properties;
pub mod room;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod simulation;
