//! Packets that no browser sends, but a client with the keys of its connection can: valid SRTP
//! with an arbitrary payload.
//!
//! str0m does not expose its keys, so it gets a cipher that logs them.

use std::cell::RefCell;
use str0m::crypto::{
    AeadAes256Gcm, AeadAes256GcmCipher, CryptoError, CryptoProvider, SrtpProvider,
    SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80, from_feature_flags,
};

thread_local! {
    /// The keys with which connections of this thread have sent, oldest first.
    static LOGGED_KEYS: RefCell<Vec<SessionKey>> = const { RefCell::new(Vec::new()) };
}

/// The key for one direction of RTP or RTCP.
#[derive(Debug, Clone, Copy)]
struct SessionKey {
    /// The session key.
    key: [u8; 32],
    /// The session salt.
    salt: [u8; 12],
    /// Whether the key is for RTCP; for RTP otherwise.
    control: bool,
}

impl SessionKey {
    /// Encrypts `body` and authenticates `header` with it.
    fn seal(&self, nonce: [u8; 12], header: &[u8], body: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; body.len() + AeadAes256Gcm::TAG_LEN];
        let mut cipher = default_provider()
            .aead_aes_256_gcm()
            .create_cipher(self.key, true);
        let done = cipher.encrypt(&nonce, header, body, &mut sealed);
        done.expect("short enough");
        sealed
    }
}

/// The provider that connections use without logging.
fn default_provider() -> &'static dyn SrtpProvider {
    from_feature_flags().srtp_provider
}

/// A crypto provider whose ciphers log their keys in [`LOGGED_KEYS`].
pub fn key_logging_provider() -> CryptoProvider {
    CryptoProvider {
        srtp_provider: &KeyLoggingProvider,
        ..from_feature_flags()
    }
}

/// Provider of the default ciphers, which logs the keys of AES-256-GCM.
#[derive(Debug)]
struct KeyLoggingProvider;

impl SrtpProvider for KeyLoggingProvider {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        default_provider().aes_128_cm_sha1_80()
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        default_provider().aead_aes_128_gcm()
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &KeyLoggingProvider
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        default_provider().srtp_aes_128_ecb_round(key, input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        default_provider().srtp_aes_256_ecb_round(key, input, output);
    }
}

impl SupportedAeadAes256Gcm for KeyLoggingProvider {
    fn create_cipher(&self, key: [u8; 32], encrypt: bool) -> Box<dyn AeadAes256GcmCipher> {
        let inner = default_provider()
            .aead_aes_256_gcm()
            .create_cipher(key, encrypt);
        Box::new(KeyLoggingCipher {
            inner,
            key: Some(key),
        })
    }
}

/// A cipher that logs its key when it first encrypts.
#[derive(Debug)]
struct KeyLoggingCipher {
    /// The cipher that does the work.
    inner: Box<dyn AeadAes256GcmCipher>,
    /// The key; none once it is logged.
    key: Option<[u8; 32]>,
}

impl AeadAes256GcmCipher for KeyLoggingCipher {
    fn encrypt(
        &mut self,
        nonce: &[u8; 12],
        header: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        if let Some(key) = self.key.take() {
            let control = is_control(header);
            // A nonce is the salt XOR header fields (RFC 7714 8.1, 9.1), so XOR yields the salt.
            let salt = match control {
                true => AeadAes256Gcm::rtcp_iv(*nonce, word(header, 4), word(header, 8) & INDEX),
                false => AeadAes256Gcm::rtp_iv(*nonce, word(header, 8), 0, half(header, 2)),
            };
            let key = SessionKey { key, salt, control };
            LOGGED_KEYS.with_borrow_mut(|kept| kept.push(key));
        }
        self.inner.encrypt(nonce, header, input, output)
    }

    fn decrypt(
        &mut self,
        nonce: &[u8; 12],
        headers: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        self.inner.decrypt(nonce, headers, input, output)
    }
}

/// The mask of an SRTCP index; the bit above is the encryption flag.
const INDEX: u32 = 0x7fff_ffff;

/// Whether a packet is RTCP by its payload type (RFC 5761 4).
fn is_control(header: &[u8]) -> bool {
    (192..=223).contains(&header[1])
}

/// The big-endian `u32` at an offset of a header.
fn word(header: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(header[at..at + 4].try_into().expect("four"))
}

/// The big-endian `u16` at an offset of a header.
fn half(header: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(header[at..at + 2].try_into().expect("two"))
}

/// An attacker with the sending keys of a connection.
pub struct KeyedAttacker {
    /// The key for RTP packets.
    media: SessionKey,
    /// The key for RTCP packets.
    control: SessionKey,
    /// The SRTCP index of the last packet.
    index: u32,
}

impl KeyedAttacker {
    /// Takes the keys of the last connection of this thread that uses [`key_logging_provider`];
    /// none before it has sent RTP and RTCP.
    pub fn new() -> Option<Self> {
        let kept = |control| {
            LOGGED_KEYS.with_borrow(|kept| kept.iter().copied().rfind(|key| key.control == control))
        };
        Some(Self {
            media: kept(false)?,
            control: kept(true)?,
            index: 1 << 20,
        })
    }

    /// Encrypts an RTP packet of a header and a payload. `rollovers`: the rollover counter.
    pub fn rtp(&self, header: &[u8], body: &[u8], rollovers: u32) -> Vec<u8> {
        let (ssrc, seq) = (word(header, 8), half(header, 2));
        let nonce = AeadAes256Gcm::rtp_iv(self.media.salt, ssrc, rollovers, seq);
        let sealed = self.media.seal(nonce, header, body);
        [header, &sealed].concat()
    }

    /// Encrypts an RTCP packet of at least eight bytes.
    pub fn rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.index += 1;
        let (header, body) = packet.split_at(8);
        let index = (self.index | !INDEX).to_be_bytes();
        let nonce = AeadAes256Gcm::rtcp_iv(self.control.salt, word(header, 4), self.index);
        let sealed = self.control.seal(nonce, &[header, &index].concat(), body);
        [header, &sealed, &index].concat()
    }
}
