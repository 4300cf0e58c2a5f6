//! Counts of unread messages on the welcome page, by the read positions that this device keeps.

use crate::api::{self, MAX_READS, ReadPosition};
use crate::browser::dom::js::Listener;
use crate::browser::dom::storage;
use crate::protocol::{RoomName, RoomSummary};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// Keeps `unread` the numbers of unread messages of `rooms`, without those that have none: at first,
/// when a room comes to the list, and when the page comes in sight again. Ends with the owner.
pub fn count(rooms: Memo<Vec<RoomSummary>>, unread: RwSignal<Vec<(RoomName, u32)>>) {
    let ask = move || {
        let reads = reads(&rooms.read_untracked());
        spawn_local(async move {
            if let Some(counted) = ask_server(reads).await {
                // The page may have gone meanwhile.
                unread.try_set(counted);
            }
        });
    };
    let known = StoredValue::new(Vec::<RoomName>::new());
    Effect::new(move || {
        let rooms = rooms.read();
        let is_known = |room: &RoomSummary| known.with_value(|known| known.contains(&room.name));
        if !rooms.iter().all(is_known) {
            ask();
        }
        known.set_value(rooms.iter().map(|room| room.name.clone()).collect());
    });
    let document = document();
    let again = document.clone();
    let listener = Listener::new(&document, "visibilitychange", move |_| {
        if !again.hidden() {
            ask();
        }
    });
    let listener = StoredValue::new_local(Some(listener));
    on_cleanup(move || {
        listener.try_set_value(None);
    });
}

/// The read positions that this device keeps of these rooms.
fn reads(rooms: &[RoomSummary]) -> Vec<ReadPosition> {
    let reads = rooms.iter().filter_map(|RoomSummary { name, .. }| {
        Some(ReadPosition {
            room: name.clone(),
            position: storage::read(name)?,
        })
    });
    reads.take(MAX_READS).collect()
}

/// The rooms with unread messages after these positions; nothing if the server does not answer.
async fn ask_server(reads: Vec<ReadPosition>) -> Option<Vec<(RoomName, u32)>> {
    if reads.is_empty() {
        return Some(Vec::new());
    }
    let counts = api::unread(serde_json::to_string(&reads).ok()?)
        .await
        .ok()?;
    let counted = reads.into_iter().map(|read| read.room).zip(counts);
    Some(counted.filter(|(_, count)| *count > 0).collect())
}
