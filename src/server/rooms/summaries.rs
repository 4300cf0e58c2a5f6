//! The list of open rooms, as the welcome page shows it and as watchers are told it.

use super::{
    frames::Frames,
    registry::{Inner, Rooms},
};
use crate::protocol::{self, RoomSummary, ServerMessage};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// How many open rooms are shown.
const SUMMARIES: usize = 100;

/// The open rooms, as data and as the frame every watcher shares.
#[derive(Debug, Clone)]
pub struct Summaries {
    /// Fullest first, then by name; at most 100.
    pub rooms: Arc<[RoomSummary]>,
    /// The same as a `rooms` message.
    pub frame: Frames,
}

/// Publishes the list when it has changed, then rests, so that a storm of joins is a few
/// lists only. Ends with the registry.
pub async fn publish(registry: Weak<Inner>, changed: Arc<Notify>, every: Duration) {
    loop {
        // The registry wakes nobody when it ends, so look after it now and then.
        let _ = tokio::time::timeout(Duration::from_secs(60), changed.notified()).await;
        let Some(inner) = registry.upgrade() else {
            return;
        };
        let fresh = summaries(
            Rooms {
                inner: inner.clone(),
            }
            .shown(),
        );
        inner.summaries.send_if_modified(|published| {
            let news = published.rooms != fresh.rooms;
            *published = fresh;
            news
        });
        drop(inner);
        tokio::time::sleep(every).await;
    }
}

impl Rooms {
    /// The rooms with somebody in them, fullest first, then by name.
    fn shown(&self) -> Vec<RoomSummary> {
        let mut rooms: Vec<_> = {
            let open = self.lock();
            let summaries = open
                .rooms
                .values()
                .filter_map(|entry| entry.summary.clone());
            summaries.filter(|summary| summary.people > 0).collect()
        };
        rooms.sort_by(|a, b| b.people.cmp(&a.people).then_with(|| a.name.cmp(&b.name)));
        rooms.truncate(SUMMARIES);
        rooms
    }
}

/// The list and its frame.
pub fn summaries(rooms: Vec<RoomSummary>) -> Summaries {
    let frame = Frames::of(&ServerMessage::Rooms(protocol::Rooms {
        rooms: rooms.clone(),
    }));
    Summaries {
        rooms: rooms.into(),
        frame,
    }
}
