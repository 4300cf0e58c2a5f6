//! The bounded queue towards one socket: a slow client loses its own connection only.
//!
//! Senders put encoded frames in, and the socket's writer takes them out. A sender that finds the
//! queue full closes the socket with 4408. A client that reads may have more waiting than one that
//! does not, so that a burst of others does not close a reader.

use super::frames::Frames;
use crate::{
    protocol::{CloseCode, ServerMessage},
    server::{
        limits::{
            OUTBOX_BYTES, OUTBOX_FRAMES, READER_ACTIVE_WITHIN, READER_BYTES, READER_FRAMES,
            RELAYED_BYTES, RELAYED_FRAMES,
        },
        metrics::RoomMetrics,
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::Instant,
};

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The sending end. Cloning is cheap.
#[derive(Clone)]
pub struct Outbox {
    /// Runs of encoded frames, at most [`READER_FRAMES`].
    frames: mpsc::Sender<Frames>,
    /// The fill level, shared by both ends.
    level: Arc<QueueLevel>,
    /// Why the socket is to be closed; nothing while it stays open.
    close_code: watch::Sender<Option<CloseCode>>,
    /// Counts frames, and clients closed as too slow.
    metrics: RoomMetrics,
}

/// The receiving end, held by the socket's writer.
pub struct OutboxReader {
    /// Runs of encoded frames, in the order they were queued.
    frames: mpsc::Receiver<Frames>,
    /// The fill level, shared by both ends.
    level: Arc<QueueLevel>,
    /// Why the socket is to be closed; nothing while it stays open.
    close_code: watch::Receiver<Option<CloseCode>>,
}

/// How much waits, and when the client last took some of it.
struct QueueLevel {
    /// Bytes in the queue, and those that the writer has taken and not written yet.
    bytes: AtomicUsize,
    /// The creation of the queue.
    created: Instant,
    /// The last write, in milliseconds since `created`.
    written_at_ms: AtomicU64,
}

impl QueueLevel {
    /// Milliseconds since the queue was created.
    fn age_ms(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the client has read within [`READER_ACTIVE_WITHIN`].
    fn is_read(&self) -> bool {
        let written_at_ms = self.written_at_ms.load(Ordering::Relaxed);
        let since_ms = self.age_ms().saturating_sub(written_at_ms);
        u128::from(since_ms) < READER_ACTIVE_WITHIN.as_millis()
    }
}

/// A queue, as its two ends.
pub fn outbox(metrics: RoomMetrics) -> (Outbox, OutboxReader) {
    let (frames, reader_frames) = mpsc::channel(READER_FRAMES);
    let (close_code, reader_close_code) = watch::channel(None);
    let level = Arc::new(QueueLevel {
        bytes: AtomicUsize::new(0),
        created: Instant::now(),
        written_at_ms: AtomicU64::new(0),
    });
    let sender = Outbox {
        frames,
        level: level.clone(),
        close_code,
        metrics,
    };
    let reader = OutboxReader {
        frames: reader_frames,
        level,
        close_code: reader_close_code,
    };
    (sender, reader)
}

impl Outbox {
    /// Queues frames of the room. Never waits.
    ///
    /// # Errors
    /// [`Full`]: the caller closes the socket as too slow.
    pub fn put(&self, frames: Frames) -> Result<(), Full> {
        let (size, count) = (frames.size(), u64::from(frames.count()));
        let before = self.level.bytes.fetch_add(size, Ordering::Relaxed);
        let within = |frames, bytes| self.waiting() < frames && before + size <= bytes;
        // A frame larger than the whole allowance passes through an empty queue.
        let fits = before == 0
            || within(OUTBOX_FRAMES, OUTBOX_BYTES)
            || (within(READER_FRAMES, READER_BYTES) && self.level.is_read());
        let queued = match fits {
            true => self
                .frames
                .try_send(frames)
                .map_err(|error| matches!(error, TrySendError::Full(_))),
            false => Err(true),
        };
        if queued.is_err() {
            self.level.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        self.metrics
            .frames
            .inc_by(if queued.is_ok() { count } else { 0 });
        // A socket that has ended is not slow: it reports its own end.
        if queued == Err(true) {
            Err(Full)
        } else {
            Ok(())
        }
    }

    /// Queues a message of another client. Never waits. Such messages get a part of the queue only:
    /// the rest is for the room, so that no socket is closed for what others send.
    ///
    /// # Errors
    /// [`Full`]: nothing was queued, and the caller refuses the message to its sender.
    pub fn put_relayed(&self, frames: Frames) -> Result<(), Full> {
        let bytes = self.level.bytes.load(Ordering::Relaxed) + frames.size();
        match self.waiting() < RELAYED_FRAMES && bytes <= RELAYED_BYTES {
            true => self.put(frames),
            false => Err(Full),
        }
    }

    /// Queues an answer to a request of this client. Never waits. The larger allowance of readers
    /// does not apply: the client itself causes these frames.
    ///
    /// # Errors
    /// [`Full`]: the client requests more than it reads, and is closed.
    pub fn put_answer(&self, frames: Frames) -> Result<(), Full> {
        let bytes = self.level.bytes.load(Ordering::Relaxed);
        match self.waiting() < OUTBOX_FRAMES && bytes <= OUTBOX_BYTES {
            true => self.put(frames),
            false => Err(Full),
        }
    }

    /// The number of runs of frames that wait.
    fn waiting(&self) -> usize {
        self.frames.max_capacity() - self.frames.capacity()
    }

    /// Whether any frame waits to be written.
    pub fn is_behind(&self) -> bool {
        self.waiting() > 0
    }

    /// Queues an answer, or closes the socket as too slow.
    pub fn send(&self, message: &ServerMessage) {
        if self.put_answer(Frames::of(message)).is_err() {
            self.close_slow();
        }
    }

    /// Queues a control frame, or closes the socket as too slow.
    pub fn send_transport(&self, bytes: &[u8]) {
        if self.put_answer(Frames::of_transport(bytes)).is_err() {
            self.close_slow();
        }
    }

    /// Closes the socket. The first code stays; returns whether this is the first one.
    pub fn close(&self, code: CloseCode) -> bool {
        self.close_code.send_if_modified(|close_code| {
            let first = close_code.is_none();
            close_code.get_or_insert(code);
            first
        })
    }

    /// Closes the socket with 4408 because its client reads too slowly.
    pub fn close_slow(&self) {
        let first = self.close(CloseCode::TooSlow);
        self.metrics.slow_clients.inc_by(u64::from(first));
    }

    /// Waits until the socket is to be closed.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn closed(&self) -> CloseCode {
        wait_for_close_code(&mut self.close_code.subscribe()).await
    }
}

impl OutboxReader {
    /// The next frames; `None` once every sending end is dropped.
    ///
    /// # Cancel safety
    /// No frame is lost when dropped.
    pub async fn next(&mut self) -> Option<Frames> {
        self.frames.recv().await
    }

    /// The next frames if some wait already.
    pub fn ready(&mut self) -> Option<Frames> {
        self.frames.try_recv().ok()
    }

    /// The next runs of frames, at most `limit`, as soon as there is one. Returns 0 once every
    /// sending end is dropped.
    ///
    /// # Cancel safety
    /// No frame is lost when dropped.
    pub async fn next_many(&mut self, frames: &mut Vec<Frames>, limit: usize) -> usize {
        self.frames.recv_many(frames, limit).await
    }

    /// Counts bytes as written to the socket.
    pub fn written(&self, size: usize) {
        self.level.bytes.fetch_sub(size, Ordering::Relaxed);
        let now_ms = self.level.age_ms();
        self.level.written_at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// A watch on the close code, independent of the queue.
    pub fn close_code(&self) -> watch::Receiver<Option<CloseCode>> {
        self.close_code.clone()
    }
}

/// Waits for a close code; pending for ever once none can come.
pub async fn wait_for_close_code(close_code: &mut watch::Receiver<Option<CloseCode>>) -> CloseCode {
    let found = close_code
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|v| *v);
    match found {
        Some(code) => code,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of frames of this size that a queue takes.
    fn takes(outbox: &Outbox, bytes: usize, put: fn(&Outbox, Frames) -> Result<(), Full>) -> usize {
        let frame = Frames::of_json("x".repeat(bytes));
        let taken = (0..10_000).take_while(|_| put(outbox, frame.clone()).is_ok());
        taken.count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_may_have_more_waiting_than_one_that_does_not() {
        let (outbox, reader) = outbox(RoomMetrics::default());
        tokio::time::advance(READER_ACTIVE_WITHIN).await;
        let silent = takes(&outbox, 16_000, Outbox::put);
        assert_eq!(silent, OUTBOX_BYTES / 16_004);
        reader.written(16_004);
        let more = takes(&outbox, 16_000, Outbox::put);
        assert_eq!(silent - 1 + more, READER_BYTES / 16_004);
        tokio::time::advance(READER_ACTIVE_WITHIN).await;
        assert_eq!(outbox.put(Frames::of_json(String::new())), Err(Full));
    }

    #[tokio::test(start_paused = true)]
    async fn relayed_messages_leave_space_for_messages_of_the_room() {
        let (outbox, _reader) = outbox(RoomMetrics::default());
        tokio::time::advance(READER_ACTIVE_WITHIN).await;
        let relayed = takes(&outbox, 40_000, Outbox::put_relayed);
        assert_eq!(relayed, RELAYED_BYTES / 40_004);
        assert!(takes(&outbox, 16_000, Outbox::put) * 16_004 > 700 * 1024);
        let (outbox, _reader) = super::outbox(RoomMetrics::default());
        assert_eq!(takes(&outbox, 100, Outbox::put_relayed), RELAYED_FRAMES);
        assert_eq!(
            takes(&outbox, 100, Outbox::put_answer),
            OUTBOX_FRAMES - RELAYED_FRAMES
        );
    }
}
