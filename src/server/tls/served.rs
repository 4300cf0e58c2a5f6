//! The certificate that new TLS handshakes use, and certificates that answer challenges.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};
use tokio_rustls::rustls::{
    self, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::server::net::listener::{ALPN_ACME, ALPN_H2, ALPN_HTTP1};

/// Why a chain and a key cannot be used together.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The chain is not PEM, or empty.
    #[error("{0}")]
    Chain(String),
    /// The key is not PEM.
    #[error("{0}")]
    Key(String),
    /// The key does not belong to the certificate, or has an unknown algorithm.
    #[error("{0}")]
    Mismatch(#[from] rustls::Error),
}

/// Reads a certificate chain and its key, both PEM (RFC 7468); they must match.
///
/// # Errors
/// Any [`PairError`].
pub fn certified_key(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, PairError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| PairError::Chain(error.to_string()))?;
    if chain.is_empty() {
        return Err(PairError::Chain("it holds no certificate".to_owned()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| PairError::Key(error.to_string()))?;
    let provider = aws_lc_rs::default_provider();
    Ok(CertifiedKey::from_der(chain, key, &provider)?)
}

/// The certificate of a challenge with its key. Its critical extension (RFC 8737, 3) is one that
/// [`certified_key`] would refuse.
///
/// # Errors
/// The key has an unknown algorithm.
pub fn challenge_key(
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
) -> Result<CertifiedKey, PairError> {
    let key = PrivateKeyDer::Pkcs8(key.into());
    let key = aws_lc_rs::default_provider()
        .key_provider
        .load_private_key(key)?;
    Ok(CertifiedKey::new(vec![certificate], key))
}

/// The certificate in use, and the certificates that answer challenges of `tls-alpn-01` (RFC 8737).
/// The locks are held to copy a pointer.
#[derive(Debug)]
pub struct Served {
    current: RwLock<Arc<CertifiedKey>>,
    /// By the server name of the handshake. At most one for each name of the certificate.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Served {
    /// Serves this certificate.
    pub fn new(key: CertifiedKey) -> Self {
        Self {
            current: RwLock::new(Arc::new(key)),
            challenges: RwLock::default(),
        }
    }

    /// Replaces the certificate. Open connections keep theirs.
    pub fn replace(&self, key: CertifiedKey) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(key);
    }

    /// The certificate in use.
    pub fn current(&self) -> Arc<CertifiedKey> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Answers challenges for `name` by this certificate.
    pub fn add_challenge(&self, name: String, key: CertifiedKey) {
        let challenges = self.challenges.write();
        let mut challenges = challenges.unwrap_or_else(PoisonError::into_inner);
        challenges.insert(name, Arc::new(key));
    }

    /// Answers no challenge any more.
    pub fn clear_challenges(&self) {
        let challenges = self.challenges.write();
        challenges.unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The certificate that answers a challenge for this name.
    fn challenge(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let challenges = self.challenges.read();
        let challenges = challenges.unwrap_or_else(PoisonError::into_inner);
        challenges.get(name).cloned()
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn().into_iter().flatten();
        // RFC 8737, 3: the validator offers this protocol alone.
        if protocols.next() == Some(ALPN_ACME) && protocols.next().is_none() {
            return self.challenge(hello.server_name()?);
        }
        Some(self.current())
    }
}

/// TLS 1.2 and 1.3 with the certificate in use, for these protocols of ALPN (RFC 7301).
fn server_config(served: &Arc<Served>, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3: both features are on")
        .with_no_client_auth()
        .with_cert_resolver(served.clone());
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// TLS of the HTTP listener.
pub fn https_config(served: &Arc<Served>) -> Arc<ServerConfig> {
    server_config(served, &[ALPN_H2, ALPN_HTTP1, ALPN_ACME])
}

/// TLS of TURN. Without ALPN: browsers name no protocol there.
pub fn turn_config(served: &Arc<Served>) -> Arc<ServerConfig> {
    server_config(served, &[])
}
