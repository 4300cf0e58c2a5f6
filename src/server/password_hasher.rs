//! Hashes passwords with Argon2id (RFC 9106).
//!
//! A hash takes 19 MiB and some tens of milliseconds, so as many run at once as there are cores,
//! on threads that may block.

use crate::protocol::text;
use argon2::{Algorithm, Argon2, Params, Version};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::{runtime::Handle, sync::Semaphore};

/// Memory of a hash in KiB, and passes over it: what OWASP recommends for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Lanes of a hash.
const LANES: u32 = 1;
/// Bytes of the salt and of the hash.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// A hashed password, and how it was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    /// Random bytes that make the hash unique.
    pub salt: Vec<u8>,
    /// The output of Argon2id (RFC 9106).
    pub hash: Vec<u8>,
    /// Memory of the hash, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

/// Hashes passwords, a few at once.
pub struct PasswordHasher {
    /// One permit for each hash at once.
    permits: Arc<Semaphore>,
    /// The runtime whose threads hash; the current one if absent.
    threads: Option<Handle>,
}

impl Default for PasswordHasher {
    /// Hashes as many passwords at once as there are cores.
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(cores())),
            threads: None,
        }
    }
}

/// The number of cores.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl PasswordHasher {
    /// Hashes passwords on the blocking threads of a runtime, which leave a core to the others.
    pub fn beside_others(threads: Handle) -> Self {
        let at_once = cores().saturating_sub(1).max(1);
        Self {
            permits: Arc::new(Semaphore::new(at_once)),
            threads: Some(threads),
        }
    }

    /// Hashes a new password. `None` if the machine has no memory for that.
    pub async fn hash(&self, password: String) -> Option<PasswordHash> {
        let salt = rand::rng().random::<[u8; SALT_BYTES]>().to_vec();
        let unhashed = PasswordHash {
            salt,
            hash: Vec::new(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
        };
        let (params, hash) = self.run(password, unhashed).await?;
        Some(PasswordHash { hash, ..params })
    }

    /// Whether the password is that of the hash. Without a hash the work is the same and the answer
    /// is no.
    pub async fn verify(&self, password: String, known: Option<PasswordHash>) -> bool {
        let exists = known.is_some();
        let known = known.unwrap_or_else(|| PasswordHash {
            salt: vec![0; SALT_BYTES],
            hash: vec![0; HASH_BYTES],
            memory_kib: MEMORY_KIB,
            passes: PASSES,
        });
        match self.run(password, known).await {
            Some((known, hash)) => exists && bool::from(hash.ct_eq(&known.hash)),
            None => false,
        }
    }

    /// Hashes a password with the salt and the parameters of `known`.
    async fn run(&self, password: String, known: PasswordHash) -> Option<(PasswordHash, Vec<u8>)> {
        let permit = self.permits.clone().acquire_owned().await.ok()?;
        let work = move || {
            let params = Params::new(known.memory_kib, known.passes, LANES, Some(HASH_BYTES));
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.ok()?);
            // Keyboards compose letters differently.
            let password = text::nfc(&password);
            let mut hash = vec![0; HASH_BYTES];
            let done = argon2.hash_password_into(password.as_bytes(), &known.salt, &mut hash);
            drop(permit);
            done.ok().map(|()| (known, hash))
        };
        let threads = self.threads.clone().unwrap_or_else(Handle::current);
        threads.spawn_blocking(work).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_verified_and_the_parameters_are_those_of_owasp() {
        let hasher = PasswordHasher::default();
        let hash = hasher
            .hash("correct horse".to_owned())
            .await
            .expect("hashed");
        assert_eq!((hash.memory_kib, hash.passes), (19_456, 2));
        assert_eq!((hash.salt.len(), hash.hash.len()), (16, 32));
        let other = hasher
            .hash("correct horse".to_owned())
            .await
            .expect("hashed");
        assert_ne!(hash.hash, other.hash, "each has a salt of its own");
        let is_right = async |password: &str, known: Option<&PasswordHash>| {
            hasher.verify(password.to_owned(), known.cloned()).await
        };
        assert!(is_right("correct horse", Some(&hash)).await);
        assert!(!is_right("correct horsf", Some(&hash)).await);
        assert!(!is_right("", Some(&hash)).await);
        assert!(!is_right("correct horse", None).await);
    }

    #[tokio::test]
    async fn a_password_typed_in_another_normal_form_is_the_same() {
        let hasher = PasswordHasher::default();
        let composed = "caf\u{e9} au lait".to_owned();
        let hash = hasher.hash(composed).await.expect("hashed");
        let decomposed = "cafe\u{301} au lait".to_owned();
        assert!(hasher.verify(decomposed, Some(hash)).await);
    }
}
