//! Forgetting what is old: now and then, a few messages at a time, so that nobody who
//! talks meanwhile waits for it.
//!
//! A message that is forgotten is deleted from the store first, then from its open room,
//! so that whoever comes in later is not given it. Numbers and epoch go on as before.

use super::{
    config::Keep,
    context::AppContext,
    metrics,
    store::{Expiry, StoreError},
};
use crate::protocol::RoomName;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Messages deleted in one transaction. 200: some ten milliseconds of the writer's time.
const SWEEP_ROWS: u32 = 200;
/// Rooms looked up at once.
const ROOMS: u32 = 200;
/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sweeps at once and then every hour, until the server stops. Ends at once where
/// everything is kept.
pub async fn run(context: AppContext) {
    let mut stopping = context.stopping.clone();
    let every = context.timing.sweep_every;
    let sweeps = async {
        while !context.config.retention.is_for_ever() {
            match sweep(&context).await {
                Ok(0) => {}
                Ok(messages) => tracing::info!(messages, "{messages} old messages were deleted"),
                Err(error) => tracing::warn!(%error, "old messages are deleted later"),
            }
            tokio::time::sleep(every).await;
        }
    };
    tokio::select! {
        () = sweeps => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// Goes through all rooms once; answers how many messages were deleted.
///
/// # Errors
/// The store failed; what is left is deleted by the next sweep.
pub async fn sweep(context: &AppContext) -> Result<u64, StoreError> {
    let mut deleted = 0;
    let mut after = None;
    loop {
        let names = context.store.room_names(after, ROOMS).await?;
        for name in &names {
            deleted += sweep_room(context, name).await?;
        }
        after = names.last().cloned();
        if after.is_none() {
            break;
        }
    }
    if deleted > 0 {
        context.store.clean_up().await?;
    }
    Ok(deleted)
}

/// Deletes what a room is not to keep; answers how many messages that were.
async fn sweep_room(context: &AppContext, name: &RoomName) -> Result<u64, StoreError> {
    let expiry = expiry(context.config.retention.of(name), SystemTime::now());
    let mut deleted = 0;
    while let Some(expiry) = expiry {
        let expired = context.store.expired(name, expiry, SWEEP_ROWS).await?;
        if expired.is_empty() {
            break;
        }
        context.store.forget(&expired).await?;
        deleted += expired.len() as u64;
        metrics::MESSAGES_EXPIRED.add(expired.len() as u64);
        let gone = expired.iter().map(|expired| expired.seq).collect();
        context.rooms.forget(name, gone).await;
    }
    Ok(deleted)
}

/// What is not to be kept at this time; nothing where everything is.
fn expiry(keep: Keep, now: SystemTime) -> Option<Expiry> {
    let oldest = now.checked_sub(DAY * keep.days);
    let oldest = oldest.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let oldest_ms = oldest.and_then(|since| i64::try_from(since.as_millis()).ok());
    let expiry = Expiry {
        before_ms: oldest_ms.filter(|_| keep.days > 0),
        newest: Some(keep.messages).filter(|messages| *messages > 0),
    };
    (keep != Keep::default()).then_some(expiry)
}
