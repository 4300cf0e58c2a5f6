//! Retention: deletes expired messages, a few at a time, so that nobody waits for it.
//!
//! A sweep deletes a message from the store first, then from its open room, so that a later join
//! does not receive it. `seq` and epoch go on as before.
//!
//! Deletion by age depends on the machine's clock, so [`guard`] decides for each sweep whether it
//! may happen. Deletion by count never waits.

mod guard;

pub use guard::Doubt;

use super::{
    clock::Moment,
    config::RetentionLimits,
    context::AppContext,
    store::{Expiry, RoomRetention, StoreError},
};
use crate::protocol::RoomName;
use guard::{ClockState, Decision, Share, SweepGuard, is_confirmed};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Messages deleted in one transaction. 200: about ten milliseconds of the writer's time.
const SWEEP_ROWS: u32 = 200;
/// Rooms read from the store at once.
const ROOMS_PAGE: u32 = 200;
/// A day in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How often a waiting sweep checks for the operator's confirmation. 1 min.
const CONFIRMATION_INTERVAL: Duration = Duration::from_secs(60);

/// Whether a sweep waits, for `/readyz` and `/metrics`. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct SweepStatus(Arc<Mutex<Option<Doubt>>>);

impl SweepStatus {
    /// Why a sweep waits, if one does.
    pub fn waiting(&self) -> Option<Doubt> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores why a sweep waits.
    fn set(&self, doubt: Option<Doubt>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = doubt;
    }
}

/// Sweeps at once and then every `sweep_every`, until the server stops.
pub async fn run(context: AppContext) {
    let mut stopping = context.stopping.clone();
    let sweeps = async {
        let mut sweeper = Sweeper::new(context.clone());
        loop {
            match sweeper.sweep(Moment::now()).await {
                Ok(0) => {}
                Ok(messages) => tracing::info!(messages, "{messages} old messages were deleted"),
                Err(error) => tracing::warn!(%error, "old messages are deleted later"),
            }
            next_sweep(&context).await;
        }
    };
    tokio::select! {
        () = sweeps => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// Waits for the next sweep, or for the confirmation of a waiting one.
async fn next_sweep(context: &AppContext) {
    let every = context.timing.sweep_interval;
    let until = tokio::time::Instant::now() + every;
    while tokio::time::Instant::now() < until {
        let pause = tokio::time::Instant::now() + CONFIRMATION_INTERVAL.min(every);
        tokio::time::sleep_until(pause.min(until)).await;
        if context.sweeps.waiting().is_some()
            && let Ok(Some(at)) = context.store.sweep_confirmed_at().await
            && is_confirmed(Moment::now(), at)
        {
            return;
        }
    }
}

/// Runs sweeps one after the other.
pub struct Sweeper {
    /// The state of the server.
    context: AppContext,
    /// Decides about each sweep. Loaded from the database by the first one.
    guard: Option<SweepGuard>,
}

impl Sweeper {
    /// A sweeper for this process.
    pub fn new(context: AppContext) -> Self {
        let guard = None;
        Self { context, guard }
    }

    /// Sweeps all rooms once, by age only if the guard allows it. Returns the number of deleted
    /// messages.
    ///
    /// # Errors
    /// The store failed; the next sweep deletes the rest.
    pub async fn sweep(&mut self, now: Moment) -> Result<u64, StoreError> {
        let context = self.context.clone();
        let by_age = context.config.retention.is_by_age();
        if !by_age && !context.store.any_keeps_days().await? {
            return sweep(&context, now.wall_ms, false).await;
        }
        let confirmed_at = context.store.sweep_confirmed_at().await?;
        let guard = self.guard().await?;
        let share = match guard.clock(now) {
            ClockState::Unproven => share(&context, now.wall_ms).await?,
            ClockState::Steady | ClockState::Jumped => Share::default(),
        };
        let waited = guard.record().waiting.is_some();
        let decision = guard.decide(now, share, confirmed_at);
        let record = guard.record();
        report(&context.sweeps, decision, waited);
        if decision != Decision::Sweep {
            context.store.write_sweep_record(record).await?;
            return sweep(&context, now.wall_ms, false).await;
        }
        let deleted = sweep(&context, now.wall_ms, true).await?;
        guard.swept(now);
        let record = guard.record();
        context.store.write_sweep_record(record).await?;
        Ok(deleted)
    }

    /// The guard, loaded from the database.
    async fn guard(&mut self) -> Result<&mut SweepGuard, StoreError> {
        let guard = match self.guard.take() {
            Some(guard) => guard,
            None => {
                let record = self.context.store.sweep_record().await?;
                SweepGuard::new(record, self.context.timing.sweep_interval)
            }
        };
        Ok(self.guard.insert(guard))
    }
}

/// Logs once that a sweep waits, and once that sweeps go on.
fn report(status: &SweepStatus, decision: Decision, waited: bool) {
    match decision {
        Decision::Sweep => {
            if waited {
                tracing::info!("old messages are deleted again");
            }
            status.set(None);
        }
        Decision::Wait { doubt, begins } => {
            if begins || status.waiting().is_none() {
                tracing::warn!("{}", doubt.sentence());
            }
            status.set(Some(doubt));
        }
    }
}

/// How many messages a sweep would delete by age alone.
async fn share(context: &AppContext, now_ms: i64) -> Result<Share, StoreError> {
    let mut share = Share::default();
    let mut after = 0;
    loop {
        let rooms = context.store.rooms(after, ROOMS_PAGE).await?;
        let Some(last) = rooms.last() else {
            return Ok(share);
        };
        after = last.row;
        for room in &rooms {
            if let Some(expiry) = expiry(limits_of(context, room), now_ms, true) {
                let (due, total) = context.store.count_due(&room.name, expiry).await?;
                share.add(due, total);
            }
        }
    }
}

/// Sweeps all rooms once, without a look at the clock: by count, and `by_age` too. Returns the
/// number of deleted messages.
///
/// # Errors
/// The store failed; the next sweep deletes the rest.
pub async fn sweep(context: &AppContext, now_ms: i64, by_age: bool) -> Result<u64, StoreError> {
    let mut deleted = 0;
    let mut after = 0;
    loop {
        let rooms = context.store.rooms(after, ROOMS_PAGE).await?;
        let Some(last) = rooms.last() else {
            break;
        };
        after = last.row;
        for room in &rooms {
            let expiry = expiry(limits_of(context, room), now_ms, by_age);
            if let Some(expiry) = expiry {
                deleted += sweep_room(context, &room.name, expiry).await?;
            }
        }
    }
    if deleted > 0 {
        context.store.clean_up().await?;
    }
    Ok(deleted)
}

/// Deletes the expired messages of a room. Returns their number.
async fn sweep_room(
    context: &AppContext,
    name: &RoomName,
    expiry: Expiry,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    loop {
        let expired = context.store.expired(name, expiry, SWEEP_ROWS).await?;
        if expired.is_empty() {
            break;
        }
        context.store.delete(&expired).await?;
        deleted += expired.len() as u64;
        context
            .store
            .metrics()
            .messages_expired
            .inc_by(expired.len() as u64);
        let deleted_seqs = expired.iter().map(|expired| expired.seq).collect();
        context.rooms.on_deleted(name, deleted_seqs).await;
    }
    Ok(deleted)
}

/// The limits of a room: those of the operator, and the days of its hosts where these are fewer.
fn limits_of(context: &AppContext, room: &RoomRetention) -> RetentionLimits {
    let limits = context.config.retention.of(&room.name);
    let of_operator = Some(limits.days).filter(|days| *days > 0);
    let days = of_operator.into_iter().chain(room.keep_days).min();
    RetentionLimits {
        days: days.unwrap_or_default(),
        ..limits
    }
}

/// Which messages are expired at this time; nothing if every message is kept.
fn expiry(limits: RetentionLimits, now_ms: i64, by_age: bool) -> Option<Expiry> {
    let before_ms = now_ms.checked_sub(DAY_MS.saturating_mul(limits.days.into()));
    let expiry = Expiry {
        before_ms: before_ms.filter(|before| by_age && limits.days > 0 && *before > 0),
        newest: Some(limits.messages).filter(|messages| *messages > 0),
    };
    (expiry.before_ms.is_some() || expiry.newest.is_some()).then_some(expiry)
}
