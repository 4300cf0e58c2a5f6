//! The one-time link by which somebody becomes the operator.
//!
//! The secret is in memory only: a restart makes another one while there is no operator.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rand::Rng;
use sha2::{Digest, Sha256};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;

/// The current link, if there is one.
#[derive(Default)]
pub struct SetupLink(Mutex<Option<Pending>>);

/// A link that was not used yet.
#[derive(Clone)]
pub struct Pending {
    /// The SHA-256 of the secret.
    hash: [u8; 32],
    /// When the link ends.
    until: Instant,
    /// The secret, for tests.
    #[cfg(test)]
    secret: String,
}

impl SetupLink {
    /// Replaces the link by a new one. Returns its secret: 128 random bits.
    pub fn issue(&self, now: Instant, lifetime: Duration) -> String {
        let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 16]>());
        *self.lock() = Some(Pending {
            hash: Sha256::digest(&secret).into(),
            until: now + lifetime,
            #[cfg(test)]
            secret: secret.clone(),
        });
        secret
    }

    /// Whether this is the secret of the link.
    pub fn accepts(&self, secret: &str, now: Instant) -> bool {
        let pending = self.lock();
        pending.as_ref().is_some_and(|link| link.is(secret, now))
    }

    /// Takes the link, if this is its secret. The second one who tries gets nothing.
    pub fn take(&self, secret: &str, now: Instant) -> Option<Pending> {
        self.lock().take_if(|link| link.is(secret, now))
    }

    /// Puts a taken link back: nobody became the operator by it.
    pub fn put_back(&self, link: Pending) {
        self.lock().get_or_insert(link);
    }

    /// Ends the link.
    pub fn end(&self) {
        *self.lock() = None;
    }

    /// The secret of the link.
    #[cfg(test)]
    pub fn secret(&self) -> Option<String> {
        self.lock().as_ref().map(|link| link.secret.clone())
    }

    /// Locks the link. A poisoned lock is usable: each change is one step.
    fn lock(&self) -> MutexGuard<'_, Option<Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Whether this is the secret, and in time. Compares digests in constant time.
    fn is(&self, secret: &str, now: Instant) -> bool {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let same = bool::from(hash.ct_eq(&self.hash));
        same && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(900);

    #[test]
    fn a_link_is_taken_once_and_in_time() {
        let (link, now) = (SetupLink::default(), Instant::now());
        assert!(!link.accepts("", now) && link.take("", now).is_none());
        let secret = link.issue(now, LIFETIME);
        assert_eq!(secret.len(), 22, "128 bits");
        assert!(link.accepts(&secret, now) && link.accepts(&secret, now));
        assert!(link.take("another", now).is_none());
        assert!(link.take(&secret, now + LIFETIME).is_none());
        let taken = link.take(&secret, now + LIFETIME / 2).expect("in time");
        assert!(link.take(&secret, now).is_none(), "one use");
        link.put_back(taken);
        assert!(link.accepts(&secret, now));
    }

    #[test]
    fn a_new_link_ends_the_former_one() {
        let (link, now) = (SetupLink::default(), Instant::now());
        let former = link.issue(now, LIFETIME);
        let secret = link.issue(now, LIFETIME);
        assert!(!link.accepts(&former, now) && link.accepts(&secret, now));
        link.end();
        assert!(!link.accepts(&secret, now));
    }
}
