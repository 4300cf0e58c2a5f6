//! The writer's thread: one transaction for all messages that have queued up (group commit).
//!
//! A group holds the jobs that came during the last commit, at most [`GROUP_ROWS`]. With few
//! messages a group is committed at once, so a message is as fast as the disk. With many a group
//! waits [`GROUP_DELAY`] for more, because a commit costs as much as a dozen rows. Between groups the
//! thread indexes messages ([`super::search`]) and erases deleted text ([`super::cleanup`]). A failed
//! commit refuses the messages of its group only; the thread continues and stores again as soon as
//! the disk allows. Other jobs have a transaction of their own ([`super::checkpoint`],
//! [`super::sweep`]).

use super::{
    Appended, FreshEpoch, StoreError,
    append::append,
    change::{self, Changed, Edit},
    checkpoint::{Checkpointer, check},
    cleanup::Cleanup,
    content::ContentStore,
    file::directory,
    forget::{Forgotten, forget},
    operator,
    quota::{self, Allowance, Quota, QuotaGuard},
    record::{Recorded, record},
    schema, search,
    status::StoreStatus,
    sweep, sweep_record,
    writer::{GroupedJob, Job, JobQueue, PreparedMessage, Received},
};
use crate::{
    protocol::{Epoch, RoomName},
    server::{limits::GROUP_ROWS, load::is_calm, metrics::StoreMetrics},
};
use rusqlite::{Connection, TransactionBehavior};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Size of a group, in jobs, up to which the next group does not wait for more.
const SMALL_GROUP: usize = 4;
/// How long a group waits for more jobs. 2 ms: about the duration of a commit.
const GROUP_DELAY: Duration = Duration::from_millis(2);
/// Messages indexed in one step. 64: a few milliseconds.
const INDEX_ROWS: usize = 64;
/// Unindexed messages allowed in a busy process. 4096: a search scans so many messages of its room
/// in a few milliseconds.
const MAX_UNINDEXED: usize = 4096;
/// Delay from the last message to the indexing of the rest. 200 ms.
const INDEX_DELAY: Duration = Duration::from_millis(200);
/// Delay after a failed indexing step. 5 s.
const INDEX_RETRY: Duration = Duration::from_secs(5);

/// The state of the thread.
pub struct WriterThread {
    /// The only connection that writes.
    connection: Connection,
    /// The epoch of new rooms.
    epoch: FreshEpoch,
    /// Checkpoints the write-ahead log.
    checkpointer: Checkpointer,
    /// The limits of the stored bytes.
    quota: QuotaGuard,
    /// The state of the store, for health checks and metrics.
    status: Arc<StoreStatus>,
    /// Counts commits and refused jobs.
    metrics: StoreMetrics,
    /// Jobs refused since the last successful commit.
    refused: usize,
    /// The size of the last group, in jobs.
    last_group: usize,
    /// Messages that may not be indexed yet, at most.
    unindexed: usize,
    /// Whether the index may hold messages of before texts were normalised to NFC.
    unnormalized: bool,
    /// When the next indexing step may run.
    index_at: Instant,
    /// Erases deleted text.
    cleanup: Cleanup,
    /// The content of files.
    content: ContentStore,
}

impl WriterThread {
    /// The state of a new thread, which writes through `connection` within `quota` and reports to
    /// `status`.
    pub fn new(
        connection: Connection,
        epoch: FreshEpoch,
        quota: Quota,
        (status, metrics): (Arc<StoreStatus>, StoreMetrics),
    ) -> Self {
        let database = PathBuf::from(connection.path().unwrap_or_default());
        let stored_rooms = quota::stored_rooms(&connection).unwrap_or_default();
        let thread = Self {
            checkpointer: Checkpointer::new(&connection),
            cleanup: Cleanup::new(&connection),
            content: ContentStore::beside(&database),
            quota: QuotaGuard::new(quota, directory(&database).to_owned(), stored_rooms),
            status,
            metrics,
            // The rest of the last process; every message after a migration.
            unindexed: search::max_unindexed(&connection).unwrap_or(1),
            unnormalized: search::unnormalized(&connection).is_ok_and(|rows| rows.is_some()),
            connection,
            epoch,
            refused: 0,
            last_group: 0,
            index_at: Instant::now() + INDEX_DELAY,
        };
        thread.update_stored_bytes();
        thread.status.set_stored_rooms(stored_rooms);
        thread
    }

    /// Runs jobs in order, until [`Job::Close`] or the last handle is dropped.
    pub fn run(mut self, queue: &JobQueue) {
        let mut next = None;
        let mut closing = None;
        while let Some(job) = next.take().or_else(|| self.wait(queue)) {
            match job {
                Job::Close(done) => {
                    closing = Some(done);
                    break;
                }
                Job::Check(answer) => drop(answer.send(self.store(0, check))),
                Job::Delete(rows, answer) => {
                    let done = self.store(0, |connection| sweep::delete(connection, &rows));
                    self.free_removed();
                    self.update_stored_bytes();
                    self.cleanup.requested(Instant::now());
                    let _ = answer.send(done);
                }
                Job::Forget(room, answer) => drop(answer.send(self.forget(&room))),
                Job::WriteSweepRecord(note, answer) => {
                    let done = self.store(0, |connection| sweep_record::write(connection, note));
                    let _ = answer.send(done);
                }
                Job::Operator(write, answer) => {
                    let done = self.store(0, |connection| operator::write(connection, &write));
                    let _ = answer.send(done);
                }
                Job::RenewEpoch(room, epoch, answer) => {
                    let renew = |connection: &mut _| schema::renew_epoch(connection, &room, &epoch);
                    let _ = answer.send(self.store(0, renew));
                }
                Job::CleanUp(first, answer) => {
                    if first {
                        self.cleanup.restart();
                    }
                    let more = self.cleanup.step(&mut self.connection, &self.checkpointer);
                    let _ = answer.send(more);
                }
                #[cfg(test)]
                Job::Index(answer) => drop(answer.send(self.index_all())),
                #[cfg(test)]
                Job::Test(work, answer) => {
                    work(&self.connection);
                    let _ = answer.send(Ok(()));
                }
                Job::Grouped(first) => {
                    let delay = match self.last_group > SMALL_GROUP {
                        true => GROUP_DELAY,
                        false => Duration::ZERO,
                    };
                    let (group, after) = collect_group(first, queue, delay);
                    next = after;
                    self.last_group = group.len();
                    self.commit_group(group);
                }
            }
            if self.unindexed >= MAX_UNINDEXED || self.unindexed >= INDEX_ROWS && is_calm() {
                self.index();
            }
            if self.cleanup.is_overdue(Instant::now()) {
                self.clean_up();
            }
            self.checkpointer.after_commit(&self.connection);
        }
        self.checkpointer.checkpoint_on_close(&self.connection);
        // Close before the reply, so that another process may open the file at once.
        drop(self.connection);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Waits for the next job. Indexes messages and erases deleted text while none comes.
    fn wait(&mut self, queue: &JobQueue) -> Option<Job> {
        loop {
            let index = (self.unindexed > 0 || self.unnormalized).then_some(self.index_at);
            let cleanup = self.cleanup.next_try();
            let Some(next) = index.into_iter().chain(cleanup).min() else {
                return queue.wait();
            };
            match queue.wait_until(next) {
                Received::Job(job) => return Some(job),
                Received::Disconnected => return None,
                Received::Timeout if index == Some(next) => self.index(),
                Received::Timeout => self.clean_up(),
            }
        }
    }

    /// Runs a step of the cleanup.
    fn clean_up(&mut self) {
        self.cleanup
            .step_if_calm(&mut self.connection, &self.checkpointer);
    }

    /// Runs an indexing step: unindexed messages first.
    fn index(&mut self) {
        if self.unindexed == 0 {
            return self.renormalize();
        }
        match self.store(0, |connection| search::index_next(connection, INDEX_ROWS)) {
            Ok(count) if count < INDEX_ROWS => self.unindexed = 0,
            Ok(count) => self.unindexed = self.unindexed.saturating_sub(count).max(1),
            Err(error) => {
                tracing::debug!(%error, "messages are indexed later");
                self.unindexed = 1;
                self.index_at = Instant::now() + INDEX_RETRY;
            }
        }
    }

    /// Indexes some messages of before NFC again.
    fn renormalize(&mut self) {
        match self.store(0, search::renormalize_next) {
            Ok(more) => self.unnormalized = more,
            Err(error) => {
                tracing::debug!(%error, "messages of before NFC are indexed again later");
                self.index_at = Instant::now() + INDEX_RETRY;
            }
        }
    }

    /// Indexes all messages.
    #[cfg(test)]
    fn index_all(&mut self) -> Result<(), StoreError> {
        while self.unnormalized {
            self.unnormalized = self.store(0, search::renormalize_next)?;
        }
        while self.unindexed > 0
            && self.store(0, |connection| search::index_next(connection, INDEX_ROWS))? > 0
        {}
        self.unindexed = 0;
        Ok(())
    }

    /// Commits a group and answers its jobs.
    fn commit_group(&mut self, group: Vec<GroupedJob>) {
        let epoch = self.epoch.get();
        let started = Instant::now();
        let allowance = self.quota.allowance();
        let content = self.content.clone();
        let outcome = self.store(group.len(), |connection| {
            commit(connection, &group, (&epoch, &content), allowance)
        });
        match &outcome {
            Ok(_) => self.free_removed(),
            Err(_) => self.take_back(&group),
        }
        self.metrics
            .commit_seconds
            .observe(started.elapsed().as_secs_f64());
        let rows = u32::try_from(group.len()).unwrap_or(u32::MAX);
        self.metrics.commit_rows.observe(rows.into());
        self.metrics
            .commit_failures
            .inc_by(u64::from(outcome.is_err()));
        if let Ok((_, stored_rooms)) = &outcome {
            self.update_stored_bytes();
            self.set_stored_rooms(*stored_rooms);
            self.unindexed += group.len();
            self.index_at = started + INDEX_DELAY;
        }
        let outcome = outcome.map(|(done, _)| done);
        if outcome.iter().flatten().zip(&group).any(removed_text) {
            self.cleanup.requested(Instant::now());
        }
        let failed = outcome.as_ref().err().cloned();
        let mut done = outcome.unwrap_or_default().into_iter();
        for job in group {
            let done = done.next();
            let failed = || failed.clone().unwrap_or(StoreError::Closed);
            match (job, done) {
                (GroupedJob::Append(_, _, answer), Some(Outcome::Appended(row))) => {
                    drop(answer.send(Ok(row)));
                }
                (GroupedJob::Append(_, _, answer), Some(Outcome::Refused(error))) => {
                    drop(answer.send(Err(error)));
                }
                (
                    GroupedJob::Append(_, _, answer),
                    Some(Outcome::Changed(_) | Outcome::Recorded(_)) | None,
                ) => {
                    drop(answer.send(Err(failed())));
                }
                (GroupedJob::Change(_, _, answer), Some(Outcome::Changed(outcome))) => {
                    drop(answer.send(Ok(outcome)));
                }
                (
                    GroupedJob::Change(_, _, answer),
                    Some(Outcome::Appended(_) | Outcome::Refused(_) | Outcome::Recorded(_)) | None,
                ) => {
                    drop(answer.send(Err(failed())));
                }
                (GroupedJob::Record(_, _, answer), Some(Outcome::Recorded(outcome))) => {
                    drop(answer.send(Ok(outcome)));
                }
                (
                    GroupedJob::Record(_, _, answer),
                    Some(Outcome::Appended(_) | Outcome::Refused(_) | Outcome::Changed(_)) | None,
                ) => {
                    drop(answer.send(Err(failed())));
                }
            }
        }
    }

    /// Deletes the row of a room without messages. Returns whether there was one.
    fn forget(&mut self, room: &RoomName) -> Result<bool, StoreError> {
        match self.store(0, |connection| forget(connection, room))? {
            Forgotten::Nothing => Ok(false),
            Forgotten::Row { epoch } => {
                if let Some(epoch) = epoch {
                    self.epoch.set(epoch);
                }
                self.set_stored_rooms(self.quota.stored_rooms.saturating_sub(1));
                Ok(true)
            }
        }
    }

    /// Keeps and reports the number of stored rooms.
    fn set_stored_rooms(&mut self, rooms: u64) {
        self.quota.stored_rooms = rooms;
        self.status.set_stored_rooms(rooms);
    }

    /// Reports the stored bytes.
    fn update_stored_bytes(&self) {
        if let Ok(bytes) = quota::all_bytes(&self.connection) {
            self.status.set_stored_bytes(bytes);
        }
        if let Ok(bytes) = quota::all_file_bytes(&self.connection) {
            self.status.set_stored_file_bytes(bytes);
        }
    }

    /// Removes the content of files whose rows were deleted. What cannot be removed stays noted.
    fn free_removed(&self) {
        loop {
            match self.content.free_removed(&self.connection) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "the content of deleted files is removed later");
                    return;
                }
            }
        }
    }

    /// Removes content that was placed for a transaction that failed. What cannot be removed stays
    /// until the next start.
    fn take_back(&self, group: &[GroupedJob]) {
        for job in group {
            let GroupedJob::Append(_, PreparedMessage { files, .. }, _) = job else {
                continue;
            };
            for file in files.iter().flatten() {
                let taken_back = self
                    .content
                    .remove_unreferenced(&self.connection, &file.hash);
                if let Err(error) = taken_back {
                    tracing::debug!(%error, "a file without a message is removed later");
                }
            }
        }
    }

    /// Runs a write. On a full disk it runs once more after a checkpoint, because the log may hold
    /// more than the database grows by. Logs once that messages are refused, and once that they are
    /// stored again.
    fn store<T>(
        &mut self,
        jobs: usize,
        work: impl Fn(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut outcome = work(&mut self.connection);
        if matches!(&outcome, Err(error) if error.is_disk_full())
            && self.checkpointer.make_space(&self.connection)
        {
            outcome = work(&mut self.connection);
        }
        self.status.on_commit(&outcome, jobs > 0);
        match &outcome {
            Err(error) if self.refused == 0 && jobs > 0 => {
                tracing::error!(%error, "messages cannot be stored and are refused");
            }
            Ok(_) if self.refused > 0 && jobs > 0 => {
                let refused = self.refused;
                tracing::info!(refused, "messages are stored again; {refused} were refused");
            }
            _ => {}
        }
        if jobs > 0 {
            let failed = outcome.is_err();
            self.refused = if failed { self.refused + jobs } else { 0 };
        }
        outcome
    }
}

/// Whether a committed job deleted or replaced text.
fn removed_text((done, job): (&Outcome, &GroupedJob)) -> bool {
    let (Outcome::Changed(Changed::Applied(_)), GroupedJob::Change(_, change, _)) = (done, job)
    else {
        return false;
    };
    match change.edit {
        Edit::Text(_) | Edit::Delete => true,
        Edit::React { .. } | Edit::Pin(_) => false,
    }
}

/// The jobs that share a transaction with `first`: those queued behind it and those that come within
/// `delay`. Also returns the first job that may not share it.
fn collect_group(
    first: GroupedJob,
    queue: &JobQueue,
    delay: Duration,
) -> (Vec<GroupedJob>, Option<Job>) {
    let mut group = vec![first];
    let until = Instant::now() + delay;
    while group.len() < GROUP_ROWS
        && let Received::Job(job) = queue.wait_until(until)
    {
        match job {
            Job::Grouped(job) => group.push(job),
            other => return (group, Some(other)),
        }
    }
    (group, None)
}

/// The outcome of a job of a committed group.
enum Outcome {
    /// The message is stored.
    Appended(Appended),
    /// The message exceeds the quota, or lacks a file.
    Refused(StoreError),
    /// The outcome of a change.
    Changed(Changed),
    /// The outcome of a change of an authority.
    Recorded(Recorded),
}

/// Runs a group in one transaction. Returns one outcome for each job, in order, and the number of
/// stored rooms after it.
fn commit(
    connection: &mut Connection,
    group: &[GroupedJob],
    (epoch, content): (&Epoch, &ContentStore),
    mut allowance: Allowance,
) -> Result<(Vec<Outcome>, u64), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = Vec::with_capacity(group.len());
    for job in group {
        done.push(match job {
            GroupedJob::Append(room, message, _) => {
                let place = (epoch, content);
                match append(&transaction, room, message, place, &mut allowance) {
                    // Nothing was written for this job; the others are stored.
                    Err(
                        error
                        @ (StoreError::Full(_) | StoreError::NoSuchFile | StoreError::File(_)),
                    ) => Outcome::Refused(error),
                    appended => Outcome::Appended(appended?),
                }
            }
            GroupedJob::Change(room, change, _) => {
                Outcome::Changed(change::apply(&transaction, room, change, allowance)?)
            }
            GroupedJob::Record(room, new, _) => {
                Outcome::Recorded(record(&transaction, room, new, epoch, &mut allowance)?)
            }
        });
    }
    transaction.commit()?;
    Ok((done, allowance.stored_rooms))
}
