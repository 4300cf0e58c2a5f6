//! Suggestions above the composer: a list box that the text field controls (WAI-ARIA 1.2,
//! `aria-activedescendant`). The focus stays in the text field.

use crate::protocol::ParticipantId;
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

/// `KeyboardEvent.keyCode` while an input method is composing (UI Events 7.3).
const COMPOSING_KEY_CODE: u32 = 229;

/// Id of the list, for `aria-controls`.
pub const SUGGESTIONS_ID: &str = "composer-suggestions";

/// Suggestions that are drawn at once, so that the list never scrolls.
const ROWS: usize = 6;

/// A suggestion of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What the text field holds once the suggestion is taken.
    pub text: String,
    /// What is shown first.
    pub label: String,
    /// What is shown beside it.
    pub about: String,
    /// What it is.
    pub kind: SuggestionKind,
    /// Where the caret is once it is taken, in UTF-16 code units; `None` for the end.
    pub caret: Option<u32>,
}

/// What a suggestion is. A list has one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuggestionKind {
    /// A command behind a `/`.
    Command,
    /// A person, who is mentioned.
    Person(ParticipantId),
    /// An emoji behind a `:`.
    Emoji,
}

/// The suggestions of one composer.
#[derive(Clone, Copy)]
pub struct Suggestions {
    shown: RwSignal<Vec<Suggestion>>,
    active: RwSignal<usize>,
}

/// What a key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuggestionKey {
    /// The key is none of the list's.
    Other,
    /// The list has used the key.
    Used,
    /// The key takes this suggestion.
    Taken(Suggestion),
}

impl Suggestions {
    /// An empty list, which is not shown.
    pub fn new() -> Self {
        Self {
            shown: RwSignal::new(Vec::new()),
            active: RwSignal::new(0),
        }
    }

    /// Shows these; the first is active.
    pub fn show(self, suggestions: Vec<Suggestion>) {
        if *self.shown.read_untracked() != suggestions {
            self.active.set(0);
            self.shown.set(suggestions);
        }
    }

    /// Closes the list.
    pub fn close(self) {
        self.show(Vec::new());
    }

    /// Number of the suggestions that are shown.
    pub fn count(self) -> usize {
        self.shown.read().len()
    }

    /// The kind of the suggestions; that of commands if there are none.
    pub fn kind(self) -> SuggestionKind {
        let shown = self.shown.read();
        let first = shown.first().map(|first| first.kind.clone());
        first.unwrap_or(SuggestionKind::Command)
    }

    /// Id of the active suggestion, for `aria-activedescendant`.
    pub fn active_id(self) -> Option<String> {
        let active = self.active.get();
        (active < self.count()).then(|| option_id(active))
    }

    /// Handles a key of the text field, which holds `typed`.
    pub fn on_key(self, event: &KeyboardEvent, typed: &str) -> SuggestionKey {
        let count = self.shown.read_untracked().len();
        if count == 0 || is_composing(event) {
            return SuggestionKey::Other;
        }
        let active = self.active.get_untracked();
        let step = |to: usize| {
            self.active.set(to % count);
            SuggestionKey::Used
        };
        match event.key().as_str() {
            "ArrowDown" => step(active + 1),
            "ArrowUp" => step(active + count - 1),
            "Escape" => {
                self.close();
                SuggestionKey::Used
            }
            "Enter" | "Tab" if !event.shift_key() => {
                let taken = self.shown.read_untracked().get(active).cloned();
                // A command that is typed in full is done; people and emoji are always chosen.
                let taken = taken.filter(|taken| {
                    taken.kind != SuggestionKind::Command
                        || taken.text.trim_end() != typed.trim_end()
                });
                taken.map_or(SuggestionKey::Other, SuggestionKey::Taken)
            }
            _ => SuggestionKey::Other,
        }
    }
}

/// Whether a key belongs to the composition of an input method.
pub fn is_composing(event: &KeyboardEvent) -> bool {
    event.is_composing() || event.key_code() == COMPOSING_KEY_CODE
}

/// Id of a suggestion.
fn option_id(index: usize) -> String {
    format!("{SUGGESTIONS_ID}-{index}")
}

/// The list, while there are suggestions.
#[component]
pub fn SuggestionList(
    /// What is suggested.
    suggestions: Suggestions,
    /// Name of the list.
    #[prop(into)]
    name: Signal<String>,
    /// Takes the suggestion that is pressed.
    take: Callback<Suggestion>,
) -> impl IntoView {
    let Suggestions { shown, active } = suggestions;
    // The active suggestion is among the drawn ones.
    let first = Memo::new(move |_| active.get().saturating_sub(ROWS - 1));
    let options = move || {
        let (first, count) = (first.get(), suggestions.count());
        let option = |(index, suggestion): (usize, Suggestion)| {
            let Suggestion { label, about, .. } = suggestion.clone();
            let selected = move || (active.get() == index).to_string();
            let place = (index + 1).to_string();
            // A press takes the suggestion before the text field would lose the focus.
            view! {
                <li
                    class="suggestion"
                    role="option"
                    id=option_id(index)
                    aria-selected=Signal::derive(selected)
                    aria-posinset=place
                    aria-setsize=count.to_string()
                    on:mousedown=move |event| {
                        event.prevent_default();
                        take.run(suggestion.clone());
                    }
                >
                    <bdi class="suggestion__label">{label}</bdi>
                    <span class="suggestion__about">{about}</span>
                </li>
            }
            .into_any()
        };
        let all = shown.get().into_iter().enumerate();
        all.skip(first).take(ROWS).map(option).collect_view()
    };
    view! {
        <ul
            class="suggestions"
            id=SUGGESTIONS_ID
            role="listbox"
            aria-label=name
            hidden=Signal::derive(move || suggestions.count() == 0)
        >
            {options}
        </ul>
    }
}
