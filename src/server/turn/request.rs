//! A STUN message that the server received.

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

/// The comprehension-required attribute types (RFC 8489 section 14).
const COMPREHENSION_REQUIRED: std::ops::Range<u16> = 0x0000..0x8000;
/// The comprehension-required attributes that the server knows.
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
/// Types listed in UNKNOWN-ATTRIBUTES. 16 are more than any client sends.
const MAX_LISTED_ATTRIBUTES: usize = 16;

/// A message that [`frame::parse`] accepted, with a method that the codec knows.
pub struct Request<'a> {
    /// The message, decoded.
    message: Message<'a>,
    /// The message with its header, undecoded.
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// Decodes a message. Returns `None` if its method is unknown; RFC 8489 section 6.3 ignores
    /// such messages.
    pub fn decode(bytes: &'a [u8], attributes: &'a mut Attributes) -> Option<Self> {
        let message = Message::decode(bytes, attributes).ok()?;
        Some(Self { message, bytes })
    }

    /// The method and the class.
    pub fn method(&self) -> Method {
        self.message.method()
    }

    /// Bytes of the message, header included.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The transaction id, which the response repeats.
    pub fn transaction_id(&self) -> [u8; 12] {
        let bytes = self.bytes.get(8..frame::HEADER_BYTES);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.expect("`frame::parse` checked the header")
    }

    /// The value of an attribute. `None` if it is missing or malformed.
    pub fn get<T: Attribute<'a>>(&self) -> Option<T::Item> {
        self.message.get::<T>()
    }

    /// Whether the message has the attribute, even a malformed one.
    pub fn has(&self, kind: AttributeType) -> bool {
        frame::attributes(self.bytes).any(|(found, _)| found == kind as u16)
    }

    /// The addresses of all XOR-PEER-ADDRESS attributes.
    ///
    /// # Errors
    /// One of them is malformed; the caller responds 400.
    pub fn peers(&self) -> Result<Vec<SocketAddr>, frame::Malformed> {
        let transaction = self.transaction_id();
        frame::attributes(self.bytes)
            .filter(|(kind, _)| *kind == AttributeType::XorPeerAddress as u16)
            .map(|(_, value)| XorPeerAddress::deserialize(value, &transaction))
            .map(|peer| peer.map_err(|_| frame::Malformed))
            .collect()
    }

    /// The types of the comprehension-required attributes that the server does not know.
    pub fn unknown_attributes(&self) -> Vec<u16> {
        let understood = |kind| UNDERSTOOD.iter().any(|k| *k as u16 == kind);
        frame::attributes(self.bytes)
            .map(|(kind, _)| kind)
            .filter(|kind| COMPREHENSION_REQUIRED.contains(kind) && !understood(*kind))
            .take(MAX_LISTED_ATTRIBUTES)
            .collect()
    }

    /// Whether MESSAGE-INTEGRITY is valid under this key. Compares in constant time.
    pub fn verify_integrity(&self, key: &Password) -> bool {
        let Some(signature) = self.get::<MessageIntegrity>() else {
            return false;
        };
        // MESSAGE-INTEGRITY covers the bytes before it, with a header length that includes it.
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
