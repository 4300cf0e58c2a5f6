//! Detection of participants with the same nickname.
//!
//! Nicknames are not unique. Participants who share one are shown with a few characters of
//! their id.

use crate::protocol::{ParticipantId, Person, text};
use std::collections::{HashMap, HashSet};

/// The participants of a list who share their nickname with another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuplicateNames(HashSet<ParticipantId>);

impl DuplicateNames {
    /// Finds the participants whose nicknames are equal up to letter case or look the same
    /// ([`text`]).
    pub fn among<'a>(people: impl Iterator<Item = &'a Person>) -> Self {
        let mut bearers: HashMap<String, HashSet<&ParticipantId>> = HashMap::new();
        for Person { id, nickname, look } in people {
            bearers
                .entry(text::key(nickname.as_str()))
                .or_default()
                .insert(id);
            if let Some(look) = look {
                bearers.entry(look.clone()).or_default().insert(id);
            }
        }
        let shared = bearers.into_values().filter(|bearers| bearers.len() > 1);
        Self(shared.flatten().cloned().collect())
    }

    /// The tag to show after the nickname; `None` if the nickname is unique.
    pub fn tag(&self, id: &ParticipantId) -> Option<String> {
        self.0.contains(id).then(|| format!("#{}", id.short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Nickname;

    fn person(id: &str, nickname: &str) -> Person {
        let id = ParticipantId::parse(id).expect("an id");
        Person::new(id, Nickname::parse(nickname).expect("a nickname"))
    }

    #[test]
    fn only_those_who_share_a_nickname_are_tagged_and_each_differently() {
        let people = [
            person("p_aaaa0001", "Kim"),
            person("p_aaaa0002", "kim"),
            person("p_aaaa0003", "Lee"),
            person("p_aaaa0003", "Lee"),
        ];
        let duplicate_names = DuplicateNames::among(people.iter());
        let tags: Vec<_> = people.iter().map(|p| duplicate_names.tag(&p.id)).collect();
        assert_eq!(
            tags,
            [Some("#0001".into()), Some("#0002".into()), None, None]
        );
    }

    #[test]
    fn those_whose_nicknames_look_the_same_are_tagged() {
        let people = [
            person("p_aaaa0001", "Ann"),
            person("p_aaaa0002", "\u{410}nn"),
            person("p_aaaa0003", "Lee One"),
            person("p_aaaa0004", "Lee\u{A0} One"),
            person("p_aaaa0005", "Anna"),
        ];
        let duplicate_names = DuplicateNames::among(people.iter());
        let tagged: Vec<_> = people
            .iter()
            .map(|person| duplicate_names.tag(&person.id).is_some())
            .collect();
        assert_eq!(tagged, [true, true, true, true, false]);
    }

    #[test]
    fn looks_are_compared_as_they_came_over_the_wire() {
        let sent = serde_json::to_value(person("p_aaaa0002", "\u{410}nn")).expect("serialises");
        assert_eq!(sent["look"], "ann");
        let received: Person = serde_json::from_value(sent).expect("decodes");
        let plain = person("p_aaaa0001", "ANN");
        assert_eq!(plain.look, None);
        let duplicate_names = DuplicateNames::among([&received, &plain].into_iter());
        assert_eq!(duplicate_names.tag(&plain.id).as_deref(), Some("#0001"));
    }
}
