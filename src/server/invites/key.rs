//! The key by which the server recognises the links that it made.
//!
//! A token is the id of an invite and an HMAC-SHA256 over the name of the room and the id. A forged
//! token is therefore refused before anything about the room is read.

use crate::protocol::{InviteId, InviteToken, RoomName};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of the HMAC that a token holds. 16: a guess succeeds once in 2^128 tries.
const MAC_BYTES: usize = 16;
/// Random bytes of an id. 9: 12 letters of base64url without padding.
const ID_BYTES: usize = 9;
/// Begins the input of each HMAC, so that a later use of the key cannot make a token of an invite.
const DOMAIN: &[u8] = b"noom invite 1\0";

/// The secret that signs the invites of all rooms. The database keeps it, so that links stay valid
/// after a restart and in a restored backup. Never logged.
#[derive(Clone)]
pub struct InviteKey([u8; 32]);

impl InviteKey {
    /// A key of 32 secret bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The token of an invite of this room.
    ///
    /// # Panics
    /// Never: 34 letters of base64url always parse.
    pub fn token(&self, room: &RoomName, id: &InviteId) -> InviteToken {
        let mac = self.mac(room, id).finalize().into_bytes();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(&mac[..MAC_BYTES]);
        InviteToken::parse(&format!("{}{signature}", id.as_str())).expect("letters of base64url")
    }

    /// The id of the invite, if this key made the token for this room. The comparison takes constant
    /// time.
    pub fn verify(&self, room: &RoomName, token: &InviteToken) -> Option<InviteId> {
        let (id, signature) = token.expose().split_at_checked(InviteId::BYTES)?;
        let id = InviteId::parse(id).ok()?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_whole = signature.len() == MAC_BYTES;
        let verified = self.mac(room, &id).verify_truncated_left(&signature);
        (is_whole && verified.is_ok()).then_some(id)
    }

    /// The HMAC over the name of a room and the id of an invite. The length of the name makes the
    /// input unambiguous.
    fn mac(&self, room: &RoomName, id: &InviteId) -> Hmac<Sha256> {
        let name = room.as_str().as_bytes();
        Hmac::<Sha256>::new_from_slice(&self.0)
            .expect("HMAC takes keys of any length")
            .chain_update(DOMAIN)
            .chain_update((name.len() as u64).to_be_bytes())
            .chain_update(name)
            .chain_update(id.as_str())
    }
}

impl std::fmt::Debug for InviteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InviteKey(…)")
    }
}

/// A new id: 72 random bits.
///
/// # Panics
/// Never: 12 letters of base64url always parse.
pub fn new_invite_id() -> InviteId {
    let random = rand::random::<[u8; ID_BYTES]>();
    InviteId::parse(&BASE64_URL_SAFE_NO_PAD.encode(random)).expect("12 letters of base64url")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).expect("valid")
    }

    fn id() -> InviteId {
        InviteId::parse("abcdefghijkl").expect("valid")
    }

    #[test]
    fn a_token_names_its_invite_and_is_the_same_each_time() {
        let (key, room) = (InviteKey::new([7; 32]), room("team"));
        let token = key.token(&room, &id());
        assert!(token.expose().starts_with("abcdefghijkl"));
        assert_eq!(token.expose().len(), 34);
        assert_eq!(token, InviteKey::new([7; 32]).token(&room, &id()));
        assert_eq!(key.verify(&room, &token), Some(id()));
        assert_eq!(InviteKey::new([8; 32]).verify(&room, &token), None);
    }

    #[test]
    fn a_token_is_the_hmac_of_its_documented_input() {
        let input = [DOMAIN, &[0, 0, 0, 0, 0, 0, 0, 4], b"team", b"abcdefghijkl"].concat();
        let mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).expect("a key");
        let mac = mac.chain_update(input).finalize().into_bytes();
        let expected = format!("abcdefghijkl{}", BASE64_URL_SAFE_NO_PAD.encode(&mac[..16]));
        let token = InviteKey::new([7; 32]).token(&room("team"), &id());
        assert_eq!(token.expose(), expected);
    }

    #[test]
    fn every_id_is_another() {
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| new_invite_id()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn neither_key_nor_token_is_printed() {
        let key = InviteKey::new([7; 32]);
        let printed = format!("{key:?} {:?}", key.token(&room("team"), &id()));
        assert_eq!(printed, "InviteKey(…) InviteToken(…)");
    }

    proptest! {
        #[test]
        fn no_other_letter_verifies(
            secret: [u8; 32],
            at in 0_usize..34,
            letter in "[A-Za-z0-9_-]",
        ) {
            let (key, room) = (InviteKey::new(secret), room("team"));
            let token = key.token(&room, &new_invite_id());
            let mut forged = token.expose().to_owned();
            forged.replace_range(at..=at, &letter);
            let forged = InviteToken::parse(&forged).expect("letters");
            prop_assert_eq!(key.verify(&room, &forged).is_some(), forged == token);
        }

        #[test]
        fn no_shorter_and_no_longer_token_verifies(secret: [u8; 32], length in 22_usize..=64) {
            let (key, room) = (InviteKey::new(secret), room("team"));
            let id = new_invite_id();
            let mac = key.mac(&room, &id).finalize().into_bytes();
            let letters = format!("{}{}", id.as_str(), BASE64_URL_SAFE_NO_PAD.encode(mac));
            let letters: String = letters.chars().chain(std::iter::repeat('A')).take(length).collect();
            let token = InviteToken::parse(&letters).expect("letters");
            let is_whole = token == key.token(&room, &id);
            prop_assert_eq!(key.verify(&room, &token).is_some(), is_whole);
        }

        #[test]
        fn no_other_room_and_no_other_key_verifies(
            secret: [u8; 32],
            other: [u8; 32],
            here in "[a-z가-힣]{1,20}",
            there in "[a-z가-힣]{1,20}",
        ) {
            let (key, id) = (InviteKey::new(secret), new_invite_id());
            let token = key.token(&room(&here), &id);
            prop_assert_eq!(key.verify(&room(&here), &token), Some(id));
            prop_assert_eq!(key.verify(&room(&there), &token).is_some(), here == there);
            let verified = InviteKey::new(other).verify(&room(&here), &token);
            prop_assert_eq!(verified.is_some(), secret == other);
        }

        #[test]
        fn arbitrary_tokens_do_not_panic(letters in "[A-Za-z0-9_-]{22,64}") {
            let token = InviteToken::parse(&letters).expect("letters");
            prop_assert_eq!(InviteKey::new([7; 32]).verify(&room("team"), &token), None);
        }
    }
}
