//! Encodes and decodes the messages of test clients. HMACs come from the codec, not from the code
//! under test.

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

/// The value of REQUESTED-TRANSPORT for UDP.
pub const UDP: [u8; 4] = [17, 0, 0, 0];

/// The credentials of a request.
#[derive(Clone)]
pub struct TestCredentials {
    /// USERNAME, as the server issued it.
    pub username: String,
    /// The realm of the last challenge.
    pub realm: String,
    /// The nonce of the last challenge.
    pub nonce: String,
    /// The password, as the server issued it.
    pub password: String,
}

impl TestCredentials {
    /// The long-term key (RFC 8489 section 9.2.2).
    pub fn key(&self) -> Password {
        let algorithm = PasswordAlgorithm::Md5;
        generate_password(&self.username, &self.password, &self.realm, algorithm)
    }
}

/// A STUN message under construction.
pub struct Writer {
    /// The header with a current length, and the attributes so far.
    bytes: BytesMut,
}

impl Writer {
    /// A message whose method and class are given as on the wire.
    pub fn new(method: u16) -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_u16(method);
        bytes.put_u16(0);
        bytes.put_u32(0x2112_A442);
        bytes.put_slice(&rand::random::<[u8; 12]>());
        Self { bytes }
    }

    /// A message of this method and class.
    pub fn of(method: Method) -> Self {
        Self::new(method.into())
    }

    /// Appends an attribute of any type.
    pub fn raw(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.put_u16(kind);
        self.bytes.put_u16(value.len() as u16);
        self.bytes.put_slice(value);
        self.bytes
            .put_bytes(0, value.len().next_multiple_of(4) - value.len());
        self.fit(0)
    }

    /// Appends an attribute of a type that the codec knows.
    pub fn with(self, kind: Kind, value: &[u8]) -> Self {
        self.raw(kind as u16, value)
    }

    /// Appends an XOR-PEER-ADDRESS attribute.
    pub fn peer(self, peer: SocketAddr) -> Self {
        let mut value = BytesMut::new();
        XAddress::serialize(&peer, &self.bytes[8..20], &mut value, true);
        self.with(Kind::XorPeerAddress, &value)
    }

    /// Appends a CHANNEL-NUMBER attribute.
    pub fn channel(self, number: u16) -> Self {
        self.with(
            Kind::ChannelNumber,
            &(u32::from(number) << 16).to_be_bytes(),
        )
    }

    /// Appends USERNAME, REALM, NONCE, MESSAGE-INTEGRITY and FINGERPRINT.
    pub fn sign(self, credentials: &TestCredentials) -> Self {
        self.with(Kind::UserName, credentials.username.as_bytes())
            .with(Kind::Realm, credentials.realm.as_bytes())
            .with(Kind::Nonce, credentials.nonce.as_bytes())
            .sign_with_key(&credentials.key())
    }

    /// Appends MESSAGE-INTEGRITY and FINGERPRINT.
    pub fn sign_with_key(self, key: &Password) -> Self {
        let signed = self.sign_without_fingerprint(key).fit(8);
        let mark = fingerprint(&signed.bytes).to_be_bytes();
        signed.with(Kind::Fingerprint, &mark)
    }

    /// Appends MESSAGE-INTEGRITY under this key.
    pub fn sign_without_fingerprint(mut self, key: &Password) -> Self {
        self = self.fit(24);
        let mac = hmac_sha1(key, &[&self.bytes]);
        self.with(Kind::MessageIntegrity, &mac)
    }

    /// Writes the length in the header, counting `more` bytes that follow later.
    fn fit(mut self, more: usize) -> Self {
        let length = (self.bytes.len() - 20 + more) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
        self
    }

    /// The encoded message.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes.to_vec()
    }
}

/// Encodes ChannelData; `padded` for streams.
pub fn channel_data(number: u16, payload: &[u8], padded: bool) -> Vec<u8> {
    let mut bytes = [number.to_be_bytes(), (payload.len() as u16).to_be_bytes()].concat();
    bytes.extend_from_slice(payload);
    if padded {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A decoded message of the server.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The method and the class.
    pub method: Method,
    /// The value of ERROR-CODE, as 401.
    pub code: Option<u16>,
    /// The value of XOR-RELAYED-ADDRESS.
    pub relayed: Option<SocketAddr>,
    /// The value of XOR-MAPPED-ADDRESS.
    pub mapped: Option<SocketAddr>,
    /// The value of LIFETIME, in seconds.
    pub lifetime: Option<u32>,
    /// The value of REALM.
    pub realm: Option<String>,
    /// The value of NONCE.
    pub nonce: Option<String>,
    /// The value of XOR-PEER-ADDRESS.
    pub peer: Option<SocketAddr>,
    /// The encoded message.
    pub bytes: Vec<u8>,
}

impl Reply {
    /// Decodes a message.
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

    /// Whether MESSAGE-INTEGRITY is valid under this key.
    pub fn is_signed(&self, key: &Password) -> bool {
        let mut attributes = Attributes::default();
        let message = Message::decode(&self.bytes, &mut attributes).expect("a message");
        message.verify(key).is_ok()
    }

    /// The value of the first attribute of a type.
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
