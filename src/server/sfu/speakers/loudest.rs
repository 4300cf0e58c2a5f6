//! Whose sound is forwarded: the few who are loudest.
//!
//! Energy fades by half in 300 ms. Whoever takes a place keeps it for a moment, so that two
//! who speak at once do not throw each other out, and loses it after 2 s of silence.

use std::time::{Duration, Instant};

/// The time in which energy fades by half.
const HALF_LIFE: Duration = Duration::from_millis(300);
/// How long a place, or a rank, is safe once taken.
const IMMUNE_FOR: Duration = Duration::from_millis(300);
/// Silence after which a place is lost.
const DEAD_AFTER: Duration = Duration::from_secs(2);
/// By how much one must be louder to take another's place: 2 dB.
const LOUDER: f32 = 1.6;
/// Below this level, in -dBov, somebody is heard; what is quieter is a room.
const HEARD_DBOV: u8 = 60;
/// dB that a packet loses which its sender does not take for a voice, when it is asked
/// whether somebody is heard.
const VOICELESS_DB: u8 = 12;
/// What one packet stands for at most: Opus has none longer.
const LONGEST_PACKET: Duration = Duration::from_millis(60);

/// Somebody with a microphone.
#[derive(Debug)]
struct Person {
    /// Which one.
    key: u32,
    /// Smoothed power at `at`: 1 is full scale.
    energy: f32,
    /// When energy was last worked out; nothing before any level.
    at: Option<Instant>,
    /// When something was last heard.
    heard: Option<Instant>,
}

/// A place, and since when somebody has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Who.
    key: u32,
    /// Since when.
    since: Instant,
}

/// The few whose sound is forwarded.
#[derive(Debug)]
pub struct Loudest {
    /// How many have a place at most.
    places: usize,
    /// Everybody, by key.
    people: Vec<Person>,
    /// Who has a place, loudest first.
    chosen: Vec<Place>,
    /// Whether people came or went since the last look.
    stirred: bool,
}

impl Loudest {
    /// A room with this many places.
    pub fn new(places: usize) -> Self {
        Self {
            places,
            people: Vec::new(),
            chosen: Vec::new(),
            stirred: false,
        }
    }

    /// Somebody has a microphone. Until its level is known it may have a place that nobody
    /// else wants: not every sender tells levels.
    pub fn add(&mut self, key: u32) {
        self.person(key);
    }

    /// Notes the level of a packet, as in [`super::Speakers::level`].
    pub fn level(&mut self, key: u32, dbov: u8, voice: bool, now: Instant) {
        let person = self.person(key);
        let passed = person
            .at
            .map_or(LONGEST_PACKET, |at| now.saturating_duration_since(at));
        let power = match dbov {
            127.. => 0.0,
            _ => 10_f32.powf(f32::from(dbov) / -10.0),
        };
        // What came before the packet, if anything, was silence.
        let share = 1.0 - kept(passed.min(LONGEST_PACKET));
        person.energy = person.energy * kept(passed) + power * share;
        person.at = Some(now);
        let quieter = if voice { 0 } else { VOICELESS_DB };
        if dbov.saturating_add(quieter) < HEARD_DBOV {
            person.heard = Some(now);
        }
    }

    /// Forgets somebody.
    pub fn remove(&mut self, key: u32) {
        if let Ok(index) = self.find(key) {
            self.people.remove(index);
            let before = self.chosen.len();
            self.chosen.retain(|place| place.key != key);
            self.stirred |= before != self.chosen.len();
        }
    }

    /// Gives the places; whether somebody has another one than before. To be called each
    /// 20 to 100 ms.
    pub fn tick(&mut self, now: Instant) -> bool {
        let before = self.chosen.clone();
        self.bury(now);
        self.seat(now);
        self.challenge(now);
        self.rank(now);
        let keys = |places: &[Place]| places.iter().map(|p| p.key).collect::<Vec<_>>();
        std::mem::take(&mut self.stirred) | (keys(&before) != keys(&self.chosen))
    }

    /// Whose sound goes through, loudest first.
    pub fn loudest(&self) -> impl Iterator<Item = u32> + '_ {
        self.chosen.iter().map(|place| place.key)
    }

    /// Where somebody is, or would be.
    fn find(&self, key: u32) -> Result<usize, usize> {
        self.people.binary_search_by_key(&key, |person| person.key)
    }

    /// Somebody, new where not known.
    fn person(&mut self, key: u32) -> &mut Person {
        let index = self.find(key).unwrap_or_else(|index| {
            self.people.insert(index, Person::new(key));
            index
        });
        &mut self.people[index]
    }

    /// How much somebody's sound is worth now: nothing for whoever has been silent too long.
    pub(super) fn worth(&self, key: u32, now: Instant) -> f32 {
        self.find(key)
            .map_or(-1.0, |index| self.people[index].worth(now))
    }

    /// Takes the places of those who have been silent for too long.
    fn bury(&mut self, now: Instant) {
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.retain(|place| self.worth(place.key, now) >= 0.0);
        self.chosen = chosen;
    }

    /// The loudest of those without a place.
    fn outsider(&self, now: Instant) -> Option<(f32, u32)> {
        let without = self
            .people
            .iter()
            .filter(|person| self.chosen.iter().all(|place| place.key != person.key));
        let alive = without.map(|person| (person.worth(now), person.key));
        let alive = alive.filter(|(worth, _)| *worth >= 0.0);
        // Of two alike the one with the lower key, so that it is always the same.
        alive.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    }

    /// Gives free places to the loudest.
    fn seat(&mut self, now: Instant) {
        while self.chosen.len() < self.places {
            let Some((_, key)) = self.outsider(now) else {
                return;
            };
            self.chosen.push(Place { key, since: now });
        }
    }

    /// Lets the loudest outsider take the place of the quietest who is not safe.
    fn challenge(&mut self, now: Instant) {
        for _ in 0..self.places {
            let open = self.chosen.iter().enumerate();
            let open = open.filter(|(_, place)| place.is_open(now));
            let weakest = open
                .map(|(index, place)| (self.worth(place.key, now), index))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let (Some((worth, index)), Some((louder, key))) = (weakest, self.outsider(now)) else {
                return;
            };
            if louder <= worth * LOUDER {
                return;
            }
            self.chosen[index] = Place { key, since: now };
        }
    }

    /// Moves the louder up, so that also the first few of the chosen are the loudest.
    fn rank(&mut self, now: Instant) {
        for _ in 1..self.chosen.len() {
            for upper in 0..self.chosen.len() - 1 {
                let (above, below) = (self.chosen[upper], self.chosen[upper + 1]);
                let louder = self.worth(below.key, now) > self.worth(above.key, now) * LOUDER;
                if louder && above.is_open(now) {
                    self.chosen[upper] = Place {
                        since: now,
                        ..below
                    };
                    self.chosen[upper + 1] = above;
                }
            }
        }
    }
}

impl Place {
    /// Whether somebody else may have it.
    fn is_open(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= IMMUNE_FOR
    }
}

impl Person {
    /// Nothing known.
    fn new(key: u32) -> Self {
        Self {
            key,
            energy: 0.0,
            at: None,
            heard: None,
        }
    }

    /// The energy now; below zero once silent for too long. Whose level is not known is
    /// silent, but not dead.
    fn worth(&self, now: Instant) -> f32 {
        let silent = |since: Instant| now.saturating_duration_since(since) >= DEAD_AFTER;
        if self.at.is_some() && self.heard.is_none_or(silent) {
            return -1.0;
        }
        let passed = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.energy * kept(passed)
    }
}

/// How much energy is left after a time.
fn kept(passed: Duration) -> f32 {
    (-passed.as_secs_f32() / HALF_LIFE.as_secs_f32()).exp2()
}
