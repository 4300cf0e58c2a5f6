//! Answers polls with the frames of the outbox. One request waits at a time.

use super::unacked_frames::{InvalidAck, UnackedFrames};
use crate::{
    protocol::CloseCode,
    server::{
        limits::{ANSWER_BYTES, OUTBOX_FRAMES},
        rooms::OutboxReader,
    },
};
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

/// A `GET /poll` that waits for frames.
pub struct PollRequest {
    /// The number of the last frame the client has.
    pub after: u64,
    /// Receives the JSON of the response. Dropped if the connection has ended.
    pub answer: oneshot::Sender<Result<String, InvalidAck>>,
}

/// The responder of one connection.
pub struct LongPollResponder {
    /// Mailbox of polls.
    requests: mpsc::Receiver<PollRequest>,
    /// Outbox of the client. Unacknowledged frames count against its limits.
    queue: OutboxReader,
    /// Frames that were sent and are not acknowledged.
    unacked: UnackedFrames,
    /// The waiting request and its deadline.
    pending: Option<(oneshot::Sender<Result<String, InvalidAck>>, Instant)>,
    /// How long a request may wait.
    timeout: Duration,
}

impl LongPollResponder {
    /// A responder without a waiting request.
    pub fn new(
        requests: mpsc::Receiver<PollRequest>,
        queue: OutboxReader,
        timeout: Duration,
    ) -> Self {
        Self {
            requests,
            queue,
            unacked: UnackedFrames::default(),
            pending: None,
            timeout,
        }
    }

    /// Answers requests until it is dropped.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped: all state is in `self`.
    pub async fn serve(&mut self) -> Infallible {
        loop {
            let deadline = self.pending.as_ref().map(|(_, deadline)| *deadline);
            tokio::select! {
                Some(request) = self.requests.recv() => self.on_request(request),
                Some(frame) = self.queue.next(), if deadline.is_some() => {
                    self.unacked.push(frame);
                    self.respond_if_ready();
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.answer(None);
                }
                else => std::future::pending().await,
            }
        }
    }

    /// Answers the waiting request, or the next one, with the close code. The response holds the
    /// remaining frames, unless the client reads too slowly.
    pub async fn close(&mut self, code: CloseCode) {
        if code == CloseCode::TooSlow {
            self.unacked.clear();
        } else {
            self.fill(usize::MAX, usize::MAX);
        }
        while !self.answer(Some(code)) {
            let Some(request) = self.requests.recv().await else {
                return;
            };
            if self.unacked.acknowledge(request.after).is_err() {
                self.unacked.clear();
            }
            self.pending = Some((request.answer, Instant::now()));
        }
    }

    /// Handles a new request. Answers the request that waited first.
    fn on_request(&mut self, request: PollRequest) {
        match self.unacked.acknowledge(request.after) {
            Err(invalid_ack) => drop(request.answer.send(Err(invalid_ack))),
            Ok(bytes) => {
                self.queue.written(bytes);
                self.answer(None);
                self.pending = Some((request.answer, Instant::now() + self.timeout));
                self.respond_if_ready();
            }
        }
    }

    /// Answers the waiting request if there are frames.
    fn respond_if_ready(&mut self) {
        self.fill(ANSWER_BYTES, OUTBOX_FRAMES);
        if self.unacked.len() > 0 {
            self.answer(None);
        }
    }

    /// Moves frames out of the outbox until this many bytes or frames are unacknowledged.
    fn fill(&mut self, bytes: usize, frames: usize) {
        while self.unacked.bytes() < bytes
            && self.unacked.len() < frames
            && let Some(frame) = self.queue.ready()
        {
            self.unacked.push(frame);
        }
    }

    /// Answers the waiting request. Returns false if no request waits or its client disconnected.
    fn answer(&mut self, close: Option<CloseCode>) -> bool {
        let Some((answer, _)) = self.pending.take() else {
            return false;
        };
        answer.send(Ok(self.unacked.answer(close))).is_ok()
    }
}
