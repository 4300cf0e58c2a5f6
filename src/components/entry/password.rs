//! The page that asks for the password of the room.

use crate::components::entry::room_name;
use crate::components::{
    Banner, Masthead, NAME_PLACEHOLDERS, PasswordField, isolate_names, page_address,
};
use crate::i18n::*;
use crate::protocol::RoomPassword;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::connection::Phase;
use crate::state::entry::Barrier;
use crate::words;
use leptos::ev::SubmitEvent;
use leptos::html::Input;
use leptos::prelude::*;

/// One field and a button.
#[component]
pub(super) fn PasswordPage() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let input = NodeRef::<Input>::new();
    let connection = session.room.connection();
    let barrier = Memo::new(move |_| connection.read().admission.barrier());
    let is_out = Memo::new(move |_| connection.read().phase == Phase::Out);
    let is_empty = RwSignal::new(false);
    // When the page opens, and after each answer.
    Effect::new(move || {
        if let (true, Some(input)) = (is_out.get(), input.get()) {
            let _ = input.focus();
            input.select();
        }
    });
    let enter = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(input) = input.get_untracked() else {
            return;
        };
        match RoomPassword::parse(&input.value()) {
            Ok(password) => {
                is_empty.set(false);
                session.enter_with(password);
            }
            Err(_) => {
                is_empty.set(true);
                let _ = input.focus();
            }
        }
    };
    // Empty while an attempt runs, so that a second refusal is announced again.
    let error = Signal::derive(move || {
        let sentence = match barrier.get().filter(|_| is_out.get()) {
            _ if is_empty.get() => t_string!(i18n, entry.password_empty),
            Some(Barrier::WrongPassword) => t_string!(i18n, entry.password_wrong),
            Some(Barrier::TooManyGuesses) => t_string!(i18n, entry.password_many),
            Some(_) | None => return None,
        };
        Some(sentence.to_owned())
    });
    let [name_place, _] = NAME_PLACEHOLDERS;
    let room = room_name();
    let text = move || {
        let sentence = t_string!(i18n, entry.password_text, room = name_place).to_string();
        isolate_names(&sentence, &[room.as_str()])
    };
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1>{words!(i18n, entry.password_title)}</h1>
            <Banner />
            <p>{text}</p>
            <form class="lobby__form" on:submit=enter>
                <PasswordField
                    id="room-password"
                    label=words!(i18n, entry.password)
                    hint=Signal::stored(None)
                    error
                    input
                />
                <div class="full__actions">
                    <button class="button button--primary" type="submit">
                        {words!(i18n, entry.password_enter)}
                    </button>
                    <a class="button button--quiet" href=page_address("/")>
                        {words!(i18n, common.home)}
                    </a>
                </div>
            </form>
        </main>
    }
}
