//! The list of open rooms: rendered by the server, updated by the script.

use crate::components::{ErasedShow, page_address};
use crate::i18n::{people, *};
use crate::protocol::RoomSummary;
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
    view! {
        <ul class="rooms" aria-label=words!(i18n, welcome.open_rooms)>
            <For
                each=move || rooms.get()
                key=|room| (room.name.clone(), room.people, room.in_call)
                children=|room| view! { <OpenRoom room /> }
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
) -> impl IntoView {
    let i18n = use_i18n();
    let RoomSummary {
        name,
        people: count,
        in_call,
    } = room;
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
