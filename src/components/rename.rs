//! The button and the form that change the nickname.

use crate::components::ErasedShow;
use crate::i18n::*;
use crate::protocol::{MAX_NICKNAME_CHARS, Nickname};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::words;
use leptos::ev::SubmitEvent;
use leptos::html::Input;
use leptos::prelude::*;

/// A button that becomes a form.
#[component]
pub fn Rename() -> impl IntoView {
    let i18n = use_i18n();
    let editing = RwSignal::new(false);
    view! {
        <div class="room__you">
            <ErasedShow when=Signal::derive(move || !editing.get())>
                <button
                    class="button button--quiet"
                    type="button"
                    on:click=move |_| editing.set(true)
                >
                    {words!(i18n, room.change_nickname)}
                </button>
            </ErasedShow>
            <ErasedShow when=editing>
                <RenameForm editing />
            </ErasedShow>
        </div>
    }
}

/// The form: Enter saves, Escape cancels.
#[component]
fn RenameForm(
    /// Set to false when done.
    editing: RwSignal<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let input = NodeRef::<Input>::new();
    let problem = RwSignal::new(None);
    let now = session
        .room
        .people()
        .read_untracked()
        .my_nickname()
        .map(ToString::to_string);
    Effect::new(move || {
        if let Some(input) = input.get() {
            let _ = input.focus();
            input.select();
        }
    });
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(input) = input.get_untracked() else {
            return;
        };
        match Nickname::parse(&input.value()) {
            Ok(nickname) => {
                session.rename(nickname);
                editing.set(false);
            }
            Err(error) => problem.set(Some(error)),
        }
    };
    let sentence = Signal::derive(move || {
        problem
            .get()
            .map(|error| name_problem(i18n.get_locale(), error, MAX_NICKNAME_CHARS))
    });
    view! {
        <form
            class="rename"
            on:submit=save
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    editing.set(false);
                }
            }
        >
            <label class="field__label" for="new-nickname">
                {words!(i18n, room.new_nickname)}
            </label>
            <input
                class="input"
                id="new-nickname"
                type="text"
                dir="auto"
                autocomplete="off"
                node_ref=input
                value=now.unwrap_or_default()
                aria-invalid=Signal::derive(move || problem.get().is_some().then_some("true"))
                aria-describedby="new-nickname-error"
            />
            <p class="field__error" id="new-nickname-error" role="alert">
                {sentence}
            </p>
            <div class="rename__actions">
                <button class="button button--primary button--small" type="submit">
                    {words!(i18n, room.save)}
                </button>
                <button
                    class="button button--quiet button--small"
                    type="button"
                    on:click=move |_| editing.set(false)
                >
                    {words!(i18n, room.cancel)}
                </button>
            </div>
        </form>
    }
}
