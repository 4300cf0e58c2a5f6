//! Room names, nicknames and chat texts, parsed once.
//!
//! `parse` makes each newtype from typed text and enforces the limits and the rules of
//! [`text`]: normal form NFC, no invisible characters, trimmed, no control characters, length
//! in Unicode scalar values. The server's `parse` decides; the browser's checks only what
//! needs no Unicode tables. The rules change between versions and stored text must stay
//! readable, so `from_stored` accepts any text of the store and never fails. A name is the
//! same string in the URL, in SQL and on screen.

use super::text;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// Longest room name, in Unicode scalar values.
pub const MAX_ROOM_NAME_CHARS: usize = 64;
/// Longest nickname, in Unicode scalar values.
pub const MAX_NICKNAME_CHARS: usize = 32;
/// Ends the address of a room that is to be unlisted, if the participant who follows it opens the room.
pub const PRIVATE_FRAGMENT: &str = "#private";
/// Longest chat message, in Unicode scalar values.
pub const MAX_CHAT_CHARS: usize = 4000;
/// Longest announcement of the operator or a host, in Unicode scalar values.
pub const MAX_ANNOUNCEMENT_CHARS: usize = 500;
/// Longest reason of a host who removes a participant, in Unicode scalar values.
pub const MAX_REASON_CHARS: usize = 200;

/// Longest name of a file, in bytes of UTF-8: the longest that file systems take.
pub const MAX_FILE_NAME_BYTES: usize = 255;

/// Longest ending of a file's name that is kept when the name is cut, in bytes.
const MAX_ENDING_BYTES: usize = 16;
/// Longest name of a file that is read, in Unicode scalar values; the rest is cut before it is
/// cleaned.
const MAX_TYPED_FILE_NAME_CHARS: usize = 1024;

/// Longest nickname that is read from the store, in Unicode scalar values; the rest is cut.
const MAX_STORED_NICKNAME_CHARS: usize = 4 * MAX_NICKNAME_CHARS;
/// Longest chat message that is read from the store, in Unicode scalar values; the rest is
/// cut. 10 000: as JSON it fits one frame.
const MAX_STORED_CHAT_CHARS: usize = 10_000;

/// All characters but the unreserved ones, which need no escape in a path segment (RFC 3986
/// 2.3).
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a typed text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NameError {
    /// The text has no visible character.
    #[error("is empty")]
    Empty,
    /// The text is longer than the limit.
    #[error("is too long")]
    TooLong,
    /// The text contains a control character, or a room name is `.` or `..`.
    #[error("contains a character that is not allowed")]
    NotAllowed,
}

/// Stored text made safe for display: control characters become U+FFFD, and so does an empty
/// text. `lines`: whether line breaks and tabs stay.
pub(super) fn presentable(text: &str, max_chars: usize, lines: bool) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' if lines => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let text: String = text.chars().take(max_chars).map(shown).collect();
    match text.is_empty() {
        true => char::REPLACEMENT_CHARACTER.to_string(),
        false => text,
    }
}

/// The name of a room: 1 to 64 characters. Names that differ in a character or in case name
/// different rooms; canonically equivalent names (NFC) name the same room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct RoomName(String);

impl RoomName {
    /// Parses a typed name.
    ///
    /// # Errors
    /// [`NameError`] with the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text::name(text, MAX_ROOM_NAME_CHARS)?;
        // A browser resolves these two away from a path, escaped or not (WHATWG URL 4.5).
        if name == "." || name == ".." {
            return Err(NameError::NotAllowed);
        }
        Ok(Self(name))
    }

    /// A name from the store, unchanged. An earlier version may have accepted it under other rules.
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The room name in the path of a room's page, percent-decoded but not parsed; `None` for
    /// any other path.
    pub fn in_path(path: &str) -> Option<String> {
        let segment = path.strip_prefix("/room/")?.split('/').next()?;
        let name = percent_decode_str(segment).decode_utf8_lossy();
        Some(name.into_owned())
    }

    /// The name as UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as one segment of a path, percent-encoded UTF-8.
    pub fn path_segment(&self) -> String {
        utf8_percent_encode(&self.0, PATH_SEGMENT).to_string()
    }

    /// The path of the room's page.
    pub fn path(&self) -> String {
        format!("/room/{}", self.path_segment())
    }

    /// The path to the room's page for a participant who opens it as a private room.
    pub fn private_path(&self) -> String {
        [&self.path(), PRIVATE_FRAGMENT].concat()
    }

    /// The `rel` of a link to the room. The router decodes the URL of a link twice, so links to
    /// names that contain `%` are `external`: the browser follows them.
    pub fn link_rel(&self) -> Option<&'static str> {
        self.0.contains('%').then_some("external")
    }

    /// The path of the room's call.
    pub fn call_path(&self) -> String {
        format!("{}/call", self.path())
    }
}

/// A participant's name in a room: 1 to 32 characters. Not unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct Nickname(String);

impl Nickname {
    /// Parses a typed nickname.
    ///
    /// # Errors
    /// [`NameError`] with the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        text::name(text, MAX_NICKNAME_CHARS).map(Self)
    }

    /// A nickname from the store. An earlier version may have accepted it under other rules.
    pub fn from_stored(text: &str) -> Self {
        Self(presentable(text, MAX_STORED_NICKNAME_CHARS, false))
    }

    /// The nickname as UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text of a chat message: 1 to 4000 characters, line breaks kept as `\n`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct ChatText(String);

impl ChatText {
    /// Parses a typed text: line breaks become `\n`, tabs stay, the ends are trimmed
    /// ([`text::message`]).
    ///
    /// # Errors
    /// [`NameError`] with the reason.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        text::message(text, MAX_CHAT_CHARS).map(Self)
    }

    /// The text of a message that has files and nothing else.
    pub fn none() -> Self {
        Self(String::new())
    }

    /// A text from the store. An earlier version may have accepted it under other rules.
    pub fn from_stored(text: &str) -> Self {
        match text.is_empty() {
            true => Self::none(),
            false => Self(presentable(text, MAX_STORED_CHAT_CHARS, true)),
        }
    }

    /// The text as UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a file, for people: 1 to 255 bytes, no path, no control characters and none that
/// change the direction of text. The file on the server's disk does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct FileName(String);

impl FileName {
    /// Cleans a name as a browser sends it: the last part of a path by the rules of
    /// [`text::name`], cut to 255 bytes with its ending kept. A name of which nothing stays becomes
    /// `file`.
    pub fn clean(typed: &str) -> Self {
        let last = typed.rsplit(['/', '\\']).next().unwrap_or_default();
        let shown: String = last
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_TYPED_FILE_NAME_CHARS)
            .collect();
        let name = text::name(&shown, MAX_TYPED_FILE_NAME_CHARS).unwrap_or_default();
        // Normal forms may contain what they were cleaned of.
        let name = name.replace(['/', '\\'], "_");
        let name = name.trim_end_matches(['.', ' ']);
        match name.trim_start_matches('.').is_empty() {
            true => Self("file".to_owned()),
            false => Self(shortened(name)),
        }
    }

    /// A name from the store. An earlier version may have accepted it under other rules.
    pub fn from_stored(text: &str) -> Self {
        Self(presentable(text, MAX_FILE_NAME_BYTES, false))
    }

    /// The name as UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as one segment of a path, percent-encoded UTF-8.
    pub fn path_segment(&self) -> String {
        utf8_percent_encode(&self.0, PATH_SEGMENT).to_string()
    }
}

/// A name of a file cut to [`MAX_FILE_NAME_BYTES`], with its ending.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_FILE_NAME_BYTES {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |at| &name[at..]);
    let ending = if ending.len() <= MAX_ENDING_BYTES {
        ending
    } else {
        ""
    };
    let space = MAX_FILE_NAME_BYTES - ending.len();
    let stem = (0..=space).rfind(|end| name.is_char_boundary(*end));
    format!("{}{ending}", name[..stem.unwrap_or(0)].trim_end())
}

/// Implements the conversions that serde and `format!` use for each newtype. Only the server
/// sends these types (a client's message has plain strings), and their text may come from the
/// store, so deserializing uses `from_stored`.
macro_rules! text_conversions {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from).map(|text| Self::from_stored(&text))
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text_conversions!(RoomName, Nickname, ChatText, FileName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_name_is_trimmed_and_counted_in_characters_not_bytes() {
        assert_eq!(
            RoomName::parse("  스터디  ").map(String::from),
            Ok("스터디".into())
        );
        assert!(RoomName::parse(&"가".repeat(64)).is_ok());
        assert_eq!(RoomName::parse(&"가".repeat(65)), Err(NameError::TooLong));
        assert_eq!(RoomName::parse(" \t "), Err(NameError::Empty));
        assert_eq!(RoomName::parse("a\nb"), Err(NameError::NotAllowed));
        assert_eq!(RoomName::parse(".."), Err(NameError::NotAllowed));
    }

    #[test]
    fn a_room_name_survives_a_round_trip_through_a_path() {
        let name = RoomName::parse("a/b?c#d %20 스터디 👋").expect("valid");
        assert!(
            name.path_segment()
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._~%".contains(c))
        );
        for path in [name.path(), name.call_path()] {
            assert_eq!(RoomName::in_path(&path).as_deref(), Some(name.as_str()));
        }
        assert_eq!(RoomName::in_path("/about"), None);
    }

    #[test]
    fn a_room_name_is_the_same_room_however_it_was_typed() {
        let composed = RoomName::parse("회의실").expect("valid");
        let decomposed = "\u{1112}\u{116C}\u{110B}\u{1174}\u{1109}\u{1175}\u{11AF}";
        assert_eq!(RoomName::parse(decomposed), Ok(composed));
        let spaced = RoomName::parse("team one").expect("valid");
        assert_eq!(RoomName::parse("team\u{A0} \u{200B}one"), Ok(spaced));
        assert_ne!(RoomName::parse("Garden"), RoomName::parse("garden"));
        assert_eq!(
            RoomName::parse(".\u{200B}."),
            Err(NameError::NotAllowed),
            "`..` remains"
        );
    }

    #[test]
    fn a_name_holds_no_direction_or_invisible_characters() {
        assert_eq!(
            Nickname::parse("evil\u{202E}nna").map(String::from),
            Ok("evilnna".into())
        );
        assert_eq!(Nickname::parse("\u{3164}"), Err(NameError::Empty));
        assert!(Nickname::parse("👨‍👩‍👧 가족").is_ok());
    }

    #[test]
    fn stored_text_of_older_rules_stays_readable() {
        let old = "ev\u{202E}il\u{7}\n";
        assert_eq!(
            Nickname::from_stored(old).as_str(),
            "ev\u{202E}il\u{FFFD}\u{FFFD}"
        );
        assert_eq!(
            ChatText::from_stored(old).as_str(),
            "ev\u{202E}il\u{FFFD}\n"
        );
        assert_eq!(RoomName::from_stored(old).as_str(), old);
        assert_eq!(Nickname::from_stored("").as_str(), "\u{FFFD}");
        assert!(Nickname::from_stored(&"x".repeat(9_999)).as_str().len() < 200);
        let longest = ChatText::from_stored(&"\"".repeat(99_999));
        let json = serde_json::to_string(&longest).expect("serialises");
        assert!(json.len() < 64 * 1024);
        let read: Nickname = serde_json::from_str(r#""a\u0007b""#).expect("read");
        assert_eq!(read.as_str(), "a\u{FFFD}b");
        let again: ChatText = serde_json::from_str(&json).expect("read");
        assert_eq!(again, longest);
    }

    #[test]
    fn a_file_name_is_the_last_part_of_a_path_and_keeps_its_ending() {
        for (typed, clean) in [
            ("photo.png", "photo.png"),
            ("C:\\Users\\ann\\photo.png", "photo.png"),
            ("/etc/passwd", "passwd"),
            ("../../up.txt", "up.txt"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            ("a/", "file"),
            ("\u{0}\u{1}", "file"),
            ("in\u{0}visible\r\n.txt", "invisible.txt"),
            ("invoice\u{202E}fdp.exe", "invoicefdp.exe"),
            (" 보고서  1.pdf ", "보고서 1.pdf"),
            ("name.txt. . .", "name.txt"),
            ("%2e%2e%2f", "%2e%2e%2f"),
            (".profile", ".profile"),
            ("a\u{FE68}b.txt", "a\u{FE68}b.txt"),
        ] {
            assert_eq!(FileName::clean(typed).as_str(), clean, "{typed:?}");
        }
        let long = format!("{}.tar.gz", "가".repeat(500));
        let cut = FileName::clean(&long);
        assert!(cut.as_str().len() <= MAX_FILE_NAME_BYTES && cut.as_str().ends_with("가.gz"));
        let endless = FileName::clean(&format!("a.{}", "b".repeat(400)));
        assert_eq!(endless.as_str().len(), MAX_FILE_NAME_BYTES);
    }

    proptest::proptest! {
        #[test]
        fn any_file_name_is_short_plain_and_cleaned_once(
            typed in r"(\PC|[./\\\x00\x7f%]|\.\.|%2e|CON|\u{202E}|\u{200B}|e\u{301}){0,400}",
        ) {
            let clean = FileName::clean(&typed);
            let name = clean.as_str();
            proptest::prop_assert!((1..=MAX_FILE_NAME_BYTES).contains(&name.len()));
            let hidden = name.contains(['/', '\\', '\u{202E}', '\u{200B}']);
            proptest::prop_assert!(!hidden);
            proptest::prop_assert!(!name.chars().any(char::is_control));
            proptest::prop_assert!(name != "." && name != "..");
            let segment = clean.path_segment();
            proptest::prop_assert!(segment.is_ascii() && !segment.contains('/'));
            let kept = FileName::clean(name);
            proptest::prop_assert_eq!(kept.as_str(), name);
        }
    }

    #[test]
    fn a_chat_text_keeps_its_line_breaks() {
        assert_eq!(
            ChatText::parse(" a\r\nb\rc ").map(String::from),
            Ok("a\nb\nc".into())
        );
        assert_eq!(ChatText::parse("a\u{0}b"), Err(NameError::NotAllowed));
        assert_eq!(ChatText::parse(&"x".repeat(4001)), Err(NameError::TooLong));
    }
}
