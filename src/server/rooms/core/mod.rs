//! The state of a room: takes [`command`]s and returns effects.
//!
//! Pure: uses no clock, no socket and no random numbers. [`room`] holds the state and dispatches
//! commands; [`presence`], [`chat`], [`call`], [`media`], [`moderation`] and
//! [`operator`] each handle one kind of
//! command. [`admission`] decides who enters, [`lobby`] keeps those who wait, and [`window`] opens
//! and closes the room by the clock.
//! [`history`] holds the end of the log in memory, [`budget`] the rate limits of each member.

pub mod admission;
pub mod budget;
pub mod call;
pub mod chat;
pub mod command;
mod direct;
pub mod history;
pub mod lobby;
pub mod media;
pub mod moderation;
#[cfg(test)]
mod moderation_properties;
pub mod operator;
pub mod presence;
#[cfg(test)]
mod private_properties;
#[cfg(test)]
mod properties;
pub mod room;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod simulation;
pub mod window;
