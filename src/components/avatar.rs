//! A participant's avatar: the initial of the nickname on a colour that depends on the id.

use crate::protocol::ParticipantId;
use leptos::prelude::*;

/// Number of colours; `style/` has one class for each.
const HUES: u16 = 12;

/// The number of a participant's colour, 0 to 11.
pub fn hue_of(id: &ParticipantId) -> u16 {
    id.hue() * HUES / 360
}

/// Draws the avatar. Decoration only: the nickname is always beside it.
#[component]
pub fn Avatar(
    /// Id of the participant.
    id: ParticipantId,
    /// Nickname of the participant.
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
