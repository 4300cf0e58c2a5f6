//! The sockets of those who are in one room: telling one, all, or whoever has time.
//!
//! A socket that cannot take what it is told is closed as too slow and forgotten here;
//! whoever told it hears which ones these were.

use super::{
    command::LinkId,
    outbox::{Outbox, frame},
};
use crate::{
    protocol::{CloseCode, ServerMessage},
    server::metrics,
};
use std::collections::HashMap;

/// The sockets of a room.
#[derive(Default)]
pub struct Links(HashMap<LinkId, Outbox>);

impl Links {
    /// Adds a socket.
    pub fn add(&mut self, link: LinkId, outbox: Outbox) {
        self.0.insert(link, outbox);
    }

    /// Forgets a socket that is closed or closes itself.
    pub fn forget(&mut self, link: LinkId) {
        self.0.remove(&link);
    }

    /// Tells one socket; answers it if it was too slow.
    pub fn send(&mut self, link: LinkId, message: &ServerMessage) -> Option<LinkId> {
        if let ServerMessage::Error { code, id, .. } = message {
            metrics::refused(*code, id.is_some());
        }
        let outbox = self.0.get(&link)?;
        let full = outbox.put(frame(message)).is_err();
        full.then(|| self.close_slow(link))
    }

    /// Tells everybody the same bytes; answers who was too slow.
    pub fn broadcast(&mut self, message: &ServerMessage, except: Option<LinkId>) -> Vec<LinkId> {
        let frame = frame(message);
        let told = self.0.iter().filter(|(link, _)| Some(**link) != except);
        let full = told.filter(|(_, outbox)| outbox.put(frame.clone()).is_err());
        let full: Vec<_> = full.map(|(link, _)| *link).collect();
        full.into_iter().map(|link| self.close_slow(link)).collect()
    }

    /// Tells everybody else who is not behind; nobody is closed for it.
    pub fn whisper(&self, message: &ServerMessage, except: LinkId) {
        let frame = frame(message);
        let others = self.0.iter().filter(|(link, _)| **link != except);
        for (_, outbox) in others.filter(|(_, outbox)| !outbox.is_behind()) {
            let _ = outbox.put(frame.clone());
        }
    }

    /// Closes a socket and forgets it.
    pub fn close(&mut self, link: LinkId, code: CloseCode) {
        if let Some(outbox) = self.0.remove(&link) {
            outbox.close(code);
        }
    }

    /// Closes a socket that reads too slowly and forgets it.
    fn close_slow(&mut self, link: LinkId) -> LinkId {
        if let Some(outbox) = self.0.remove(&link) {
            outbox.close_slow();
        }
        link
    }
}
