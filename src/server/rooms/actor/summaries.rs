//! The list of open rooms, for the welcome page and for sockets that watch it.
//!
//! A watcher receives the difference to the list before, limited to [`LIST_CHANGES`] rooms a
//! message and one message in `summaries_interval`, so that many rooms with long names cost a
//! watcher little. The rest follows with the next message.

use super::registry::{RoomRegistry, Rooms};
use crate::protocol::{self, RoomName, RoomSummary, RoomsChanged, ServerMessage};
use crate::server::rooms::fanout::frames::Frames;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// Rooms in the list, at most.
const SUMMARIES: usize = 100;
/// Rooms in one message of changes, at most. 24 of the longest names (64 characters of four bytes)
/// make 8 KB; a second of ordinary traffic names fewer.
const LIST_CHANGES: usize = 24;

/// The open rooms, as data and as the frames that all watchers share.
#[derive(Debug, Clone)]
pub struct Summaries {
    /// Fullest first, then by name; at most 100.
    pub rooms: Arc<[RoomSummary]>,
    /// The same as a `rooms` message.
    pub frame: Frames,
    /// The difference to the list before, as a `rooms_changed` message.
    pub changes: Frames,
    /// Counts the lists: a watcher of the list before this one needs `changes` only.
    pub number: u64,
}

/// Publishes the list after a change, then pauses, so that a burst of joins makes few lists. Ends
/// with the registry.
pub(super) async fn publish(registry: Weak<RoomRegistry>, changed: Arc<Notify>, every: Duration) {
    loop {
        // The end of the registry sends no notification: check for it once a minute.
        let _ = tokio::time::timeout(Duration::from_secs(60), changed.notified()).await;
        let Some(inner) = registry.upgrade() else {
            return;
        };
        let shown = Rooms {
            inner: inner.clone(),
        }
        .visible_rooms();
        let mut is_whole = true;
        inner.summaries.send_if_modified(|published| {
            let change = difference(&published.rooms, &shown);
            let is_news = change != RoomsChanged::default();
            if is_news {
                *published = published.after(change);
                is_whole = *published.rooms == shown[..];
            }
            is_news
        });
        drop(inner);
        tokio::time::sleep(every).await;
        if !is_whole {
            changed.notify_one();
        }
    }
}

impl Rooms {
    /// The occupied rooms, fullest first, then by name.
    fn visible_rooms(&self) -> Vec<RoomSummary> {
        let mut rooms: Vec<_> = {
            let open = self.lock();
            let summaries = open
                .rooms
                .values()
                .filter(|entry| entry.is_listed)
                .filter_map(|entry| entry.summary.clone());
            summaries.filter(|summary| summary.people > 0).collect()
        };
        rooms.sort_by(|a, b| b.people.cmp(&a.people).then_with(|| a.name.cmp(&b.name)));
        rooms.truncate(SUMMARIES);
        rooms
    }
}

impl Summaries {
    /// The empty list, number 0.
    pub fn empty() -> Self {
        Self::new(Vec::new(), RoomsChanged::default(), 0)
    }

    /// The list after a change.
    fn after(&self, change: RoomsChanged) -> Self {
        let mut rooms = self.rooms.to_vec();
        change.clone().apply(&mut rooms);
        Self::new(rooms, change, self.number + 1)
    }

    /// A list with its number, and the change that led to it.
    fn new(rooms: Vec<RoomSummary>, change: RoomsChanged, number: u64) -> Self {
        let whole = protocol::Rooms {
            rooms: rooms.clone(),
        };
        Self {
            rooms: rooms.into(),
            frame: Frames::of(&ServerMessage::Rooms(whole)),
            changes: Frames::of(&ServerMessage::RoomsChanged(change)),
            number,
        }
    }

    /// The frame for a watcher that received the list of this number last.
    pub fn frame_after(&self, sent: Option<u64>) -> &Frames {
        match sent.is_some_and(|sent| sent + 1 == self.number) {
            true => &self.changes,
            false => &self.frame,
        }
    }
}

/// The changes that turn `list` into `other`, as many as fit into one message. Removed rooms come
/// first, so that the list never grows beyond [`SUMMARIES`].
fn difference(list: &[RoomSummary], other: &[RoomSummary]) -> RoomsChanged {
    let is_in = |name: &RoomName| other.iter().any(|room| room.name == *name);
    let gone = list.iter().map(|room| &room.name);
    let gone: Vec<_> = gone
        .filter(|name| !is_in(name))
        .take(LIST_CHANGES)
        .cloned()
        .collect();
    let rooms = other.iter().filter(|room| !list.contains(room));
    let rooms = rooms.take(LIST_CHANGES - gone.len()).cloned().collect();
    RoomsChanged { rooms, gone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(counts: &[u32], name: impl Fn(usize) -> String) -> Vec<RoomSummary> {
        let rooms = counts.iter().enumerate().filter(|(_, people)| **people > 0);
        let mut rooms: Vec<_> = rooms
            .map(|(number, people)| RoomSummary {
                name: RoomName::parse(&name(number)).expect("valid"),
                people: *people,
                in_call: 0,
            })
            .collect();
        rooms.sort_by(|a, b| b.people.cmp(&a.people).then_with(|| a.name.cmp(&b.name)));
        rooms.truncate(SUMMARIES);
        rooms
    }

    #[test]
    fn changes_of_a_hundred_long_names_stay_below_ten_kilobytes_a_message() {
        let name = |number: usize| format!("{}{number:02}", "😀".repeat(62));
        let before = list(&[1; 100], name);
        let after = list(&[2; 100], name);
        let summaries = Summaries::new(before, RoomsChanged::default(), 7);
        let next = summaries.after(difference(&summaries.rooms, &after));
        assert!(next.frame_after(Some(7)).size() < 10_000);
        assert!(next.frame_after(Some(6)).size() > 20_000, "all of it");
    }

    proptest! {
        #[test]
        fn changes_converge_to_the_list_and_never_exceed_a_hundred_rooms(
            before in prop::collection::vec(0..4_u32, 0..160),
            after in prop::collection::vec(0..4_u32, 0..160),
        ) {
            let name = |number: usize| format!("room {number}");
            let (mut known, wanted) = (list(&before, name), list(&after, name));
            for _ in 0..20 {
                difference(&known, &wanted).apply(&mut known);
                prop_assert!(known.len() <= SUMMARIES);
            }
            prop_assert_eq!(known, wanted);
        }
    }
}
