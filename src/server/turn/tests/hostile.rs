//! Hostile frames, from unauthenticated clients and from a client with credentials.

use super::super::TurnLimits;
use super::harness::{TestClient, TestEngine, sfu};
use super::wire::{UDP, Writer, channel_data};
use proptest::prelude::*;
use turn_server::codec::message::attributes::AttributeType as Kind;

/// A generated frame.
#[derive(Debug, Clone)]
enum Frame {
    /// A STUN message, with MESSAGE-INTEGRITY if `signed`. `bent` overwrites one byte.
    Message {
        method: u16,
        attributes: Vec<(u16, Vec<u8>)>,
        signed: bool,
        bent: Option<(usize, u8)>,
    },
    /// ChannelData: channel number, payload, and a length that replaces the real one.
    Channel(u16, Vec<u8>, Option<u16>),
    /// Random bytes, less than 200.
    Bytes(Vec<u8>),
}

impl Frame {
    /// The frame as this client sends it.
    fn bytes(&self, client: &TestClient) -> Vec<u8> {
        match self {
            Self::Message {
                method,
                attributes,
                signed,
                bent,
            } => {
                let writer = Writer::new(*method);
                let attribute = |writer: Writer, (kind, value): &(u16, Vec<u8>)| {
                    let value = if value.is_empty() { &UDP } else { &value[..] };
                    writer.raw(*kind, value)
                };
                let writer = attributes.iter().fold(writer, attribute);
                let writer = match signed {
                    true => writer.sign(&client.credentials),
                    false => writer,
                };
                let mut bytes = writer.bytes();
                if let Some((at, byte)) = bent {
                    let at = at % bytes.len();
                    bytes[at] = *byte;
                }
                bytes
            }
            Self::Channel(number, payload, length) => {
                let mut bytes = channel_data(*number, payload, true);
                if let Some(length) = length {
                    bytes[2..4].copy_from_slice(&length.to_be_bytes());
                }
                bytes
            }
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// Generates frames: mostly known methods and attributes, with values of any length.
fn frame() -> impl Strategy<Value = Frame> {
    let methods = vec![
        0x0001_u16, 0x0003, 0x0004, 0x0008, 0x0009, 0x0016, 0x0017, 0x0101, 0x0103, 0x0113,
    ];
    let method = prop_oneof![12 => prop::sample::select(methods), 1 => any::<u16>()];
    let kinds = [
        Kind::UserName,
        Kind::Realm,
        Kind::Nonce,
        Kind::MessageIntegrity,
        Kind::ErrorCode,
        Kind::ChannelNumber,
        Kind::Lifetime,
        Kind::XorPeerAddress,
        Kind::XorRelayedAddress,
        Kind::RequestedAddressFamily,
        Kind::RequestedTransport,
        Kind::Data,
    ];
    let kinds = kinds.map(|kind| kind as u16).to_vec();
    let kind = prop_oneof![12 => prop::sample::select(kinds), 1 => any::<u16>()];
    // An empty value stands for REQUESTED-TRANSPORT's UDP.
    let value = prop_oneof![
        4 => Just(Vec::new()),
        4 => prop::sample::select(vec![
            vec![0, 1, 0x3e, 0x12, 0x5e, 0x12, 0xa4, 0x43],
            vec![0x40, 0, 0, 0],
            vec![0, 0, 2, 0x58],
            vec![1, 0, 0, 0],
            vec![2, 0, 0, 0],
        ]),
        3 => prop::collection::vec(any::<u8>(), 1..24),
        1 => prop::collection::vec(any::<u8>(), 400..1_200),
    ];
    let attributes = prop::collection::vec((kind, value), 0..6);
    let bent = prop::option::weighted(0.3, (any::<usize>(), any::<u8>()));
    let message = (method, attributes, prop::bool::weighted(0.7), bent);
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    let number = prop_oneof![0x4000_u16..0x4004, any::<u16>()];
    let length = prop::option::weighted(0.3, any::<u16>());
    prop_oneof![
        8 => message.prop_map(|(method, attributes, signed, bent)| Frame::Message {
            method,
            attributes,
            signed,
            bent,
        }),
        2 => (number, payload, length).prop_map(|(n, p, l)| Frame::Channel(n, p, l)),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Frame::Bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// The server still serves another client after the frames.
    #[test]
    fn hostile_frames_do_not_affect_other_clients(frames in prop::collection::vec((frame(), 0_u64..90), 1..80)) {
        let mut server = TestEngine::new(TurnLimits::default());
        let mut hostile = server.client("192.0.2.1:5000", "eve", "lobby");
        server.allocate(&hostile);
        for (frame, seconds) in frames {
            let bytes = frame.bytes(&hostile);
            let from = (&hostile.five_tuple, &hostile.writer);
            let _ = server.engine.on_frame(from, &bytes, server.now);
            while hostile.inbox.try_recv().is_ok() {}
            server.wait(seconds / 60 * seconds);
        }
        let client = server.client("192.0.2.2:5000", "ada", "hall");
        prop_assert_eq!(server.allocate(&client).code, None);
        prop_assert_eq!(server.permit(&client, &[sfu()]).code, None);
    }
}
