//! Sound sent twice (RED, RFC 2198): what a line loses comes again with the next packet.
//!
//! A receiver whose line loses packets gets each voice together with the payload before, made
//! here; a sender who sends so is taken by the newest block alone. What str0m does with RED
//! itself is for whole frames, and here packets are passed on.

use super::msid::sections;
use std::sync::Arc;
use str0m::rtp::{RedDecoder, RedEncoder, RedundantBlock};

/// The largest payload made. 1,100 bytes: with headers and encryption it fits the datagrams of
/// every line; a voice takes a tenth.
const MAX_BYTES: usize = 1_100;
/// What the headers of one redundant and one newest block take (RFC 2198 3), in bytes.
const HEADERS_BYTES: usize = 5;

/// The newest block of a payload, where it is of this payload type.
pub fn newest(payload: &[u8], pt: u8) -> Option<&[u8]> {
    let block = RedDecoder::decode(payload).ok()?.pop()?;
    (block.is_primary && block.pt == pt).then_some(block.payload)
}

/// Whether an offer names RED in this media description: str0m knows of the whole offer only.
pub fn is_offered(offer: &str, mid: &str) -> bool {
    let sections = sections(offer).into_iter();
    let mut here = sections.filter(|s| s.lines().any(|l| l.strip_prefix("a=mid:") == Some(mid)));
    here.any(|s| {
        s.lines()
            .any(|l| l.starts_with("a=rtpmap:") && l.contains(" red/"))
    })
}

/// What a stream of sound remembers to be sent again. The default remembers nothing.
#[derive(Debug, Default)]
pub struct Redundancy {
    /// The newest payload sent, and its media time.
    before: Option<(u32, Arc<[u8]>)>,
}

impl Redundancy {
    /// A payload together with the one before; `pt` is the payload type of both. None where
    /// there is none before, it is too long ago or too large, or this packet is late: then it
    /// is to be sent as it is.
    pub fn wrap(&mut self, pt: u8, time: u32, payload: &Arc<[u8]>) -> Option<Vec<u8>> {
        let before = self.before.clone();
        let passed = before
            .as_ref()
            .map(|(then, _)| time.wrapping_sub(*then) as i32);
        if passed.is_some_and(|passed| passed <= 0) {
            return None;
        }
        self.before = Some((time, payload.clone()));
        let (then, before) = before?;
        let block = RedundantBlock {
            pt,
            timestamp_offset: time.wrapping_sub(then),
            payload: before.to_vec(),
        };
        let bytes = HEADERS_BYTES + before.len() + payload.len();
        let fits = block.fits() && bytes <= MAX_BYTES;
        fits.then(|| RedEncoder::encode(pt, payload, &[block]))
    }
}

/// An answer that names RED last of each description of sound: a browser sends in what comes
/// first, and is to send everything once.
pub fn name_red_last(answer: &str) -> String {
    sections(answer).into_iter().map(red_last).collect()
}

/// A media description with its RED payload types at the end of its first line.
fn red_last(section: &str) -> String {
    let red = |pt: &str| {
        let named = format!("a=rtpmap:{pt} red/");
        section.lines().any(|line| line.starts_with(&named))
    };
    let end = section.find(['\r', '\n']).unwrap_or(section.len());
    let (first, rest) = section.split_at(end);
    // The kind, the port and the protocol come before the payload types (RFC 8866 5.14).
    let words: Vec<_> = first.split(' ').collect();
    if !first.starts_with("m=audio ") || words.len() < 4 {
        return section.to_owned();
    }
    let (head, types) = words.split_at(3);
    let (last, others): (Vec<&str>, Vec<&str>) = types.iter().partition(|pt| red(pt));
    [head, &others, &last].concat().join(" ") + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The payload type of the voices here.
    const OPUS: u8 = 111;

    /// A payload of this many bytes.
    fn bytes(count: usize) -> Arc<[u8]> {
        vec![7; count].into()
    }

    #[test]
    fn a_payload_comes_with_the_one_before() {
        let mut sound = Redundancy::default();
        assert_eq!(sound.wrap(OPUS, 0, &[1, 2].into()), None, "the first");
        let wrapped = sound.wrap(OPUS, 960, &[3].into()).expect("two");
        // 960 is 0b1111_000000: 14 bits, then 10 bits of length.
        assert_eq!(wrapped, [0x80 | OPUS, 15, 0, 2, OPUS, 1, 2, 3]);
        assert_eq!(newest(&wrapped, OPUS), Some(&[3][..]));
        assert_eq!(newest(&wrapped, 96), None, "of another codec");
    }

    #[test]
    fn what_does_not_fit_is_sent_once() {
        // Bytes before, bytes now, the time between, and whether both are sent.
        let cases = [
            (100, 100, 960, true),
            (100, 100, 16_383, true),
            (100, 100, 16_384, false),
            (100, 100, 0, false),
            (100, 100, 0_u32.wrapping_sub(960), false),
            (1_023, 10, 960, true),
            (1_024, 10, 960, false),
            (600, 600, 960, false),
        ];
        for (before, now, passed, both) in cases {
            let (mut sound, start) = (Redundancy::default(), u32::MAX - 100);
            sound.wrap(OPUS, start, &bytes(before));
            let wrapped = sound.wrap(OPUS, start.wrapping_add(passed), &bytes(now));
            assert_eq!(wrapped.is_some(), both, "{before} {now} {passed}");
        }
    }

    #[test]
    fn a_late_packet_does_not_take_the_newest_ones_place() {
        let mut sound = Redundancy::default();
        sound.wrap(OPUS, 1_920, &[2].into());
        assert_eq!(sound.wrap(OPUS, 960, &[1].into()), None);
        let wrapped = sound.wrap(OPUS, 2_880, &[3].into()).expect("two");
        assert_eq!(wrapped[5..], [2, 3]);
    }

    #[test]
    fn red_is_offered_of_a_description_that_names_it() {
        let (first, second) = ("m=audio 9 x 0\r\na=mid:0\r\n", "m=audio 9 x 63\na=mid:1\n");
        let offer = format!("v=0\r\n{first}{second}a=rtpmap:63 red/48000/2\n");
        let offered = ["0", "1", "2", ""].map(|mid| is_offered(&offer, mid));
        assert_eq!(offered, [false, true, false, false]);
    }

    #[test]
    fn red_is_named_last_and_nothing_else_changes() {
        let red = "a=rtpmap:63 red/48000/2\r\na=rtpmap:111 opus/48000/2\r\n";
        let cases = [
            ("m=audio 9 RTP 63 111\r\n", "m=audio 9 RTP 111 63\r\n"),
            ("m=audio 9 RTP 111\r\n", "m=audio 9 RTP 111\r\n"),
            ("m=video 9 RTP 63 96\r\n", "m=video 9 RTP 63 96\r\n"),
            ("m=audio\r\n", "m=audio\r\n"),
        ];
        for (before, after) in cases {
            let answer = |first| format!("v=0\r\ns=-\r\n{first}{red}{first}{red}");
            assert_eq!(name_red_last(&answer(before)), answer(after));
        }
    }

    proptest! {
        #[test]
        fn junk_has_a_newest_block_within_it_or_none(
            junk in prop::collection::vec(any::<u8>(), 0..300),
            pt in 0_u8..128,
        ) {
            if let Some(block) = newest(&junk, pt) {
                prop_assert!(junk.ends_with(block) && block.len() < junk.len());
            }
        }

        #[test]
        fn what_is_wrapped_is_unwrapped(
            payloads in prop::collection::vec((1_u32..20_000, 0_usize..1_200), 1..30),
        ) {
            let (mut sound, mut time) = (Redundancy::default(), 0_u32);
            for (passed, count) in payloads {
                time = time.wrapping_add(passed);
                let payload = bytes(count);
                if let Some(wrapped) = sound.wrap(OPUS, time, &payload) {
                    prop_assert!(wrapped.len() <= MAX_BYTES);
                    prop_assert_eq!(newest(&wrapped, OPUS), Some(&payload[..]));
                }
            }
        }

        #[test]
        fn any_text_keeps_its_words(text in "(m=audio [0-9 ]{0,12}|a=rtpmap:[0-9] red/|\\PC{0,5}|\r|\n){0,12}") {
            let words = |text: &str| {
                let mut words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
                words.sort();
                words
            };
            prop_assert_eq!(words(&name_red_last(&text)), words(&text));
        }
    }
}
