//! Completions in the composer: a sign, such as `@`, what is typed behind it, and the letters by which
//! words are compared.

/// What is typed behind a sign, before the caret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started<'a> {
    /// What is typed before the sign.
    before: &'a str,
    /// What is typed between the sign and the caret.
    pub typed: &'a str,
    /// What follows the caret.
    after: &'a str,
}

/// A text after a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The text of the field.
    pub text: String,
    /// The caret, in UTF-16 code units.
    pub caret: u32,
}

impl<'a> Started<'a> {
    /// The last `sign` before the caret, which is behind so many UTF-16 code units. A sign within a word
    /// or an address starts nothing.
    pub fn of(sign: char, text: &'a str, caret: u32) -> Option<Self> {
        let (head, after) = text.split_at(byte_at(text, caret));
        let (before, typed) = head.rsplit_once(sign)?;
        let joins = |c: char| c.is_ascii_alphanumeric() || "._%+-/@:=&?#`".contains(c);
        (!before.ends_with(joins)).then_some(Self {
            before,
            typed,
            after,
        })
    }

    /// The same without the sign that follows the caret; `None` if another character does.
    pub fn closed_by(self, sign: char) -> Option<Self> {
        let after = self.after.strip_prefix(sign)?;
        Some(Self { after, ..self })
    }

    /// The text with this in place of the sign and what is typed, and a space behind it.
    pub fn completed(&self, by: &str) -> Completed {
        let Self { before, after, .. } = self;
        let space = if after.starts_with(' ') { "" } else { " " };
        let head = format!("{before}{by}{space}");
        let units = head.encode_utf16().count() + usize::from(space.is_empty());
        Completed {
            text: format!("{head}{after}"),
            caret: u32::try_from(units).unwrap_or(u32::MAX),
        }
    }
}

/// A text with this inserted at the caret, so many UTF-16 code units behind its start.
pub fn inserted(text: &str, caret: u32, inserted: &str) -> Completed {
    let (before, after) = text.split_at(byte_at(text, caret));
    let head = format!("{before}{inserted}");
    Completed {
        caret: u32::try_from(head.encode_utf16().count()).unwrap_or(u32::MAX),
        text: head + after,
    }
}

/// The byte behind so many UTF-16 code units; the end if there are fewer.
fn byte_at(text: &str, units: u32) -> usize {
    let mut left = units as usize;
    for (at, c) in text.char_indices() {
        if left == 0 {
            return at;
        }
        left = left.saturating_sub(c.len_utf16());
    }
    text.len()
}

/// The initial consonants of Hangul syllables, in the order of Unicode.
const INITIALS: &str = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ";
/// The vowels, each as it is typed.
const VOWELS: &str = "ㅏ ㅐ ㅑ ㅒ ㅓ ㅔ ㅕ ㅖ ㅗ ㅗㅏ ㅗㅐ ㅗㅣ ㅛ ㅜ ㅜㅓ ㅜㅔ ㅜㅣ ㅠ ㅡ ㅡㅣ ㅣ";
/// The final consonants, each as it is typed; the first is none.
const FINALS: &str = " ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ";

/// A text in lower case, with Hangul as the letters that are typed for it. While `미나` is typed, the
/// input method shows `민`, whose letters begin those of `미나`.
pub fn letters(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match u32::from(c).checked_sub(0xAC00) {
            Some(syllable @ 0..=11_171) => {
                let syllable = syllable as usize;
                let (initial, vowel, last) = (syllable / 588, syllable / 28 % 21, syllable % 28);
                letters.extend(INITIALS.chars().nth(initial));
                letters.push_str(VOWELS.split(' ').nth(vowel).unwrap_or_default());
                letters.push_str(FINALS.split(' ').nth(last).unwrap_or_default());
            }
            _ => letters.push(c),
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_inserted_at_the_caret() {
        let Completed { text, caret } = inserted("👋 you", 2, "🎉");
        assert_eq!((text.as_str(), caret), ("👋🎉 you", 4));
        let Completed { text, caret } = inserted("you", u32::MAX, "🎉");
        assert_eq!((text.as_str(), caret), ("you🎉", 5));
    }

    #[test]
    fn what_is_typed_is_replaced_before_the_caret() {
        let complete = |text: &str, caret| {
            let started = Started::of('@', text, caret);
            started.expect("started").completed("@👋")
        };
        let Completed { text, caret } = complete("hi @x", 5);
        assert_eq!((text.as_str(), caret), ("hi @👋 ", 7));
        let Completed { text, caret } = complete("hi @x you", 5);
        assert_eq!((text.as_str(), caret), ("hi @👋 you", 7));
        let Completed { text, caret } = complete("@xyou", 2);
        assert_eq!((text.as_str(), caret), ("@👋 you", 4));
    }
}
