//! Nonces that prove themselves: nothing is remembered of whoever asks without credentials.
//!
//! A nonce is the minute it was made and a MAC over that and the client, twelve characters in
//! all. Short on purpose: it is in every answer to a stranger, who may have given a wrong
//! address.

use super::{client::FiveTuple, credentials::Secret};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac;
use std::time::Instant;

/// Minutes a nonce is good for. RFC 8489 leaves it open; an hour as clients expect it.
const NONCE_LIFETIME_MINUTES: u32 = 60;
/// Bytes of the MAC. 48 bits, guessed over the network one request a guess.
const MAC_BYTES: usize = 6;
/// Bytes of the minute: enough for thirty years.
const MINUTE_BYTES: usize = 3;

/// Makes nonces and knows its own again.
pub struct Nonces {
    /// Apart from the secret of the credentials.
    secret: Secret,
    /// Minute 0.
    start: Instant,
}

impl Nonces {
    /// A fresh secret; minutes count from now.
    pub fn new(start: Instant) -> Self {
        Self {
            secret: Secret::random(),
            start,
        }
    }

    /// A nonce for this client.
    pub fn issue(&self, client: &FiveTuple, now: Instant) -> String {
        self.for_minute(client, self.minute(now))
    }

    /// Whether this is a nonce of ours, for this client and not too old.
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
        // Truncated on both sides, so the length is checked apart.
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
    fn mac(&self, client: &FiveTuple, minute: u32) -> super::credentials::HmacSha1 {
        // Any writing of the two does, as long as no two are written alike.
        let who = format!("{:?}", (client, minute));
        self.secret.mac().chain_update(who)
    }

    /// Whole minutes since the start.
    fn minute(&self, now: Instant) -> u32 {
        let minutes = now.saturating_duration_since(self.start).as_secs() / 60;
        u32::try_from(minutes).unwrap_or(u32::MAX)
    }
}
