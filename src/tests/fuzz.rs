//! Fuzzing of the frame decoder with a corpus that is cut, mixed and mutated at random.
//! `server::rooms::core::properties` tests what a room does with decoded messages.

use crate::protocol::{ClientMessage, Decoded, MessageType, decode};
use proptest::prelude::*;
use serde::Deserialize;

/// One frame a line. Add every frame that once caused a bug.
const CORPUS: &str = include_str!("corpus/frames.txt");

fn corpus() -> Vec<&'static str> {
    CORPUS.lines().collect()
}

/// Asserts that a frame decodes to a message that survives a round trip, or is refused.
fn assert_decoded_or_refused(frame: &str) {
    if let Decoded::Message(message) = decode(frame) {
        let written = serde_json::to_string(&message).expect("a message is written");
        let again: ClientMessage = serde_json::from_str(&written).expect("and read again");
        assert_eq!(again, message, "{frame}");
    }
}

/// Up to four pieces of frames of the corpus, joined.
fn joined_pieces() -> impl Strategy<Value = String> {
    let piece = (0..corpus().len(), 0..200_usize, 0..200_usize);
    prop::collection::vec(piece, 1..5).prop_map(|pieces| {
        let pieces = pieces.into_iter().map(|(line, from, to)| {
            let chars: Vec<char> = corpus()[line].chars().collect();
            let (from, to) = (from.min(chars.len()), to.min(chars.len()));
            chars[from.min(to)..from.max(to)].iter().collect::<String>()
        });
        pieces.collect()
    })
}

/// A frame of the corpus with one byte replaced, converted to UTF-8 with replacement characters.
fn corrupted_frame() -> impl Strategy<Value = String> {
    (0..corpus().len(), any::<usize>(), any::<u8>()).prop_map(|(line, at, byte)| {
        let mut bytes = corpus()[line].as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[test]
fn the_corpus_is_decoded_or_refused() {
    corpus().into_iter().for_each(assert_decoded_or_refused);
}

#[test]
fn the_corpus_holds_a_real_message_of_every_type() {
    let type_of = |frame: &str| match decode(frame) {
        Decoded::Message(message) => {
            let message = serde_json::to_value(message).expect("serialises");
            Some(MessageType::deserialize(&message["type"]).expect("has a type"))
        }
        Decoded::Refused(..) => None,
    };
    let found: Vec<MessageType> = corpus().into_iter().filter_map(type_of).collect();
    for kind in MessageType::ALL {
        assert!(found.contains(&kind), "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_frames_do_not_panic_the_decoder(frame in prop_oneof![joined_pieces(), corrupted_frame(), any::<String>()]) {
        assert_decoded_or_refused(&frame);
    }
}
