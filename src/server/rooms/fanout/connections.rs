//! The sockets of one room: sends to one, to all, or to those that are idle.
//!
//! Broadcasts may be coalesced for a moment ([`BroadcastThrottle`]) and written together. A message
//! to one socket comes after the broadcasts that were pending before it.
//!
//! A socket whose queue is full is closed as too slow and removed. Every function that sends
//! returns the sockets that it closed so.

use super::{
    frames::Frames,
    outbox::{Full, Outbox},
    throttle::BroadcastThrottle,
};
use crate::server::rooms::core::command::ConnectionId;
use crate::{
    protocol::{CloseCode, ServerMessage},
    server::{
        limits::{BROADCAST_BATCH_BYTES, REACTION_DELAY},
        load::coalescing_delay,
        metrics::RoomMetrics,
    },
};
use std::collections::HashMap;
use tokio::time::Instant;

/// The sockets of a room.
pub struct Connections {
    /// The queue towards each socket.
    outboxes: HashMap<ConnectionId, Outbox>,
    /// The queue towards each socket that is held back: only messages to it alone are for it.
    held: HashMap<ConnectionId, Outbox>,
    /// Pending broadcasts in order, each with the socket that it skips.
    pending: Vec<(Frames, Option<ConnectionId>)>,
    /// Bytes of `pending`.
    pending_bytes: usize,
    /// Limits how often all sockets are written to.
    throttle: BroadcastThrottle,
    /// Until when `pending` may wait, while it holds reactions only.
    reactions_until: Option<Instant>,
    /// Counts refusals by their error code.
    metrics: RoomMetrics,
}

impl Connections {
    /// Starts without sockets.
    pub fn new(metrics: RoomMetrics) -> Self {
        Self {
            outboxes: HashMap::new(),
            held: HashMap::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            throttle: BroadcastThrottle::new(Instant::now()),
            reactions_until: None,
            metrics,
        }
    }

    /// Adds a socket, after the pending broadcasts, which are not for it.
    pub fn add(&mut self, connection: ConnectionId, outbox: Outbox) -> Vec<ConnectionId> {
        let slow = self.flush();
        self.outboxes.insert(connection, outbox);
        slow
    }

    /// Holds a socket back from broadcasts.
    pub fn hold(&mut self, connection: ConnectionId) {
        if let Some(outbox) = self.outboxes.remove(&connection) {
            self.held.insert(connection, outbox);
        }
    }

    /// Lets a held socket take part, after the pending broadcasts, which are not for it.
    pub fn release(&mut self, connection: ConnectionId) -> Vec<ConnectionId> {
        match self.held.remove(&connection) {
            Some(outbox) => self.add(connection, outbox),
            None => Vec::new(),
        }
    }

    /// Removes a socket that is closed.
    pub fn forget(&mut self, connection: ConnectionId) {
        drop(self.remove(connection));
    }

    /// Removes a socket, which may be held back.
    fn remove(&mut self, connection: ConnectionId) -> Option<Outbox> {
        let held = self.held.remove(&connection);
        self.outboxes.remove(&connection).or(held)
    }

    /// Sends a message to one socket.
    pub fn send(&mut self, connection: ConnectionId, message: &ServerMessage) -> Vec<ConnectionId> {
        if let ServerMessage::Error { code, id, .. } = message {
            self.metrics.refused(*code, id.is_some());
        }
        // Errors are not ordered with broadcasts.
        let is_refusal = matches!(message, ServerMessage::Error { .. });
        let mut slow = match is_refusal {
            true => Vec::new(),
            false => self.flush(),
        };
        let outbox = self.outboxes.get(&connection);
        let full = outbox
            .or_else(|| self.held.get(&connection))
            .is_some_and(|outbox| outbox.put(Frames::of(message)).is_err());
        slow.extend(full.then(|| self.close_slow(connection)));
        slow
    }

    /// Forwards a message of one socket to another.
    ///
    /// # Errors
    /// [`Full`] beside the sockets that were closed: the message is refused to its sender.
    pub fn relay(
        &mut self,
        to: ConnectionId,
        message: &ServerMessage,
    ) -> (Vec<ConnectionId>, Result<(), Full>) {
        let slow = self.flush();
        let outbox = self.outboxes.get(&to);
        let relayed = outbox.map_or(Ok(()), |outbox| outbox.put_relayed(Frames::of(message)));
        (slow, relayed)
    }

    /// Sends the same bytes to every socket but one, now or with the next flush.
    pub fn broadcast(
        &mut self,
        message: &ServerMessage,
        except: Option<ConnectionId>,
    ) -> Vec<ConnectionId> {
        let frame = Frames::of(message);
        let now = Instant::now();
        let is_reaction = matches!(message, ServerMessage::Reaction { .. });
        self.reactions_until = match is_reaction {
            true if self.pending.is_empty() => Some(now + REACTION_DELAY),
            true => self.reactions_until,
            false => None,
        };
        self.pending_bytes += frame.size();
        self.pending.push((frame, except));
        self.throttle.record_message(now);
        let wait = self.due().is_some_and(|due| now < due);
        match wait && self.pending_bytes < BROADCAST_BATCH_BYTES {
            true => Vec::new(),
            false => self.flush(),
        }
    }

    /// When the pending broadcasts are due; nothing if there are none.
    pub fn due(&self) -> Option<Instant> {
        if self.pending.is_empty() {
            return None;
        }
        let paced = self.throttle.next_write(Instant::now(), coalescing_delay());
        paced.max(self.reactions_until)
    }

    /// Sends a message to every other socket whose queue is empty. No socket is closed for it.
    pub fn send_if_idle(
        &mut self,
        message: &ServerMessage,
        except: ConnectionId,
    ) -> Vec<ConnectionId> {
        let slow = self.flush();
        let frame = Frames::of(message);
        let others = self
            .outboxes
            .iter()
            .filter(|(connection, _)| **connection != except);
        for (_, outbox) in others.filter(|(_, outbox)| !outbox.is_behind()) {
            let _ = outbox.put(frame.clone());
        }
        slow
    }

    /// Closes a socket and removes it.
    pub fn close(&mut self, connection: ConnectionId, code: CloseCode) -> Vec<ConnectionId> {
        let slow = self.flush();
        if let Some(outbox) = self.remove(connection) {
            outbox.close(code);
        }
        slow
    }

    /// Writes the pending broadcasts to the queues.
    pub fn flush(&mut self) -> Vec<ConnectionId> {
        if self.pending.is_empty() {
            return Vec::new();
        }
        self.throttle
            .record_write(Instant::now(), coalescing_delay());
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        self.reactions_until = None;
        let all: Vec<_> = pending.iter().map(|(frame, _)| frame.clone()).collect();
        let all = Frames::concat(&all);
        let is_excepted = |connection| {
            pending
                .iter()
                .any(|(_, except)| *except == Some(connection))
        };
        let full = self.outboxes.iter().filter(|(connection, outbox)| {
            let frames = match is_excepted(**connection) {
                true => frames_for(**connection, &pending),
                false => Some(all.clone()),
            };
            frames.is_some_and(|frames| outbox.put(frames).is_err())
        });
        let full: Vec<_> = full.map(|(connection, _)| *connection).collect();
        full.into_iter()
            .map(|connection| self.close_slow(connection))
            .collect()
    }

    /// Closes a socket whose queue is full and removes it.
    fn close_slow(&mut self, connection: ConnectionId) -> ConnectionId {
        if let Some(outbox) = self.remove(connection) {
            outbox.close_slow();
        }
        connection
    }
}

/// The pending broadcasts for a socket that skips some of them; nothing if it skips all.
fn frames_for(
    connection: ConnectionId,
    pending: &[(Frames, Option<ConnectionId>)],
) -> Option<Frames> {
    let frames = pending
        .iter()
        .filter(|(_, except)| *except != Some(connection));
    let frames: Vec<_> = frames.map(|(frame, _)| frame.clone()).collect();
    (!frames.is_empty()).then(|| Frames::concat(&frames))
}
