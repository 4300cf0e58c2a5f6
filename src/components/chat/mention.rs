//! Mentions in the composer: the people who are suggested.

use super::suggestions::Suggestion;
use crate::protocol::Person;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::duplicate_names::DuplicateNames;
use crate::state::mention::Started;
use leptos::prelude::*;

/// The people whom a mention at the caret may mean.
pub fn suggested(session: Session, typed: &str, caret: Option<u32>) -> Vec<Suggestion> {
    let Some(started) = caret.and_then(|caret| Started::of(typed, caret)) else {
        return Vec::new();
    };
    let people = session.room.people();
    let people = people.read_untracked();
    let duplicate_names = DuplicateNames::among(people.here.iter());
    let suggestion = |person: &Person| {
        let completed = started.completed(person.nickname.as_str());
        Suggestion {
            text: completed.text,
            label: format!("@{}", person.nickname),
            about: duplicate_names.tag(&person.id).unwrap_or_default(),
            mention: Some((person.id.clone(), completed.caret)),
        }
    };
    started
        .offered(&people)
        .into_iter()
        .map(suggestion)
        .collect()
}
