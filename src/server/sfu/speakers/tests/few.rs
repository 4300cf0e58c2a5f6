//! Tests of the selection of forwarded speakers.

use super::*;
use proptest::prelude::*;

/// The selection of a room, the start of its clock, and the time since then in ms.
struct Few(Loudest, Instant, u64);

impl Few {
    /// A room with this many slots.
    fn new(places: usize) -> Self {
        Self(Loudest::new(places), Instant::now(), 0)
    }

    /// Plays constant levels for `ms`; returns whether an assignment changed.
    fn play(&mut self, ms: u64, levels: &[(u32, u8)]) -> bool {
        let mut changed = false;
        for ms in self.2..self.2 + ms {
            let now = self.1 + Duration::from_millis(ms);
            if ms % 20 == 0 {
                levels
                    .iter()
                    .for_each(|(key, dbov)| self.0.level(*key, *dbov, true, now));
            }
            changed |= ms % 50 == 0 && self.0.tick(now);
        }
        self.2 += ms;
        changed
    }

    /// The forwarded speakers, sorted by key.
    fn forwarded(&self) -> Vec<u32> {
        let mut who: Vec<_> = self.0.loudest().collect();
        who.sort_unstable();
        who
    }
}

#[test]
fn the_three_loudest_speakers_are_forwarded_in_order() {
    let mut few = Few::new(3);
    let levels = [(1, 50), (2, 40), (3, 30), (4, 20), (5, 80)];
    assert!(few.play(2_000, &levels));
    assert_eq!(few.0.loudest().collect::<Vec<_>>(), [4, 3, 2]);
    assert!(!few.play(5_000, &levels), "and so it stays");
}

#[test]
fn the_order_follows_the_loudness() {
    let mut few = Few::new(3);
    few.play(2_000, &[(1, 30), (2, 40), (3, 50)]);
    assert_eq!(few.0.loudest().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(
        few.play(2_000, &[(1, 50), (2, 40), (3, 30)]),
        "a change is reported"
    );
    assert_eq!(few.0.loudest().collect::<Vec<_>>(), [3, 2, 1]);
}

#[test]
fn a_free_slot_is_taken_at_the_first_tick() {
    let mut few = Few::new(3);
    few.play(1_000, &[(1, 90), (2, 90)]);
    assert_eq!(few.forwarded(), [0; 0]);
    few.play(60, &[(1, 30), (2, 90)]);
    assert_eq!(few.forwarded(), [1]);
}

#[test]
fn a_slot_is_lost_after_two_seconds_of_silence() {
    let mut few = Few::new(3);
    few.play(1_000, &[(1, 30)]);
    few.play(1_900, &[(1, 90)]);
    assert_eq!(few.forwarded(), [1]);
    few.play(200, &[(1, 90)]);
    assert_eq!(few.forwarded(), [0; 0]);
    // A pause without packets has the same effect.
    few.play(1_000, &[(1, 30)]);
    few.play(2_100, &[]);
    assert_eq!(few.forwarded(), [0; 0]);
}

#[test]
fn a_louder_speaker_takes_a_slot_but_not_a_new_one() {
    let mut few = Few::new(1);
    few.play(1_000, &[(1, 30), (2, 90)]);
    // Speaker 1 is silent, speaker 2 soon louder.
    while few.forwarded() != [2] {
        few.play(50, &[(1, 90), (2, 30)]);
    }
    few.play(250, &[(1, 10), (2, 60)]);
    assert_eq!(few.forwarded(), [2], "immune");
    few.play(100, &[(1, 10), (2, 60)]);
    assert_eq!(few.forwarded(), [1]);
    let alike = [(1, 30), (2, 29)];
    assert!(!few.play(6_000, &alike), "about as loud is not louder");
}

#[test]
fn a_speaker_without_levels_gets_only_an_unused_slot() {
    let mut few = Few::new(2);
    (1..=3).for_each(|key| few.0.add(key));
    assert!(few.play(5_000, &[]));
    assert_eq!(few.forwarded(), [1, 2]);
    few.play(500, &[(3, 30)]);
    assert_eq!(few.forwarded().len(), 2);
    assert!(few.forwarded().contains(&3));
    few.0.remove(3);
    assert!(few.play(60, &[]));
    assert_eq!(few.forwarded(), [1, 2]);
}

proptest! {
    /// For any levels the slots suffice, no speaker has two, and a new one keeps its slot.
    #[test]
    fn slots_are_limited_and_kept_for_a_minimum_time(
        turns in prop::collection::vec((0_u32..12, 0_u8..=127, 1_u64..120, 0_u8..12), 1..400),
    ) {
        let (mut few, mut now) = (Loudest::new(3), Instant::now());
        let mut since = std::collections::HashMap::new();
        for (key, dbov, pause, what) in turns {
            match what {
                0 => {
                    few.remove(key);
                    since.remove(&key);
                }
                1 => few.add(key),
                _ => few.level(key, dbov, dbov % 2 == 0, now),
            }
            let before: Vec<_> = few.loudest().collect();
            few.tick(now);
            let after: Vec<_> = few.loudest().collect();
            prop_assert!(after.len() <= 3);
            prop_assert!(after.iter().enumerate().all(|(i, key)| !after[..i].contains(key)));
            for gone in before.iter().filter(|key| !after.contains(key)) {
                // Only a speaker that is known to be silent may lose its slot at once.
                let at: Instant = since.remove(gone).expect("was in");
                let silent = few.worth(*gone, now) < 0.0;
                prop_assert!(silent || now - at >= Duration::from_millis(300));
            }
            for new in after.iter().filter(|key| !before.contains(key)) {
                since.insert(*new, now);
            }
            now += Duration::from_millis(pause);
        }
    }
}
