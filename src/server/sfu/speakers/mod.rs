//! Who has the floor, who is heard, and whose sound is forwarded.
//!
//! The floor goes by I. Volfin and I. Cohen, "Dominant speaker identification for
//! multipoint videoconferencing" (2012): each voice is scored over 20 ms, 100 ms and 1 s,
//! and the floor changes when somebody beats its owner on all three. A cough is loud and
//! short, so it loses on the third. [`voice`] measures one person, [`scores`] turns counts
//! into scores, [`loudest`] picks the few whose sound goes through.
//!
//! Keys are the caller's small numbers; whoever leaves is to be removed.

mod loudest;
mod scores;
#[cfg(test)]
mod tests;
mod voice;

pub use loudest::Loudest;

use scores::Table;
use std::time::{Duration, Instant};
use voice::Voice;

/// The least time between two changes of the floor (the paper's interval of decisions).
pub const FLOOR_INTERVAL: Duration = Duration::from_millis(300);
/// By how much the owner of the floor must be beaten on 20 ms, 100 ms and 1 s: C1, C2, C3
/// of the paper, in natural logarithms of the scores' ratio.
const BEATEN_BY: [f64; 3] = [3.0, 2.0, 0.0];
/// Tenths of the last second that must hold speech for the floor. 4: coughs of 250 ms reach
/// into three.
const LEAST_TENTHS: usize = 4;
/// By how many tenths of the last second the owner must be outdone, beyond the paper. 3: of
/// two who speak at once, either is ahead by one or two now and then. Measured on made-up
/// speech, 30 s of two at once changed the floor 5 times (12 without this), and taking turns
/// took 0.1 s longer.
const TENTHS_AHEAD: usize = 3;
/// The most people that are shown as heard at a time: a screen has no use for more.
pub const SHOWN: usize = 8;
/// How often those who are heard are put into order again while they stay the same.
const REORDER_AFTER: Duration = Duration::from_secs(1);
/// The level of somebody who is not known: silence (RFC 6464).
const SILENCE: u8 = 127;

/// The voices of a room. The default is a room without any.
#[derive(Debug, Default)]
pub struct Speakers {
    /// Everybody's voice, by key.
    voices: Vec<(u32, Voice)>,
    /// Who has the floor.
    dominant: Option<u32>,
    /// Who had it when [`Self::tick`] last answered.
    announced: Option<u32>,
    /// When it last changed hands.
    changed: Option<Instant>,
    /// Who is heard, loudest first.
    shown: Vec<u32>,
    /// When they were last put into order.
    ordered: Option<Instant>,
    /// What counts are worth.
    table: Table,
}

impl Speakers {
    /// Notes the level of a packet: `dbov` as in RFC 6464 (0 loudest, 127 silence), and
    /// whether its sender takes it for a voice.
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

    /// Looks who speaks; whether somebody else has the floor than at the last look. To be
    /// called each 20 to 100 ms.
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

    /// Who has the floor; whoever had it last keeps it through silence.
    pub fn dominant(&self) -> Option<u32> {
        self.dominant
    }

    /// Who is heard at present, loudest first, as of the last look; at most [`SHOWN`].
    pub fn active(&self, now: Instant) -> impl Iterator<Item = u32> + '_ {
        let heard = move |key: &u32| self.voice(*key).is_some_and(|voice| voice.is_shown(now));
        self.shown.iter().copied().filter(heard)
    }

    /// How loud somebody was of late, in -dBov; 127 for whoever is not known.
    pub fn level_of(&self, key: u32) -> u8 {
        self.voice(key).map_or(SILENCE, Voice::smooth_level)
    }

    /// Where somebody is, or would be.
    fn place(&self, key: u32) -> Result<usize, usize> {
        self.voices.binary_search_by_key(&key, |(key, _)| *key)
    }

    /// The voice statistics of a speaker, if it is known.
    fn voice(&self, key: u32) -> Option<&Voice> {
        self.place(key).ok().map(|index| &self.voices[index].1)
    }

    /// Whoever beats the owner of the floor, and by the most over 100 ms.
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

    /// Brings the list of those who are heard up to date. Its order stays for a while, so
    /// that two who speak at once do not change places all the time.
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
