//! Mentions in the composer: the people who are suggested.

use super::suggestions::{Suggestion, SuggestionKind};
use crate::protocol::Person;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::duplicate_names::DuplicateNames;
use crate::state::mention;
use leptos::prelude::*;

/// The people whom a mention at the caret may mean.
pub fn suggested(session: Session, typed: &str, caret: Option<u32>) -> Vec<Suggestion> {
    let Some(started) = caret.and_then(|caret| mention::started(typed, caret)) else {
        return Vec::new();
    };
    let people = session.room.people();
    let people = people.read_untracked();
    let duplicate_names = DuplicateNames::among(people.here.iter());
    let suggestion = |person: &Person| {
        let label = format!("@{}", person.nickname);
        let completed = started.completed(&label);
        Suggestion {
            text: completed.text,
            label,
            about: duplicate_names.tag(&person.id).unwrap_or_default(),
            kind: SuggestionKind::Person(person.id.clone()),
            caret: Some(completed.caret),
        }
    };
    mention::offered(&started, &people)
        .into_iter()
        .map(suggestion)
        .collect()
}
