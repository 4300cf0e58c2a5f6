//! Validation and cleaning of typed text.

use super::invisible::{is_ignorable, is_unseen};
use crate::protocol::NameError;

/// Most combining marks on one letter; further ones are dropped. Three are enough for every
/// living script (Vietnamese, vocalised Arabic and Hebrew) and do not overlap the line above.
pub const MAX_MARKS: usize = 3;

/// Factor by which a text may exceed the limit before normalisation: a Korean syllable has
/// three characters in NFD.
const MAX_TYPED: usize = 4;

/// The use of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A nickname or the name of a room: one line.
    Name,
    /// A chat message: paragraphs.
    Message,
}

/// Parses a nickname or a room name of at most `max_chars` characters. A run of white space
/// becomes one space; invisible characters outside an emoji are dropped.
///
/// # Errors
/// [`NameError`] with the reason.
pub fn name(text: &str, max_chars: usize) -> Result<String, NameError> {
    if text.trim().chars().any(char::is_control) {
        return match text.trim().chars().all(is_unseen) {
            true => Err(NameError::Empty),
            false => Err(NameError::NotAllowed),
        };
    }
    finish(text.trim(), Kind::Name, max_chars)
}

/// Parses a chat message of at most `max_chars` characters. Line breaks become `\n`, tabs
/// stay; invisible characters stay where an emoji or a script needs them.
///
/// # Errors
/// [`NameError`] with the reason.
pub fn message(text: &str, max_chars: usize) -> Result<String, NameError> {
    let text = text.replace("\r\n", "\n");
    let text = text.replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let text = text.trim();
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(NameError::NotAllowed);
    }
    finish(text, Kind::Message, max_chars)
}

/// Cleans a text and checks the result.
fn finish(text: &str, kind: Kind, max_chars: usize) -> Result<String, NameError> {
    if text.chars().all(is_unseen) {
        return Err(NameError::Empty);
    }
    if text.chars().count() > MAX_TYPED * max_chars {
        return Err(NameError::TooLong);
    }
    let text = clean(text, kind);
    if !is_visible(&text) {
        return Err(NameError::Empty);
    }
    if length(&text) > max_chars {
        return Err(NameError::TooLong);
    }
    Ok(text)
}

/// Cleans with Unicode's tables (server).
#[cfg(feature = "ssr")]
fn clean(text: &str, kind: Kind) -> String {
    super::clean::clean(text, kind)
}

/// Whether a visible character is left (server).
#[cfg(feature = "ssr")]
fn is_visible(text: &str) -> bool {
    text.chars().any(super::clean::is_visible)
}

/// Length of the cleaned text in Unicode scalar values (server).
#[cfg(feature = "ssr")]
fn length(text: &str) -> usize {
    text.chars().count()
}

/// Returns the text unchanged: the browser has no tables and the server cleans.
#[cfg(not(feature = "ssr"))]
fn clean(text: &str, _: Kind) -> String {
    text.to_owned()
}

/// Always true: `finish` has already refused text of unseen characters.
#[cfg(not(feature = "ssr"))]
fn is_visible(_: &str) -> bool {
    true
}

/// A lower bound of the cleaned length (browser): without the characters that the server
/// drops or composes, so that the browser refuses nothing that the server accepts.
#[cfg(not(feature = "ssr"))]
fn length(text: &str) -> usize {
    text.chars().filter(|c| !is_absorbed(*c)).count()
}

/// Whether the server drops a character or composes it with the one before: common combining
/// marks, and the vowels and finals of Korean in NFD.
#[cfg_attr(feature = "ssr", expect(dead_code, reason = "the browser's count"))]
fn is_absorbed(c: char) -> bool {
    is_ignorable(c)
        || matches!(c, '\u{300}'..='\u{36F}' | '\u{1160}'..='\u{11FF}' | '\u{3099}'..='\u{309A}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        name(text, 64).expect("a name")
    }

    fn said(text: &str) -> String {
        message(text, 4_000).expect("a message")
    }

    #[test]
    fn text_without_visible_characters_is_empty() {
        for unseen in [
            "\u{200B}",
            "\u{3164}",
            "\u{2800}",
            "\u{E0020}",
            "\u{115F}",
            "\u{FFA0}",
            "\u{200D}",
            "\u{FE0F}",
            "\u{301}",
            "\u{AD}",
            "\u{FEFF}",
            "\u{2066}\u{2069}",
            "\u{1D159}",
            "\u{FFFC}",
            "\u{E000}\u{E0001}\u{180E}",
            "\u{A0} \u{3000}\u{2003}",
            "\u{200B}\u{2800}\u{3164}\u{301}",
        ] {
            let unseen = unseen.trim_start_matches('\u{E000}');
            assert_eq!(name(unseen, 64), Err(NameError::Empty), "{unseen:?}");
            assert_eq!(message(unseen, 64), Err(NameError::Empty), "{unseen:?}");
        }
    }

    #[test]
    fn invisible_and_direction_characters_leave_a_name() {
        assert_eq!(kept("A\u{200B}n\u{2060}n\u{E0041}\u{FE0F}\u{AD}"), "Ann");
        assert_eq!(kept("evil\u{202E}nna\u{200F}\u{61C}\u{2067}"), "evilnna");
        assert_eq!(kept("\u{3164}Ann\u{115F}"), "Ann");
        assert_eq!(kept("A\u{200D}nn 1\u{FE0F}"), "Ann 1");
    }

    #[test]
    fn the_invisible_parts_of_emoji_stay() {
        for text in ["👨‍👩‍👧 가족", "❤️ Ann", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏳️‍🌈", "🧑🏿‍🤝‍🧑🏻"]
        {
            assert_eq!(kept(text), text);
            assert_eq!(said(text), text);
        }
        // Tag characters that form no flag could hide text.
        assert_eq!(kept("🏴\u{E0068}\u{E0069}\u{E007F}"), "🏴");
        assert_eq!(kept("❤️\u{FE0F}\u{200D}\u{200D}"), "❤️");
    }

    #[test]
    fn white_space_in_a_name_is_one_plain_space() {
        assert_eq!(kept(" Ann\u{A0}\u{3000}  Lee\u{2003}"), "Ann Lee");
        assert_eq!(kept("Ann\u{2800}Lee"), "Ann Lee");
        assert_eq!(kept("Ann \u{200B} Lee"), "Ann Lee");
    }

    #[test]
    fn a_letter_carries_three_marks() {
        let stacked = format!("Z{}x", "\u{30D}\u{310}\u{331}".repeat(20));
        let marks = |text: &str| text.chars().count() - 2;
        assert_eq!(marks(&kept(&stacked)), MAX_MARKS);
        assert_eq!(marks(&said(&stacked)), MAX_MARKS);
        // Vietnamese, Thai, Tibetan, vocalised Hebrew and Arabic lose nothing.
        for text in ["Việt Nam", "ที่นี่", "སྒྲུབ", "בְּרֵאשִׁית", "مُحَمَّدٌ"]
        {
            assert_eq!(said(text), super::super::nfc(text));
        }
        // Marks without a letter are dropped.
        assert_eq!(kept("\u{301}Ann \u{302}Lee"), "Ann Lee");
    }

    #[test]
    fn decomposed_korean_is_the_same_name_and_counted_composed() {
        let decomposed = "\u{1112}\u{116C}\u{110B}\u{1174}\u{1109}\u{1175}\u{11AF}";
        assert_eq!(kept(decomposed), "회의실");
        assert_eq!(
            name(&decomposed.repeat(21), 64).map(|name| name.chars().count()),
            Ok(63)
        );
    }

    #[test]
    fn a_message_keeps_the_joiners_that_shape_words() {
        for text in [
            "می\u{200C}خواهم",
            "ه\u{200D}",
            "क\u{94D}\u{200D}ष",
            "ශ\u{DCA}\u{200D}රී",
            "র\u{200D}\u{9CD}য",
            "葛\u{E0100}城",
        ] {
            assert_eq!(said(text), super::super::nfc(text), "{text}");
        }
        assert_eq!(said("a\u{200C}b\u{200D}c\u{200B}d"), "abcd");
        assert_eq!(said("می\u{200C}\u{200C}\u{200C}خواهم"), "می\u{200C}خواهم");
    }

    #[test]
    fn a_message_keeps_line_breaks_and_loses_direction_characters() {
        assert_eq!(said(" a\r\nb\rc\u{2028}d\te  f "), "a\nb\nc\nd\te  f");
        assert_eq!(
            said("https://ex.example/\u{202E}gpj.exe \u{2067}x\u{2069}"),
            "https://ex.example/gpj.exe x"
        );
        assert_eq!(message("a\u{0}b", 10), Err(NameError::NotAllowed));
        // Braille art contains blank cells.
        assert_eq!(said("⠓⠀⠑"), "⠓⠀⠑");
    }

    #[test]
    fn control_characters_and_long_names_are_refused() {
        assert_eq!(name("a\nb", 64), Err(NameError::NotAllowed));
        assert_eq!(name("a\u{85}b", 64), Err(NameError::NotAllowed));
        assert_eq!(name(" \t\n ", 64), Err(NameError::Empty));
        assert_eq!(name(&"가".repeat(65), 64), Err(NameError::TooLong));
        assert_eq!(name(&"\u{200B}a".repeat(64), 64), Ok("a".repeat(64)));
        assert_eq!(
            name(&"a\u{200B}".repeat(64_000), 64),
            Err(NameError::TooLong)
        );
    }
}
