//! The emoji that can be searched for by their names and keywords, in the language of the page.
//!
//! The table is a file that is loaded when it is first needed: a line for each emoji with tabs between
//! the emoji, the same in a light skin tone, its name, and its keywords separated by `|`
//! (`scripts/emoji`).

use crate::state::completion::{Started, letters};

/// Most emoji that are offered above the composer.
const MAX_OFFERED: usize = 20;

/// Longest search, in characters.
pub const MAX_SEARCH_CHARS: usize = 40;

/// The modifier of a light skin tone (UTS 51, Fitzpatrick type 1-2).
const LIGHT: char = '\u{1F3FB}';

/// The table of one language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmojiTable(Vec<EmojiEntry>);

/// An emoji of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmojiEntry {
    /// The emoji without a skin tone.
    emoji: String,
    /// The emoji in a light skin tone; empty if it has no skin.
    light: String,
    /// Its name in the language of the table.
    pub name: String,
    /// Name and keywords in letters, separated by `|`.
    terms: String,
}

/// The skin tone in which emoji of people are offered (UTS 51).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SkinTone {
    /// The yellow of emoji.
    #[default]
    Unset,
    /// Fitzpatrick type 1-2.
    Light,
    /// Fitzpatrick type 3.
    MediumLight,
    /// Fitzpatrick type 4.
    Medium,
    /// Fitzpatrick type 5.
    MediumDark,
    /// Fitzpatrick type 6.
    Dark,
}

impl SkinTone {
    /// All of them, from none to dark.
    pub const ALL: [Self; 6] = [
        Self::Unset,
        Self::Light,
        Self::MediumLight,
        Self::Medium,
        Self::MediumDark,
        Self::Dark,
    ];

    /// The modifier; `None` for the yellow of emoji.
    const fn modifier(self) -> Option<char> {
        match self {
            Self::Unset => None,
            Self::Light => Some(LIGHT),
            Self::MediumLight => Some('\u{1F3FC}'),
            Self::Medium => Some('\u{1F3FD}'),
            Self::MediumDark => Some('\u{1F3FE}'),
            Self::Dark => Some('\u{1F3FF}'),
        }
    }

    /// The tone of this number, as [`Self::number`] gives it; the yellow of emoji for any other.
    pub fn of_number(number: &str) -> Self {
        let number = number.parse::<usize>().unwrap_or_default();
        Self::ALL.get(number).copied().unwrap_or_default()
    }

    /// Its place among all tones.
    pub const fn number(self) -> usize {
        self as usize
    }
}

impl EmojiEntry {
    /// The emoji in a skin tone, if it has skin.
    pub fn in_tone(&self, tone: SkinTone) -> String {
        match tone.modifier() {
            Some(modifier) if !self.light.is_empty() => {
                self.light.replace(LIGHT, modifier.encode_utf8(&mut [0; 4]))
            }
            Some(_) | None => self.emoji.clone(),
        }
    }

    /// How well a word names the emoji, best first; `None` if it does not.
    fn rank(&self, word: &str) -> Option<u8> {
        let terms = || self.terms.split('|').enumerate();
        let rank = |(at, term): (usize, &str)| {
            let is_name = at == 0;
            if term == word {
                Some(u8::from(!is_name))
            } else if term.starts_with(word) {
                Some(if is_name { 2 } else { 3 })
            } else {
                let begins = term.split(' ').any(|part| part.starts_with(word));
                let later = if begins { 4 } else { 5 };
                term.contains(word).then_some(later)
            }
        };
        terms().filter_map(rank).min()
    }
}

impl EmojiTable {
    /// Reads a table. Lines of another form are left out.
    pub fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let mut parts = line.split('\t');
            let mut next = || parts.next().map(str::to_owned);
            let (emoji, light, name, keywords) = (next()?, next()?, next()?, next()?);
            let terms = letters(&format!("{name}|{keywords}"));
            (!emoji.is_empty()).then_some(EmojiEntry {
                emoji,
                light,
                name,
                terms,
            })
        };
        Self(text.lines().filter_map(entry).collect())
    }

    /// All emoji, in the order of the table.
    pub fn all(&self) -> &[EmojiEntry] {
        &self.0
    }

    /// The emoji that every word names, best first, at most `limit`. Everything, if nothing is typed.
    pub fn search(&self, typed: &str, limit: usize) -> Vec<&EmojiEntry> {
        let typed: String = typed.chars().take(MAX_SEARCH_CHARS).collect();
        let typed = letters(&typed.replace('_', " "));
        let words: Vec<_> = typed.split_whitespace().collect();
        let rank = |entry: &EmojiEntry| {
            let worst = |worst: u8, word: &&str| Some(worst.max(entry.rank(word)?));
            let mut words = words.iter();
            words.try_fold(0, worst)
        };
        let ranked = self
            .0
            .iter()
            .filter_map(|entry| Some((rank(entry)?, entry)));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked
            .into_iter()
            .map(|(_, entry)| entry)
            .take(limit)
            .collect()
    }

    /// The emoji that are offered for what is typed.
    pub fn offered(&self, started: &Started<'_>) -> Vec<&EmojiEntry> {
        self.search(started.typed, MAX_OFFERED)
    }
}

/// The emoji that is typed at the caret as `:` and the start of its name, with or without a `:` behind.
/// One letter of the Latin alphabet is too little: it is rather a face such as `:D`.
pub fn started(text: &str, caret: u32) -> Option<Started<'_>> {
    let started = Started::of(':', text, caret).filter(|started| !started.typed.is_empty());
    let started = match started {
        Some(started) => started,
        None => Started::of(':', text, caret.checked_sub(1)?)?.closed_by(':')?,
    };
    let mut letters = started.typed.chars();
    let is_name = letters.next().is_some_and(char::is_alphabetic)
        && (letters.next().is_some() || !started.typed.is_ascii())
        && started.typed.chars().count() <= MAX_SEARCH_CHARS
        && !started.typed.contains(char::is_whitespace);
    is_name.then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Emoji;

    fn table(language: &str) -> EmojiTable {
        let file = format!("{}/public/emoji-{language}.txt", env!("CARGO_MANIFEST_DIR"));
        EmojiTable::parse(&std::fs::read_to_string(file).expect("is there"))
    }

    /// The emoji found for a search, in the yellow of emoji.
    fn found(table: &EmojiTable, typed: &str) -> Vec<String> {
        let found = table.search(typed, 200);
        found
            .into_iter()
            .map(|entry| entry.in_tone(SkinTone::Unset))
            .collect()
    }

    #[test]
    fn the_server_takes_every_emoji_of_the_tables_in_every_skin_tone() {
        for language in ["en", "ko"] {
            let table = table(language);
            assert_eq!(table.all().len(), 1_914);
            for entry in table.all() {
                let tones = SkinTone::ALL.map(|tone| entry.in_tone(tone));
                for emoji in &tones {
                    let known = Emoji::parse(emoji).expect("an emoji");
                    assert_eq!(known.as_str(), emoji, "{language}: {}", entry.name);
                }
                let has_skin = !entry.light.is_empty();
                assert_eq!(tones[0] != tones[5], has_skin, "{language}: {}", entry.name);
            }
        }
    }

    #[test]
    fn emoji_are_found_by_names_and_keywords_in_both_languages() {
        for (language, typed, first) in [
            ("en", "thumbs up", "👍"),
            ("en", "thumbs_up", "👍"),
            ("en", "THUMBS UP", "👍"),
            ("en", "pizza", "🍕"),
            ("en", "korea", "🇰🇵"),
            ("en", "red heart", "❤️"),
            ("ko", "피자", "🍕"),
            ("ko", "하트 빨간", "❤️"),
            ("ko", "대한민국", "🇰🇷"),
        ] {
            let found = found(&table(language), typed);
            assert_eq!(
                found.first().map(String::as_str),
                Some(first),
                "{typed}: {found:?}"
            );
        }
        // Keywords, and syllables that are being composed.
        assert!(found(&table("en"), "hooray").contains(&"🎉".to_owned()));
        assert!(found(&table("ko"), "축").contains(&"🎉".to_owned()));
        assert!(found(&table("ko"), "피ㅈ").contains(&"🍕".to_owned()));
        assert!(found(&table("en"), "zzxy").is_empty());
        assert_eq!(found(&table("en"), "").len(), 200);
        assert_eq!(table("en").search("a", 7).len(), 7);
    }

    #[test]
    fn lines_of_another_form_are_left_out() {
        let table = EmojiTable::parse("😀\n\t\t\n😀\t\tgrin\tface\n<html>");
        assert_eq!(found(&table, "grin"), ["😀"]);
        assert_eq!(table.all().len(), 1);
    }

    #[test]
    fn the_start_of_an_emoji_is_a_colon_and_letters() {
        let typed = |text: &str| {
            let units = text.encode_utf16().count();
            let started = started(text, u32::try_from(units).expect("short"));
            started.map(|started| started.typed.to_owned())
        };
        for (text, expected) in [
            (":sm", Some("sm")),
            ("hi :smile", Some("smile")),
            (":smile:", Some("smile")),
            ("안녕:웃", Some("웃")),
            (":ㅋ", Some("ㅋ")),
            (":D", None),
            (":", None),
            ("::", None),
            (":)", None),
            ("10:30", None),
            ("at 10:aa", None),
            ("https://a", None),
            ("note: this", None),
            (": this", None),
        ] {
            assert_eq!(typed(text).as_deref(), expected, "{text}");
        }
        let completed = started("so :smile: you", 10)
            .expect("started")
            .completed("😄");
        assert_eq!((completed.text.as_str(), completed.caret), ("so 😄 you", 6));
    }

    #[test]
    fn a_skin_tone_is_kept_as_its_number() {
        for tone in SkinTone::ALL {
            assert_eq!(SkinTone::of_number(&tone.number().to_string()), tone);
        }
        assert_eq!(SkinTone::of_number("99"), SkinTone::Unset);
        assert_eq!(SkinTone::of_number("x"), SkinTone::Unset);
    }
}
