//! Names inside sentences, each isolated in direction.
//!
//! A right-to-left name would otherwise reorder the words and punctuation around it. The
//! sentences of `locales/` are plain strings: they are formatted with [`NAME_PLACEHOLDERS`] in
//! place of the names, and [`isolate_names`] inserts the names.

use leptos::prelude::*;

/// The placeholders of the first and the second name. Control characters, which no name
/// contains.
pub const NAME_PLACEHOLDERS: [&str; 2] = ["\u{1}", "\u{2}"];

/// A sentence with its names, each in a `<bdi>`.
pub fn isolate_names(sentence: &str, names: &[&str]) -> Vec<AnyView> {
    parts(sentence, names)
        .into_iter()
        .map(|part| match part {
            Part::Words(words) => words.to_owned().into_any(),
            Part::Name(name) => view! { <bdi translate="no">{name.to_owned()}</bdi> }.into_any(),
        })
        .collect()
}

/// A part of a sentence.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// Words of the sentence.
    Words(&'a str),
    /// The name at a placeholder.
    Name(&'a str),
}

/// The parts of a sentence, in order.
fn parts<'a>(sentence: &'a str, names: &[&'a str]) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut rest = sentence;
    while let Some(at) = rest.find(|c| NAME_PLACEHOLDERS.iter().any(|place| place.starts_with(c))) {
        let (words, place) = rest.split_at(at);
        let (place, after) = place.split_at(1);
        if !words.is_empty() {
            parts.push(Part::Words(words));
        }
        let name = NAME_PLACEHOLDERS.iter().position(|known| *known == place);
        let name = name.and_then(|number| names.get(number).copied());
        parts.extend(name.map(Part::Name));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Words(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_in_its_place_of_the_sentence() {
        let [one, other] = NAME_PLACEHOLDERS;
        assert_eq!(
            parts(&format!("{other} was {one}."), &["Ann", "Ben"]),
            [
                Part::Name("Ben"),
                Part::Words(" was "),
                Part::Name("Ann"),
                Part::Words(".")
            ]
        );
        assert_eq!(parts("nobody", &[]), [Part::Words("nobody")]);
        assert_eq!(parts("", &["Ann"]), []);
    }
}
