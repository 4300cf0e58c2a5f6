//! Mentions in the composer: which people are offered while `@` and the start of a nickname are typed.
//!
//! The server decides whom a message mentions ([`crate::protocol::ChatDraft::mentions`]).

use crate::protocol::{MAX_NICKNAME_CHARS, Person};
use crate::state::People;

/// Most people who are offered at once.
const MAX_OFFERED: usize = 20;

/// The start of a mention before the caret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started<'a> {
    /// What is typed before the `@`.
    before: &'a str,
    /// What is typed between the `@` and the caret.
    typed: &'a str,
    /// What follows the caret.
    after: &'a str,
}

/// A text after a mention was completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The text of the field.
    pub text: String,
    /// The caret, in UTF-16 code units.
    pub caret: u32,
}

impl<'a> Started<'a> {
    /// The start of a mention in a text whose caret is behind so many UTF-16 code units.
    pub fn of(text: &'a str, caret: u32) -> Option<Self> {
        let (head, after) = text.split_at(byte_at(text, caret));
        let (before, typed) = head.rsplit_once('@')?;
        let joins = |c: char| c.is_ascii_alphanumeric() || "._%+-/@:=&?#`".contains(c);
        let is_name = typed.chars().count() <= MAX_NICKNAME_CHARS && !typed.contains('\n');
        (is_name && !before.ends_with(joins)).then_some(Self {
            before,
            typed,
            after,
        })
    }

    /// The others whose nickname, or a word of it, begins with what is typed. Those whose nickname
    /// does come first.
    pub fn offered<'b>(&self, people: &'b People) -> Vec<&'b Person> {
        let typed = letters(self.typed);
        let others = || people.here.iter().filter(|it| !people.is_me(&it.id));
        let begins = |person: &&Person| letters(person.nickname.as_str()).starts_with(&typed);
        let has_word = |person: &&Person| {
            let nickname = person.nickname.as_str();
            let mut words = nickname.split_whitespace().skip(1);
            words.any(|word| letters(word).starts_with(&typed)) && !begins(person)
        };
        let mut offered: Vec<_> = others().filter(&begins).collect();
        if !typed.is_empty() {
            offered.extend(others().filter(&has_word));
        }
        offered.truncate(MAX_OFFERED);
        offered
    }

    /// The text with this nickname in place of what is typed, and a space behind it.
    pub fn completed(&self, nickname: &str) -> Completed {
        let Self { before, after, .. } = self;
        let space = if after.starts_with(' ') { "" } else { " " };
        let head = format!("{before}@{nickname}{space}");
        let units = head.encode_utf16().count() + usize::from(space.is_empty());
        Completed {
            text: format!("{head}{after}"),
            caret: u32::try_from(units).unwrap_or(u32::MAX),
        }
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
fn letters(text: &str) -> String {
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
    use crate::protocol::{Nickname, ParticipantId};

    fn people(names: &[&str]) -> People {
        let person = |(at, name): (usize, &&str)| {
            let id = ParticipantId::parse(&format!("p_{at}")).expect("valid");
            Person::new(id, Nickname::parse(name).expect("valid"))
        };
        let here: Vec<_> = names.iter().enumerate().map(person).collect();
        People {
            me: here.first().map(|me| me.id.clone()),
            here,
        }
    }

    /// The nicknames that are offered for a text whose caret is at `|`.
    fn offered(text: &str, names: &[&str]) -> Vec<String> {
        let (head, tail) = text.split_once('|').expect("a caret");
        let caret = u32::try_from(head.encode_utf16().count()).expect("short");
        let text = format!("{head}{tail}");
        let people = people(names);
        let started = Started::of(&text, caret);
        let offered = started.map(|started| started.offered(&people));
        let names = offered.into_iter().flatten();
        names.map(|person| person.nickname.to_string()).collect()
    }

    #[test]
    fn people_are_offered_by_the_start_of_a_word_of_their_nickname() {
        let names = ["Ann", "Ben Kim", "Kim", "benno", "민수"];
        for (text, expected) in [
            ("@|", vec!["Ben Kim", "Kim", "benno", "민수"]),
            ("hi @be|", vec!["Ben Kim", "benno"]),
            ("hi @KI|", vec!["Kim", "Ben Kim"]),
            ("@Ben K|", vec!["Ben Kim"]),
            ("@b| and more", vec!["Ben Kim", "benno"]),
            ("안녕@민|", vec!["민수"]),
            ("(@k|", vec!["Kim", "Ben Kim"]),
            // Oneself, nobody, an e-mail address, another line, complete.
            ("@ann|", vec![]),
            ("@zed|", vec![]),
            ("ann@b|", vec![]),
            ("https://a.example/@b|", vec![]),
            ("@b\n|", vec![]),
            ("@Kim |", vec![]),
            ("no sign|", vec![]),
            ("👋 @👋|", vec![]),
        ] {
            assert_eq!(offered(text, &names), expected, "{text}");
        }
    }

    #[test]
    fn people_are_offered_while_a_syllable_is_composed() {
        let names = ["Ann", "미나", "민서", "과자", "닭"];
        for (text, expected) in [
            ("@ㅁ|", vec!["미나", "민서"]),
            ("@민|", vec!["미나", "민서"]),
            ("@민ㅅ|", vec!["민서"]),
            ("@미나|", vec!["미나"]),
            ("@고|", vec!["과자"]),
            ("@달|", vec!["닭"]),
        ] {
            assert_eq!(offered(text, &names), expected, "{text}");
        }
    }

    #[test]
    fn a_mention_is_completed_at_the_caret() {
        let complete =
            |text: &str, caret| Started::of(text, caret).expect("started").completed("👋");
        let Completed { text, caret } = complete("hi @x", 5);
        assert_eq!((text.as_str(), caret), ("hi @👋 ", 7));
        let Completed { text, caret } = complete("hi @x you", 5);
        assert_eq!((text.as_str(), caret), ("hi @👋 you", 7));
        let Completed { text, caret } = complete("@xyou", 2);
        assert_eq!((text.as_str(), caret), ("@👋 you", 4));
    }
}
