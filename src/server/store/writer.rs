//! The way to the one thread that writes ([`super::thread`]): a bounded queue of jobs, each
//! answered when it is durable.

use super::{
    Appended, NewMessage, StoreError, SweepRecord,
    change::{Change, Changed},
    quota::Quota,
    status::StoreStatus,
    thread::WriterThread,
};
use crate::{
    protocol::{Epoch, RoomName},
    server::{limits::WRITER_QUEUE, metrics::StoreMetrics},
};
use rusqlite::Connection;
use std::{
    sync::{Arc, mpsc},
    time::Instant,
};
use tokio::sync::oneshot;

/// Where an answer goes.
pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A write of people, which may share its transaction with others.
pub enum GroupedJob {
    /// Append a message.
    Append(RoomName, NewMessage, Answer<Appended>),
    /// Change a stored message.
    Change(RoomName, Change, Answer<Changed>),
}

/// A job of the writer's thread. The thread takes jobs in order.
pub enum Job {
    /// Append or change a message, together with the jobs that wait behind it.
    Grouped(GroupedJob),
    /// Prove that the database can be written.
    Check(Answer<()>),
    /// Delete messages, by the ids of their rows.
    Delete(Vec<i64>, Answer<()>),
    /// Remember the last sweeps.
    WriteSweepRecord(SweepRecord, Answer<()>),
    /// Take a step of removing what deleted text leaves behind, the first one if asked;
    /// returns whether there is another one.
    CleanUp(bool, Answer<bool>),
    /// Put every message into the index of words.
    #[cfg(test)]
    Index(Answer<()>),
    /// Fold the WAL in and end.
    Close(oneshot::Sender<()>),
    /// Do what a test wants done to the connection.
    #[cfg(test)]
    Test(Box<dyn FnOnce(&Connection) + Send>, Answer<()>),
}

/// The handle to the thread, which ends on [`Writer::close`] or with the last handle.
#[derive(Clone)]
pub struct Writer {
    /// Bounded: a full queue refuses instead of growing.
    jobs: mpsc::SyncSender<Job>,
    /// Counts the jobs that wait.
    metrics: StoreMetrics,
}

impl Writer {
    /// Starts the thread on its own connection; it notes in `status` how it fares.
    pub fn start(
        connection: Connection,
        epoch: Epoch,
        quota: Quota,
        (status, metrics): (Arc<StoreStatus>, StoreMetrics),
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::sync_channel(WRITER_QUEUE);
        let thread = WriterThread::new(connection, epoch, quota, (status, metrics.clone()));
        let queue = JobQueue {
            jobs: queue,
            metrics: metrics.clone(),
        };
        std::thread::Builder::new()
            .name("noom-writer".to_owned())
            .spawn(move || thread.run(&queue))
            .map_err(|error| StoreError::Directory(Arc::new(error)))?;
        Ok(Self { jobs, metrics })
    }

    /// Queues a message and waits for its commit.
    pub async fn append(
        &self,
        room: RoomName,
        message: NewMessage,
    ) -> Result<Appended, StoreError> {
        self.ask(|answer| Job::Grouped(GroupedJob::Append(room, message, answer)))
            .await
    }

    /// Queues a change and waits for its commit.
    pub async fn change(&self, room: RoomName, change: Change) -> Result<Changed, StoreError> {
        self.ask(|answer| Job::Grouped(GroupedJob::Change(room, change, answer)))
            .await
    }

    /// Waits until it is proven that messages can be stored.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.ask(Job::Check).await
    }

    /// Waits until messages are deleted.
    pub async fn delete(&self, rows: Vec<i64>) -> Result<(), StoreError> {
        self.ask(|answer| Job::Delete(rows, answer)).await
    }

    /// Waits for a step of removing what deleted text leaves behind.
    pub async fn clean_up(&self, first: bool) -> Result<bool, StoreError> {
        self.ask(|answer| Job::CleanUp(first, answer)).await
    }

    /// Waits until the last sweeps are remembered.
    pub async fn write_sweep_record(&self, record: SweepRecord) -> Result<(), StoreError> {
        self.ask(|answer| Job::WriteSweepRecord(record, answer))
            .await
    }

    /// Waits until every message is in the index of words.
    #[cfg(test)]
    pub async fn index(&self) -> Result<(), StoreError> {
        self.ask(Job::Index).await
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
        self.metrics.writer_queue.inc();
        // `send` blocks while the queue is full, so it has a thread of its own.
        let send = move || jobs.send(Job::Close(done)).is_ok();
        if tokio::task::spawn_blocking(send).await.unwrap_or(false) {
            let _ = closed.await;
        }
    }

    /// Queues a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.metrics.writer_queue.inc();
        if let Err(error) = self.jobs.try_send(job(answer)) {
            self.metrics.writer_queue.dec();
            return Err(match error {
                mpsc::TrySendError::Full(_) => StoreError::Busy,
                mpsc::TrySendError::Disconnected(_) => StoreError::Closed,
            });
        }
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// What waiting came to.
pub enum Received {
    /// Somebody asks for something.
    Job(Job),
    /// Nobody did.
    Timeout,
    /// Nobody can any more.
    Disconnected,
}

/// The far end, held by the thread.
pub struct JobQueue {
    /// The queued jobs.
    jobs: mpsc::Receiver<Job>,
    /// Counts the jobs that wait.
    metrics: StoreMetrics,
}

impl JobQueue {
    /// The next job, as soon as there is one; nothing once nobody can ask any more.
    pub fn wait(&self) -> Option<Job> {
        self.jobs.recv().ok().inspect(|_| {
            self.metrics.writer_queue.dec();
        })
    }

    /// The next job, if there is one before this time.
    pub fn wait_until(&self, time: Instant) -> Received {
        let wait = time.saturating_duration_since(Instant::now());
        match self.jobs.recv_timeout(wait) {
            Ok(job) => {
                self.metrics.writer_queue.dec();
                Received::Job(job)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Received::Timeout,
            Err(mpsc::RecvTimeoutError::Disconnected) => Received::Disconnected,
        }
    }

    /// The next job that is there already.
    pub fn ready(&self) -> Option<Job> {
        let job = self.jobs.try_recv().ok();
        job.inspect(|_| {
            self.metrics.writer_queue.dec();
        })
    }
}

impl Drop for JobQueue {
    fn drop(&mut self) {
        while self.ready().is_some() {}
    }
}
