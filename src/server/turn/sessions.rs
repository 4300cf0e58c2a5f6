//! Who may have relay addresses: people in a call, for as long as their stay in it lasts.
//!
//! A stay has a number, which its credentials name. When it ends, they prove nothing any more,
//! however long their expiry is away. Pure: time comes in as `now`.

use super::{
    credentials::{CallSession, escape_colons},
    options::{CREDENTIALS_LIFETIME, MAX_CALL_SESSIONS},
};
use std::{collections::HashMap, time::Instant};

/// A user in a room.
type SessionKey = (String, String);

/// The stays that last.
#[derive(Default)]
pub struct CallSessions {
    /// By user and room, as usernames spell them.
    by_key: HashMap<SessionKey, SessionRecord>,
    /// Stays so far, which numbers them.
    last_number: u64,
}

/// One stay.
struct SessionRecord {
    /// Which.
    number: u64,
    /// When the last credentials for it expire.
    credentials_expire: Instant,
}

impl CallSessions {
    /// Somebody is in a call and gets credentials; the stay goes on where it lasts already.
    /// Nothing where there are as many stays as there may be.
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

    /// Whether a stay lasts.
    pub fn is_active(&self, session: &CallSession) -> bool {
        let key = (session.user.clone(), session.room.clone());
        let record = self.by_key.get(&key);
        record.is_some_and(|record| record.number == session.number)
    }

    /// Somebody's stay is over. False where there was none.
    pub fn end(&mut self, user: &str, room: &str) -> bool {
        self.by_key
            .remove(&(escape_colons(user), room.to_owned()))
            .is_some()
    }

    /// Forgets stays whose credentials have expired, unless somebody still has something by
    /// them: the next credentials begin another.
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

    /// How many there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.by_key.len()
    }
}
