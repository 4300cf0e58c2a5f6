//! The browser's side: the only place that names `web_sys`.
//!
//! [`Driver`] owns everything of one room that is not plain data: the [`link`]
//! to the server (a [`socket`], or [`polling`]), its timers and listeners, and the [`call`]. It feeds messages to the state and
//! does what the pure machines in [`crate::state`] tell it to.

pub mod announcer;
pub mod call;
pub mod clipboard;
pub mod clock;
mod driver;
mod fetch;
pub mod fullscreen;
pub mod js;
pub mod language;
mod link;
pub mod lobby;
pub mod navigation;
pub mod page;
mod polling;
pub mod scroll;
mod socket;
pub mod storage;
pub mod theme;
pub mod title;
pub mod toolbar;
mod wake_lock;

pub use driver::Driver;
