//! Call sessions: users may allocate while they are in a room's call.
//!
//! A session has a number, which its credentials name. When the session ends, the credentials
//! become invalid, whatever their expiry. Pure: time comes in as `now`.

use super::{
    credentials::{CallSession, escape_colons},
    options::{CREDENTIALS_LIFETIME, MAX_CALL_SESSIONS},
};
use std::{collections::HashMap, time::Instant};

/// A user and a room, as usernames write them.
type SessionKey = (String, String);

/// The active call sessions.
#[derive(Default)]
pub struct CallSessions {
    /// The sessions, by user and room.
    by_key: HashMap<SessionKey, SessionRecord>,
    /// The number of the newest session; they are numbered from 1.
    last_number: u64,
}

/// An active session.
struct SessionRecord {
    /// The number that its credentials name.
    number: u64,
    /// The expiry of its newest credentials.
    credentials_expire: Instant,
}

impl CallSessions {
    /// Starts the session of a user in a room, or continues the active one. Returns `None` at
    /// [`MAX_CALL_SESSIONS`].
    pub fn start(&mut self, user: &str, room: &str, now: Instant) -> Option<CallSession> {
        let key = (escape_colons(user), room.to_owned());
        if self.by_key.len() >= MAX_CALL_SESSIONS && !self.by_key.contains_key(&key) {
            return None;
        }
        let session = |number, (user, room): &SessionKey| CallSession {
            number,
            user: user.clone(),
            room: room.clone(),
        };
        let credentials_expire = now + CREDENTIALS_LIFETIME;
        if let Some(record) = self.by_key.get_mut(&key) {
            record.credentials_expire = credentials_expire;
            return Some(session(record.number, &key));
        }
        self.last_number += 1;
        let number = self.last_number;
        let entered = session(number, &key);
        let record = SessionRecord {
            number,
            credentials_expire,
        };
        self.by_key.insert(key, record);
        Some(entered)
    }

    /// Whether a session is active.
    pub fn is_active(&self, session: &CallSession) -> bool {
        let key = (session.user.clone(), session.room.clone());
        let record = self.by_key.get(&key);
        record.is_some_and(|record| record.number == session.number)
    }

    /// Ends a session; false where there was none.
    pub fn end(&mut self, user: &str, room: &str) -> bool {
        self.by_key
            .remove(&(escape_colons(user), room.to_owned()))
            .is_some()
    }

    /// Removes sessions whose credentials have expired, except those for which `is_used`: a
    /// session with an allocation stays. The next credentials start a new session.
    pub fn sweep(&mut self, now: Instant, is_used: impl Fn(&CallSession) -> bool) {
        self.by_key.retain(|(user, room), record| {
            record.credentials_expire > now
                || is_used(&CallSession {
                    number: record.number,
                    user: user.clone(),
                    room: room.clone(),
                })
        });
    }

    /// The number of active sessions.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.by_key.len()
    }
}
