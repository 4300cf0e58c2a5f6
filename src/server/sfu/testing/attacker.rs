//! Packets that no browser sends, but anybody with the keys of a connection can: SRTP that is
//! real outside and made up inside (trust T18).
//!
//! `str0m` hands no keys out, so it is given a cipher that keeps them.

use std::cell::RefCell;
use str0m::crypto::{
    AeadAes256Gcm, AeadAes256GcmCipher, CryptoError, CryptoProvider, SrtpProvider,
    SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80, from_feature_flags,
};

thread_local! {
    /// The keys by which connections of this thread have sent.
    static LOGGED_KEYS: RefCell<Vec<SessionKey>> = const { RefCell::new(Vec::new()) };
}

/// By what one kind of packet is encrypted.
#[derive(Debug, Clone, Copy)]
struct SessionKey {
    /// The session key.
    key: [u8; 32],
    /// The session salt.
    salt: [u8; 12],
    /// Whether it is of RTCP.
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

/// The ciphers as they always are.
fn default_provider() -> &'static dyn SrtpProvider {
    from_feature_flags().srtp_provider
}

/// Ciphers that keep their keys in [`LOGGED_KEYS`].
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

/// One of them.
#[derive(Debug)]
struct KeyLoggingCipher {
    /// What it does.
    inner: Box<dyn AeadAes256GcmCipher>,
    /// The key, until it is kept.
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
            // A nonce is the salt and what the header says (RFC 7714 8.1, 9.1).
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

/// The bits of an SRTCP index; the one above says that the packet is encrypted.
const INDEX: u32 = 0x7fff_ffff;

/// Whether a header is of RTCP (RFC 5761 4).
fn is_control(header: &[u8]) -> bool {
    (192..=223).contains(&header[1])
}

/// Four bytes of a header.
fn word(header: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(header[at..at + 4].try_into().expect("four"))
}

/// Two bytes of a header.
fn half(header: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(header[at..at + 2].try_into().expect("two"))
}

/// Who has the keys of a connection.
pub struct KeyedAttacker {
    /// Those of RTP.
    media: SessionKey,
    /// Those of RTCP.
    control: SessionKey,
    /// The index of the next RTCP packet.
    index: u32,
}

impl KeyedAttacker {
    /// With the keys of the last connection of this thread that was given [`key_logging_provider`], once it has
    /// sent both kinds.
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

    /// An RTP packet of a header and what it is to have inside; so often its sequence number
    /// is to have begun anew.
    pub fn rtp(&self, header: &[u8], body: &[u8], anew: u32) -> Vec<u8> {
        let (ssrc, seq) = (word(header, 8), half(header, 2));
        let nonce = AeadAes256Gcm::rtp_iv(self.media.salt, ssrc, anew, seq);
        let sealed = self.media.seal(nonce, header, body);
        [header, &sealed].concat()
    }

    /// An RTCP packet of eight bytes at least.
    pub fn rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.index += 1;
        let (header, body) = packet.split_at(8);
        let index = (self.index | !INDEX).to_be_bytes();
        let nonce = AeadAes256Gcm::rtcp_iv(self.control.salt, word(header, 4), self.index);
        let sealed = self.control.seal(nonce, &[header, &index].concat(), body);
        [header, &sealed, &index].concat()
    }
}
