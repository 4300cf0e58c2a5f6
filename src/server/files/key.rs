//! The key that signs the links of kept files.
//!
//! A link holds the id of the file, the day on which it expires, and an HMAC-SHA256 over both. The
//! end is rounded to a day, so that a file has the same link all day and browsers may cache it.

use crate::{
    protocol::{ChatMessage, FileId, FileName},
    server::clock::Moment,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Shortest lifetime of a link, in milliseconds: a day. The longest is two.
pub const LINK_LIFETIME_MS: i64 = DAY_MS;
/// Random bytes of the id of a file.
const ID_BYTES: usize = 16;
/// Bytes of the day on which a link expires.
const DAY_BYTES: usize = 4;
/// Bytes of the HMAC that a link holds. 16: a guess succeeds once in 2^128 tries.
const MAC_BYTES: usize = 16;
/// Letters of a token: the three parts in base64url.
const TOKEN_LETTERS: usize = 48;
/// Begins the input of each HMAC, so that no other use of a key makes a link.
const DOMAIN: &[u8] = b"noom file 1\0";

/// The secret that signs the links of all files. The database keeps it. Never logged.
#[derive(Clone)]
pub struct FileKey([u8; 32]);

impl FileKey {
    /// A key of 32 secret bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The path of a file on this site, valid for one to two days from `now_ms` (milliseconds since
    /// the Unix epoch).
    pub fn path(&self, id: &FileId, name: &FileName, now_ms: i64) -> String {
        let expires = now_ms.div_euclid(DAY_MS) + 2;
        let expires = u32::try_from(expires).unwrap_or(u32::MAX);
        let token = self.token(&id_bytes(id), expires);
        format!("/files/{token}/{}", name.path_segment())
    }

    /// Gives the files of these messages fresh links.
    pub fn sign<'a>(&self, messages: impl IntoIterator<Item = &'a mut ChatMessage>) {
        let mut now = None;
        for message in messages {
            for file in &mut message.files {
                let now = *now.get_or_insert_with(|| Moment::now().wall_ms);
                file.url = self.path(&file.id, &file.name, now);
            }
        }
    }

    /// The file that a token names, and the time at which the token expires, in milliseconds since
    /// the Unix epoch; nothing for a forged or expired one. The comparison takes constant time.
    pub fn verify(&self, token: &str, now_ms: i64) -> Option<(FileId, i64)> {
        if token.len() != TOKEN_LETTERS {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (day, mac) = rest.split_first_chunk::<DAY_BYTES>()?;
        let expires = u32::from_be_bytes(*day);
        let is_whole = mac.len() == MAC_BYTES;
        let verified = self.mac(id, expires).verify_truncated_left(mac);
        let until = i64::from(expires).saturating_mul(DAY_MS);
        let is_valid = is_whole && verified.is_ok() && now_ms < until;
        is_valid.then(|| (file_id(*id), until))
    }

    /// The token of a file.
    fn token(&self, id: &[u8; ID_BYTES], expires: u32) -> String {
        let mac = self.mac(id, expires).finalize().into_bytes();
        let bytes = [id.as_slice(), &expires.to_be_bytes(), &mac[..MAC_BYTES]].concat();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The HMAC over the id of a file and the day on which its link expires.
    fn mac(&self, id: &[u8; ID_BYTES], expires: u32) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0)
            .expect("HMAC takes keys of any length")
            .chain_update(DOMAIN)
            .chain_update(id)
            .chain_update(expires.to_be_bytes())
    }
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey(…)")
    }
}

/// The random bytes of an id. An id whose letters no server has drawn has zeros.
fn id_bytes(id: &FileId) -> [u8; ID_BYTES] {
    let letters = id.as_str().get(2..).unwrap_or_default();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(letters).unwrap_or_default();
    bytes.try_into().unwrap_or_default()
}

/// The id of these random bytes.
///
/// # Panics
/// Never: 22 letters of base64url always parse.
fn file_id(bytes: [u8; ID_BYTES]) -> FileId {
    let letters = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    FileId::parse(&format!("f_{letters}")).expect("22 letters of base64url")
}

/// A new id: 128 random bits.
pub fn new_file_id() -> FileId {
    file_id(rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The token in a path.
    fn token_in(path: &str) -> &str {
        path.split('/').nth(2).expect("a token")
    }

    #[test]
    fn a_link_is_the_same_all_day_and_ends_after_one_to_two_days() {
        let (key, id) = (FileKey::new([7; 32]), new_file_id());
        let name = FileName::clean("a b/ü 1.png");
        let path = key.path(&id, &name, 5 * DAY_MS);
        assert_eq!(path, key.path(&id, &name, 6 * DAY_MS - 1));
        assert_ne!(path, key.path(&id, &name, 6 * DAY_MS));
        assert!(path.ends_with("/%C3%BC%201.png"), "{path}");
        let token = token_in(&path);
        let found = Some((id, 7 * DAY_MS));
        assert_eq!(key.verify(token, 6 * DAY_MS - 1), found);
        assert_eq!(key.verify(token, 7 * DAY_MS - 1), found);
        assert_eq!(key.verify(token, 7 * DAY_MS), None);
        assert_eq!(FileKey::new([8; 32]).verify(token, 5 * DAY_MS), None);
    }

    #[test]
    fn the_key_of_files_is_not_printed() {
        assert_eq!(format!("{:?}", FileKey::new([7; 32])), "FileKey(…)");
    }

    proptest! {
        #[test]
        fn no_other_letter_of_a_link_verifies(
            secret: [u8; 32],
            at in 0_usize..TOKEN_LETTERS,
            letter in "[A-Za-z0-9_-]",
        ) {
            let key = FileKey::new(secret);
            let path = key.path(&new_file_id(), &FileName::clean("x"), 0);
            let mut forged = token_in(&path).to_owned();
            forged.replace_range(at..=at, &letter);
            let is_same = forged == token_in(&path);
            prop_assert_eq!(key.verify(&forged, 0).is_some(), is_same);
        }

        #[test]
        fn arbitrary_tokens_of_files_do_not_panic(token in "\\PC{0,60}") {
            prop_assert_eq!(FileKey::new([7; 32]).verify(&token, 0), None);
        }
    }
}
