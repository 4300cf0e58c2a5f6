//! The list of open rooms: rendered by the server, updated by the script, which also shows how many
//! messages this device has not read.

use crate::api::MAX_UNREAD;
use crate::components::{ErasedShow, page_address};
use crate::i18n::{people, *};
use crate::protocol::{RoomName, RoomSummary};
use crate::words;
use leptos::prelude::*;

/// The open rooms as links.
#[component]
pub fn OpenRooms(
    /// The rooms the page was rendered with.
    rooms: Vec<RoomSummary>,
) -> impl IntoView {
    let i18n = use_i18n();
    let (live, set_live) = signal(None::<Vec<RoomSummary>>);
    watch(set_live);
    let rooms = Memo::new(move |_| live.get().unwrap_or_else(|| rooms.clone()));
    let unread = RwSignal::new(Vec::new());
    count_unread(rooms, unread);
    view! {
        <ul class="rooms" aria-label=words!(i18n, welcome.open_rooms)>
            <For
                each=move || rooms.get()
                key=|room| (room.name.clone(), room.people, room.in_call)
                children=move |room| view! { <OpenRoom room unread /> }
            />
        </ul>
        <ErasedShow when=Signal::derive(move || rooms.read().is_empty())>
            <p class="empty">{words!(i18n, welcome.nobody)}</p>
        </ErasedShow>
    }
}

/// One open room.
#[component]
fn OpenRoom(
    /// Name and number of people of the room.
    room: RoomSummary,
    /// Numbers of unread messages of rooms.
    unread: RwSignal<Vec<(RoomName, u32)>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let RoomSummary {
        name,
        people: count,
        in_call,
    } = room;
    let of = name.clone();
    let unread = move || {
        let unread = unread.read();
        let count = unread.iter().find(|(room, _)| *room == of)?.1;
        Some(unread_words(i18n.get_locale(), count))
    };
    view! {
        <li class="rooms__item">
            <a
                class="rooms__link"
                href=page_address(&name.path())
                rel=name.link_rel()
                translate="no"
            >
                <span class="rooms__dot" aria-hidden="true"></span>
                <bdi class="rooms__name">{name.to_string()}</bdi>
                " "
                <span class="rooms__unread">{Signal::derive(unread)}</span>
                " "
                <span class="rooms__count">
                    {Signal::derive(move || people(i18n.get_locale(), count))}
                </span>
                {(in_call > 0)
                    .then(|| {
                        view! { <span class="rooms__call">{words!(i18n, welcome.in_a_call)}</span> }
                    })}
            </a>
        </li>
    }
}

/// "3 new messages".
fn unread_words(locale: Locale, count: u32) -> String {
    match count {
        1 => td_string!(locale, welcome.one_unread, count = count).to_string(),
        MAX_UNREAD.. => td_string!(locale, welcome.many_unread, count = MAX_UNREAD - 1).to_string(),
        _ => td_string!(locale, welcome.unread, count = count).to_string(),
    }
}

/// Counts the unread messages of the rooms in the browser: at first, when the rooms change, and when
/// the page comes in sight again.
fn count_unread(rooms: Memo<Vec<RoomSummary>>, unread: RwSignal<Vec<(RoomName, u32)>>) {
    #[cfg(feature = "hydrate")]
    crate::browser::unread::count(rooms, unread);
    #[cfg(not(feature = "hydrate"))]
    let _ = (rooms, unread);
}

/// Updates the list in the browser while it is mounted.
fn watch(rooms: WriteSignal<Option<Vec<RoomSummary>>>) {
    #[cfg(feature = "hydrate")]
    {
        let lobby = StoredValue::new_local(None);
        Effect::new(move || lobby.set_value(Some(crate::browser::lobby::Lobby::watch(rooms))));
        on_cleanup(move || {
            lobby.try_set_value(None);
        });
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = rooms;
}
