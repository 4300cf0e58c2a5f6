//! Speaker detection: the dominant speaker, the audible speakers, and the forwarded ones.
//!
//! The dominant speaker follows I. Volfin and I. Cohen, "Dominant speaker identification for
//! multipoint videoconferencing" (2012): each speaker is scored over 20 ms, 100 ms and 1 s, and
//! becomes dominant by beating the current one on all three. A cough is loud but short, so it
//! loses on the third. [`voice`] measures one speaker, [`scores`] turns counts into scores,
//! [`loudest`] selects the speakers whose audio is forwarded.
//!
//! The caller chooses the keys, and removes speakers that leave.

mod loudest;
mod scores;
#[cfg(test)]
mod tests;
mod voice;

pub use loudest::Loudest;

use scores::Table;
use std::time::{Duration, Instant};
use voice::Voice;

/// Minimum interval between two changes of the dominant speaker (the paper's decision interval).
pub const FLOOR_INTERVAL: Duration = Duration::from_millis(300);
/// The lead over the dominant speaker that a change needs on 20 ms, 100 ms and 1 s, as natural
/// logarithms of the score ratios (the paper's C1, C2 and C3).
const BEATEN_BY: [f64; 3] = [3.0, 2.0, 0.0];
/// The number of 100 ms parts of the last second that must contain speech to become dominant.
/// 4: coughs of 250 ms reach into three.
const LEAST_TENTHS: usize = 4;
/// The lead in 100 ms parts with speech over the dominant speaker; not in the paper. 3: of two
/// simultaneous speakers, either is ahead by one or two at times. On synthetic speech of two
/// simultaneous speakers the dominant one changed 5 times in 30 s (12 without this), and
/// turn-taking took 0.1 s longer.
const TENTHS_AHEAD: usize = 3;
/// The maximum number of speakers shown as audible: a screen has no use for more.
pub const SHOWN: usize = 8;
/// The interval of sorting the audible speakers while the set does not change.
const REORDER_AFTER: Duration = Duration::from_secs(1);
/// The level of an unknown speaker, in -dBov: silence (RFC 6464).
const SILENCE: u8 = 127;

/// The speakers of a room. The default has none.
#[derive(Debug, Default)]
pub struct Speakers {
    /// The voice statistics of all speakers, sorted by key.
    voices: Vec<(u32, Voice)>,
    /// The dominant speaker.
    dominant: Option<u32>,
    /// The dominant speaker at the last [`Self::tick`].
    announced: Option<u32>,
    /// When the dominant speaker last changed.
    changed: Option<Instant>,
    /// The audible speakers, loudest first.
    shown: Vec<u32>,
    /// When `shown` was last sorted.
    ordered: Option<Instant>,
    /// The scores of all counts.
    table: Table,
}

impl Speakers {
    /// Adds the level of a packet (RFC 6464): `dbov` from 0 (loudest) to 127 (silence), and the
    /// voice activity flag.
    pub fn level(&mut self, key: u32, dbov: u8, voice: bool, now: Instant) {
        let index = match self.place(key) {
            Ok(index) => index,
            Err(index) => {
                self.voices.insert(index, (key, Voice::new(now)));
                index
            }
        };
        self.voices[index].1.level(dbov, voice, now);
    }

    /// Removes a speaker, also from the shown speakers.
    pub fn remove(&mut self, key: u32) {
        if let Ok(index) = self.place(key) {
            self.voices.remove(index);
        }
        self.shown.retain(|shown| *shown != key);
        if self.dominant == Some(key) {
            self.dominant = None;
            self.changed = None;
        }
    }

    /// Updates the detection; returns whether the dominant speaker changed. To be called every
    /// 20 to 100 ms.
    pub fn tick(&mut self, now: Instant) -> bool {
        self.voices
            .iter_mut()
            .for_each(|(_, voice)| voice.settle(now));
        self.show(now);
        let settled = self.changed.is_none_or(|at| now >= at + FLOOR_INTERVAL);
        if let Some(next) = settled.then(|| self.challenger()).flatten() {
            self.dominant = Some(next);
            self.changed = Some(now);
        }
        std::mem::replace(&mut self.announced, self.dominant) != self.dominant
    }

    /// The dominant speaker; silence does not end its dominance.
    pub fn dominant(&self) -> Option<u32> {
        self.dominant
    }

    /// The speakers audible now, in the order of the last tick, loudest first; at most [`SHOWN`].
    pub fn active(&self, now: Instant) -> impl Iterator<Item = u32> + '_ {
        let heard = move |key: &u32| self.voice(*key).is_some_and(|voice| voice.is_shown(now));
        self.shown.iter().copied().filter(heard)
    }

    /// The smoothed level of a speaker, in -dBov; 127 if unknown.
    pub fn level_of(&self, key: u32) -> u8 {
        self.voice(key).map_or(SILENCE, Voice::smooth_level)
    }

    /// The index of a speaker, or where to insert it.
    fn place(&self, key: u32) -> Result<usize, usize> {
        self.voices.binary_search_by_key(&key, |(key, _)| *key)
    }

    /// The voice statistics of a speaker, if it is known.
    fn voice(&self, key: u32) -> Option<&Voice> {
        self.place(key).ok().map(|index| &self.voices[index].1)
    }

    /// The speaker that beats the dominant one with the largest lead over 100 ms.
    fn challenger(&self) -> Option<u32> {
        let owner = self.dominant.and_then(|key| self.voice(key));
        let owner = owner.map_or([0; 3], Voice::counts);
        let least = LEAST_TENTHS.max(owner[2] + TENTHS_AHEAD);
        let owner = self.table.scores(owner);
        let mut best: Option<(f64, u32)> = None;
        for (key, voice) in &self.voices {
            let counts = voice.counts();
            if Some(*key) == self.dominant || counts[2] < least {
                continue;
            }
            let lead = self.table.scores(counts).lead_over(&owner);
            let beats = lead
                .iter()
                .zip(BEATEN_BY)
                .all(|(lead, least)| *lead > least);
            if beats && best.is_none_or(|(most, _)| lead[1] > most) {
                best = Some((lead[1], *key));
            }
        }
        best.map(|(_, key)| key)
    }

    /// Updates the audible speakers. The order is kept for [`REORDER_AFTER`], so that two
    /// simultaneous speakers do not swap continuously.
    fn show(&mut self, now: Instant) {
        let shown = |voice: &Voice| voice.is_shown(now);
        let kept = self
            .shown
            .iter()
            .filter(|key| self.voice(**key).is_some_and(shown))
            .count();
        let heard = self.voices.iter().filter(|(_, voice)| shown(voice)).count();
        let fresh = self.ordered.is_some_and(|at| now < at + REORDER_AFTER);
        if fresh && kept == self.shown.len() && heard.min(SHOWN) == kept {
            return;
        }
        let heard = self.voices.iter().filter(|(_, voice)| shown(voice));
        let mut heard: Vec<_> = heard
            .map(|(key, voice)| (voice.smooth_level(), *key))
            .collect();
        heard.sort_unstable();
        self.shown.clear();
        self.shown
            .extend(heard.into_iter().take(SHOWN).map(|(_, key)| key));
        self.ordered = Some(now);
    }
}
