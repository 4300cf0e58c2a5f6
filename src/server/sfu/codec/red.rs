//! Redundant audio (RED, RFC 2198): each packet also carries the payload of the one before.
//!
//! A receiver with packet loss gets RED made by [`RedSender`]. From a sender that uses RED only
//! the primary block is forwarded, and the redundant one if its own packet was lost
//! ([`RedRecovery`]). str0m's own RED works on frames; the SFU forwards packets.

use std::{collections::VecDeque, sync::Arc};
use str0m::rtp::{RedDecoder, RedEncoder, RedundantBlock};

/// The largest RED payload, in bytes. 1,100: with headers and encryption it fits every path's
/// MTU; an Opus payload takes a tenth.
const MAX_BYTES: usize = 1_100;
/// The length of the headers of one redundant and one primary block (RFC 2198 3), in bytes.
const HEADERS_BYTES: usize = 5;

/// The blocks of a RED payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedPayload {
    /// The primary (newest) block.
    pub primary: Arc<[u8]>,
    /// The newest redundant block, if it is usable.
    pub previous: Option<PreviousPayload>,
}

/// The payload of an earlier packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousPayload {
    /// How much earlier it is, in RTP clock ticks.
    pub time_offset: u32,
    /// The redundant block's bytes, without its header.
    pub payload: Arc<[u8]>,
}

/// Parses a RED payload whose blocks have this payload type; none if the primary block does
/// not.
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

/// How many recovered packets are remembered. 8: reordering does not exceed it.
const MAX_RECOVERED: usize = 8;

/// Tracks which packets of an audio stream were lost and recovered. The default has seen none.
#[derive(Debug, Default)]
pub struct RedRecovery {
    /// The highest extended sequence number received so far.
    newest: Option<u64>,
    /// The recovered sequence numbers, newest last.
    recovered: VecDeque<u64>,
}

impl RedRecovery {
    /// Whether the redundant block of packet `seq` recovers a lost packet; records it. Call before
    /// [`Self::accepts`] for the same packet.
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

    /// Records a packet; false if it has been recovered already and must not be forwarded.
    pub fn accepts(&mut self, seq: u64) -> bool {
        self.newest = self.newest.max(Some(seq));
        !self.recovered.contains(&seq)
    }
}

/// Adds redundancy to an audio stream. The default has no previous payload.
#[derive(Debug, Default)]
pub struct RedSender {
    /// The newest payload sent and its RTP timestamp.
    before: Option<(u32, Arc<[u8]>)>,
}

impl RedSender {
    /// A RED payload of this payload and the previous one; `pt` is the payload type of both. None
    /// if there is no previous payload, it is too old or too large, or this packet is late: the
    /// packet is then sent without redundancy.
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

    /// The Opus payload type in these tests.
    const OPUS: u8 = 111;

    /// A payload of this many bytes.
    fn bytes(count: usize) -> Arc<[u8]> {
        vec![7; count].into()
    }

    #[test]
    fn a_payload_carries_its_predecessor() {
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
    fn payloads_that_do_not_fit_are_sent_without_redundancy() {
        // Previous size, size, timestamp offset, and whether the result is RED.
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
    fn a_late_packet_does_not_replace_the_newest() {
        let mut sound = RedSender::default();
        sound.wrap(OPUS, 1_920, &[2].into());
        assert_eq!(sound.wrap(OPUS, 960, &[1].into()), None);
        let wrapped = sound.wrap(OPUS, 2_880, &[3].into()).expect("two");
        assert_eq!(wrapped[5..], [2, 3]);
    }

    #[test]
    fn a_lost_packet_is_recovered_from_the_next_one_only_once() {
        let mut mender = RedRecovery::default();
        // A packet, whether it recovers its predecessor, whether it is forwarded itself.
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
        fn arbitrary_red_has_its_primary_block_inside_or_none(
            junk in prop::collection::vec(any::<u8>(), 0..300),
            pt in 0_u8..128,
        ) {
            if let Some(RedPayload { primary, previous }) = parse(&junk, pt) {
                let before = previous.map_or(0, |previous| previous.payload.len());
                prop_assert!(junk.ends_with(&primary) && before + primary.len() < junk.len());
            }
        }

        #[test]
        fn wrapped_payloads_parse_to_the_originals(
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
