//! The stage: the tiles of the call in a grid, which `style/` lays out by their number.

use crate::components::ErasedShow;
use crate::components::call::{screens::Screens, tile::TileView, voices::Voices};
use crate::i18n::*;
use crate::session::Session;
use crate::state::call::{CallStage as Stage, CallState, CallStateStoreFields, Tile};
use crate::words;
use leptos::prelude::*;

/// The stage; empty outside the call.
#[component]
pub fn CallStage() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let tiles = Memo::new(move |_| tracked_state(session).tiles());
    let outside = Memo::new(move |_| session.call.stage().get() != Stage::In);
    let screens = Memo::new(move |_| tracked_state(session).screens());
    let alone = Memo::new(move |_| tiles.read().len() == 1);
    view! {
        <Screens screens />
        <ul
            class="stage"
            aria-label=words!(i18n, call.participants)
            data-count=Signal::derive(move || tiles.read().len().to_string())
        >
            <For
                each=move || tiles.get()
                key=|tile: &Tile| tile.id.clone()
                children=move |tile| view! { <TileView tile=tile.clone() now=now(tiles, tile) /> }
            />
        </ul>
        <Voices />
        <ErasedShow when=outside>
            <p class="call__nojs" role="status">
                {words!(i18n, call.entering)}
            </p>
        </ErasedShow>
        <ErasedShow when=alone>
            <p class="call__empty">{words!(i18n, call.alone)}</p>
        </ErasedShow>
    }
}

/// The state that the tiles depend on, read field by field: a subscriber of the whole store is
/// not notified when one field changes.
fn tracked_state(session: Session) -> CallState {
    let call = session.call;
    CallState {
        me: call.me().get(),
        people: call.people().get(),
        stage: call.stage().get(),
        devices: call.devices().get(),
        links: call.links().get(),
        own_version: call.own_version().get(),
        slots_version: call.slots_version().get(),
        paused: call.paused().get(),
        speaking: call.speaking().get(),
        recent_speakers: call.recent_speakers().get(),
        qualities: call.qualities().get(),
        pinned: call.pinned().get(),
        ..CallState::default()
    }
}

/// The current state of a tile, or its last one after it was removed.
fn now(tiles: Memo<Vec<Tile>>, tile: Tile) -> Memo<Tile> {
    Memo::new(move |before: Option<&Tile>| {
        let tiles = tiles.read();
        let now = tiles.iter().find(|now| now.id == tile.id);
        now.or(before).unwrap_or(&tile).clone()
    })
}
