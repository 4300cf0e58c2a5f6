//! What is played: how many people, who sends what, who sees whom.

use crate::media::{
    net::impairment::Impairment,
    servers::{Sfu, baseline::forwarder::Variant},
    traffic::{
        flow::{FlowKind, RIDS},
        srtp::Profile,
    },
};
use serde::Serialize;

/// Frames a second.
const RATE: u32 = 30;
/// People of each room who are heard: the rest are silent.
const SPEAKERS: u32 = 3;
/// How loud those are, and how loud the rest, in dBov.
const LEVELS: [i8; 2] = [-20, -80];

/// Bits a second and frames a second of each simulcast layer.
const LAYERS: [(u32, u32); 3] = [(150_000, 15), (500_000, 30), (1_500_000, 30)];

/// What happens besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Stress {
    /// Nothing.
    #[default]
    None,
    /// Pictures have layers, and watchers switch between the smallest and the largest.
    LayerSwitching,
    /// So many come in a second.
    JoinStorm(u32),
    /// The network of those who watch is bad.
    Impaired(Impairment),
    /// It takes long, and somebody comes and goes all the time.
    Soak,
}

/// A scenario of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// B1 and so on.
    pub id: &'static str,
    /// Rooms.
    pub rooms: u32,
    /// People of each.
    pub people: u32,
    /// Of these, who publish: the first ones.
    pub publishers: u32,
    /// Bits a second of a picture; 0 where there is none.
    pub bitrate: u32,
    /// Other people's pictures each of them sees at most.
    pub tiles: u32,
    /// What happens besides.
    pub extra: Stress,
}

impl Scenario {
    /// Whether it makes sense on a server.
    pub fn suits(&self, sfu: Sfu) -> bool {
        match sfu {
            // What only tells the ways of forwarding apart is told by broadcasts.
            Sfu::Baseline(variant, profile) => {
                let is_main = variant != Variant::Sendmmsg && profile == Profile::Aes256;
                self.extra == Stress::None && (is_main || self.id == "B1")
            }
            // Without an estimate nobody knows how narrow the place is.
            Sfu::Noom { estimates: false } | Sfu::Janus { .. } => self.impairment().cap_kbps == 0,
            Sfu::Noom { estimates: true } => true,
        }
    }

    /// Whether the targets name it: it is played several times.
    pub fn is_headline(&self) -> bool {
        self.extra == Stress::None && matches!((self.id, self.people), ("B1", 201) | ("B2", 10))
    }

    /// The network of those who watch.
    pub fn impairment(&self) -> Impairment {
        match self.extra {
            Stress::Impaired(impairment) => impairment,
            _ => Impairment::default(),
        }
    }

    /// Whether pictures have layers.
    pub fn has_simulcast(&self) -> bool {
        self.extra == Stress::LayerSwitching || self.impairment().cap_kbps > 0
    }

    /// Whether everybody has to open what they receive.
    pub fn decrypts_all(&self) -> bool {
        matches!(self.extra, Stress::LayerSwitching | Stress::Impaired(_))
    }

    /// How many come in a second, where it matters.
    pub fn joins_a_second(&self) -> Option<u32> {
        match self.extra {
            Stress::JoinStorm(rate) => Some(rate),
            _ => None,
        }
    }

    /// People in all rooms.
    pub const fn everybody(&self) -> u32 {
        self.rooms * self.people
    }

    /// Those of a room, by number.
    pub fn room(&self, room: u32) -> std::ops::Range<u32> {
        room * self.people..(room + 1) * self.people
    }

    /// The room of a person.
    pub const fn room_of(&self, person: u32) -> u32 {
        person / self.people
    }

    /// Whether a person publishes.
    pub const fn publishes(&self, person: u32) -> bool {
        person % self.people < self.publishers
    }

    /// What a person sends.
    pub fn kinds(&self, person: u32) -> Vec<FlowKind> {
        if !self.publishes(person) {
            return Vec::new();
        }
        let [speaking, silent] = LEVELS;
        let speaks = person % self.people < SPEAKERS;
        let level = if speaks { speaking } else { silent };
        let mut kinds = vec![FlowKind::Audio { level }];
        if self.has_simulcast() {
            let layers = RIDS.into_iter().zip(LAYERS);
            kinds.extend(layers.map(|(rid, (bitrate, rate))| FlowKind::Video {
                rid: Some(rid),
                bitrate,
                rate,
            }));
        } else if self.bitrate > 0 {
            kinds.push(FlowKind::Video {
                rid: None,
                bitrate: self.bitrate,
                rate: RATE,
            });
        }
        kinds
    }

    /// Whose pictures a person sees.
    pub fn seen_by(&self, person: u32) -> Vec<u32> {
        if self.bitrate == 0 {
            return Vec::new();
        }
        let room = self.room(self.room_of(person));
        // Each begins with their neighbour, so that everybody is seen equally often.
        let after = person + 1..room.end;
        let others = after.chain(room.start..person);
        let others = others.filter(|other| self.publishes(*other));
        others.take(self.tiles as usize).collect()
    }

    /// How it is called in tables.
    pub fn title(&self) -> String {
        let Self {
            id, people, rooms, ..
        } = self;
        match *id {
            "B1" => format!("B1 1 to {}", people - 1),
            "B2" if self.tiles + 1 < *people => format!("B2 {people}, {} tiles", self.tiles),
            "B2" => format!("B2 {people}, all"),
            "B3" => format!("B3 {rooms} rooms of 4"),
            "B4" => format!("B4 10 to {people}"),
            "B5" => format!("B5 1 to {}, switch", people - 1),
            "B6" => format!("B6 storm of {}", self.everybody()),
            "B7" if self.impairment().cap_kbps > 0 => format!("B7 1 to {}, narrow", people - 1),
            "B7" => format!("B7 1 to {}, loss", people - 1),
            _ => format!("{id} {people}, soak"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_in_a_meeting_is_seen_equally_often_and_nobody_sees_themselves() {
        let scenario = Scenario::meeting(20, 9);
        let mut seen = [0; 20];
        for person in 0..20 {
            for other in scenario.seen_by(person) {
                assert_ne!(other, person);
                seen[other as usize] += 1;
            }
        }
        assert_eq!(seen, [9; 20]);
    }

    #[test]
    fn a_broadcast_has_one_who_sends_and_sees_nobody() {
        let scenario = Scenario::broadcast(50);
        assert_eq!(scenario.kinds(0).len(), 2);
        assert!(scenario.kinds(1).is_empty() && scenario.seen_by(0).is_empty());
        assert_eq!(scenario.seen_by(50), [0]);
    }
}
