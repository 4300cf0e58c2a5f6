//! A person's sign: the initial of the nickname on a colour that stays with them.

use crate::protocol::ParticipantId;
use leptos::prelude::*;

/// The colours there are; `style/` has one class for each.
const HUES: u16 = 12;

/// The number of a person's colour, 0 to 11.
pub fn hue_of(id: &ParticipantId) -> u16 {
    id.hue() * HUES / 360
}

/// Draws the sign. Decoration only: the nickname always stands beside it.
#[component]
pub fn Avatar(
    /// Id of the person.
    id: ParticipantId,
    /// What they are called.
    #[prop(into)]
    nickname: Signal<String>,
) -> impl IntoView {
    let initial = Signal::derive(move || {
        let nickname = nickname.read();
        nickname
            .chars()
            .next()
            .map(|first| first.to_uppercase().to_string())
    });
    view! {
        <span class=format!("avatar hue-{}", hue_of(&id)) aria-hidden="true">
            {initial}
        </span>
    }
}
