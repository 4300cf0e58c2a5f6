//! Time-limited TURN credentials, as in the TURN REST API.
//!
//! A username is `<expiry>:<session>:<user>:<room>`; its password is an HMAC over it by a secret
//! of the process. This module enforces the expiry. Authentication is the long-term credential
//! mechanism of RFC 8489 section 9.2.

use super::{
    hmac::{HmacSha1, Mac, hmac_sha1},
    options::CREDENTIALS_LIFETIME,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use turn_server::codec::{
    crypto::{Password, generate_password},
    message::attributes::PasswordAlgorithm,
};

/// Longest username, in bytes (RFC 8489 section 14.3).
const MAX_USERNAME_BYTES: usize = 508;

/// The credentials of a client, as the browser receives them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `<expiry>:<session>:<user>:<room>`; the expiry is Unix time in seconds.
    pub username: String,
    /// The HMAC over the username, in base64.
    pub password: String,
    /// The expiry. Expired credentials allow no new allocation.
    pub expires: SystemTime,
}

/// A user's session in a room's call; the holder of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallSession {
    /// The number of the session, unique in this process.
    pub number: u64,
    /// The user, as usernames write it: without colons.
    pub user: String,
    /// The room, as usernames write it.
    pub room: String,
}

/// A key for HMACs. Each process draws its own, so a restart invalidates all credentials.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Draws a random secret.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// A MAC with this key, without input yet.
    pub fn mac(&self) -> HmacSha1 {
        hmac_sha1(&self.0)
    }

    /// Issues credentials that are valid for [`CREDENTIALS_LIFETIME`].
    pub fn credentials(&self, session: &CallSession, now: SystemTime) -> Credentials {
        let expires = now + CREDENTIALS_LIFETIME;
        let CallSession { number, user, room } = session;
        let username = format!("{}:{number}:{user}:{room}", unix_time(expires).as_secs());
        let password = self.password(&username);
        Credentials {
            username,
            password,
            expires,
        }
    }

    /// The password of a username.
    fn password(&self, username: &str) -> String {
        let mac = self.mac().chain_update(username).finalize();
        BASE64_STANDARD.encode(mac.into_bytes())
    }

    /// The long-term key of a username (RFC 8489 section 9.2.2), for MESSAGE-INTEGRITY.
    pub fn key(&self, username: &str, realm: &str) -> Password {
        let password = self.password(username);
        generate_password(username, &password, realm, PasswordAlgorithm::Md5)
    }
}

/// Parses a username. Returns `None` if it is malformed or has expired.
pub fn parse_username(username: &str, now: SystemTime) -> Option<CallSession> {
    if username.len() > MAX_USERNAME_BYTES {
        return None;
    }
    let mut parts = username.splitn(4, ':');
    let expiry: u64 = parts.next()?.parse().ok()?;
    let number: u64 = parts.next()?.parse().ok()?;
    let (user, room) = (parts.next()?, parts.next()?);
    let live = expiry > unix_time(now).as_secs();
    (live && !user.is_empty()).then(|| CallSession {
        number,
        user: user.to_owned(),
        room: room.to_owned(),
    })
}

/// A user's id as usernames write it: a colon separates the parts, so it becomes `_`.
pub fn escape_colons(user: &str) -> String {
    user.replace(':', "_")
}

/// Unix time; a clock before 1970 counts as 1970.
fn unix_time(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
