//! Frames nobody thought of: the decoder over a corpus, torn and mixed up by chance. What
//! the room does with what comes through is in `server::rooms::properties`.

use crate::protocol::{ClientMessage, Decoded, decode};
use proptest::prelude::*;

/// One frame a line; whatever once broke something is added.
const CORPUS: &str = include_str!("corpus/frames.txt");

fn corpus() -> Vec<&'static str> {
    CORPUS.lines().collect()
}

/// What every frame must come to: a message that reads the same when it is written
/// again, or a refusal.
fn holds(frame: &str) {
    if let Decoded::Message(message) = decode(frame) {
        let written = serde_json::to_string(&message).expect("a message is written");
        let again: ClientMessage = serde_json::from_str(&written).expect("and read again");
        assert_eq!(again, message, "{frame}");
    }
}

/// A frame of the corpus with pieces of others in it.
fn torn() -> impl Strategy<Value = String> {
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

/// A frame of the corpus with one byte of it another one, where that is still text.
fn bent() -> impl Strategy<Value = String> {
    (0..corpus().len(), any::<usize>(), any::<u8>()).prop_map(|(line, at, byte)| {
        let mut bytes = corpus()[line].as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[test]
fn the_corpus_is_decoded_or_refused() {
    corpus().into_iter().for_each(holds);
    let messages = corpus()
        .into_iter()
        .filter(|frame| matches!(decode(frame), Decoded::Message(_)));
    assert!(messages.count() > 12, "the corpus holds real messages, too");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_frames_do_not_panic_the_decoder(frame in prop_oneof![torn(), bent(), any::<String>()]) {
        holds(&frame);
    }
}
