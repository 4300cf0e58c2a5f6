//! Hands out what the client is told: one request waits here at a time.

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

/// A request that asks what there is.
pub struct PollRequest {
    /// Up to where the client has everything.
    pub after: u64,
    /// Takes the JSON to answer. Dropped: the connection is no more.
    pub answer: oneshot::Sender<Result<String, InvalidAck>>,
}

/// Where requests wait for what the connection is told.
pub struct LongPollResponder {
    /// The requests.
    requests: mpsc::Receiver<PollRequest>,
    /// What the client is told. What is on the shelf still counts as waiting in it.
    queue: OutboxReader,
    /// What was handed out and not acknowledged.
    unacked: UnackedFrames,
    /// The request that waits, and until when.
    pending: Option<(oneshot::Sender<Result<String, InvalidAck>>, Instant)>,
    /// How long a request waits.
    timeout: Duration,
}

impl LongPollResponder {
    /// A desk without anybody before it.
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

    /// Answers requests for as long as it is asked to.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped: what was begun is in `self`.
    pub async fn serve(&mut self) -> Infallible {
        loop {
            let until = self.pending.as_ref().map(|(_, until)| *until);
            tokio::select! {
                Some(request) = self.requests.recv() => self.take(request),
                Some(frame) = self.queue.next(), if until.is_some() => {
                    self.unacked.push(frame);
                    self.respond_if_ready();
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    self.answer(None);
                }
                else => std::future::pending().await,
            }
        }
    }

    /// Answers the request that waits, or the next one, with the end. Whoever reads too
    /// slowly gets nothing but that.
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

    /// Takes a request in. It takes the place of one that waits.
    fn take(&mut self, request: PollRequest) {
        match self.unacked.acknowledge(request.after) {
            Err(unknown_connection) => drop(request.answer.send(Err(unknown_connection))),
            Ok(bytes) => {
                self.queue.written(bytes);
                self.answer(None);
                self.pending = Some((request.answer, Instant::now() + self.timeout));
                self.respond_if_ready();
            }
        }
    }

    /// Answers the request that waits, if there is anything to answer.
    fn respond_if_ready(&mut self) {
        self.fill(ANSWER_BYTES, OUTBOX_FRAMES);
        if self.unacked.len() > 0 {
            self.answer(None);
        }
    }

    /// Puts on the shelf what is there, until so much is on it.
    fn fill(&mut self, bytes: usize, frames: usize) {
        while self.unacked.bytes() < bytes
            && self.unacked.len() < frames
            && let Some(frame) = self.queue.ready()
        {
            self.unacked.push(frame);
        }
    }

    /// Answers the request that waits. False where there is none, or it has hung up.
    fn answer(&mut self, close: Option<CloseCode>) -> bool {
        let Some((answer, _)) = self.pending.take() else {
            return false;
        };
        answer.send(Ok(self.unacked.answer(close))).is_ok()
    }
}
