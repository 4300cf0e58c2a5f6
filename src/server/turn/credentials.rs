//! Names and passwords that prove themselves.
//!
//! A username is `<expiry>:<stay>:<user>:<room>` and its password is a MAC over it (the TURN REST
//! scheme browsers' services use), so whoever knows our secret made it. The expiry is enforced
//! here; long-term credentials of RFC 8489 do the rest.

use super::options::CREDENTIALS_LIFETIME;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use turn_server::codec::{
    crypto::{Password, generate_password},
    message::attributes::PasswordAlgorithm,
};

/// HMAC-SHA1, which RFC 8489 and the TURN REST scheme prescribe.
pub type HmacSha1 = Hmac<Sha1>;

/// Bytes of a username. RFC 8489 allows 508.
const MAX_USERNAME_BYTES: usize = 508;

/// What a client logs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `<expiry>:<stay>:<user>:<room>`, the expiry in seconds of Unix time.
    pub username: String,
    /// Proves the username.
    pub password: String,
    /// When they stop starting allocations.
    pub expires: SystemTime,
}

/// Whose credentials they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallSession {
    /// Which stay in a call.
    pub number: u64,
    /// The user.
    pub user: String,
    /// The room.
    pub room: String,
}

/// The secret behind all of them, new for every process.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Draws one.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// A MAC ready to take in what it proves.
    pub fn mac(&self) -> HmacSha1 {
        HmacSha1::new_from_slice(&self.0).expect("HMAC takes keys of any length")
    }

    /// Makes credentials that live for [`CREDENTIALS_LIFETIME`].
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

    /// The password that proves a username.
    fn password(&self, username: &str) -> String {
        let mac = self.mac().chain_update(username).finalize();
        BASE64_STANDARD.encode(mac.into_bytes())
    }

    /// The key a username's requests are signed with.
    pub fn key(&self, username: &str, realm: &str) -> Password {
        let password = self.password(username);
        generate_password(username, &password, realm, PasswordAlgorithm::Md5)
    }
}

/// Reads a username; nothing where it is none of ours in form, or has expired.
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

/// A user as usernames spell it: the colon is taken.
pub fn escape_colons(user: &str) -> String {
    user.replace(':', "_")
}

/// Unix time; a clock before 1970 counts as 1970.
fn unix_time(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
