//! The handle to the writer's thread ([`super::thread`]): a bounded queue of jobs, each answered once
//! it is durable.

use super::{
    Appended, FreshEpoch, NewMessage, StoreError, SweepRecord,
    change::{Change, Changed},
    operator::OperatorWrite,
    quota::Quota,
    record::{NewRecord, Recorded},
    status::StoreStatus,
    thread::WriterThread,
};
use crate::{
    protocol::{Epoch, RoomName},
    server::{files::UploadedFile, limits::WRITER_QUEUE, metrics::StoreMetrics},
};
use rusqlite::Connection;
use std::{
    sync::{Arc, mpsc},
    time::Instant,
};
use tokio::sync::{oneshot, watch};

/// The reply channel of a job.
pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A message with the uploads that become its files.
pub struct PreparedMessage {
    /// The message, which names its files by their ids.
    pub message: NewMessage,
    /// Its files; nothing if one of them is not there.
    pub files: Option<Vec<UploadedFile>>,
}

/// A write of people, which may share its transaction with others.
pub enum GroupedJob {
    /// Append a message.
    Append(RoomName, PreparedMessage, Answer<Appended>),
    /// Change a stored message.
    Change(RoomName, Change, Answer<Changed>),
    /// Change the authority of a room.
    Record(RoomName, NewRecord, Answer<Recorded>),
}

/// A job of the writer's thread. The thread takes jobs in order.
pub enum Job {
    /// Append or change a message or an authority, together with the jobs that wait behind it.
    Grouped(GroupedJob),
    /// Check that the database can be written.
    Check(Answer<()>),
    /// Delete messages by their row ids.
    Delete(Vec<i64>, Answer<()>),
    /// Delete the row of a room without messages. Returns whether there was one.
    Forget(RoomName, Answer<bool>),
    /// Store the record of the last sweeps.
    WriteSweepRecord(SweepRecord, Answer<()>),
    /// Change the operator's rows. Returns the number of rows.
    Operator(OperatorWrite, Answer<usize>),
    /// Give a room this epoch.
    RenewEpoch(RoomName, Epoch, Answer<()>),
    /// Run a step of the cleanup, the first one if the flag is set. Returns whether there is
    /// another step.
    CleanUp(bool, Answer<bool>),
    /// Index every message.
    #[cfg(test)]
    Index(Answer<()>),
    /// Checkpoint the WAL and end the thread.
    Close(oneshot::Sender<()>),
    /// Run a test's closure on the connection.
    #[cfg(test)]
    Test(Box<dyn FnOnce(&Connection) + Send>, Answer<()>),
}

/// A handle to the thread, which ends on [`Writer::close`] or with the last handle.
#[derive(Clone)]
pub struct Writer {
    /// A bounded queue: a full one refuses jobs.
    jobs: mpsc::SyncSender<Job>,
    /// Counts the jobs that wait.
    metrics: StoreMetrics,
    /// Jobs that the thread has taken.
    taken: watch::Receiver<u64>,
}

impl Writer {
    /// Starts the thread on its own connection. The thread reports to `status`.
    pub fn start(
        connection: Connection,
        epoch: FreshEpoch,
        quota: Quota,
        (status, metrics): (Arc<StoreStatus>, StoreMetrics),
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::sync_channel(WRITER_QUEUE);
        let thread = WriterThread::new(connection, epoch, quota, (status, metrics.clone()));
        let (sender, taken) = watch::channel(0);
        let queue = JobQueue {
            jobs: queue,
            metrics: metrics.clone(),
            taken: sender,
        };
        std::thread::Builder::new()
            .name("noom-writer".to_owned())
            .spawn(move || thread.run(&queue))
            .map_err(|error| StoreError::Directory(Arc::new(error)))?;
        Ok(Self {
            jobs,
            metrics,
            taken,
        })
    }

    /// Waits until the thread takes a job, which one that is stuck does not. Gives it one, unless
    /// the queue is full. `false` if the thread has ended.
    pub async fn takes_a_job(&self) -> bool {
        let mut taken = self.taken.clone();
        taken.mark_unchanged();
        tokio::select! {
            changed = taken.changed() => changed.is_ok(),
            checked = self.check() => match checked {
                Err(StoreError::Closed) => false,
                Err(StoreError::Busy) => taken.changed().await.is_ok(),
                Ok(()) | Err(_) => true,
            },
        }
    }

    /// Queues a message and waits for its commit.
    pub async fn append(
        &self,
        room: RoomName,
        message: PreparedMessage,
    ) -> Result<Appended, StoreError> {
        self.ask(|answer| Job::Grouped(GroupedJob::Append(room, message, answer)))
            .await
    }

    /// Queues a change and waits for its commit.
    pub async fn change(&self, room: RoomName, change: Change) -> Result<Changed, StoreError> {
        self.ask(|answer| Job::Grouped(GroupedJob::Change(room, change, answer)))
            .await
    }

    /// Queues a change of a room's authority and waits for its commit.
    pub async fn record(&self, room: RoomName, record: NewRecord) -> Result<Recorded, StoreError> {
        self.ask(|answer| Job::Grouped(GroupedJob::Record(room, record, answer)))
            .await
    }

    /// Checks that messages can be stored.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.ask(Job::Check).await
    }

    /// Deletes messages and waits for the commit.
    pub async fn delete(&self, rows: Vec<i64>) -> Result<(), StoreError> {
        self.ask(|answer| Job::Delete(rows, answer)).await
    }

    /// Deletes the row of a room without messages. Returns whether there was one.
    pub async fn forget(&self, room: RoomName) -> Result<bool, StoreError> {
        self.ask(|answer| Job::Forget(room, answer)).await
    }

    /// Runs a step of the cleanup. Returns whether there is another one.
    pub async fn clean_up(&self, first: bool) -> Result<bool, StoreError> {
        self.ask(|answer| Job::CleanUp(first, answer)).await
    }

    /// Stores the record of the last sweeps and waits for the commit.
    pub async fn write_sweep_record(&self, record: SweepRecord) -> Result<(), StoreError> {
        self.ask(|answer| Job::WriteSweepRecord(record, answer))
            .await
    }

    /// Changes the operator's rows and waits for the commit.
    pub async fn write_operator(&self, write: OperatorWrite) -> Result<usize, StoreError> {
        self.ask(|answer| Job::Operator(write, answer)).await
    }

    /// Gives a room this epoch and waits for the commit.
    pub async fn renew_epoch(&self, room: RoomName, epoch: Epoch) -> Result<(), StoreError> {
        self.ask(|answer| Job::RenewEpoch(room, epoch, answer))
            .await
    }

    /// Waits until every message is indexed.
    #[cfg(test)]
    pub async fn index(&self) -> Result<(), StoreError> {
        self.ask(Job::Index).await
    }

    /// Runs a closure on the writer's connection.
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

    /// Queues a job and waits for its reply.
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

/// The result of a wait for a job.
pub enum Received {
    /// The next job.
    Job(Job),
    /// No job came in time.
    Timeout,
    /// Every handle is dropped.
    Disconnected,
}

/// The receiving end, held by the thread.
pub struct JobQueue {
    /// The queued jobs.
    jobs: mpsc::Receiver<Job>,
    /// Counts the jobs that wait.
    metrics: StoreMetrics,
    /// Counts the jobs that were taken.
    taken: watch::Sender<u64>,
}

impl JobQueue {
    /// Counts a job that leaves the queue.
    fn count_taken(&self) {
        self.metrics.writer_queue.dec();
        self.taken
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits for the next job; nothing once every handle is dropped.
    pub fn wait(&self) -> Option<Job> {
        self.jobs.recv().ok().inspect(|_| self.count_taken())
    }

    /// Waits for the next job until this time.
    pub fn wait_until(&self, time: Instant) -> Received {
        let wait = time.saturating_duration_since(Instant::now());
        match self.jobs.recv_timeout(wait) {
            Ok(job) => {
                self.count_taken();
                Received::Job(job)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Received::Timeout,
            Err(mpsc::RecvTimeoutError::Disconnected) => Received::Disconnected,
        }
    }
}

impl Drop for JobQueue {
    /// Drops the jobs that wait: nobody takes them any more.
    fn drop(&mut self) {
        while self.jobs.try_recv().is_ok() {
            self.metrics.writer_queue.dec();
        }
    }
}
