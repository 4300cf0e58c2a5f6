//! The rules of text: valid names and messages, nicknames that look the same, links, emoji.
//!
//! * **Input.** [`name`] and [`message`] turn typed text into stored text: normal form NFC,
//!   invisible characters only where an emoji or a script needs them, at most [`MAX_MARKS`]
//!   combining marks on a letter, no characters that change the direction of text, at least one
//!   visible character. Both are idempotent. **The server decides**: Unicode's tables are
//!   compiled into the server only (`ssr`), because they are too large for the wasm of the
//!   pages. In the browser the same functions check what needs no table (length, control
//!   characters, no visible character) and return the text unchanged.
//! * **Stored and received text is not input**: these rules never apply to it again.
//! * **Comparison.** [`key`] needs no table; [`look`] (server) is the skeleton of UTS 39, sent
//!   along with a nickname where the key is not enough.
//! * **Direction.** Text has no direction characters, so every element that shows a name or a
//!   message isolates it (`<bdi>`, `dir="auto"`).
//! * **Links** end where a reader sees them end ([`links`]).
//! * **Markdown** becomes ranges of the text, on the server ([`marks`]).
//! * **Mentions** (`@nickname`) become ranges, too ([`mentions`]).
//! * **Emoji** are those that Unicode recommends for interchange ([`emoji`]).

#[cfg(feature = "ssr")]
mod clean;
mod emoji;
mod input;
mod invisible;
pub mod links;
mod look;
#[cfg(feature = "ssr")]
mod markdown;
#[cfg(test)]
mod markdown_tests;
#[cfg(feature = "ssr")]
pub mod mentions;
#[cfg(test)]
mod properties;

pub use emoji::emoji;
pub use input::{MAX_MARKS, message, name};
pub use look::key;
#[cfg(feature = "ssr")]
pub use {
    clean::{composed, nfc},
    look::look,
    markdown::{MAX_MARKS_BYTES, marks},
};
