//! The sockets of those who are in one room: telling one, all, or whoever has time.
//!
//! What all are told may be gathered for a moment ([`Pace`]) and told at once. Whatever is
//! told to one alone is told after everything that was gathered before it.
//!
//! A socket that cannot take what it is told is closed as too slow and forgotten here;
//! whoever told it hears which ones these were.

use super::{
    frames::Frames,
    outbox::{Full, Outbox},
    throttle::Pace,
};
use crate::server::rooms::core::command::LinkId;
use crate::{
    protocol::{CloseCode, ServerMessage},
    server::{
        limits::{GATHER_BYTES, REACTIONS_GATHER},
        load::patience,
        metrics,
    },
};
use std::collections::HashMap;
use tokio::time::Instant;

/// The sockets of a room.
pub struct Links {
    /// The queues towards them.
    outboxes: HashMap<LinkId, Outbox>,
    /// What all of them are told next, in order, and who is not.
    gathered: Vec<(Frames, Option<LinkId>)>,
    /// Bytes of that.
    gathered_bytes: usize,
    /// When all of them may be told.
    pace: Pace,
    /// Until when what is gathered may wait, where it is nothing but reactions.
    reactions_until: Option<Instant>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            outboxes: HashMap::new(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            pace: Pace::new(Instant::now()),
            reactions_until: None,
        }
    }
}

impl Links {
    /// Adds a socket. What was gathered before is not for it; answers who was too slow.
    pub fn add(&mut self, link: LinkId, outbox: Outbox) -> Vec<LinkId> {
        let slow = self.flush();
        self.outboxes.insert(link, outbox);
        slow
    }

    /// Forgets a socket that is closed or closes itself.
    pub fn forget(&mut self, link: LinkId) {
        self.outboxes.remove(&link);
    }

    /// Tells one socket; answers who was too slow.
    pub fn send(&mut self, link: LinkId, message: &ServerMessage) -> Vec<LinkId> {
        if let ServerMessage::Error { code, id, .. } = message {
            metrics::refused(*code, id.is_some());
        }
        // A refusal has no place in the order of what everybody is told.
        let is_refusal = matches!(message, ServerMessage::Error { .. });
        let mut slow = match is_refusal {
            true => Vec::new(),
            false => self.flush(),
        };
        let full = self
            .outboxes
            .get(&link)
            .is_some_and(|outbox| outbox.put(Frames::of(message)).is_err());
        slow.extend(full.then(|| self.close_slow(link)));
        slow
    }

    /// Passes on to one socket what another one says; answers who was too slow for what was
    /// gathered before.
    ///
    /// # Errors
    /// There is no room for it: whoever says it is told.
    pub fn relay(
        &mut self,
        to: LinkId,
        message: &ServerMessage,
    ) -> (Vec<LinkId>, Result<(), Full>) {
        let slow = self.flush();
        let outbox = self.outboxes.get(&to);
        let relayed = outbox.map_or(Ok(()), |outbox| outbox.put_relayed(Frames::of(message)));
        (slow, relayed)
    }

    /// Tells everybody but one the same bytes, soon; answers who was too slow.
    pub fn broadcast(&mut self, message: &ServerMessage, except: Option<LinkId>) -> Vec<LinkId> {
        let frame = Frames::of(message);
        let now = Instant::now();
        let is_reaction = matches!(message, ServerMessage::Reaction { .. });
        self.reactions_until = match is_reaction {
            true if self.gathered.is_empty() => Some(now + REACTIONS_GATHER),
            true => self.reactions_until,
            false => None,
        };
        self.gathered_bytes += frame.size();
        self.gathered.push((frame, except));
        self.pace.said(now);
        let wait = self.due().is_some_and(|due| now < due);
        match wait && self.gathered_bytes < GATHER_BYTES {
            true => Vec::new(),
            false => self.flush(),
        }
    }

    /// When what is gathered is to be told; never where nothing is.
    pub fn due(&self) -> Option<Instant> {
        if self.gathered.is_empty() {
            return None;
        }
        let paced = self.pace.next(Instant::now(), patience());
        paced.max(self.reactions_until)
    }

    /// Tells everybody else who is not behind; nobody is closed for it.
    pub fn whisper(&mut self, message: &ServerMessage, except: LinkId) -> Vec<LinkId> {
        let slow = self.flush();
        let frame = Frames::of(message);
        let others = self.outboxes.iter().filter(|(link, _)| **link != except);
        for (_, outbox) in others.filter(|(_, outbox)| !outbox.is_behind()) {
            let _ = outbox.put(frame.clone());
        }
        slow
    }

    /// Closes a socket and forgets it; answers who was too slow.
    pub fn close(&mut self, link: LinkId, code: CloseCode) -> Vec<LinkId> {
        let slow = self.flush();
        if let Some(outbox) = self.outboxes.remove(&link) {
            outbox.close(code);
        }
        slow
    }

    /// Tells everybody what was gathered; answers who was too slow.
    pub fn flush(&mut self) -> Vec<LinkId> {
        if self.gathered.is_empty() {
            return Vec::new();
        }
        self.pace.written(Instant::now(), patience());
        let gathered = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        self.reactions_until = None;
        let all: Vec<_> = gathered.iter().map(|(frame, _)| frame.clone()).collect();
        let all = Frames::joined(&all);
        let is_excepted = |link| gathered.iter().any(|(_, except)| *except == Some(link));
        let full = self.outboxes.iter().filter(|(link, outbox)| {
            let frames = match is_excepted(**link) {
                true => frames_for(**link, &gathered),
                false => Some(all.clone()),
            };
            frames.is_some_and(|frames| outbox.put(frames).is_err())
        });
        let full: Vec<_> = full.map(|(link, _)| *link).collect();
        full.into_iter().map(|link| self.close_slow(link)).collect()
    }

    /// Closes a socket that reads too slowly and forgets it.
    fn close_slow(&mut self, link: LinkId) -> LinkId {
        if let Some(outbox) = self.outboxes.remove(&link) {
            outbox.close_slow();
        }
        link
    }
}

/// What somebody is told who is not told all of it; nothing where there is nothing.
fn frames_for(link: LinkId, gathered: &[(Frames, Option<LinkId>)]) -> Option<Frames> {
    let told = gathered.iter().filter(|(_, except)| *except != Some(link));
    let told: Vec<_> = told.map(|(frame, _)| frame.clone()).collect();
    (!told.is_empty()).then(|| Frames::joined(&told))
}
