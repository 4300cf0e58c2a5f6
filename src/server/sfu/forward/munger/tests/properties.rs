//! Properties of streams whose sources switch, lose, delay, repeat and skip packets.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// One event of a stream.
#[derive(Debug, Clone)]
enum Step {
    /// The source sends a packet that arrives at once.
    Pass,
    /// The source sends a packet that arrives this many packets later.
    Late(usize),
    /// The source sends a packet that is lost.
    Lose,
    /// The source sends a packet that is skipped.
    Skip,
    /// The packet this many before the newest arrives again.
    Again(usize),
    /// Another source begins at this sequence number.
    Switch(u64),
}

/// Steps with realistic weights.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => Just(Step::Pass),
        2 => (1_usize..40).prop_map(Step::Late),
        1 => Just(Step::Lose),
        3 => Just(Step::Skip),
        1 => (1_usize..60).prop_map(Step::Again),
        1 => (0_u64..1 << 48).prop_map(Step::Switch),
    ];
    prop::collection::vec(step, 1..600)
}

/// Simulates a sender and a network in front of a munger, and records its output.
struct World {
    /// The munger under test.
    stream: RtpMunger,
    /// The source's index, its next sequence number and its first one.
    source: (u32, u64, u64),
    /// Packets in flight: the step at which they arrive, and their sequence number.
    late: Vec<(usize, u64)>,
    /// The outgoing header of each packet, by source and sequence number.
    given: HashMap<(u32, u64), MungedHeader>,
    /// The packets of the current source that the munger got, in order of arrival.
    sent: Vec<u64>,
    /// The simulated clock.
    now: Instant,
}

impl World {
    /// A simulation before its first packet.
    fn new(first: u16) -> Self {
        Self {
            stream: RtpMunger::new(first, u32::MAX - 5_000, VIDEO_CLOCK, 0x7ff0, 250),
            source: (0, 1_000, 1_000),
            late: Vec::new(),
            given: HashMap::new(),
            sent: Vec::new(),
            now: Instant::now(),
        }
    }

    /// Passes a packet of the current source to the munger.
    fn give(&mut self, seq: u64) -> Option<MungedHeader> {
        let from_start = seq.wrapping_sub(self.source.2);
        let packet = SourceHeader {
            seq,
            time: (seq as u32).wrapping_mul(3_000),
            received_at: self.now,
            picture_id: Some((seq & 0x7fff) as u16),
            tl0: Some(seq as u8),
        };
        let out = self.stream.munge(&packet);
        if let Some(out) = out {
            let before = self.given.insert((self.source.0, seq), out);
            assert!(before.is_none_or(|before| before == out), "the same again");
            assert!(from_start < 1 << 32, "nothing from before the source");
        }
        out
    }

    /// Performs a step.
    fn step(&mut self, index: usize, step: &Step) {
        self.now += Duration::from_millis(7);
        let seq = self.source.1;
        // The first packet of a source always arrives at once.
        let first = seq == self.source.2;
        match step {
            Step::Switch(start) if !first => self.switch(*start),
            Step::Again(back) => {
                let again = self.sent.iter().rev().nth(*back).copied();
                again.map(|seq| self.give(seq));
            }
            Step::Late(after) if !first => self.late.push((index + after, seq)),
            Step::Skip if !first => self.stream.skip(seq),
            Step::Lose if !first => {}
            _ => self.pass(seq),
        }
        if !matches!(step, Step::Again(_)) && self.source.1 == seq {
            self.source.1 += 1;
        }
        self.deliver_late(index);
    }

    /// Delivers a packet, which must get a number.
    fn pass(&mut self, seq: u64) {
        assert!(self.give(seq).is_some(), "is never refused");
        self.sent.push(seq);
    }

    /// Begins another source; packets in flight are dropped.
    fn switch(&mut self, start: u64) {
        self.source = (self.source.0 + 1, start, start);
        self.late.clear();
        self.sent.clear();
        self.stream.switch_source();
        self.pass(start);
        self.source.1 += 1;
    }

    /// Delivers the late packets that are due.
    fn deliver_late(&mut self, index: usize) {
        let due = self.late.iter().filter(|late| late.0 <= index);
        let due: Vec<u64> = due.map(|late| late.1).collect();
        self.late.retain(|late| late.0 > index);
        due.into_iter().for_each(|seq| self.pass(seq));
    }
}

proptest! {
    /// Numbers are unique and keep the order, and each source follows the previous one.
    #[test]
    fn packets_get_unique_sequence_numbers_in_order(first in 0_u16..32_768, steps in steps()) {
        let mut world = World::new(first);
        for (index, step) in steps.iter().enumerate() {
            world.step(index, step);
        }
        let mut given: Vec<_> = world.given.into_iter().collect();
        given.sort_by_key(|(place, _)| *place);
        prop_assert!(given.iter().all(|(_, out)| out.seq >= u64::from(first)));
        for two in given.windows(2) {
            let ((place, out), (next_place, next)) = (&two[0], &two[1]);
            prop_assert!(out.seq < next.seq, "{place:?} {next_place:?}");
            if place.0 == next_place.0 {
                let apart = next_place.1 - place.1;
                prop_assert!(next.seq - out.seq <= apart);
                prop_assert_eq!(next.time.wrapping_sub(out.time), apart as u32 * 3_000);
            } else {
                prop_assert_eq!(next.seq, out.seq + 1, "no gap at a switch");
                prop_assert!((next.time.wrapping_sub(out.time) as i32) >= 3_000);
                let ids = (out.picture_id.expect("id"), next.picture_id.expect("id"));
                prop_assert_eq!(ids.1, (ids.0 + 1) & 0x7fff);
                let tl0 = (out.tl0.expect("index"), next.tl0.expect("index"));
                prop_assert_eq!(tl0.1, tl0.0.wrapping_add(1));
            }
        }
    }

    /// Without loss, late and skipped packets leave no gap.
    #[test]
    fn without_loss_there_is_no_gap(steps in steps()) {
        let mut world = World::new(0);
        let steps: Vec<_> = steps.into_iter().filter(|step| !matches!(step, Step::Lose | Step::Switch(_))).collect();
        let count = steps.len();
        for (index, step) in steps.iter().chain(std::iter::repeat_n(&Step::Pass, 50)).enumerate() {
            world.step(index, step);
        }
        prop_assert!(world.late.iter().all(|late| late.0 >= count + 50) || world.late.is_empty());
        let mut numbers: Vec<_> = world.given.values().map(|out| out.seq).collect();
        numbers.sort_unstable();
        prop_assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
    }

    /// No input causes a panic or a duplicate number.
    #[test]
    fn arbitrary_packets_get_unique_numbers(
        steps in prop::collection::vec((0_u8..8, any::<u64>(), 0_u64..2_000, any::<u32>()), 1..300),
    ) {
        let (mut stream, start) = (pictures(), Instant::now());
        let (mut source, mut given) = (0_u32, HashMap::new());
        for (step, wild, near, time) in steps {
            let seq = if wild % 16 == 0 { wild } else { near };
            match step {
                0 => stream.skip(seq),
                1 if wild % 8 == 0 => {
                    source += 1;
                    stream.switch_source_with_offset(time);
                }
                _ => {
                    let at = start + Duration::from_millis(wild % 10_000);
                    let out = stream.munge(&packet(seq, time, at));
                    if let Some(out) = out {
                        let owner = *given.entry(out.seq).or_insert((source, seq));
                        prop_assert_eq!(owner, (source, seq));
                    }
                }
            }
        }
    }
}
