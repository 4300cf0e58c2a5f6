//! Synthetic traces of audio levels for the speaker tests.

mod few;
mod floor;

use super::*;

/// A deterministic pseudorandom generator.
struct Dice(u64);

impl Dice {
    /// A number from `from` to `to`, inclusive.
    fn roll(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        from + (self.0 >> 33) % (to - from + 1)
    }
}

/// The levels of `frames` frames of speech: loud syllables, dips between them, pauses between
/// phrases. `loud` is the loudest level in -dBov.
fn speech(seed: u64, loud: u64, frames: usize) -> Vec<u8> {
    let (mut dice, mut trace) = (Dice(seed), Vec::new());
    while trace.len() < frames {
        for _ in 0..dice.roll(3, 7) {
            let (syllable, dip) = (dice.roll(5, 12), dice.roll(0, 2));
            trace.extend((0..syllable).map(|_| dice.roll(loud, loud + 14) as u8));
            trace.extend((0..dip).map(|_| dice.roll(loud + 22, loud + 32) as u8));
        }
        let pause = dice.roll(6, 16);
        trace.extend((0..pause).map(|_| dice.roll(68, 85) as u8));
    }
    trace.truncate(frames);
    trace
}

/// The levels of a quiet microphone.
fn quiet(seed: u64, frames: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..frames).map(|_| dice.roll(68, 90) as u8).collect()
}
