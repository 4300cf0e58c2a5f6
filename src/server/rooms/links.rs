//! The sockets of those who are in one room: telling one, all, or whoever has time.
//!
//! What all are told may be gathered for a moment ([`Pace`]) and told at once. Whatever is
//! told to one alone is told after everything that was gathered before it.
//!
//! A socket that cannot take what it is told is closed as too slow and forgotten here;
//! whoever told it hears which ones these were.

use super::{command::LinkId, frames::Frames, outbox::Outbox, pace::Pace};
use crate::{
    protocol::{CloseCode, ServerMessage},
    server::{limits::GATHER_BYTES, load::patience, metrics},
};
use std::collections::HashMap;
use tokio::time::Instant;

/// The sockets of a room.
pub struct Links {
    /// The queues towards them.
    outboxes: HashMap<LinkId, Outbox>,
    /// What all of them are told next, in order.
    gathered: Vec<Frames>,
    /// Bytes of that.
    gathered_bytes: usize,
    /// When all of them may be told.
    pace: Pace,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            outboxes: HashMap::new(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            pace: Pace::new(Instant::now()),
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
        let mut slow = self.flush();
        let full = self
            .outboxes
            .get(&link)
            .is_some_and(|outbox| outbox.put(Frames::of(message)).is_err());
        slow.extend(full.then(|| self.close_slow(link)));
        slow
    }

    /// Tells everybody the same bytes, soon; answers who was too slow.
    pub fn broadcast(&mut self, message: &ServerMessage, except: Option<LinkId>) -> Vec<LinkId> {
        let frame = Frames::of(message);
        if except.is_some() {
            let mut slow = self.flush();
            slow.extend(self.put(&frame, except));
            return slow;
        }
        self.gathered_bytes += frame.size();
        self.gathered.push(frame);
        let now = Instant::now();
        self.pace.said(now);
        let wait = self.due().is_some_and(|due| now < due);
        match wait && self.gathered_bytes < GATHER_BYTES {
            true => Vec::new(),
            false => self.flush(),
        }
    }

    /// When what is gathered is to be told; never where nothing is.
    pub fn due(&self) -> Option<Instant> {
        match self.gathered.is_empty() {
            true => None,
            false => self.pace.next(Instant::now(), patience()),
        }
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
        let frames = Frames::joined(&self.gathered);
        self.gathered.clear();
        self.gathered_bytes = 0;
        self.put(&frames, None)
    }

    /// Puts frames into every queue but one.
    fn put(&mut self, frames: &Frames, except: Option<LinkId>) -> Vec<LinkId> {
        let told = self
            .outboxes
            .iter()
            .filter(|(link, _)| Some(**link) != except);
        let full = told.filter(|(_, outbox)| outbox.put(frames.clone()).is_err());
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
