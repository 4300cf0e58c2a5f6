//! SRTP with AES-GCM (RFC 3711, RFC 7714), with keys that both sides know and without rollover:
//! 65,536 packets of a stream last ten minutes.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use clap::ValueEnum;

/// Size of the authentication tag, in bytes.
pub const TAG_BYTES: usize = 16;

/// The protection profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// AEAD_AES_128_GCM (RFC 7714).
    Aes128,
    /// AEAD_AES_256_GCM, which str0m and Janus negotiate.
    Aes256,
}

impl Profile {
    /// The value on the command line.
    pub fn cli_name(self) -> &'static str {
        match self {
            Self::Aes128 => "aes128",
            Self::Aes256 => "aes256",
        }
    }
}

/// The direction of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to server.
    Up,
    /// Server to client.
    Down,
}

/// The key of a client for one direction.
pub struct Srtp {
    /// The session key.
    key: LessSafeKey,
    /// The session salt.
    salt: [u8; NONCE_LEN],
}

impl Srtp {
    /// The key of a client, which is not secret.
    pub fn new(profile: Profile, client: u32, direction: Direction) -> Self {
        let algorithm = match profile {
            Profile::Aes128 => &AES_128_GCM,
            Profile::Aes256 => &AES_256_GCM,
        };
        let mut bytes = [direction as u8 + 1; 32];
        bytes[..4].copy_from_slice(&client.to_be_bytes());
        let key = UnboundKey::new(algorithm, &bytes[..algorithm.key_len()]);
        let mut salt = [0x5a; NONCE_LEN];
        salt[..4].copy_from_slice(&client.to_le_bytes());
        Self {
            key: LessSafeKey::new(key.expect("the key is as long as the algorithm asks for")),
            salt,
        }
    }

    /// The nonce of a packet with rollover counter 0 (RFC 7714, section 8.1).
    fn nonce(&self, packet: &[u8]) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[2..6].copy_from_slice(&packet[8..12]);
        nonce[10..12].copy_from_slice(&packet[2..4]);
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts a packet in place. `header` is at least 12; the last [`TAG_BYTES`] take the tag.
    pub fn protect(&self, packet: &mut [u8], header: usize) {
        let nonce = self.nonce(packet);
        let (head, rest) = packet.split_at_mut(header);
        let (body, room) = rest.split_at_mut(rest.len() - TAG_BYTES);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&*head), body);
        let tag = tag.expect("a packet is shorter than AES-GCM's limit");
        room.copy_from_slice(tag.as_ref());
    }

    /// Decrypts a packet in place. `header` is at least 12. Returns the size of the payload, or
    /// `None` if the tag does not match.
    pub fn unprotect(&self, packet: &mut [u8], header: usize) -> Option<usize> {
        let nonce = self.nonce(packet);
        let (head, rest) = packet.split_at_mut(header);
        let opened = self.key.open_in_place(nonce, Aad::from(&*head), rest);
        opened.ok().map(|payload| payload.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_decrypts_with_its_own_key_only() {
        for profile in [Profile::Aes128, Profile::Aes256] {
            let mut packet = vec![7; 12 + 100 + TAG_BYTES];
            Srtp::new(profile, 1, Direction::Up).protect(&mut packet, 12);
            assert_ne!(packet[12..112], [7; 100]);
            let other = Srtp::new(profile, 1, Direction::Down);
            assert_eq!(other.unprotect(&mut packet.clone(), 12), None);
            let same = Srtp::new(profile, 1, Direction::Up);
            assert_eq!(same.unprotect(&mut packet, 12), Some(100));
            assert_eq!(packet[12..112], [7; 100]);
        }
    }
}
