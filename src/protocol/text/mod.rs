//! The rules of text: what a name or a message may hold, when two names look the same, where
//! a link ends, what an emoji is.
//!
//! One contract for all of it:
//!
//! * **Input.** [`name`] and [`message`] turn what somebody typed into what is kept: normal
//!   form NFC, no invisible characters beside those an emoji or a script needs, at most
//!   [`MAX_MARKS`] combining marks on a letter, no characters that change the direction of
//!   text, something that can be seen. Both are idempotent. **The server decides**: Unicode's
//!   tables are compiled into the server only (`ssr`), because the wasm of the pages has no
//!   room for them. In the browser the same functions check what needs no table (length,
//!   control characters, nothing visible) and leave the text as it is.
//! * **Stored and received text is not input** and is never put through these rules again.
//! * **Comparison.** [`key`] needs no table; [`look`] (server) is the skeleton of UTS 39, sent
//!   along with a nickname where the key is not enough.
//! * **Direction.** Text has no direction characters, so whatever shows a name or a message
//!   isolates it (`<bdi>`, `dir="auto"`).
//! * **Links** end where a reader sees them end ([`links`]).
//! * **Emoji** are those that Unicode recommends for interchange ([`emoji`]).

#[cfg(feature = "ssr")]
mod clean;
mod emoji;
mod input;
mod invisible;
pub mod links;
mod look;
#[cfg(test)]
mod properties;

pub use emoji::emoji;
pub use input::{MAX_MARKS, message, name};
pub use look::key;
#[cfg(feature = "ssr")]
pub use {
    clean::{composed, nfc},
    look::look,
};
