//! Writing: one thread, one transaction for everything that has queued up meanwhile.
//!
//! The group is what came in while the last one was committed, at most [`GROUP_ROWS`]. Where
//! few speak at a time nobody waits for a group to fill, so a message is as fast as the disk;
//! where many do, a group waits [`GROUP_DELAY`] for more, because a commit costs as much as
//! a dozen rows. Between groups the index of words follows ([`super::search`]), and what deleted
//! text left behind is removed ([`super::cleanup`]). A commit that
//! fails refuses every message of its group and nothing else: the thread goes on, and stores
//! again as soon as the disk does. What is no message has a transaction of its own
//! ([`super::checkpoint`], [`super::sweep`]).

use super::{
    Appended, StoreError,
    append::append,
    change::{self, Changed, Edit},
    checkpoint::{Checkpointer, check},
    cleanup::Cleanup,
    file::directory,
    quota::{self, Allowance, Full, Quota, QuotaGuard},
    search,
    status::StoreStatus,
    sweep, sweep_record,
    writer::{GroupedJob, Job, JobQueue, Received},
};
use crate::{
    protocol::Epoch,
    server::{limits::GROUP_ROWS, load::is_calm, metrics::StoreMetrics},
};
use rusqlite::{Connection, TransactionBehavior};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Rows in a group up to which the next one does not wait for more.
const SMALL_GROUP: usize = 4;
/// How long a group waits for more. 2 ms: trust P1, and as long as a commit.
const GROUP_DELAY: Duration = Duration::from_millis(2);
/// Messages put into the index of words at once. 64: a few milliseconds.
const INDEX_ROWS: usize = 64;
/// How far the index may be behind while the process is busy. 4096: a search reads so many
/// messages of its room in a few milliseconds.
const MAX_UNINDEXED: usize = 4096;
/// How long after the last message the rest of them is put into the index. 200 ms.
const INDEX_DELAY: Duration = Duration::from_millis(200);
/// When that is tried again where it failed. 5 s.
const INDEX_RETRY: Duration = Duration::from_secs(5);

/// What the thread holds.
pub struct WriterThread {
    /// The only one that writes.
    connection: Connection,
    /// For rooms that are made.
    epoch: Epoch,
    /// What keeps the files in order.
    checkpointer: Checkpointer,
    /// What may be stored.
    quota: QuotaGuard,
    /// The state of the store, for whoever reports it.
    status: Arc<StoreStatus>,
    /// Counts commits.
    metrics: StoreMetrics,
    /// Jobs refused since the last one that was stored.
    refused: usize,
    /// How many rows the last group had.
    last_group: usize,
    /// Messages that may not be in the index of words yet.
    unindexed: usize,
    /// Whether messages may be in the index that were stored before texts were put into NFC.
    unnormalized: bool,
    /// When the next of them may be put in.
    index_at: Instant,
    /// What deleted text left behind.
    cleanup: Cleanup,
}

impl WriterThread {
    /// A thread that writes by this connection, within `quota`, and notes in `status` how
    /// it fares.
    pub fn new(
        connection: Connection,
        epoch: Epoch,
        quota: Quota,
        (status, metrics): (Arc<StoreStatus>, StoreMetrics),
    ) -> Self {
        let database = PathBuf::from(connection.path().unwrap_or_default());
        let thread = Self {
            checkpointer: Checkpointer::new(&connection),
            cleanup: Cleanup::new(&connection),
            quota: QuotaGuard::new(quota, directory(&database).to_owned()),
            status,
            metrics,
            // Whatever the last process left; all of it after a migration.
            unindexed: search::behind(&connection).unwrap_or(1),
            unnormalized: search::unnormalized(&connection).is_ok_and(|rows| rows.is_some()),
            connection,
            epoch,
            refused: 0,
            last_group: 0,
            index_at: Instant::now() + INDEX_DELAY,
        };
        thread.update_stored_bytes();
        thread
    }

    /// Takes jobs, in order, until it is told to close or nobody can ask any more.
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
                    self.update_stored_bytes();
                    self.cleanup.requested(Instant::now());
                    let _ = answer.send(done);
                }
                Job::WriteSweepRecord(note, answer) => {
                    let done = self.store(0, |connection| sweep_record::write(connection, note));
                    let _ = answer.send(done);
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
        // Closed before it is reported, so that another process may open the file at once.
        drop(self.connection);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// The next job. Meanwhile, once it has been quiet, the index of words catches up and
    /// deleted text is cleaned up.
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

    /// Takes a step of the cleaning up.
    fn clean_up(&mut self) {
        self.cleanup
            .step_if_calm(&mut self.connection, &self.checkpointer);
    }

    /// Puts some messages into the index of words: those it lacks first.
    fn index(&mut self) {
        if self.unindexed == 0 {
            return self.renormalize();
        }
        match self.store(0, |connection| search::index_next(connection, INDEX_ROWS)) {
            Ok(count) if count < INDEX_ROWS => self.unindexed = 0,
            Ok(count) => self.unindexed = self.unindexed.saturating_sub(count).max(1),
            Err(error) => {
                tracing::debug!(%error, "the index of words follows later");
                self.unindexed = 1;
                self.index_at = Instant::now() + INDEX_RETRY;
            }
        }
    }

    /// Puts some messages of former times into the index anew.
    fn renormalize(&mut self) {
        match self.store(0, search::renormalize_next) {
            Ok(more) => self.unnormalized = more,
            Err(error) => {
                tracing::debug!(%error, "messages of former times are indexed anew later");
                self.index_at = Instant::now() + INDEX_RETRY;
            }
        }
    }

    /// Puts all messages into the index of words.
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

    /// Commits a group and answers it.
    fn commit_group(&mut self, group: Vec<GroupedJob>) {
        let epoch = self.epoch.clone();
        let started = Instant::now();
        let allowance = self.quota.allowance();
        let outcome = self.store(group.len(), |connection| {
            commit(connection, &group, &epoch, allowance)
        });
        self.metrics
            .commit_seconds
            .observe(started.elapsed().as_secs_f64());
        let rows = u32::try_from(group.len()).unwrap_or(u32::MAX);
        self.metrics.commit_rows.observe(rows.into());
        self.metrics
            .commit_failures
            .inc_by(u64::from(outcome.is_err()));
        if outcome.is_ok() {
            self.update_stored_bytes();
            self.unindexed += group.len();
            self.index_at = started + INDEX_DELAY;
        }
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
                (GroupedJob::Append(_, _, answer), Some(Outcome::Full(full))) => {
                    drop(answer.send(Err(full.into())));
                }
                (GroupedJob::Append(_, _, answer), Some(Outcome::Changed(_)) | None) => {
                    drop(answer.send(Err(failed())));
                }
                (GroupedJob::Change(_, _, answer), Some(Outcome::Changed(outcome))) => {
                    drop(answer.send(Ok(outcome)));
                }
                (
                    GroupedJob::Change(_, _, answer),
                    Some(Outcome::Appended(_) | Outcome::Full(_)) | None,
                ) => {
                    drop(answer.send(Err(failed())));
                }
            }
        }
    }

    /// Notes how much is stored.
    fn update_stored_bytes(&self) {
        if let Ok(bytes) = quota::all_bytes(&self.connection) {
            self.status.set_stored_bytes(bytes);
        }
    }

    /// Does a piece of work; where there is no space for it, once more after folding the
    /// write-ahead log, which may hold more than the database will grow by. Says once that
    /// storing fails, and once that it goes on.
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
                tracing::error!(%error, "messages cannot be stored, and are refused until they can");
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

/// Whether a job of a committed group deleted or replaced text.
fn removed_text((done, job): (&Outcome, &GroupedJob)) -> bool {
    let (Outcome::Changed(Changed::Applied(_)), GroupedJob::Change(_, change, _)) = (done, job)
    else {
        return false;
    };
    match change.edit {
        Edit::Text(_) | Edit::Delete => true,
        Edit::React { .. } => false,
    }
}

/// What has queued up behind a job, or does within `delay`, and may share its transaction;
/// and the first job that may not.
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

/// What a job of a committed group came to.
enum Outcome {
    /// A message is stored.
    Appended(Appended),
    /// A message was one too many.
    Full(Full),
    /// A message was changed, or not.
    Changed(Changed),
}

/// One transaction for the whole group; one result a job, in order.
fn commit(
    connection: &mut Connection,
    group: &[GroupedJob],
    epoch: &Epoch,
    allowance: Allowance,
) -> Result<Vec<Outcome>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = Vec::with_capacity(group.len());
    for job in group {
        done.push(match job {
            GroupedJob::Append(room, message, _) => {
                match append(&transaction, room, message, epoch, allowance) {
                    // It has written nothing; the others of the group are stored.
                    Err(StoreError::Full(full)) => Outcome::Full(full),
                    appended => Outcome::Appended(appended?),
                }
            }
            GroupedJob::Change(room, change, _) => {
                Outcome::Changed(change::apply(&transaction, room, change, allowance)?)
            }
        });
    }
    transaction.commit()?;
    Ok(done)
}
