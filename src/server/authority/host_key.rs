//! The host key of a room, of which the server keeps the hash.

use crate::{protocol::HostKey, server::identity::random_letters};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 hash of a host key, in hexadecimal. A plain hash suffices: the key is random.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeyHash(String);

impl HostKeyHash {
    /// The hash of a key.
    pub fn of(key: &HostKey) -> Self {
        let digest = Sha256::digest(key.expose().as_bytes());
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether both hashes are the same. Takes constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl std::fmt::Debug for HostKeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostKeyHash(…)")
    }
}

/// A new key: 128 random bits.
///
/// # Panics
/// Never: 22 letters of base64url always parse.
pub fn new_host_key() -> HostKey {
    HostKey::parse(&random_letters()).expect("22 letters of base64url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_has_the_same_hash() {
        let (key, other) = (new_host_key(), new_host_key());
        let hash = HostKeyHash::of(&key);
        assert!(hash.is(&HostKeyHash::of(&key)));
        assert!(!hash.is(&HostKeyHash::of(&other)));
        let shown = format!("{key:?} {hash:?}");
        assert!(!shown.contains(key.expose()), "{shown}");
    }
}
