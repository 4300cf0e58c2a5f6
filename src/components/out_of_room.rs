//! The page of somebody who is not in the room: it is full or locked, or a host or the operator said
//! so.

use crate::components::{Masthead, NAME_PLACEHOLDERS, isolate_names, page_address};
use crate::i18n::*;
use crate::protocol::RoomName;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
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
    let session = expect_context::<Session>();
    let [name_place, by_place] = NAME_PLACEHOLDERS;
    let title = Signal::derive(move || match phase.get() {
        Phase::Removed => t_string!(i18n, room.removed_title),
        Phase::Closed => t_string!(i18n, room.closed_title),
        Phase::Locked => t_string!(i18n, room.locked_title),
        Phase::Banned => t_string!(i18n, room.banned_title),
        Phase::Full | Phase::Idle | Phase::Connecting | Phase::Live | Phase::Waiting => {
            t_string!(i18n, room.full_title)
        }
    });
    let removal = Memo::new(move |_| session.room.standing().read().removed.clone());
    let by = move || {
        let by = removal
            .get()
            .map(|removal| session.nickname_of(&removal.by));
        by.filter(|by| !by.is_empty())
    };
    let sentence = move || match phase.get() {
        Phase::Removed => match (removal.get(), by()) {
            (Some(_), Some(_)) => t_string!(i18n, hosts.removed_text, by = by_place).to_string(),
            (Some(_), None) => t_string!(i18n, hosts.removed_text_host).to_owned(),
            (None, _) => t_string!(i18n, room.removed_text).to_owned(),
        },
        Phase::Closed => t_string!(i18n, room.closed_text).to_owned(),
        Phase::Locked => t_string!(i18n, room.locked_text).to_owned(),
        Phase::Banned => match by() {
            Some(_) => t_string!(i18n, hosts.banned_text, by = by_place).to_string(),
            None => t_string!(i18n, room.banned_text).to_owned(),
        },
        Phase::Full | Phase::Idle | Phase::Connecting | Phase::Live | Phase::Waiting => {
            t_string!(i18n, room.full_text, room = name_place).to_string()
        }
    };
    let reason = move || {
        let is_out = matches!(phase.get(), Phase::Removed | Phase::Banned);
        let reason = removal.get().filter(|_| is_out)?.reason?;
        let sentence = t_string!(i18n, hosts.reason_given, reason = name_place).to_string();
        Some(view! { <p>{isolate_names(&sentence, &[reason.as_str()])}</p> })
    };
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1>{title}</h1>
            <p role="status">
                {move || {
                    let by = by().unwrap_or_default();
                    isolate_names(&sentence(), &[name.as_str(), by.as_str()])
                }}
            </p>
            {reason}
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
