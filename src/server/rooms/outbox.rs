//! The queue towards one socket: bounded, so that a slow reader costs itself only.
//!
//! Whoever has something for the socket puts the finished frame in; the socket's writer
//! takes it out. A full queue is the putter's to act on: close with 4408.

use super::frames::Frames;
use crate::{
    protocol::{CloseCode, ServerMessage},
    server::{
        limits::{OUTBOX_BYTES, OUTBOX_FRAMES},
        metrics,
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    watch,
};

/// The queue holds as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The near end; cloning it is cheap.
#[derive(Clone)]
pub struct Outbox {
    /// Finished frames.
    frames: mpsc::Sender<Frames>,
    /// Bytes in the queue and in the writer's hand.
    bytes: Arc<AtomicUsize>,
    /// Why the socket is to be closed, once it is.
    verdict: watch::Sender<Option<CloseCode>>,
}

/// The far end, held by the socket's writer.
pub struct OutboxReader {
    /// Finished frames.
    frames: mpsc::Receiver<Frames>,
    /// Bytes in the queue and in the writer's hand.
    bytes: Arc<AtomicUsize>,
    /// Why the socket is to be closed, once it is.
    verdict: watch::Receiver<Option<CloseCode>>,
}

/// Makes a queue.
pub fn outbox() -> (Outbox, OutboxReader) {
    let (frames, far_frames) = mpsc::channel(OUTBOX_FRAMES);
    let (verdict, far_verdict) = watch::channel(None);
    let bytes = Arc::new(AtomicUsize::new(0));
    let near = Outbox {
        frames,
        bytes: bytes.clone(),
        verdict,
    };
    let far = OutboxReader {
        frames: far_frames,
        bytes,
        verdict: far_verdict,
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
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        // A frame larger than the whole allowance passes through an empty queue.
        let fits = before == 0 || before + size <= OUTBOX_BYTES;
        let queued = match fits {
            true => self
                .frames
                .try_send(frames)
                .map_err(|error| matches!(error, TrySendError::Full(_))),
            false => Err(true),
        };
        if queued.is_err() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        metrics::FRAMES.add(if queued.is_ok() { count } else { 0 });
        // A socket that has ended is not slow: it reports its own end, and how it came.
        if queued == Err(true) {
            Err(Full)
        } else {
            Ok(())
        }
    }

    /// Whether anything waits to be written.
    pub fn is_behind(&self) -> bool {
        self.frames.capacity() < self.frames.max_capacity()
    }

    /// Queues a message, or condemns the socket as too slow.
    pub fn tell(&self, message: &ServerMessage) {
        if self.put(Frames::of(message)).is_err() {
            self.close_slow();
        }
    }

    /// Queues an answer to a frame of the transport itself, or condemns the socket as too slow.
    pub fn answer(&self, bytes: &[u8]) {
        if self.put(Frames::of_transport(bytes)).is_err() {
            self.close_slow();
        }
    }

    /// Condemns the socket. The first verdict stays; answers whether this is it.
    pub fn close(&self, code: CloseCode) -> bool {
        self.verdict.send_if_modified(|verdict| {
            let first = verdict.is_none();
            verdict.get_or_insert(code);
            first
        })
    }

    /// Condemns the socket because it reads too slowly.
    pub fn close_slow(&self) {
        let first = self.close(CloseCode::TooSlow);
        metrics::SLOW_CLIENTS.add(u64::from(first));
    }

    /// Waits until the socket is condemned.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn condemned(&self) -> CloseCode {
        wait_for_verdict(&mut self.verdict.subscribe()).await
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
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    /// A watch on the verdict, apart from the queue.
    pub fn verdict(&self) -> watch::Receiver<Option<CloseCode>> {
        self.verdict.clone()
    }
}

/// Waits for a verdict; for ever where none can come any more.
pub async fn wait_for_verdict(verdict: &mut watch::Receiver<Option<CloseCode>>) -> CloseCode {
    let found = verdict
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|v| *v);
    match found {
        Some(code) => code,
        None => std::future::pending().await,
    }
}
