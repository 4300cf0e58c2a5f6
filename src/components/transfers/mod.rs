//! Files that go from browser to browser: whom to share them with, and the list of transfers.
//!
//! The buttons belong to the page. The list and the dialog come with the module of
//! [`crate::browser::peers`], so that a room in which nobody shares a file does not load them.

mod buttons;
#[cfg(feature = "hydrate")]
mod dialog;
#[cfg(feature = "hydrate")]
mod item;
#[cfg(feature = "hydrate")]
mod panel;
mod place;

pub use buttons::{ShareWithEverybody, ShareWithPerson};
pub use place::DirectFiles;
