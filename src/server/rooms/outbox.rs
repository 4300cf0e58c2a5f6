//! The queue towards one socket: bounded, so that a slow reader costs itself only.
//!
//! Whoever has something for the socket puts the finished frame in; the socket's writer
//! takes it out. A full queue is the putter's to act on: close with 4408.

use crate::{
    protocol::{CloseCode, ServerMessage},
    server::{
        limits::{OUTBOX_BYTES, OUTBOX_FRAMES},
        metrics,
    },
};
use axum::extract::ws::Utf8Bytes;
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
    frames: mpsc::Sender<Utf8Bytes>,
    /// Bytes in the queue and in the writer's hand.
    bytes: Arc<AtomicUsize>,
    /// Why the socket is to be closed, once it is.
    verdict: watch::Sender<Option<CloseCode>>,
}

/// The far end, held by the socket's writer.
pub struct OutboxReader {
    /// Finished frames.
    frames: mpsc::Receiver<Utf8Bytes>,
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

/// A message as the frame every socket shares.
pub fn frame(message: &ServerMessage) -> Utf8Bytes {
    match serde_json::to_string(message) {
        Ok(json) => json.into(),
        Err(error) => {
            tracing::error!(%error, "a server message did not serialise");
            Utf8Bytes::from_static("{\"type\":\"pong\"}")
        }
    }
}

impl Outbox {
    /// Queues a frame; never waits.
    ///
    /// # Errors
    /// [`Full`]: whoever puts closes the socket as too slow.
    pub fn put(&self, frame: Utf8Bytes) -> Result<(), Full> {
        let size = frame.len();
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        // A frame larger than the whole allowance passes through an empty queue.
        let fits = before == 0 || before + size <= OUTBOX_BYTES;
        let queued = match fits {
            true => self
                .frames
                .try_send(frame)
                .map_err(|error| matches!(error, TrySendError::Full(_))),
            false => Err(true),
        };
        if queued.is_err() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        metrics::FRAMES.add(u64::from(queued.is_ok()));
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
        if self.put(frame(message)).is_err() {
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
    pub async fn next(&mut self) -> Option<Utf8Bytes> {
        self.frames.recv().await
    }

    /// The next frame that is there already.
    pub fn ready(&mut self) -> Option<Utf8Bytes> {
        self.frames.try_recv().ok()
    }

    /// Counts a frame as written.
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
