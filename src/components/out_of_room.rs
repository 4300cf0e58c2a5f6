//! The page of somebody who is not in the room: it is full, or the operator said so.

use crate::components::{Masthead, NAME_PLACEHOLDERS, isolate_names, page_address};
use crate::i18n::*;
use crate::protocol::RoomName;
use crate::state::connection::Phase;
use crate::words;
use leptos::prelude::*;

/// Says why this participant is not in the room and offers to try again.
#[component]
pub fn OutOfRoom(
    /// Name of the room.
    name: RoomName,
    /// Why the participant is not in the room.
    phase: Memo<Phase>,
    /// Called to try again.
    on_retry: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let title = Signal::derive(move || match phase.get() {
        Phase::Removed => t_string!(i18n, room.removed_title),
        Phase::Closed => t_string!(i18n, room.closed_title),
        Phase::Locked => t_string!(i18n, room.locked_title),
        Phase::Banned => t_string!(i18n, room.banned_title),
        Phase::Full | Phase::Idle | Phase::Connecting | Phase::Live | Phase::Waiting => {
            t_string!(i18n, room.full_title)
        }
    });
    let sentence = move || match phase.get() {
        Phase::Removed => t_string!(i18n, room.removed_text).to_owned(),
        Phase::Closed => t_string!(i18n, room.closed_text).to_owned(),
        Phase::Locked => t_string!(i18n, room.locked_text).to_owned(),
        Phase::Banned => t_string!(i18n, room.banned_text).to_owned(),
        Phase::Full | Phase::Idle | Phase::Connecting | Phase::Live | Phase::Waiting => {
            t_string!(i18n, room.full_text, room = NAME_PLACEHOLDERS[0]).to_string()
        }
    };
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1>{title}</h1>
            <p role="status">{move || isolate_names(&sentence(), &[name.as_str()])}</p>
            <div class="full__actions">
                <button
                    class="button button--primary"
                    type="button"
                    on:click=move |_| on_retry.run(())
                >
                    {words!(i18n, common.try_again)}
                </button>
                <a class="button button--quiet" href=page_address("/")>
                    {words!(i18n, common.home)}
                </a>
            </div>
        </main>
    }
}
