//! Identity of a participant: a secret token, and the public id derived from it.
//!
//! The id is a hash of the token. The server therefore recognises a client that returns with its
//! token without any state, even after a restart.

use crate::protocol::{Epoch, ParticipantId, SessionToken};
use rand::Rng;
use sha2::{Digest, Sha256};

/// Letters of a participant id after `p_`. 26: 130 bits of the hash, too many for a search of a
/// token that matches any of many ids.
const ID_LETTERS: usize = 26;
/// Alphabet of base32 (RFC 4648) in lower case.
pub(super) const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Alphabet of base64url (RFC 4648).
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The public id that belongs to this token.
///
/// # Panics
/// Never: letters and digits always parse.
pub fn participant_id(session: &SessionToken) -> ParticipantId {
    let digest = Sha256::digest(session.expose().as_bytes());
    let letters = encode(&digest, BASE32, 5);
    ParticipantId::parse(&format!("p_{}", &letters[..ID_LETTERS])).expect("base32 is a word")
}

/// A new secret: 128 random bits as base64url.
///
/// # Panics
/// Never: 22 letters of base64url always parse.
pub fn new_session_token() -> SessionToken {
    SessionToken::parse(&random_letters()).expect("22 letters of base64url")
}

/// A new epoch: 128 random bits as base64url.
///
/// # Panics
/// Never: 22 bytes always parse.
pub fn new_epoch() -> Epoch {
    Epoch::parse(&random_letters()).expect("22 bytes")
}

/// 128 random bits of the thread's CSPRNG, as 22 letters of base64url.
pub fn random_letters() -> String {
    encode(&rand::rng().random::<[u8; 16]>(), BASE64URL, 6)
}

/// Encodes bytes, `bits` per letter, the highest bit first, without padding.
fn encode(bytes: &[u8], alphabet: &[u8], bits: u32) -> String {
    let mut letters = String::new();
    let (mut held, mut buffer) = (0, 0_u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        held += 8;
        while held >= bits {
            held -= bits;
            letters.push(letter(buffer >> held, alphabet));
        }
        buffer &= (1 << held) - 1;
    }
    if held > 0 {
        letters.push(letter(buffer << (bits - held), alphabet));
    }
    letters
}

/// The letter for the lowest bits of a value.
fn letter(value: u32, alphabet: &[u8]) -> char {
    let index = value as usize & (alphabet.len() - 1);
    char::from(alphabet[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_token_is_the_same_participant() {
        let token = SessionToken::parse("AAAAAAAAAAAAAAAAAAAAAA").expect("valid");
        let id = participant_id(&token);
        assert_eq!(id, participant_id(&token));
        assert_eq!(id.as_str().len(), 28, "128 bits at least");
        assert_ne!(id, participant_id(&new_session_token()));
    }

    #[test]
    fn letters_are_those_of_rfc_4648() {
        assert_eq!(encode(b"foobar", BASE32, 5), "mzxw6ytboi");
        assert_eq!(encode(b"fooba", BASE64URL, 6), "Zm9vYmE");
        assert_eq!(new_session_token().expose().len(), 22);
    }
}
