//! The page of a full room.

use crate::components::{Masthead, NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::protocol::RoomName;
use crate::words;
use leptos::prelude::*;

/// Says that the room is full and offers to try again.
#[component]
pub fn RoomFull(
    /// Name of the room.
    name: RoomName,
    /// Called to try again.
    on_retry: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1>{words!(i18n, room.full_title)}</h1>
            <p role="status">
                {move || {
                    let sentence = t_string!(i18n, room.full_text, room = NAME_PLACEHOLDERS[0])
                        .to_string();
                    isolate_names(&sentence, &[name.as_str()])
                }}
            </p>
            <div class="full__actions">
                <button
                    class="button button--primary"
                    type="button"
                    on:click=move |_| on_retry.run(())
                >
                    {words!(i18n, common.try_again)}
                </button>
                <a class="button button--quiet" href="/">
                    {words!(i18n, common.home)}
                </a>
            </div>
        </main>
    }
}
