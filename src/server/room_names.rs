//! Proposes names for private rooms.
//!
//! Whoever knows the name of a private room finds it, so that the name has to be as hard to guess as
//! a secret. It still has to be easy to read out on the telephone: three words of the language of the
//! page and four letters, such as `maple-orbit-candy-7hqd`.

use crate::i18n::Locale;
use crate::protocol::RoomName;
use crate::server::identity::BASE32;
use bip39::Language;
use rand::Rng;

/// Words in a name; 11 bits each.
const WORDS: usize = 3;
/// Letters of base32 after the words; 5 bits each.
const LETTERS: usize = 4;

/// The words of a language. Each is a common noun, verb or adjective, and no two English ones begin
/// with the same four letters.
fn words(locale: Locale) -> &'static [&'static str; 2048] {
    match locale {
        Locale::en => Language::English.word_list(),
        Locale::ko => Language::Korean.word_list(),
    }
}

/// A name with 53 random bits of the thread's CSPRNG.
///
/// # Panics
/// Never: three words and four letters always parse.
pub fn propose(locale: Locale) -> RoomName {
    let (mut rng, words) = (rand::rng(), words(locale));
    let mut name = String::new();
    for _ in 0..WORDS {
        name.push_str(words[rng.random_range(0..words.len())]);
        name.push('-');
    }
    for _ in 0..LETTERS {
        name.push(char::from(BASE32[rng.random_range(0..BASE32.len())]));
    }
    // The Korean list is decomposed (NFKD); a room name is composed (NFC) by `parse`.
    RoomName::parse(&name).expect("short words and letters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{MAX_ROOM_NAME_CHARS, text};
    use std::collections::HashSet;

    const LOCALES: [Locale; 2] = [Locale::en, Locale::ko];

    #[test]
    fn a_proposed_name_has_at_least_fifty_random_bits() {
        for locale in LOCALES {
            let words: HashSet<_> = words(locale).iter().map(|word| text::nfc(word)).collect();
            let letters: HashSet<_> = BASE32.iter().collect();
            let bits = WORDS as f64 * (words.len() as f64).log2()
                + LETTERS as f64 * (letters.len() as f64).log2();
            assert!(bits >= 50.0, "{locale:?}: {bits}");
        }
    }

    #[test]
    fn every_name_that_can_be_proposed_parses() {
        for locale in LOCALES {
            let parsed = words(locale).map(|word| {
                let name = RoomName::parse(word).expect("a word");
                name.as_str().chars().count()
            });
            let longest = parsed.into_iter().max().expect("words");
            // A hyphen follows each word.
            let most = WORDS * (longest + 1) + LETTERS;
            assert!(most <= MAX_ROOM_NAME_CHARS, "{locale:?}: {most}");
        }
    }

    #[test]
    fn a_proposed_name_is_three_words_of_the_language_and_four_letters() {
        for locale in LOCALES {
            let words = words(locale).map(text::nfc);
            for _ in 0..500 {
                let name = propose(locale);
                assert_eq!(RoomName::parse(name.as_str()).as_ref(), Ok(&name));
                let parts: Vec<_> = name.as_str().split('-').collect();
                assert_eq!(parts.len(), WORDS + 1, "{name}");
                for word in &parts[..WORDS] {
                    assert!(words.iter().any(|known| known == word), "{name}");
                }
                let letters = parts[WORDS].as_bytes();
                assert_eq!(letters.len(), LETTERS, "{name}");
                assert!(
                    letters.iter().all(|letter| BASE32.contains(letter)),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_korean_name_is_in_the_form_that_keyboards_type() {
        let is_syllable = |letter: char| ('가'..='힣').contains(&letter);
        for _ in 0..500 {
            let name = propose(Locale::ko);
            let (words, _) = name.as_str().rsplit_once('-').expect("letters");
            let mut letters = words.chars().filter(|letter| *letter != '-');
            assert!(letters.all(is_syllable), "{name}");
            assert_eq!(text::nfc(name.as_str()), name.as_str());
        }
    }

    #[test]
    fn ten_thousand_proposed_names_are_all_different() {
        for locale in LOCALES {
            let drawn: HashSet<_> = (0..10_000).map(|_| propose(locale)).collect();
            assert_eq!(drawn.len(), 10_000);
        }
    }
}
