//! Writes STUN responses, Data indications and ChannelData.
//!
//! An error response has no SOFTWARE and no reason phrase: the source address of an
//! unauthenticated request may be forged, and a large response would amplify. Messages are written
//! here because the encoder of `turn-server` lacks UNKNOWN-ATTRIBUTES; the crate contributes
//! addresses, keys and checksums.

use super::{
    frame::{HEADER_BYTES, MESSAGE_INTEGRITY_BYTES},
    hmac::{Mac, hmac_sha1},
    request::Request,
    stats::Refusal,
};
use bytes::{BufMut, Bytes, BytesMut};
use std::net::SocketAddr;
use turn_server::codec::{
    crypto::{Password, fingerprint},
    message::{
        attributes::{AttributeType, address::XAddress},
        methods::{Method, MethodType},
    },
};

/// The type of UNKNOWN-ATTRIBUTES (RFC 8489 section 14.13).
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
/// Initial capacity of a message, in bytes. Only a response with a long realm exceeds it.
const CAPACITY: usize = 160;
/// Bytes of a FINGERPRINT attribute, header included.
const FINGERPRINT_BYTES: usize = 8;

/// A STUN message under construction.
pub struct Response {
    /// The header and the attributes so far; the length is filled in last.
    bytes: BytesMut,
    /// The transaction id, which also masks IPv6 addresses.
    transaction: [u8; 12],
}

impl Response {
    /// A message without attributes.
    pub fn new(method: Method, transaction: [u8; 12]) -> Self {
        let mut bytes = BytesMut::with_capacity(CAPACITY);
        bytes.put_u16(method.into());
        bytes.put_u16(0);
        bytes.put_u32(0x2112_A442);
        bytes.put_slice(&transaction);
        Self { bytes, transaction }
    }

    /// A success response to a request.
    pub fn success(request: &Request<'_>) -> Self {
        Self::new(
            with_class(request.method(), MethodType::Response),
            request.transaction_id(),
        )
    }

    /// An error response to a request.
    pub fn refusal(request: &Request<'_>, why: Refusal) -> Self {
        // ERROR-CODE encodes the hundreds and the remainder in one byte each.
        let code = why.code();
        let value = [0, 0, (code / 100) as u8, (code % 100) as u8];
        Self::new(
            with_class(request.method(), MethodType::Error),
            request.transaction_id(),
        )
        .attribute(AttributeType::ErrorCode as u16, &value)
    }

    /// Appends UNKNOWN-ATTRIBUTES with these types.
    pub fn unknown_attributes(self, kinds: &[u16]) -> Self {
        let value: Vec<u8> = kinds.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        self.attribute(UNKNOWN_ATTRIBUTES, &value)
    }

    /// Appends an address attribute, XORed with the transaction id.
    pub fn address(self, kind: AttributeType, address: SocketAddr) -> Self {
        let mut value = BytesMut::with_capacity(20);
        XAddress::serialize(&address, &self.transaction, &mut value, true);
        self.attribute(kind as u16, &value)
    }

    /// Appends an attribute and pads it to four bytes.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.put_u16(kind);
        self.bytes.put_u16(value.len() as u16);
        self.bytes.put_slice(value);
        self.bytes
            .put_bytes(0, value.len().next_multiple_of(4) - value.len());
        self
    }

    /// Finishes the message without MESSAGE-INTEGRITY.
    pub fn unsigned(mut self) -> Bytes {
        self.set_length(0);
        self.bytes.freeze()
    }

    /// Finishes the message with MESSAGE-INTEGRITY and FINGERPRINT.
    pub fn signed(mut self, key: &Password) -> Bytes {
        self.set_length(MESSAGE_INTEGRITY_BYTES);
        let mac = hmac_sha1(key).chain_update(&self.bytes).finalize();
        self = self.attribute(AttributeType::MessageIntegrity as u16, &mac.into_bytes());
        self.set_length(FINGERPRINT_BYTES);
        let fingerprint_value = fingerprint(&self.bytes).to_be_bytes();
        self = self.attribute(AttributeType::Fingerprint as u16, &fingerprint_value);
        self.bytes.freeze()
    }

    /// Writes the length in the header, counting `more` bytes that follow later.
    fn set_length(&mut self, more: usize) {
        let length = (self.bytes.len() - HEADER_BYTES + more) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// Wraps a packet of a peer in a Data indication.
pub fn data_indication(from: SocketAddr, payload: &[u8]) -> Bytes {
    let mut response = Response::new(Method::DataIndication, rand::random());
    response.bytes.reserve(payload.len() + CAPACITY);
    response
        .address(AttributeType::XorPeerAddress, from)
        .attribute(AttributeType::Data as u16, payload)
        .unsigned()
}

/// Wraps a packet of a peer in ChannelData. `padded` is true in streams (RFC 8656 section 12.5).
pub fn channel_data(number: u16, payload: &[u8], padded: bool) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.len() + 8);
    bytes.put_u16(number);
    bytes.put_u16(payload.len() as u16);
    bytes.put_slice(payload);
    if padded {
        bytes.put_bytes(0, payload.len().next_multiple_of(4) - payload.len());
    }
    bytes.freeze()
}

/// The method of a request with the class of a response. Other methods stay as they are.
fn with_class(method: Method, kind: MethodType) -> Method {
    match method {
        Method::Binding(_) => Method::Binding(kind),
        Method::Allocate(_) => Method::Allocate(kind),
        Method::CreatePermission(_) => Method::CreatePermission(kind),
        Method::ChannelBind(_) => Method::ChannelBind(kind),
        Method::Refresh(_) => Method::Refresh(kind),
        other => other,
    }
}
