//! Messages as clients write and read them, by the codec the server does not sign with.

use bytes::{BufMut, BytesMut};
use std::net::SocketAddr;
use turn_server::codec::{
    Attributes,
    crypto::{Password, fingerprint, generate_password, hmac_sha1},
    message::{
        Message,
        attributes::{
            AttributeType as Kind, ErrorCode, Lifetime, Nonce, PasswordAlgorithm, Realm,
            XorMappedAddress, XorPeerAddress, XorRelayedAddress, address::XAddress,
        },
        methods::Method,
    },
};

/// REQUESTED-TRANSPORT's word for UDP.
pub const UDP: [u8; 4] = [17, 0, 0, 0];

/// What signs a request.
#[derive(Clone)]
pub struct TestCredentials {
    /// The name.
    pub username: String,
    /// The realm, as told.
    pub realm: String,
    /// The nonce, as told.
    pub nonce: String,
    /// The password.
    pub password: String,
}

impl TestCredentials {
    /// The key of it.
    pub fn key(&self) -> Password {
        let algorithm = PasswordAlgorithm::Md5;
        generate_password(&self.username, &self.password, &self.realm, algorithm)
    }
}

/// A message while it is written.
pub struct Writer {
    /// So far.
    bytes: BytesMut,
}

impl Writer {
    /// A message of a method, given as its number on the wire.
    pub fn new(method: u16) -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_u16(method);
        bytes.put_u16(0);
        bytes.put_u32(0x2112_A442);
        bytes.put_slice(&rand::random::<[u8; 12]>());
        Self { bytes }
    }

    /// A message of a method.
    pub fn of(method: Method) -> Self {
        Self::new(method.into())
    }

    /// With an attribute.
    pub fn raw(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.put_u16(kind);
        self.bytes.put_u16(value.len() as u16);
        self.bytes.put_slice(value);
        self.bytes
            .put_bytes(0, value.len().next_multiple_of(4) - value.len());
        self.fit(0)
    }

    /// With an attribute the codec knows.
    pub fn with(self, kind: Kind, value: &[u8]) -> Self {
        self.raw(kind as u16, value)
    }

    /// With a peer.
    pub fn peer(self, peer: SocketAddr) -> Self {
        let mut value = BytesMut::new();
        XAddress::serialize(&peer, &self.bytes[8..20], &mut value, true);
        self.with(Kind::XorPeerAddress, &value)
    }

    /// With a channel.
    pub fn channel(self, number: u16) -> Self {
        self.with(
            Kind::ChannelNumber,
            &(u32::from(number) << 16).to_be_bytes(),
        )
    }

    /// Signed with this key, and marked.
    pub fn sign(self, credentials: &TestCredentials) -> Self {
        self.with(Kind::UserName, credentials.username.as_bytes())
            .with(Kind::Realm, credentials.realm.as_bytes())
            .with(Kind::Nonce, credentials.nonce.as_bytes())
            .sign_with_key(&credentials.key())
    }

    /// The signature and the mark alone.
    pub fn sign_with_key(self, key: &Password) -> Self {
        let signed = self.sign_without_fingerprint(key).fit(8);
        let mark = fingerprint(&signed.bytes).to_be_bytes();
        signed.with(Kind::Fingerprint, &mark)
    }

    /// The signature alone.
    pub fn sign_without_fingerprint(mut self, key: &Password) -> Self {
        self = self.fit(24);
        let mac = hmac_sha1(key, &[&self.bytes]);
        self.with(Kind::MessageIntegrity, &mac)
    }

    /// The length as if so much more were there.
    fn fit(mut self, more: usize) -> Self {
        let length = (self.bytes.len() - 20 + more) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
        self
    }

    /// Done.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes.to_vec()
    }
}

/// ChannelData, padded where it goes into a stream.
pub fn channel_data(number: u16, payload: &[u8], padded: bool) -> Vec<u8> {
    let mut bytes = [number.to_be_bytes(), (payload.len() as u16).to_be_bytes()].concat();
    bytes.extend_from_slice(payload);
    if padded {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A message as it was read.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What it is.
    pub method: Method,
    /// The error, as 401.
    pub code: Option<u16>,
    /// XOR-RELAYED-ADDRESS.
    pub relayed: Option<SocketAddr>,
    /// XOR-MAPPED-ADDRESS.
    pub mapped: Option<SocketAddr>,
    /// ALLOCATION_LIFETIME.
    pub lifetime: Option<u32>,
    /// REALM.
    pub realm: Option<String>,
    /// NONCE.
    pub nonce: Option<String>,
    /// XOR-PEER-ADDRESS.
    pub peer: Option<SocketAddr>,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Reply {
    /// Reads a message.
    pub fn read(bytes: &[u8]) -> Self {
        let mut attributes = Attributes::default();
        let message = Message::decode(bytes, &mut attributes).expect("a message");
        let code = message.get::<ErrorCode>();
        Self {
            method: message.method(),
            code: code.map(|error| (error.code >> 8) * 100 + (error.code & 0xFF)),
            relayed: message.get::<XorRelayedAddress>(),
            mapped: message.get::<XorMappedAddress>(),
            lifetime: message.get::<Lifetime>(),
            realm: message.get::<Realm>().map(str::to_owned),
            nonce: message.get::<Nonce>().map(str::to_owned),
            peer: message.get::<XorPeerAddress>(),
            bytes: bytes.to_vec(),
        }
    }

    /// Whether it is signed with this key.
    pub fn is_signed(&self, key: &Password) -> bool {
        let mut attributes = Attributes::default();
        let message = Message::decode(&self.bytes, &mut attributes).expect("a message");
        message.verify(key).is_ok()
    }

    /// The value of an attribute.
    pub fn value(&self, wanted: u16) -> Option<Vec<u8>> {
        let mut rest = &self.bytes[20..];
        while rest.len() >= 4 {
            let kind = u16::from_be_bytes([rest[0], rest[1]]);
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            if kind == wanted {
                return Some(rest[4..4 + length].to_vec());
            }
            rest = &rest[4 + length.next_multiple_of(4)..];
        }
        None
    }
}
