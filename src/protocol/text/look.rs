//! Detection of nicknames that look the same.
//!
//! The [`key`] of a nickname needs no table, so server and browser both compute it. If the
//! skeleton (UTS 39) differs from it, the server sends the skeleton's key as the [`look`].

use super::invisible::is_ignorable;

/// Longest key or look, in Unicode scalar values. A skeleton can be many times as long as its
/// nickname; nicknames with this many equal characters count as the same.
const MAX_CHARS: usize = 32;

/// The key by which nicknames are compared: lower case, a run of white space as one space,
/// no ignorable characters, and one letter for ASCII characters that look alike (`I`, `i`,
/// `l`, `1` and `|`; `o` and `0`; `rn` and `m`). At most 32 characters.
pub fn key(nickname: &str) -> String {
    let mut key = String::with_capacity(nickname.len());
    for c in nickname.chars().flat_map(char::to_lowercase) {
        match c {
            'i' | '1' | '|' => key.push('l'),
            '0' => key.push('o'),
            'ς' => key.push('σ'),
            'm' => key.push_str("rn"),
            '"' => key.push_str("''"),
            '`' => key.push('\''),
            c if c.is_whitespace() => {
                if !key.ends_with(' ') {
                    key.push(' ');
                }
            }
            c if is_ignorable(c) => {}
            c => key.push(c),
        }
    }
    if let Some((end, _)) = key.char_indices().nth(MAX_CHARS) {
        key.truncate(end);
    }
    key
}

/// The key of the nickname's skeleton (UTS 39 section 4), from both letter cases. `None` if
/// it equals the [`key`] of the nickname.
#[cfg(feature = "ssr")]
pub fn look(nickname: &str) -> Option<String> {
    // A page of history needs fifty looks, so plain nicknames skip the tables.
    match nickname.chars().all(has_plain_look) {
        true => None,
        false => look_up(nickname),
    }
}

/// Whether a character's skeleton never differs from its key: ASCII except `%`, whose skeleton
/// has three characters, and Korean syllables.
#[cfg(feature = "ssr")]
fn has_plain_look(c: char) -> bool {
    matches!(c, ' '..='~' if c != '%') || is_syllable(c)
}

/// Computes the look from the tables.
#[cfg(feature = "ssr")]
fn look_up(nickname: &str) -> Option<String> {
    // A capital letter can look like another letter while the small one does not: `Н` like
    // `H`. So both cases are mapped.
    let capital = skeleton(nickname).to_lowercase();
    let look = key(&super::nfc(&skeleton(&capital)));
    (look != key(nickname)).then_some(look)
}

/// Whether a character is a precomposed Korean syllable.
#[cfg(feature = "ssr")]
fn is_syllable(c: char) -> bool {
    matches!(c, '\u{AC00}'..='\u{D7A3}')
}

/// The skeleton of a text (UTS 39 section 4). Korean syllables stay as they are: they are not
/// confusable, but nearly all contain a letter (jamo) that is.
#[cfg(feature = "ssr")]
fn skeleton(text: &str) -> String {
    let text = super::nfc(text);
    let runs = text.split_inclusive(is_syllable).map(|run| {
        let syllable = run.chars().next_back().filter(|c| is_syllable(*c));
        let others = &run[..run.len() - syllable.map_or(0, char::len_utf8)];
        unicode_security::skeleton(others)
            .chain(syllable)
            .collect::<String>()
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether two nicknames look the same, by the rule of `state::duplicate_names`.
    fn alike(one: &str, other: &str) -> bool {
        let keys = |name: &str| [key(name), look(name).unwrap_or_else(|| key(name))];
        keys(one).iter().any(|key| keys(other).contains(key))
    }

    #[test]
    fn look_alikes_of_other_scripts_and_fonts_are_the_same() {
        for (one, other) in [
            ("Ann", "\u{410}nn"),
            ("ann", "\u{430}nn"),
            ("ANN", "\u{391}\u{39D}\u{39D}"),
            ("paypal", "\u{440}\u{430}\u{443}\u{440}\u{430}\u{4CF}"),
            ("Ann", "\u{FF21}\u{FF4E}\u{FF4E}"),
            ("Ann", "\u{1D400}\u{1D427}\u{1D427}"),
            ("Ivan", "lvan"),
            ("Guest 10", "Guest lO"),
            ("modern", "rnodern"),
            ("Bob", "\u{412}ob"),
            ("Hans", "\u{41D}ans"),
            ("Jos\u{E9}", "Jose\u{301}"),
            ("Kim", "kim"),
            ("Ann Lee", "Ann\u{A0}Lee"),
            (
                "\u{3BD}\u{3AF}\u{3BA}\u{3BF}\u{3C2}",
                "\u{39D}\u{38A}\u{39A}\u{39F}\u{3A3}",
            ),
            ("二郎", "ニ郎"),
            ("가을", "\u{1100}\u{1161}\u{110B}\u{1173}\u{11AF}"),
            ("❤️ Ann", "❤ Ann"),
        ] {
            assert!(alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_look_different_are_different() {
        for (one, other) in [
            ("Ann", "Anna"),
            ("Guest 1001", "Guest 1002"),
            ("김민수", "김민주"),
            ("Jose", "José"),
            ("Анна", "Anna"),
            ("田中", "由中"),
            ("👍", "👎"),
        ] {
            assert!(!alike(one, other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn plain_latin_and_korean_names_have_no_look(
            name in "([ -~&&[^%]]|[가-힣]){1,40}"
        ) {
            prop_assert!(name.chars().all(has_plain_look));
            prop_assert_eq!(look_up(&name), None);
        }
    }

    #[test]
    fn keys_and_looks_are_bounded() {
        let arabic = "\u{FDFA}".repeat(32);
        assert!(look(&arabic).is_some_and(|look| look.chars().count() == MAX_CHARS));
        assert_eq!(key(&"m".repeat(32)).chars().count(), MAX_CHARS);
        assert!(alike(&"m".repeat(32), &"\u{FF4D}".repeat(32)));
    }
}
