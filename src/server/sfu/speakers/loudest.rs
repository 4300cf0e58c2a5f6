//! Whose sound is forwarded: the few who are loudest.
//!
//! Energy fades by half in 300 ms. Whoever takes a place keeps it for a moment, so that two
//! who speak at once do not throw each other out, and loses it after 2 s of silence.

use std::time::{Duration, Instant};

/// The time in which energy fades by half.
const HALF_LIFE: Duration = Duration::from_millis(300);
/// How long a place, or a rank, is safe once taken.
const MIN_SLOT_TIME: Duration = Duration::from_millis(300);
/// Silence after which a place is lost.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// By how much one must be louder to take another's place: 2 dB.
const LOUDER_RATIO: f32 = 1.6;
/// Below this level, in -dBov, somebody is heard; what is quieter is a room.
const AUDIBLE_DBOV: u8 = 60;
/// dB that a packet loses which its sender does not take for a voice, when it is asked
/// whether somebody is heard.
const NO_VOICE_PENALTY_DB: u8 = 12;
/// What one packet stands for at most: Opus has none longer.
const LONGEST_PACKET: Duration = Duration::from_millis(60);

/// Somebody with a microphone.
#[derive(Debug)]
struct SpeakerEnergy {
    /// Identifies the speaker; chosen by the caller.
    key: u32,
    /// Smoothed power at `at`: 1 is full scale.
    energy: f32,
    /// When energy was last worked out; nothing before any level.
    at: Option<Instant>,
    /// When something was last heard.
    last_audible: Option<Instant>,
}

/// A place, and since when somebody has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SpeakerSlot {
    /// The speaker that holds this slot.
    key: u32,
    /// When the speaker took the slot.
    since: Instant,
}

/// The few whose sound is forwarded.
#[derive(Debug)]
pub struct Loudest {
    /// How many have a place at most.
    slot_count: usize,
    /// Everybody, by key.
    speakers: Vec<SpeakerEnergy>,
    /// Who has a place, loudest first.
    slots: Vec<SpeakerSlot>,
    /// Whether people came or went since the last look.
    changed: bool,
}

impl Loudest {
    /// A room with this many places.
    pub fn new(slot_count: usize) -> Self {
        Self {
            slot_count,
            speakers: Vec::new(),
            slots: Vec::new(),
            changed: false,
        }
    }

    /// Somebody has a microphone. Until its level is known it may have a place that nobody
    /// else wants: not every sender tells levels.
    pub fn add(&mut self, key: u32) {
        self.speaker(key);
    }

    /// Notes the level of a packet, as in [`super::Speakers::level`].
    pub fn level(&mut self, key: u32, dbov: u8, voice: bool, now: Instant) {
        let person = self.speaker(key);
        let passed = person
            .at
            .map_or(LONGEST_PACKET, |at| now.saturating_duration_since(at));
        let power = match dbov {
            127.. => 0.0,
            _ => 10_f32.powf(f32::from(dbov) / -10.0),
        };
        // What came before the packet, if anything, was silence.
        let share = 1.0 - decay(passed.min(LONGEST_PACKET));
        person.energy = person.energy * decay(passed) + power * share;
        person.at = Some(now);
        let quieter = if voice { 0 } else { NO_VOICE_PENALTY_DB };
        if dbov.saturating_add(quieter) < AUDIBLE_DBOV {
            person.last_audible = Some(now);
        }
    }

    /// Removes a speaker and frees its slot.
    pub fn remove(&mut self, key: u32) {
        if let Ok(index) = self.find(key) {
            self.speakers.remove(index);
            let before = self.slots.len();
            self.slots.retain(|place| place.key != key);
            self.changed |= before != self.slots.len();
        }
    }

    /// Gives the places; whether somebody has another one than before. To be called each
    /// 20 to 100 ms.
    pub fn tick(&mut self, now: Instant) -> bool {
        let before = self.slots.clone();
        self.drop_silent(now);
        self.fill_slots(now);
        self.replace_quietest(now);
        self.rank(now);
        let keys = |places: &[SpeakerSlot]| places.iter().map(|p| p.key).collect::<Vec<_>>();
        std::mem::take(&mut self.changed) | (keys(&before) != keys(&self.slots))
    }

    /// Whose sound goes through, loudest first.
    pub fn loudest(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().map(|place| place.key)
    }

    /// Where somebody is, or would be.
    fn find(&self, key: u32) -> Result<usize, usize> {
        self.speakers
            .binary_search_by_key(&key, |person| person.key)
    }

    /// Somebody, new where not known.
    fn speaker(&mut self, key: u32) -> &mut SpeakerEnergy {
        let index = self.find(key).unwrap_or_else(|index| {
            self.speakers.insert(index, SpeakerEnergy::new(key));
            index
        });
        &mut self.speakers[index]
    }

    /// How much somebody's sound is worth now: nothing for whoever has been silent too long.
    pub(super) fn worth(&self, key: u32, now: Instant) -> f32 {
        self.find(key)
            .map_or(-1.0, |index| self.speakers[index].worth(now))
    }

    /// Takes the places of those who have been silent for too long.
    fn drop_silent(&mut self, now: Instant) {
        let mut chosen = std::mem::take(&mut self.slots);
        chosen.retain(|place| self.worth(place.key, now) >= 0.0);
        self.slots = chosen;
    }

    /// The loudest of those without a place.
    fn loudest_without_slot(&self, now: Instant) -> Option<(f32, u32)> {
        let without = self
            .speakers
            .iter()
            .filter(|person| self.slots.iter().all(|place| place.key != person.key));
        let alive = without.map(|person| (person.worth(now), person.key));
        let alive = alive.filter(|(worth, _)| *worth >= 0.0);
        // Of two alike the one with the lower key, so that it is always the same.
        alive.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    }

    /// Gives free places to the loudest.
    fn fill_slots(&mut self, now: Instant) {
        while self.slots.len() < self.slot_count {
            let Some((_, key)) = self.loudest_without_slot(now) else {
                return;
            };
            self.slots.push(SpeakerSlot { key, since: now });
        }
    }

    /// Lets the loudest outsider take the place of the quietest who is not safe.
    fn replace_quietest(&mut self, now: Instant) {
        for _ in 0..self.slot_count {
            let open = self.slots.iter().enumerate();
            let open = open.filter(|(_, place)| place.is_replaceable(now));
            let weakest = open
                .map(|(index, place)| (self.worth(place.key, now), index))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let (Some((worth, index)), Some((louder, key))) =
                (weakest, self.loudest_without_slot(now))
            else {
                return;
            };
            if louder <= worth * LOUDER_RATIO {
                return;
            }
            self.slots[index] = SpeakerSlot { key, since: now };
        }
    }

    /// Moves the louder up, so that also the first few of the chosen are the loudest.
    fn rank(&mut self, now: Instant) {
        for _ in 1..self.slots.len() {
            for upper in 0..self.slots.len() - 1 {
                let (above, below) = (self.slots[upper], self.slots[upper + 1]);
                let louder = self.worth(below.key, now) > self.worth(above.key, now) * LOUDER_RATIO;
                if louder && above.is_replaceable(now) {
                    self.slots[upper] = SpeakerSlot {
                        since: now,
                        ..below
                    };
                    self.slots[upper + 1] = above;
                }
            }
        }
    }
}

impl SpeakerSlot {
    /// Whether somebody else may have it.
    fn is_replaceable(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= MIN_SLOT_TIME
    }
}

impl SpeakerEnergy {
    /// A speaker before its first level.
    fn new(key: u32) -> Self {
        Self {
            key,
            energy: 0.0,
            at: None,
            last_audible: None,
        }
    }

    /// The energy now; below zero once silent for too long. Whose level is not known is
    /// silent, but not dead.
    fn worth(&self, now: Instant) -> f32 {
        let silent = |since: Instant| now.saturating_duration_since(since) >= SILENT_AFTER;
        if self.at.is_some() && self.last_audible.is_none_or(silent) {
            return -1.0;
        }
        let passed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.energy * decay(passed)
    }
}

/// How much energy is left after a time.
fn decay(passed: Duration) -> f32 {
    (-passed.as_secs_f32() / HALF_LIFE.as_secs_f32()).exp2()
}
