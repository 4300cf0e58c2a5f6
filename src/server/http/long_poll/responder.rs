//! Hands out what the client is told: one request waits here at a time.

use super::unacked_frames::{NotHere, Shelf};
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
pub struct Ask {
    /// Up to where the client has everything.
    pub after: u64,
    /// Takes the JSON to answer. Dropped: the connection is no more.
    pub answer: oneshot::Sender<Result<String, NotHere>>,
}

/// Where requests wait for what the connection is told.
pub struct Desk {
    /// The requests.
    asks: mpsc::Receiver<Ask>,
    /// What the client is told. What is on the shelf still counts as waiting in it.
    queue: OutboxReader,
    /// What was handed out and not acknowledged.
    shelf: Shelf,
    /// The request that waits, and until when.
    waiting: Option<(oneshot::Sender<Result<String, NotHere>>, Instant)>,
    /// How long a request waits.
    patience: Duration,
}

impl Desk {
    /// A desk without anybody before it.
    pub fn new(asks: mpsc::Receiver<Ask>, queue: OutboxReader, patience: Duration) -> Self {
        Self {
            asks,
            queue,
            shelf: Shelf::default(),
            waiting: None,
            patience,
        }
    }

    /// Answers requests for as long as it is asked to.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped: what was begun is in `self`.
    pub async fn serve(&mut self) -> Infallible {
        loop {
            let until = self.waiting.as_ref().map(|(_, until)| *until);
            tokio::select! {
                Some(ask) = self.asks.recv() => self.take(ask),
                Some(frame) = self.queue.next(), if until.is_some() => {
                    self.shelf.put(frame);
                    self.hand_out();
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
    pub async fn say_goodbye(&mut self, code: CloseCode) {
        match code {
            CloseCode::TooSlow => self.shelf.clear(),
            _ => self.fill(usize::MAX, usize::MAX),
        }
        while !self.answer(Some(code)) {
            let Some(ask) = self.asks.recv().await else {
                return;
            };
            if self.shelf.acknowledge(ask.after).is_err() {
                self.shelf.clear();
            }
            self.waiting = Some((ask.answer, Instant::now()));
        }
    }

    /// Takes a request in. It takes the place of one that waits.
    fn take(&mut self, ask: Ask) {
        match self.shelf.acknowledge(ask.after) {
            Err(gone) => drop(ask.answer.send(Err(gone))),
            Ok(bytes) => {
                self.queue.written(bytes);
                self.answer(None);
                self.waiting = Some((ask.answer, Instant::now() + self.patience));
                self.hand_out();
            }
        }
    }

    /// Answers the request that waits, if there is anything to answer.
    fn hand_out(&mut self) {
        self.fill(ANSWER_BYTES, OUTBOX_FRAMES);
        if self.shelf.len() > 0 {
            self.answer(None);
        }
    }

    /// Puts on the shelf what is there, until so much is on it.
    fn fill(&mut self, bytes: usize, frames: usize) {
        while self.shelf.bytes() < bytes
            && self.shelf.len() < frames
            && let Some(frame) = self.queue.ready()
        {
            self.shelf.put(frame);
        }
    }

    /// Answers the request that waits. False where there is none, or it has hung up.
    fn answer(&mut self, close: Option<CloseCode>) -> bool {
        let Some((answer, _)) = self.waiting.take() else {
            return false;
        };
        answer.send(Ok(self.shelf.answer(close))).is_ok()
    }
}
