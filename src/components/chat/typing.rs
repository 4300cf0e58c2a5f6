//! The typing indicator.

use crate::components::{NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use leptos::prelude::*;

/// "Ann is typing", in reserved space, so that it does not move the log.
#[component]
pub fn TypingPeople() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let [one, other] = NAME_PLACEHOLDERS;
    let sentence = move || {
        let typing = session.room.typing().get().0;
        let names: Vec<String> = typing.iter().map(|id| session.nickname_of(id)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let sentence = match names.len() {
            0 => String::new(),
            1 => t_string!(i18n, room.typing_one, nickname = one).to_string(),
            2 => t_string!(i18n, room.typing_two, one = one, other = other).to_string(),
            _ => t_string!(i18n, room.typing_many).to_owned(),
        };
        isolate_names(&sentence, &names)
    };
    view! {
        <p class="chat__typing" aria-live="polite">
            {sentence}
        </p>
    }
}
