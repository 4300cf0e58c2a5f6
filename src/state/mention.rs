//! Mentions in the composer: which people are offered while `@` and the start of a nickname are typed.
//!
//! The server decides whom a message mentions ([`crate::protocol::ChatDraft::mentions`]).

use crate::protocol::{MAX_NICKNAME_CHARS, Person};
use crate::state::People;
use crate::state::completion::{Started, letters};

/// Most people who are offered at once.
const MAX_OFFERED: usize = 20;

/// The mention that is typed at the caret, so many UTF-16 code units behind the start of a text.
pub fn started(text: &str, caret: u32) -> Option<Started<'_>> {
    let started = Started::of('@', text, caret)?;
    let is_name = started.typed.chars().count() <= MAX_NICKNAME_CHARS;
    (is_name && !started.typed.contains('\n')).then_some(started)
}

/// The others whose nickname, or a word of it, begins with what is typed. Those whose nickname
/// does come first.
pub fn offered<'a>(started: &Started<'_>, people: &'a People) -> Vec<&'a Person> {
    let typed = letters(started.typed);
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
    fn nicknames(text: &str, names: &[&str]) -> Vec<String> {
        let (head, tail) = text.split_once('|').expect("a caret");
        let caret = u32::try_from(head.encode_utf16().count()).expect("short");
        let text = format!("{head}{tail}");
        let people = people(names);
        let offered = started(&text, caret).map(|started| offered(&started, &people));
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
            assert_eq!(nicknames(text, &names), expected, "{text}");
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
            assert_eq!(nicknames(text, &names), expected, "{text}");
        }
    }
}
