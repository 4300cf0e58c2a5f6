//! Writing: one thread, one transaction for everything that has queued up meanwhile.
//!
//! The group is what came in while the last one was committed, at most
//! [`GROUP_ROWS`]; nobody waits for a group to fill, so a lonely message is as fast as
//! the disk. A commit that fails refuses every message of its group and nothing else: the
//! thread goes on, and stores again as soon as the disk does. What is no message has a
//! transaction of its own ([`super::upkeep`]).

use super::{
    Appended, NewMessage, StoreError,
    append::append,
    change::{self, Change, Changed},
    sweep,
    upkeep::{Upkeep, check},
};
use crate::{
    protocol::{Epoch, RoomName},
    server::limits::{GROUP_ROWS, WRITER_QUEUE},
};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

/// Where an answer goes.
type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to do for the thread, in the order it came.
enum Job {
    /// Store a message.
    Append(RoomName, NewMessage, Answer<Appended>),
    /// Change one that is stored.
    Change(RoomName, Change, Answer<Changed>),
    /// Prove that the database can be written.
    Check(Answer<()>),
    /// Delete messages, by the ids of their rows.
    Forget(Vec<i64>, Answer<()>),
    /// Take what was deleted out of index and log; whether this is the first step of it.
    Wipe(bool, Answer<bool>),
    /// Fold the WAL in and end.
    Close(oneshot::Sender<()>),
    /// Do what a test wants done to the connection.
    #[cfg(test)]
    Test(Box<dyn FnOnce(&Connection) + Send>, Answer<()>),
}

impl Job {
    /// Whether it may share a transaction with others.
    fn is_grouped(&self) -> bool {
        matches!(self, Self::Append(..) | Self::Change(..))
    }
}

/// The handle to the thread, which ends on [`Writer::close`] or with the last handle.
#[derive(Clone)]
pub struct Writer {
    /// Bounded: a full queue refuses instead of growing.
    jobs: mpsc::SyncSender<Job>,
}

impl Writer {
    /// Starts the thread on its own connection.
    pub fn start(connection: Connection, epoch: Epoch) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::sync_channel(WRITER_QUEUE);
        let thread = Thread {
            upkeep: Upkeep::new(&connection),
            connection,
            epoch,
            refused: 0,
        };
        std::thread::Builder::new()
            .name("noom-writer".to_owned())
            .spawn(move || thread.run(&queue))
            .map_err(|error| StoreError::Directory(Arc::new(error)))?;
        Ok(Self { jobs })
    }

    /// Queues a message and waits for its commit.
    pub async fn append(
        &self,
        room: RoomName,
        message: NewMessage,
    ) -> Result<Appended, StoreError> {
        self.ask(|answer| Job::Append(room, message, answer)).await
    }

    /// Queues a change and waits for its commit.
    pub async fn change(&self, room: RoomName, change: Change) -> Result<Changed, StoreError> {
        self.ask(|answer| Job::Change(room, change, answer)).await
    }

    /// Waits until it is proven that messages can be stored.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.ask(Job::Check).await
    }

    /// Waits until messages are deleted.
    pub async fn forget(&self, rows: Vec<i64>) -> Result<(), StoreError> {
        self.ask(|answer| Job::Forget(rows, answer)).await
    }

    /// Waits for a step of taking what was deleted out of index and log.
    pub async fn wipe(&self, first: bool) -> Result<bool, StoreError> {
        self.ask(|answer| Job::Wipe(first, answer)).await
    }

    /// Does something to the writer's connection.
    #[cfg(test)]
    pub async fn test(&self, work: impl FnOnce(&Connection) + Send + 'static) {
        let work = Box::new(work);
        let done = self.ask(|answer| Job::Test(work, answer)).await;
        done.expect("the writer lives");
    }

    /// Waits for everything queued, then for the end of the thread's work.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let jobs = self.jobs.clone();
        // `send` blocks while the queue is full, so it has a thread of its own.
        let send = move || jobs.send(Job::Close(done)).is_ok();
        if tokio::task::spawn_blocking(send).await.unwrap_or(false) {
            let _ = closed.await;
        }
    }

    /// Queues a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs
            .try_send(job(answer))
            .map_err(|error| match error {
                mpsc::TrySendError::Full(_) => StoreError::Busy,
                mpsc::TrySendError::Disconnected(_) => StoreError::Closed,
            })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// What the thread holds.
struct Thread {
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
    /// Takes jobs, in order, until it is told to close or nobody can ask any more.
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        let mut next = None;
        let mut closing = None;
        while let Some(job) = next.take().or_else(|| queue.recv().ok()) {
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
        let outcome = self.store(group.len(), |connection| commit(connection, &group, &epoch));
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
fn gather(first: Job, queue: &mpsc::Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let mut group = vec![first];
    while group.len() < GROUP_ROWS
        && let Ok(job) = queue.try_recv()
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
