//! A STUN message as a question to us.

use super::{
    frame,
    hmac::{Mac, hmac_sha1},
};
use std::net::SocketAddr;
use turn_server::codec::{
    Attributes,
    crypto::Password,
    message::{
        Message,
        attributes::{Attribute, AttributeType, MessageIntegrity, XorPeerAddress},
        methods::Method,
    },
};

/// The attributes a client must understand to answer for them; types from 0x8000 are a
/// courtesy.
const COMPREHENSION_REQUIRED: std::ops::Range<u16> = 0x0000..0x8000;
/// Those we understand.
const UNDERSTOOD: [AttributeType; 12] = [
    AttributeType::UserName,
    AttributeType::MessageIntegrity,
    AttributeType::ChannelNumber,
    AttributeType::Lifetime,
    AttributeType::XorPeerAddress,
    AttributeType::Data,
    AttributeType::Realm,
    AttributeType::Nonce,
    AttributeType::RequestedAddressFamily,
    AttributeType::EvenPort,
    AttributeType::RequestedTransport,
    AttributeType::ReservationToken,
];
/// Types listed in one refusal. 16 are more than any client sends.
const MAX_LISTED_ATTRIBUTES: usize = 16;

/// A message [`frame::parse`] let pass, of a method we know.
pub struct Request<'a> {
    /// Read by the codec.
    message: Message<'a>,
    /// All of it.
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads it; nothing where the method is unknown, which RFC 8489 ignores.
    pub fn read(bytes: &'a [u8], attributes: &'a mut Attributes) -> Option<Self> {
        let message = Message::decode(bytes, attributes).ok()?;
        Some(Self { message, bytes })
    }

    /// What is asked.
    pub fn method(&self) -> Method {
        self.message.method()
    }

    /// Bytes of it.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Which question it is; the answer carries it.
    pub fn transaction_id(&self) -> [u8; 12] {
        let bytes = self.bytes.get(8..frame::HEADER_BYTES);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.expect("a header is whole: the frame was checked")
    }

    /// An attribute in its own form; nothing where it is missing or makes no sense.
    pub fn get<T: Attribute<'a>>(&self) -> Option<T::Item> {
        self.message.get::<T>()
    }

    /// Whether there is such an attribute, sense or not.
    pub fn has(&self, kind: AttributeType) -> bool {
        frame::attributes(self.bytes).any(|(found, _)| found == kind as u16)
    }

    /// All peers named; an error where one of them makes no sense.
    ///
    /// # Errors
    /// A part of the message is not to be read: answered 400.
    pub fn peers(&self) -> Result<Vec<SocketAddr>, frame::Malformed> {
        let transaction = self.transaction_id();
        frame::attributes(self.bytes)
            .filter(|(kind, _)| *kind == AttributeType::XorPeerAddress as u16)
            .map(|(_, value)| XorPeerAddress::deserialize(value, &transaction))
            .map(|peer| peer.map_err(|_| frame::Malformed))
            .collect()
    }

    /// What RFC 8489 obliges us to understand, and we do not.
    pub fn unknown(&self) -> Vec<u16> {
        let understood = |kind| UNDERSTOOD.iter().any(|k| *k as u16 == kind);
        frame::attributes(self.bytes)
            .map(|(kind, _)| kind)
            .filter(|kind| COMPREHENSION_REQUIRED.contains(kind) && !understood(*kind))
            .take(MAX_LISTED_ATTRIBUTES)
            .collect()
    }

    /// Whether it is signed with this key.
    pub fn verify_integrity(&self, key: &Password) -> bool {
        let Some(signature) = self.get::<MessageIntegrity>() else {
            return false;
        };
        // The signature covers what precedes it, under a length that includes it.
        let value = signature.as_ptr() as usize - self.bytes.as_ptr() as usize;
        let Some(covered) = self.bytes.get(4..value - 4) else {
            return false;
        };
        let length =
            (covered.len() + 4 - frame::HEADER_BYTES + frame::MESSAGE_INTEGRITY_BYTES) as u16;
        let mac = hmac_sha1(key)
            .chain_update(&self.bytes[..2])
            .chain_update(length.to_be_bytes())
            .chain_update(covered);
        mac.verify_slice(signature).is_ok()
    }
}
