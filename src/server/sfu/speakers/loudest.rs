//! Selects the loudest speakers, whose audio is forwarded.
//!
//! Energy decays with a half-life of 300 ms. A speaker keeps a slot for at least 300 ms, so that
//! two simultaneous speakers do not replace each other, and loses it after 2 s of silence.

use std::time::{Duration, Instant};

/// The half-life of the energy.
const HALF_LIFE: Duration = Duration::from_millis(300);
/// How long a slot or a rank cannot be taken by another speaker.
const MIN_SLOT_TIME: Duration = Duration::from_millis(300);
/// Silence after which a speaker loses the slot.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// The energy ratio from which a speaker replaces another: 2 dB.
const LOUDER_RATIO: f32 = 1.6;
/// The level in -dBov below which a speaker is audible; quieter is background noise.
const AUDIBLE_DBOV: u8 = 60;
/// Subtracted in dB from a packet without the voice activity flag before the test whether the
/// speaker is audible.
const NO_VOICE_PENALTY_DB: u8 = 12;
/// The longest duration that one packet represents: the largest Opus frame that browsers send.
const LONGEST_PACKET: Duration = Duration::from_millis(60);

/// The audio energy of one speaker.
#[derive(Debug)]
struct SpeakerEnergy {
    /// Identifies the speaker; chosen by the caller.
    key: u32,
    /// The smoothed power at `at`; 1 is full scale.
    energy: f32,
    /// When `energy` was last updated; none before the first level.
    at: Option<Instant>,
    /// When the speaker was last audible.
    last_audible: Option<Instant>,
}

/// A slot for forwarded audio that a speaker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SpeakerSlot {
    /// The speaker that holds this slot.
    key: u32,
    /// When the speaker took the slot.
    since: Instant,
}

/// The speakers of a room and the slots for forwarded audio.
#[derive(Debug)]
pub struct Loudest {
    /// The maximum number of forwarded speakers.
    slot_count: usize,
    /// All speakers, sorted by key.
    speakers: Vec<SpeakerEnergy>,
    /// The taken slots, loudest first.
    slots: Vec<SpeakerSlot>,
    /// Whether a speaker with a slot was removed since the last tick.
    changed: bool,
}

impl Loudest {
    /// A room with this many slots and no speaker.
    pub fn new(slot_count: usize) -> Self {
        Self {
            slot_count,
            speakers: Vec::new(),
            slots: Vec::new(),
            changed: false,
        }
    }

    /// Adds a speaker. Without a level it may hold a slot that no other speaker needs, because
    /// not every client sends audio levels.
    pub fn add(&mut self, key: u32) {
        self.speaker(key);
    }

    /// Adds the level of a packet, like [`super::Speakers::level`].
    pub fn level(&mut self, key: u32, dbov: u8, voice: bool, now: Instant) {
        let person = self.speaker(key);
        let passed = person
            .at
            .map_or(LONGEST_PACKET, |at| now.saturating_duration_since(at));
        let power = match dbov {
            127.. => 0.0,
            _ => 10_f32.powf(f32::from(dbov) / -10.0),
        };
        // A longer gap before the packet counts as silence.
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

    /// Assigns the slots; returns whether an assignment changed. To be called every 20 to
    /// 100 ms.
    pub fn tick(&mut self, now: Instant) -> bool {
        let before = self.slots.clone();
        self.drop_silent(now);
        self.fill_slots(now);
        self.replace_quietest(now);
        self.rank(now);
        let keys = |places: &[SpeakerSlot]| places.iter().map(|p| p.key).collect::<Vec<_>>();
        std::mem::take(&mut self.changed) | (keys(&before) != keys(&self.slots))
    }

    /// The speakers whose audio is forwarded, loudest first.
    pub fn loudest(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().map(|place| place.key)
    }

    /// The index of a speaker, or where to insert it.
    fn find(&self, key: u32) -> Result<usize, usize> {
        self.speakers
            .binary_search_by_key(&key, |person| person.key)
    }

    /// The speaker with this key; added if unknown.
    fn speaker(&mut self, key: u32) -> &mut SpeakerEnergy {
        let index = self.find(key).unwrap_or_else(|index| {
            self.speakers.insert(index, SpeakerEnergy::new(key));
            index
        });
        &mut self.speakers[index]
    }

    /// The energy of a speaker now; negative if unknown or silent for too long.
    pub(super) fn worth(&self, key: u32, now: Instant) -> f32 {
        self.find(key)
            .map_or(-1.0, |index| self.speakers[index].worth(now))
    }

    /// Frees the slots of speakers that have been silent for too long.
    fn drop_silent(&mut self, now: Instant) {
        let mut chosen = std::mem::take(&mut self.slots);
        chosen.retain(|place| self.worth(place.key, now) >= 0.0);
        self.slots = chosen;
    }

    /// The energy and key of the loudest speaker without a slot.
    fn loudest_without_slot(&self, now: Instant) -> Option<(f32, u32)> {
        let without = self
            .speakers
            .iter()
            .filter(|person| self.slots.iter().all(|place| place.key != person.key));
        let alive = without.map(|person| (person.worth(now), person.key));
        let alive = alive.filter(|(worth, _)| *worth >= 0.0);
        // The lower key wins a tie, so that the result is deterministic.
        alive.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    }

    /// Gives free slots to the loudest speakers.
    fn fill_slots(&mut self, now: Instant) {
        while self.slots.len() < self.slot_count {
            let Some((_, key)) = self.loudest_without_slot(now) else {
                return;
            };
            self.slots.push(SpeakerSlot { key, since: now });
        }
    }

    /// Gives the slot of the quietest replaceable speaker to a louder one without a slot.
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

    /// Sorts the slots by energy, with the same hysteresis as replacement.
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
    /// Whether another speaker may take the slot.
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

    /// The energy now; negative once silent for too long, 0 before the first level.
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

/// The fraction of the energy that remains after a duration.
fn decay(passed: Duration) -> f32 {
    (-passed.as_secs_f32() / HALF_LIFE.as_secs_f32()).exp2()
}
