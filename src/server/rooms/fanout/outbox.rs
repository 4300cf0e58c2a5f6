//! The queue towards one socket: bounded, so that a slow reader costs itself only.
//!
//! Whoever has something for the socket puts the finished frame in; the socket's writer
//! takes it out. A full queue is the putter's to act on: close with 4408. Whoever reads may have
//! more waiting than somebody who does not, so that no burst of others closes a reader.

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

/// The queue holds as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The near end; cloning it is cheap.
#[derive(Clone)]
pub struct Outbox {
    /// Finished frames.
    frames: mpsc::Sender<Frames>,
    /// How much waits, and since when.
    level: Arc<QueueLevel>,
    /// Why the socket is to be closed, once it is.
    close_code: watch::Sender<Option<CloseCode>>,
    /// Counts frames, and clients closed as too slow.
    metrics: RoomMetrics,
}

/// The far end, held by the socket's writer.
pub struct OutboxReader {
    /// Finished frames.
    frames: mpsc::Receiver<Frames>,
    /// How much waits, and since when.
    level: Arc<QueueLevel>,
    /// Why the socket is to be closed, once it is.
    close_code: watch::Receiver<Option<CloseCode>>,
}

/// How much waits, and when some of it was taken last.
struct QueueLevel {
    /// Bytes in the queue and in the writer's hand.
    bytes: AtomicUsize,
    /// When the queue was made.
    made: Instant,
    /// When something was written last, in milliseconds since then.
    written_at_ms: AtomicU64,
}

impl QueueLevel {
    /// Milliseconds since the queue was made.
    fn age_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the socket has taken something of late.
    fn is_read(&self) -> bool {
        let written_at_ms = self.written_at_ms.load(Ordering::Relaxed);
        let since_ms = self.age_ms().saturating_sub(written_at_ms);
        u128::from(since_ms) < READER_ACTIVE_WITHIN.as_millis()
    }
}

/// Makes a queue.
pub fn outbox(metrics: RoomMetrics) -> (Outbox, OutboxReader) {
    let (frames, far_frames) = mpsc::channel(READER_FRAMES);
    let (close_code, far_close_code) = watch::channel(None);
    let level = Arc::new(QueueLevel {
        bytes: AtomicUsize::new(0),
        made: Instant::now(),
        written_at_ms: AtomicU64::new(0),
    });
    let near = Outbox {
        frames,
        level: level.clone(),
        close_code,
        metrics,
    };
    let far = OutboxReader {
        frames: far_frames,
        level,
        close_code: far_close_code,
    };
    (near, far)
}

impl Outbox {
    /// Queues what was finished; never waits.
    ///
    /// # Errors
    /// [`Full`]: whoever puts closes the socket as too slow.
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
        // A socket that has ended is not slow: it reports its own end, and how it came.
        if queued == Err(true) {
            Err(Full)
        } else {
            Ok(())
        }
    }

    /// Queues what somebody else sends; never waits. It gets no more than a part of the queue: the
    /// rest is for what the room says, so that nobody is closed for what others send.
    ///
    /// # Errors
    /// [`Full`]: nothing was queued, and whoever sends it is told.
    pub fn put_relayed(&self, frames: Frames) -> Result<(), Full> {
        let bytes = self.level.bytes.load(Ordering::Relaxed) + frames.size();
        match self.waiting() < RELAYED_FRAMES && bytes <= RELAYED_BYTES {
            true => self.put(frames),
            false => Err(Full),
        }
    }

    /// Queues an answer to what the client says itself; never waits. Nobody else is to blame for
    /// that, so reading is no excuse.
    ///
    /// # Errors
    /// [`Full`]: it asks more than it reads, and is closed.
    pub fn put_answer(&self, frames: Frames) -> Result<(), Full> {
        let bytes = self.level.bytes.load(Ordering::Relaxed);
        match self.waiting() < OUTBOX_FRAMES && bytes <= OUTBOX_BYTES {
            true => self.put(frames),
            false => Err(Full),
        }
    }

    /// How many puts wait.
    fn waiting(&self) -> usize {
        self.frames.max_capacity() - self.frames.capacity()
    }

    /// Whether anything waits to be written.
    pub fn is_behind(&self) -> bool {
        self.waiting() > 0
    }

    /// Queues a message, or condemns the socket as too slow.
    pub fn send(&self, message: &ServerMessage) {
        if self.put_answer(Frames::of(message)).is_err() {
            self.close_slow();
        }
    }

    /// Queues an answer to a frame of the transport itself, or condemns the socket as too slow.
    pub fn send_transport(&self, bytes: &[u8]) {
        if self.put_answer(Frames::of_transport(bytes)).is_err() {
            self.close_slow();
        }
    }

    /// Condemns the socket. The first close_code stays; answers whether this is it.
    pub fn close(&self, code: CloseCode) -> bool {
        self.close_code.send_if_modified(|close_code| {
            let first = close_code.is_none();
            close_code.get_or_insert(code);
            first
        })
    }

    /// Condemns the socket because it reads too slowly.
    pub fn close_slow(&self) {
        let first = self.close(CloseCode::TooSlow);
        self.metrics.slow_clients.inc_by(u64::from(first));
    }

    /// Waits until the socket is condemned.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn closed(&self) -> CloseCode {
        wait_for_close_code(&mut self.close_code.subscribe()).await
    }
}

impl OutboxReader {
    /// The next frame; `None` once every near end is gone.
    ///
    /// # Cancel safety
    /// No frame is lost when dropped.
    pub async fn next(&mut self) -> Option<Frames> {
        self.frames.recv().await
    }

    /// The next frame that is there already.
    pub fn ready(&mut self) -> Option<Frames> {
        self.frames.try_recv().ok()
    }

    /// The next frames, at most `limit` puts of them, as soon as there is one; none once
    /// every near end is gone.
    ///
    /// # Cancel safety
    /// No frame is lost when dropped.
    pub async fn next_many(&mut self, frames: &mut Vec<Frames>, limit: usize) -> usize {
        self.frames.recv_many(frames, limit).await
    }

    /// Counts bytes as written.
    pub fn written(&self, size: usize) {
        self.level.bytes.fetch_sub(size, Ordering::Relaxed);
        let now_ms = self.level.age_ms();
        self.level.written_at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// A watch on the close_code, apart from the queue.
    pub fn close_code(&self) -> watch::Receiver<Option<CloseCode>> {
        self.close_code.clone()
    }
}

/// Waits for a close_code; for ever where none can come any more.
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

    /// How many frames of so many bytes a queue takes.
    fn takes(outbox: &Outbox, bytes: usize, put: fn(&Outbox, Frames) -> Result<(), Full>) -> usize {
        let frame = Frames::of_json("x".repeat(bytes));
        let taken = (0..10_000).take_while(|_| put(outbox, frame.clone()).is_ok());
        taken.count()
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_who_does_not_read_has_less_waiting_than_somebody_who_does() {
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
    async fn what_others_send_leaves_room_for_what_the_room_says() {
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
