//! Telling people of the same nickname apart.
//!
//! A nickname belongs to nobody, so two people may carry the same one. Whoever shares
//! theirs is shown with a few characters of their id, which stay with them.

use crate::protocol::{ParticipantId, Person};
use std::collections::{HashMap, HashSet};

/// Who is called the same as somebody else, among the people it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namesakes(HashSet<ParticipantId>);

impl Namesakes {
    /// Finds them. Nicknames that differ in upper and lower case only look the same.
    pub fn among<'a>(people: impl Iterator<Item = &'a Person>) -> Self {
        let mut bearers: HashMap<String, HashSet<&ParticipantId>> = HashMap::new();
        for Person { id, nickname } in people {
            let key = nickname.as_str().to_lowercase();
            bearers.entry(key).or_default().insert(id);
        }
        let shared = bearers.into_values().filter(|bearers| bearers.len() > 1);
        Self(shared.flatten().cloned().collect())
    }

    /// What to show after the nickname; nothing where nobody else carries it.
    pub fn tag(&self, id: &ParticipantId) -> Option<String> {
        self.0.contains(id).then(|| format!("#{}", id.short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Nickname;

    fn person(id: &str, nickname: &str) -> Person {
        Person {
            id: ParticipantId::parse(id).expect("an id"),
            nickname: Nickname::parse(nickname).expect("a nickname"),
        }
    }

    #[test]
    fn only_those_who_share_a_nickname_are_tagged_and_each_differently() {
        let people = [
            person("p_aaaa0001", "Kim"),
            person("p_aaaa0002", "kim"),
            person("p_aaaa0003", "Lee"),
            person("p_aaaa0003", "Lee"),
        ];
        let namesakes = Namesakes::among(people.iter());
        let tags: Vec<_> = people.iter().map(|p| namesakes.tag(&p.id)).collect();
        assert_eq!(
            tags,
            [Some("#0001".into()), Some("#0002".into()), None, None]
        );
    }
}
