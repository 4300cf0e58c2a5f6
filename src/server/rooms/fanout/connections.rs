//! The sockets of those who are in one room: telling one, all, or whoever has time.
//!
//! What all are told may be gathered for a moment ([`BroadcastThrottle`]) and told at once. Whatever is
//! told to one alone is told after everything that was gathered before it.
//!
//! A socket that cannot take what it is told is closed as too slow and forgotten here;
//! whoever told it hears which ones these were.

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
    /// The queues towards them.
    outboxes: HashMap<ConnectionId, Outbox>,
    /// What all of them are told next, in order, and who is not.
    pending: Vec<(Frames, Option<ConnectionId>)>,
    /// Bytes of that.
    pending_bytes: usize,
    /// When all of them may be told.
    throttle: BroadcastThrottle,
    /// Until when what is gathered may wait, where it is nothing but reactions.
    reactions_until: Option<Instant>,
    /// Counts refusals.
    metrics: RoomMetrics,
}

impl Connections {
    /// No sockets.
    pub fn new(metrics: RoomMetrics) -> Self {
        Self {
            outboxes: HashMap::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            throttle: BroadcastThrottle::new(Instant::now()),
            reactions_until: None,
            metrics,
        }
    }

    /// Adds a socket. What was gathered before is not for it; answers who was too slow.
    pub fn add(&mut self, connection: ConnectionId, outbox: Outbox) -> Vec<ConnectionId> {
        let slow = self.flush();
        self.outboxes.insert(connection, outbox);
        slow
    }

    /// Forgets a socket that is closed or closes itself.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.outboxes.remove(&connection);
    }

    /// Tells one socket; answers who was too slow.
    pub fn send(&mut self, connection: ConnectionId, message: &ServerMessage) -> Vec<ConnectionId> {
        if let ServerMessage::Error { code, id, .. } = message {
            self.metrics.refused(*code, id.is_some());
        }
        // A refusal has no place in the order of what everybody is told.
        let is_refusal = matches!(message, ServerMessage::Error { .. });
        let mut slow = match is_refusal {
            true => Vec::new(),
            false => self.flush(),
        };
        let full = self
            .outboxes
            .get(&connection)
            .is_some_and(|outbox| outbox.put(Frames::of(message)).is_err());
        slow.extend(full.then(|| self.close_slow(connection)));
        slow
    }

    /// Passes on to one socket what another one says; answers who was too slow for what was
    /// gathered before.
    ///
    /// # Errors
    /// There is no room for it: whoever says it is told.
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

    /// Tells everybody but one the same bytes, soon; answers who was too slow.
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

    /// When what is gathered is to be told; never where nothing is.
    pub fn due(&self) -> Option<Instant> {
        if self.pending.is_empty() {
            return None;
        }
        let paced = self.throttle.next_write(Instant::now(), coalescing_delay());
        paced.max(self.reactions_until)
    }

    /// Tells everybody else who is not behind; nobody is closed for it.
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

    /// Closes a socket and forgets it; answers who was too slow.
    pub fn close(&mut self, connection: ConnectionId, code: CloseCode) -> Vec<ConnectionId> {
        let slow = self.flush();
        if let Some(outbox) = self.outboxes.remove(&connection) {
            outbox.close(code);
        }
        slow
    }

    /// Tells everybody what was gathered; answers who was too slow.
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
        let all = Frames::joined(&all);
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

    /// Closes a socket that reads too slowly and forgets it.
    fn close_slow(&mut self, connection: ConnectionId) -> ConnectionId {
        if let Some(outbox) = self.outboxes.remove(&connection) {
            outbox.close_slow();
        }
        connection
    }
}

/// What somebody is told who is not told all of it; nothing where there is nothing.
fn frames_for(
    connection: ConnectionId,
    pending: &[(Frames, Option<ConnectionId>)],
) -> Option<Frames> {
    let told = pending
        .iter()
        .filter(|(_, except)| *except != Some(connection));
    let told: Vec<_> = told.map(|(frame, _)| frame.clone()).collect();
    (!told.is_empty()).then(|| Frames::joined(&told))
}
