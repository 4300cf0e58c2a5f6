//! Parsing of frames: valid, malformed, truncated and random bytes.

use super::super::{
    TurnLimits,
    frame::{Frame, Malformed, parse, stream_frame_size},
};
use super::harness::TestEngine;
use super::wire::{Writer, channel_data};
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

#[test]
fn channel_data_parses_with_and_without_padding() {
    let expected = Frame::Channel {
        number: 0x4000,
        payload: b"abc",
    };
    assert_eq!(parse(&channel_data(0x4000, b"abc", false)), Ok(expected));
    assert_eq!(parse(&channel_data(0x4000, b"abc", true)), Ok(expected));
    let mut long = channel_data(0x4000, b"abc", true);
    long.extend([0; 4]);
    assert_eq!(parse(&long), Err(Malformed));
    assert_eq!(
        parse(&channel_data(0x4000, b"abc", false)[..6]),
        Err(Malformed)
    );
    assert_eq!(parse(&channel_data(0x8000, b"abc", false)), Err(Malformed));
}

#[test]
fn truncated_frames_and_flipped_bits_do_not_panic() {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("127.0.0.1:5000", "ada", "lobby");
    let frames = [
        Writer::of(BINDING_REQUEST).bytes(),
        Writer::of(ALLOCATE_REQUEST)
            .with(Kind::RequestedTransport, &[17, 0, 0, 0])
            .sign(&client.credentials)
            .bytes(),
        Writer::of(CHANNEL_BIND_REQUEST)
            .channel(0x4000)
            .peer(super::harness::sfu())
            .sign(&client.credentials)
            .bytes(),
        Writer::of(SEND_INDICATION)
            .peer(super::harness::sfu())
            .with(Kind::Data, b"abc")
            .bytes(),
        channel_data(0x4000, b"abcdefg", true),
    ];
    let from = (&client.five_tuple, &client.writer);
    for frame in &frames {
        for end in 0..frame.len() {
            let _ = server.engine.on_frame(from, &frame[..end], server.now);
        }
        for bit in 0..frame.len() * 8 {
            let mut broken = frame.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            let _ = server.engine.on_frame(from, &broken, server.now);
        }
    }
}

#[test]
fn random_bytes_neither_panic_nor_allocate() {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("127.0.0.1:5000", "ada", "lobby");
    for round in 0..50_000_usize {
        let mut bytes: Vec<u8> = (0..round % 120).map(|_| rand::random()).collect();
        // Most rounds have a valid header, so that the parser reaches the attributes.
        if round % 4 != 0 && bytes.len() >= 20 {
            let methods = [0x0001_u16, 0x0003, 0x0004, 0x0008, 0x0009, 0x0016];
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[..2].copy_from_slice(&methods[round % 6].to_be_bytes());
            let length = (bytes.len() - 20) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..8].copy_from_slice(&0x2112_A442_u32.to_be_bytes());
            if bytes.len() >= 24 {
                (bytes[20], bytes[22]) = (0, 0);
                (bytes[21], bytes[23]) = (bytes[21] % 0x28, bytes[23] % 40);
            }
        }
        let _ = server
            .engine
            .on_frame((&client.five_tuple, &client.writer), &bytes, server.now);
    }
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
}

#[test]
fn parse_rejects_messages_that_break_the_codec() {
    // An attribute without its padding, and a CHANNEL-NUMBER that is too short.
    let unpadded = Writer::of(BINDING_REQUEST).raw(0x8022, b"abc").bytes();
    assert_eq!(parse(&unpadded[..unpadded.len() - 1]), Err(Malformed));
    let short = Writer::of(CHANNEL_BIND_REQUEST)
        .with(Kind::ChannelNumber, &[])
        .bytes();
    assert_eq!(parse(&short), Err(Malformed));
    // MESSAGE-INTEGRITY does not cover an attribute after it.
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("127.0.0.1:5000", "ada", "lobby");
    let key = client.credentials.key();
    let signed = Writer::of(REFRESH_REQUEST).sign_without_fingerprint(&key);
    assert_eq!(
        parse(&signed.with(Kind::Lifetime, &[0; 4]).bytes()),
        Err(Malformed)
    );
    // A wrong FINGERPRINT.
    let mut marked = Writer::of(REFRESH_REQUEST).sign_with_key(&key).bytes();
    assert!(parse(&marked).is_ok());
    *marked.last_mut().unwrap() ^= 1;
    assert_eq!(parse(&marked), Err(Malformed));
}

#[test]
fn the_first_four_bytes_give_the_size_of_a_stream_frame() {
    let frame = channel_data(0x4000, b"abcde", true);
    assert_eq!(stream_frame_size(&frame[..3]), Ok(None));
    assert_eq!(stream_frame_size(&frame[..4]), Ok(Some(12)));
    assert_eq!(
        stream_frame_size(&Writer::of(BINDING_REQUEST).bytes()),
        Ok(Some(20))
    );
    assert_eq!(stream_frame_size(&[0x40, 0, 0x0F, 0xFC]), Ok(Some(4096)));
    for wrong in [
        [0x40, 0, 0x0F, 0xFD],
        [0x40, 0, 0xFF, 0xFF],
        [0, 1, 0xFF, 0xFC],
    ] {
        assert_eq!(stream_frame_size(&wrong), Err(Malformed), "too large");
    }
    for wrong in [*b"GET ", [0x16, 3, 1, 1], [0xFF; 4], [0x80, 0, 0, 4]] {
        assert_eq!(stream_frame_size(&wrong), Err(Malformed), "{wrong:?}");
    }
}
