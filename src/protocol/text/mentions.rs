//! Mentions: `@nickname` in a text, for people in the room.
//!
//! When a message is accepted, [`find`] turns the text into a list of [`Mention`]s, which is stored with
//! the nicknames of that moment: a later change of a nickname changes no mention. When the message is
//! read, [`add`] finds the ranges again, also in an edited text, and puts them among the marks.
//!
//! * **Before `@`** is the start, white space, an opening sign, or a letter of a script without spaces.
//!   **After the nickname** is no letter or digit, except one of a script without spaces: `@민수는`.
//! * Of the nicknames that fit, the longest counts.
//! * Code, links, addresses and quotes hold no mentions, and no mark starts or ends in one.
//! * At most [`MAX_MENTIONS`] mentions, among the first [`MAX_PLACES`] places, so that the work is bounded.

use super::{
    links::{self, Piece, is_unspaced},
    markdown::utf16_offsets,
};
use crate::protocol::{MAX_MENTIONS, Mark, MarkKind, Mention, ParticipantId, Person};
use std::cmp::Reverse;

/// Most places in a text at which a mention is looked for.
const MAX_PLACES: usize = 200;

/// The mentions of a text by its author. `meant` has the people whom the author chose, in the order of
/// their mentions, for nicknames that several people have; such a nickname mentions nobody otherwise.
pub fn find<'a>(
    text: &str,
    marks: &[Mark],
    meant: &[ParticipantId],
    people: impl Iterator<Item = &'a Person> + Clone,
) -> Vec<Mention> {
    let mut meant: Vec<_> = meant.iter().take(MAX_MENTIONS).collect();
    let Some(places) = Places::of(text, marks) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for place in &places.places {
        let fitting = people.clone().filter(|person| {
            let name = person.nickname.as_str();
            places.mark_end(*place, name).is_some()
        });
        let fitting: Vec<_> = fitting.collect();
        let is_unique = |person: &Person| {
            let same = fitting
                .iter()
                .filter(|other| other.nickname == person.nickname);
            same.count() == 1
        };
        // The one who was chosen first comes first among equal nicknames.
        let choice = |person: &Person| meant.iter().position(|id| **id == person.id);
        let clear = fitting
            .iter()
            .filter(|person| is_unique(person) || choice(person).is_some());
        let best = clear.min_by_key(|person| {
            let length = person.nickname.as_str().len();
            (Reverse(length), choice(person).unwrap_or(usize::MAX))
        });
        if let Some(person) = best {
            if let Some(chosen) = choice(person) {
                meant.remove(chosen);
            }
            found.push(Mention {
                id: person.id.clone(),
                nickname: person.nickname.clone(),
            });
            if found.len() == MAX_MENTIONS {
                break;
            }
        }
    }
    found
}

/// Adds the marks of mentions to the marks of a text. A mention whose `@nickname` is not in the text
/// any more has none.
pub fn add(text: &str, marks: &mut Vec<Mark>, mentions: &[Mention]) {
    if mentions.is_empty() {
        return;
    }
    let Some(places) = Places::of(text, marks) else {
        return;
    };
    let mut rest: Vec<_> = mentions.iter().take(MAX_MENTIONS).collect();
    let mut added = Vec::new();
    for place in &places.places {
        let fitting = rest.iter().enumerate().filter_map(|(at, mention)| {
            let name = mention.nickname.as_str();
            let end = places.mark_end(*place, name)?;
            Some((at, end, name.len()))
        });
        // The first of those with the longest nickname.
        let best = fitting.min_by_key(|(at, _, length)| (Reverse(*length), *at));
        if let Some((at, end, _)) = best {
            let mention = rest.remove(at);
            added.push(Mark {
                start: places.units[*place],
                end,
                kind: MarkKind::Mention(mention.id.clone()),
            });
        }
    }
    marks.extend(added);
    // Stable: a mention lies within a mark of the same range.
    marks.sort_by_key(|mark| (mark.start, Reverse(mark.end)));
}

/// The places of a text at which a mention may begin.
struct Places<'a> {
    text: &'a str,
    /// The UTF-16 offset of each byte, and of the end.
    units: Vec<u32>,
    /// Of each UTF-16 code unit: whether a mark starts or ends there.
    edges: Vec<bool>,
    /// Of each UTF-16 code unit: whether it belongs to code, a link, an address or a quote.
    closed: Vec<bool>,
    /// The bytes at which `@` stands, at most [`MAX_PLACES`].
    places: Vec<usize>,
}

impl<'a> Places<'a> {
    /// The places of a text with marks; `None` if there are none.
    fn of(text: &'a str, marks: &[Mark]) -> Option<Self> {
        if !text.contains('@') {
            return None;
        }
        let units = utf16_offsets(text);
        let length = units.last().map_or(0, |units| *units as usize);
        let mut places = Self {
            text,
            units,
            edges: vec![false; length + 1],
            closed: vec![false; length + 1],
            places: Vec::new(),
        };
        for mark in marks {
            let (start, end) = (mark.start as usize, mark.end as usize);
            for edge in [start, end] {
                if let Some(is_edge) = places.edges.get_mut(edge) {
                    *is_edge = true;
                }
            }
            if !mark.kind.has_mentions()
                && let Some(closed) = places.closed.get_mut(start..end)
            {
                closed.fill(true);
            }
        }
        places.close_addresses();
        let signs = text.match_indices('@').map(|(at, _)| at);
        let open = signs.filter(|at| places.is_open(*at));
        places.places = open.take(MAX_PLACES).collect();
        Some(places)
    }

    /// Closes the addresses in the text.
    fn close_addresses(&mut self) {
        let mut at = 0;
        for piece in links::pieces(self.text) {
            let length = match &piece {
                Piece::Words(words) => words.len(),
                Piece::Link(link) => {
                    let units = self.units[at] as usize..self.units[at + link.len()] as usize;
                    self.closed[units].fill(true);
                    link.len()
                }
            };
            at += length;
        }
    }

    /// Whether a mention may begin at a byte.
    fn is_open(&self, at: usize) -> bool {
        let before = self.text[..at].chars().next_back();
        let opens =
            |c: char| c.is_whitespace() || is_unspaced(c) || "([{<>\"'“‘「『《〈*_~,".contains(c);
        before.is_none_or(opens) && !self.closed[self.units[at] as usize]
    }

    /// The UTF-16 code unit after a mention of this nickname that begins at a byte; `None` if none
    /// does.
    fn mark_end(&self, at: usize, nickname: &str) -> Option<u32> {
        let rest = self.text[at + 1..].strip_prefix(nickname)?;
        let runs_on = |c: char| c.is_alphanumeric() && !is_unspaced(c);
        if nickname.is_empty() || rest.starts_with(runs_on) {
            return None;
        }
        let (start, end) = (self.units[at], self.units[self.text.len() - rest.len()]);
        let inside = start as usize + 1..end as usize;
        let is_whole = !self.edges[inside.clone()].contains(&true)
            && !self.closed[inside.start - 1..inside.end].contains(&true);
        is_whole.then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::marks;
    use super::*;
    use crate::protocol::{Nickname, Node, nodes, plain};
    use proptest::prelude::*;

    fn person(id: &str, nickname: &str) -> Person {
        Person::new(
            ParticipantId::parse(id).expect("an id"),
            Nickname::parse(nickname).expect("a nickname"),
        )
    }

    fn people(names: &[&str]) -> Vec<Person> {
        let numbered = names.iter().enumerate();
        numbered
            .map(|(at, name)| person(&format!("p_{at}"), name))
            .collect()
    }

    /// The ids that a text mentions, by its marks, and what each mark covers.
    fn covered(text: &str, meant: &[&str], people: &[Person]) -> Vec<(String, String)> {
        let meant: Vec<_> = meant
            .iter()
            .map(|id| ParticipantId::parse(id).expect("an id"))
            .collect();
        let mut marks = marks(text);
        let mentions = find(text, &marks, &meant, people.iter());
        add(text, &mut marks, &mentions);
        let units: Vec<u16> = text.encode_utf16().collect();
        let of = |mark: &Mark| match &mark.kind {
            MarkKind::Mention(id) => {
                let range = &units[mark.start as usize..mark.end as usize];
                Some((id.as_str().to_owned(), String::from_utf16_lossy(range)))
            }
            _ => None,
        };
        let covered: Vec<_> = marks.iter().filter_map(of).collect();
        assert_eq!(covered.len(), mentions.len(), "{text}: {mentions:?}");
        covered
    }

    /// The names that a text mentions in a room of these people.
    fn mentioned(text: &str, names: &[&str]) -> Vec<String> {
        let covered = covered(text, &[], &people(names));
        covered.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn a_nickname_behind_an_at_sign_is_a_mention() {
        let names = ["Ann", "Ben Kim", "민수", "Ann *", "👋", "O'Neil"];
        for (text, expected) in [
            ("@Ann", vec!["@Ann"]),
            ("hello @Ann, and @Ben Kim!", vec!["@Ann", "@Ben Kim"]),
            ("(@Ann) **@Ann** *@Ann*", vec!["@Ann", "@Ann", "@Ann"]),
            ("- @Ann\n- @민수", vec!["@Ann", "@민수"]),
            // Korean particles follow directly, and a word may precede directly.
            ("@민수는 오늘 와요", vec!["@민수"]),
            ("안녕@민수", vec!["@민수"]),
            ("👋 @👋 @민수", vec!["@👋", "@민수"]),
            ("@O'Neil's cake", vec!["@O'Neil"]),
            // The longest nickname wins.
            ("@Ann * and", vec!["@Ann *"]),
            ("@Ann*", vec!["@Ann"]),
            // Nobody of this name, or no mention.
            ("@ann @Annabel @Ann1 @Ben", vec![]),
            ("ann@Ann.example and x@Ann", vec![]),
            (
                "https://social.example/@Ann and https://a.example/?(@Ann)",
                vec![],
            ),
            ("`@Ann` [@Ann](https://a.example)", vec![]),
            ("```\n@Ann\n```\n> @Ann\n\n@민수", vec!["@민수"]),
            ("@A**nn** @@Ann @ Ann", vec![]),
        ] {
            assert_eq!(mentioned(text, &names), expected, "{text}");
        }
    }

    #[test]
    fn equal_nicknames_mention_the_chosen_ones_in_order() {
        let people = [
            person("p_a", "Ben"),
            person("p_b", "Ben"),
            person("p_c", "Cem"),
        ];
        let ids = |text: &str, meant: &[&str]| -> Vec<String> {
            let covered = covered(text, meant, &people);
            covered.into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(ids("@Ben @Cem", &[]), ["p_c"]);
        assert_eq!(ids("@Ben @Ben", &["p_b", "p_a"]), ["p_b", "p_a"]);
        assert_eq!(ids("@Cem @Ben", &["p_b"]), ["p_c", "p_b"]);
        // Who is not in the room, and who is not in the text.
        assert_eq!(ids("@Cem", &["p_zz", "p_a"]), ["p_c"]);
    }

    #[test]
    fn an_edited_text_keeps_the_mentions_that_it_still_has() {
        let people = people(&["Ann", "Ben"]);
        let text = "@Ann and @Ben";
        let mentions = find(text, &[], &[], people.iter());
        let edited = "now **@Ben** and @Cem";
        let mut marks = marks(edited);
        add(edited, &mut marks, &mentions);
        let mention = MarkKind::Mention(people[1].id.clone());
        let shown = nodes(edited, &marks);
        let name = Node::Text("@Ben".to_owned());
        let bold = Node::Marked(MarkKind::Bold, vec![Node::Marked(mention, vec![name])]);
        assert_eq!(shown[1], bold, "{shown:?}");
        assert_eq!(plain(edited, &marks), "now @Ben and @Cem");
    }

    #[test]
    fn the_number_of_mentions_is_bounded() {
        let text = "@Ann ".repeat(800);
        let people = people(&["Ann"]);
        let mentions = find(&text, &[], &[], people.iter());
        assert_eq!(mentions.len(), MAX_MENTIONS);
        let mut marks = Vec::new();
        let more = [mentions.clone(), mentions].concat();
        add(&text, &mut marks, &more);
        assert_eq!(marks.len(), MAX_MENTIONS);
    }

    proptest! {
        #[test]
        fn mentions_are_nested_and_hide_nothing(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "@Ann", "@민수", "@A*", "**", "*", "`", "> ", "- ", "\n", " ", "x", "가", "👋",
                    "[", "](https://a.example)", "https://a.example/", "~~", "```\n",
                ]),
                0..30,
            ),
        ) {
            let text = parts.concat();
            let people = people(&["Ann", "민수", "A*", "👋"]);
            let before = marks(&text);
            let mut after = before.clone();
            let mentions = find(&text, &before, &[], people.iter());
            add(&text, &mut after, &mentions);
            prop_assert_eq!(after.len(), before.len() + mentions.len());
            prop_assert_eq!(plain(&text, &after), plain(&text, &before));
            for (at, mark) in after.iter().enumerate() {
                for later in &after[at + 1..] {
                    prop_assert!(later.start >= mark.end || later.end <= mark.end, "{:?}", after);
                }
            }
        }
    }
}
