//! Forgets stored rooms in which nothing is kept and nobody is, so that names that strangers made
//! up do not stay for ever.
//!
//! Time counts from when the server first found the room so, by the monotonic clock: neither a
//! wrong clock nor a restart makes it shorter. The actor of the room deletes its row
//! ([`Rooms::forget`](super::rooms::Rooms::forget)), so that nobody enters meanwhile.

use super::{context::AppContext, store::StoreError};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Rooms read from the store at once.
const ROOMS_PAGE: u32 = 200;
/// Rooms whose time is counted; further ones wait for the next look. 100,000: as many as the
/// default bound of stored rooms.
const MAX_COUNTED: usize = 100_000;

/// Looks for such rooms every [`Timing::forget_interval`](super::limits::Timing), until the server
/// stops. Ends at once where every room is kept.
pub async fn run(context: AppContext) {
    let mut stopping = context.stopping.clone();
    let sweeps = async {
        let Some(after) = context.config.forget_empty_rooms else {
            return;
        };
        let mut empty = EmptyRooms::new(context.clone(), after);
        loop {
            match empty.sweep(Instant::now()).await {
                Ok(0) => {}
                Ok(rooms) => tracing::info!(rooms, "{rooms} rooms without messages were forgotten"),
                Err(error) => tracing::warn!(%error, "rooms without messages are forgotten later"),
            }
            tokio::time::sleep(context.timing.forget_interval).await;
        }
    };
    tokio::select! {
        () = sweeps => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// The rooms without messages, and since when each is known to be so.
pub struct EmptyRooms {
    /// The state of the server.
    context: AppContext,
    /// How long such a room is kept.
    after: Duration,
    /// When each was first found so, by its row id.
    since: HashMap<i64, Instant>,
}

impl EmptyRooms {
    /// No room was found yet; each is kept for so long.
    pub fn new(context: AppContext, after: Duration) -> Self {
        Self {
            context,
            after,
            since: HashMap::new(),
        }
    }

    /// Forgets the rooms whose time has come. Returns their number.
    ///
    /// # Errors
    /// The store failed; the next look forgets the rest.
    pub async fn sweep(&mut self, now: Instant) -> Result<u64, StoreError> {
        let former = std::mem::take(&mut self.since);
        let mut forgotten = 0;
        let mut last = 0;
        loop {
            let rooms = self.context.store.empty_rooms(last, ROOMS_PAGE).await?;
            let Some((id, _)) = rooms.last() else {
                break;
            };
            last = *id;
            for (id, name) in rooms {
                // The time of a room that somebody enters begins again.
                if self.context.rooms.is_open(&name) {
                    continue;
                }
                let since = former.get(&id).copied().unwrap_or(now);
                if now.saturating_duration_since(since) >= self.after {
                    forgotten += u64::from(self.context.rooms.forget(&name).await?);
                } else if self.since.len() < MAX_COUNTED {
                    self.since.insert(id, since);
                }
            }
        }
        self.context
            .store
            .metrics()
            .rooms_forgotten
            .inc_by(forgotten);
        Ok(forgotten)
    }
}
