//! Sound sent twice (RED, RFC 2198): what a line loses comes again with the next packet.
//!
//! A receiver whose line loses packets gets each voice together with the payload before, made
//! here. A sender who sends so is passed on once: the newest block, and the one before it
//! where its own packet was lost. What str0m does with RED itself is for whole frames, and
//! here packets are passed on.

use std::{collections::VecDeque, sync::Arc};
use str0m::rtp::{RedDecoder, RedEncoder, RedundantBlock};

/// The largest payload made. 1,100 bytes: with headers and encryption it fits the datagrams of
/// every line; a voice takes a tenth.
const MAX_BYTES: usize = 1_100;
/// What the headers of one redundant and one newest block take (RFC 2198 3), in bytes.
const HEADERS_BYTES: usize = 5;

/// What a payload holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedPayload {
    /// The primary (newest) block.
    pub primary: Arc<[u8]>,
    /// The one before.
    pub previous: Option<PreviousPayload>,
}

/// What was sent one packet earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousPayload {
    /// How much earlier, in units of the media time.
    pub time_offset: u32,
    /// The redundant block's bytes, without its header.
    pub payload: Arc<[u8]>,
}

/// The newest block of a payload and the one before, where they are of this payload type.
pub fn parse(payload: &[u8], pt: u8) -> Option<RedPayload> {
    let mut blocks = RedDecoder::decode(payload).ok()?;
    let newest = blocks
        .pop()
        .filter(|block| block.is_primary && block.pt == pt)?;
    let previous = blocks.pop().filter(|b| b.pt == pt && !b.payload.is_empty());
    Some(RedPayload {
        primary: newest.payload.into(),
        previous: previous.map(|block| PreviousPayload {
            time_offset: block.timestamp_offset,
            payload: block.payload.into(),
        }),
    })
}

/// Packets that are remembered as mended. 8: nothing overtakes more.
const MAX_RECOVERED: usize = 8;

/// Which packets of a stream of sound have come. The default waits for the first.
#[derive(Debug, Default)]
pub struct RedRecovery {
    /// The highest extended sequence number received so far.
    newest: Option<u64>,
    /// Packets that were lost and taken from the one after, newest last.
    recovered: VecDeque<u64>,
}

impl RedRecovery {
    /// A packet has come that may hold the one before: true where that one is missing, and
    /// is taken from here.
    pub fn recovers_previous(&mut self, seq: u64) -> bool {
        let missing = self.newest.is_some_and(|newest| seq > newest + 1);
        if missing {
            self.recovered.push_back(seq - 1);
            if self.recovered.len() > MAX_RECOVERED {
                self.recovered.pop_front();
            }
        }
        missing
    }

    /// A packet has come: false where it was lost, and has been mended since.
    pub fn accepts(&mut self, seq: u64) -> bool {
        self.newest = self.newest.max(Some(seq));
        !self.recovered.contains(&seq)
    }
}

/// What a stream of sound remembers to be sent again. The default remembers nothing.
#[derive(Debug, Default)]
pub struct RedSender {
    /// The newest payload sent, and its media time.
    before: Option<(u32, Arc<[u8]>)>,
}

impl RedSender {
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
        let mut sound = RedSender::default();
        assert_eq!(sound.wrap(OPUS, 0, &[1, 2].into()), None, "the first");
        let wrapped = sound.wrap(OPUS, 960, &[3].into()).expect("two");
        // 960 is 0b1111_000000: 14 bits, then 10 bits of length.
        assert_eq!(wrapped, [0x80 | OPUS, 15, 0, 2, OPUS, 1, 2, 3]);
        let before = PreviousPayload {
            time_offset: 960,
            payload: [1, 2].into(),
        };
        let both = RedPayload {
            primary: [3].into(),
            previous: Some(before),
        };
        assert_eq!(parse(&wrapped, OPUS), Some(both));
        assert_eq!(parse(&wrapped, 96), None, "of another codec");
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
            let (mut sound, start) = (RedSender::default(), u32::MAX - 100);
            sound.wrap(OPUS, start, &bytes(before));
            let wrapped = sound.wrap(OPUS, start.wrapping_add(passed), &bytes(now));
            assert_eq!(wrapped.is_some(), both, "{before} {now} {passed}");
        }
    }

    #[test]
    fn a_late_packet_does_not_take_the_newest_ones_place() {
        let mut sound = RedSender::default();
        sound.wrap(OPUS, 1_920, &[2].into());
        assert_eq!(sound.wrap(OPUS, 960, &[1].into()), None);
        let wrapped = sound.wrap(OPUS, 2_880, &[3].into()).expect("two");
        assert_eq!(wrapped[5..], [2, 3]);
    }

    #[test]
    fn a_lost_packet_is_taken_from_the_next_one_and_not_twice() {
        let mut mender = RedRecovery::default();
        // A packet, whether the one before is taken from it, whether it is passed on itself.
        let cases = [
            (10, false, true),
            (11, false, true),
            (13, true, true),
            (12, false, false),
            (17, true, true),
            (15, false, true),
            (16, false, false),
            (18, false, true),
        ];
        for (seq, mends, takes) in cases {
            assert_eq!(mender.recovers_previous(seq), mends, "{seq}");
            assert_eq!(mender.accepts(seq), takes, "{seq}");
        }
        (20..1_000).step_by(2).for_each(|seq| {
            assert!(mender.recovers_previous(seq) && mender.accepts(seq));
        });
        assert_eq!(mender.recovered.len(), MAX_RECOVERED);
    }

    proptest! {
        #[test]
        fn junk_has_a_newest_block_within_it_or_none(
            junk in prop::collection::vec(any::<u8>(), 0..300),
            pt in 0_u8..128,
        ) {
            if let Some(RedPayload { primary, previous }) = parse(&junk, pt) {
                let before = previous.map_or(0, |previous| previous.payload.len());
                prop_assert!(junk.ends_with(&primary) && before + primary.len() < junk.len());
            }
        }

        #[test]
        fn what_is_wrapped_is_unwrapped(
            payloads in prop::collection::vec((1_u32..20_000, 0_usize..1_200), 1..30),
        ) {
            let (mut sound, mut time) = (RedSender::default(), 0_u32);
            for (passed, count) in payloads {
                time = time.wrapping_add(passed);
                let payload = bytes(count);
                if let Some(wrapped) = sound.wrap(OPUS, time, &payload) {
                    prop_assert!(wrapped.len() <= MAX_BYTES);
                    let blocks = parse(&wrapped, OPUS).expect("two");
                    prop_assert_eq!(&blocks.primary, &payload);
                    prop_assert!(blocks.previous.is_none_or(|before| before.time_offset == passed));
                }
            }
        }
    }
}
