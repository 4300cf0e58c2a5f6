//! Draws the operator's pages as HTML for which no script is needed.
//!
//! No page holds a secret but the token of its session's forms, and the one of the link that leads to
//! it. Sections with `data-live` are those that `admin.js` refreshes. [`account`] are the pages without
//! a session, [`overview`], [`room`] and [`checks`] those with one; [`document`], [`layout`] and [`numbers`] are
//! what they share.

mod account;
mod checks;
mod document;
mod layout;
mod numbers;
mod overview;
mod room;

pub use account::{PageOf, SignInProblem, sentence, set_up, sign_in};
pub use checks::checks;
pub use document::Document;
pub use overview::{Overview, overview};
pub use room::{RoomPage, confirm_history, room};
