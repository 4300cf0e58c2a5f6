//! Who is typing.

use crate::i18n::*;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use leptos::prelude::*;

/// "Ann is typing", and nobody's words are moved by it.
#[component]
pub fn TypingPeople() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let sentence = Signal::derive(move || {
        let typing = session.room.typing().get().0;
        let names: Vec<String> = typing.iter().map(|id| session.nickname_of(id)).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => t_string!(i18n, room.typing_one, nickname = one.as_str()).to_string(),
            [one, other] => t_string!(
                i18n,
                room.typing_two,
                one = one.as_str(),
                other = other.as_str()
            )
            .to_string(),
            _ => t_string!(i18n, room.typing_many).to_owned(),
        }
    });
    view! {
        <p class="chat__typing" aria-live="polite">
            {sentence}
        </p>
    }
}
