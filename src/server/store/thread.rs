//! Writing: one thread, one transaction for everything that has queued up meanwhile.
//!
//! The group is what came in while the last one was committed, at most
//! [`GROUP_ROWS`]; nobody waits for a group to fill, so a lonely message is as fast as
//! the disk. A commit that fails refuses every message of its group and nothing else: the
//! thread goes on, and stores again as soon as the disk does. What is no message has a
//! transaction of its own ([`super::upkeep`], [`super::sweep`]).

use super::{
    Appended, StoreError,
    append::append,
    change::{self, Changed},
    sweep,
    upkeep::{Upkeep, check},
    writer::{Job, Queue},
};
use crate::{
    protocol::Epoch,
    server::{limits::GROUP_ROWS, metrics},
};
use rusqlite::{Connection, TransactionBehavior};
use std::time::Instant;

/// What the thread holds.
pub struct Thread {
    /// The only one that writes.
    connection: Connection,
    /// For rooms that are made.
    epoch: Epoch,
    /// What keeps the files in order.
    upkeep: Upkeep,
    /// Jobs refused since the last one that was stored.
    refused: usize,
}

impl Thread {
    /// A thread that writes by this connection.
    pub fn new(connection: Connection, epoch: Epoch) -> Self {
        Self {
            upkeep: Upkeep::new(&connection),
            connection,
            epoch,
            refused: 0,
        }
    }

    /// Takes jobs, in order, until it is told to close or nobody can ask any more.
    pub fn run(mut self, queue: &Queue) {
        let mut next = None;
        let mut closing = None;
        while let Some(job) = next.take().or_else(|| queue.wait()) {
            match job {
                Job::Close(done) => {
                    closing = Some(done);
                    break;
                }
                Job::Check(answer) => drop(answer.send(self.store(0, check))),
                Job::Forget(rows, answer) => {
                    let done = self.store(0, |connection| sweep::forget(connection, &rows));
                    let _ = answer.send(done);
                }
                Job::Wipe(first, answer) => drop(answer.send(self.wipe(first))),
                #[cfg(test)]
                Job::Test(work, answer) => {
                    work(&self.connection);
                    let _ = answer.send(Ok(()));
                }
                first => {
                    let (group, after) = gather(first, queue);
                    next = after;
                    self.serve(group);
                }
            }
            self.upkeep.after_commit(&self.connection);
        }
        self.upkeep.fold_at_the_end(&self.connection);
        // Closed before it is reported, so that another process may open the file at once.
        drop(self.connection);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Commits a group and answers it.
    fn serve(&mut self, group: Vec<Job>) {
        let epoch = self.epoch.clone();
        let started = Instant::now();
        let outcome = self.store(group.len(), |connection| commit(connection, &group, &epoch));
        metrics::COMMIT_SECONDS.observe(started.elapsed().as_secs_f64());
        metrics::COMMIT_ROWS.observe(u32::try_from(group.len()).unwrap_or(u32::MAX).into());
        metrics::COMMIT_FAILURES.add(u64::from(outcome.is_err()));
        let failed = outcome.as_ref().err().cloned();
        let mut done = outcome.unwrap_or_default().into_iter();
        for job in group {
            let done = done.next();
            let failed = || failed.clone().unwrap_or(StoreError::Closed);
            match (job, done) {
                (Job::Append(_, _, answer), Some(Done::Appended(row))) => {
                    drop(answer.send(Ok(row)));
                }
                (Job::Append(_, _, answer), _) => drop(answer.send(Err(failed()))),
                (Job::Change(_, _, answer), Some(Done::Changed(what))) => {
                    drop(answer.send(Ok(what)));
                }
                (Job::Change(_, _, answer), _) => drop(answer.send(Err(failed()))),
                _ => {}
            }
        }
    }

    /// Takes a step; after the last one the log is folded, which holds former pages too.
    fn wipe(&mut self, first: bool) -> Result<bool, StoreError> {
        let more = self.store(0, |connection| sweep::merge(connection, first))?;
        if !more {
            self.upkeep.fold_now(&self.connection);
        }
        Ok(more)
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
        if matches!(&outcome, Err(error) if error.is_full())
            && self.upkeep.make_space(&self.connection)
        {
            outcome = work(&mut self.connection);
        }
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

/// What has queued up behind a job and may share its transaction, and the first job that
/// may not.
fn gather(first: Job, queue: &Queue) -> (Vec<Job>, Option<Job>) {
    let mut group = vec![first];
    while group.len() < GROUP_ROWS
        && let Some(job) = queue.ready()
    {
        if !job.is_grouped() {
            return (group, Some(job));
        }
        group.push(job);
    }
    (group, None)
}

/// What a job of a committed group came to.
enum Done {
    /// A message is stored.
    Appended(Appended),
    /// A message was changed, or not.
    Changed(Changed),
    /// Nothing to tell.
    Nothing,
}

/// One transaction for the whole group; one result a job, in order.
fn commit(
    connection: &mut Connection,
    group: &[Job],
    epoch: &Epoch,
) -> Result<Vec<Done>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = Vec::with_capacity(group.len());
    for job in group {
        done.push(match job {
            Job::Append(room, message, _) => {
                Done::Appended(append(&transaction, room, message, epoch)?)
            }
            Job::Change(room, change, _) => {
                Done::Changed(change::apply(&transaction, room, change)?)
            }
            _ => Done::Nothing,
        });
    }
    transaction.commit()?;
    Ok(done)
}
