//! Stateless nonces: the server keeps nothing about a client without credentials.
//!
//! A nonce has twelve characters: the minute of its issue, and a MAC over the minute and the
//! client's 5-tuple. It is short because each response to an unauthenticated client holds it, and
//! the address of such a client may be forged.

use super::{
    client::FiveTuple,
    credentials::Secret,
    hmac::{HmacSha1, Mac},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use std::time::Instant;

/// Lifetime of a nonce, in minutes. RFC 8656 section 5 suggests at most an hour.
const NONCE_LIFETIME_MINUTES: u32 = 60;
/// Bytes of the MAC. 48 bits suffice because each guess costs a request.
const MAC_BYTES: usize = 6;
/// Bytes of the minute: enough for thirty years.
const MINUTE_BYTES: usize = 3;

/// Issues nonces and verifies them.
pub struct Nonces {
    /// The key of the MAC. It differs from the key of the credentials.
    secret: Secret,
    /// The start of minute 0.
    start: Instant,
}

impl Nonces {
    /// Draws a key; minutes count from `start`.
    pub fn new(start: Instant) -> Self {
        Self {
            secret: Secret::random(),
            start,
        }
    }

    /// Issues a nonce to a client.
    pub fn issue(&self, client: &FiveTuple, now: Instant) -> String {
        self.for_minute(client, self.minute(now))
    }

    /// Whether this server issued the nonce to this client within the lifetime. Compares in
    /// constant time.
    pub fn verify(&self, client: &FiveTuple, nonce: &str, now: Instant) -> bool {
        let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(nonce) else {
            return false;
        };
        let Some((minute, mac)) = bytes.split_first_chunk::<MINUTE_BYTES>() else {
            return false;
        };
        let made = u32::from_be_bytes([0, minute[0], minute[1], minute[2]]);
        let fresh = self
            .minute(now)
            .checked_sub(made)
            .is_some_and(|age| age <= NONCE_LIFETIME_MINUTES);
        // `verify_truncated_left` accepts a shorter MAC, so the length is checked too.
        let ours = self.mac(client, made).verify_truncated_left(mac).is_ok();
        fresh && ours && mac.len() == MAC_BYTES
    }

    /// The nonce of a minute.
    fn for_minute(&self, client: &FiveTuple, minute: u32) -> String {
        let mac = self.mac(client, minute).finalize().into_bytes();
        let mut bytes = minute.to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&mac[..MAC_BYTES]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The MAC over a minute and a client.
    fn mac(&self, client: &FiveTuple, minute: u32) -> HmacSha1 {
        // The debug format is injective on these types, which suffices for a MAC.
        let who = format!("{:?}", (client, minute));
        self.secret.mac().chain_update(who)
    }

    /// Whole minutes since the start.
    fn minute(&self, now: Instant) -> u32 {
        let minutes = now.saturating_duration_since(self.start).as_secs() / 60;
        u32::try_from(minutes).unwrap_or(u32::MAX)
    }
}
