//! A scenario: the number of people, the media that they send, and the video that they receive.

use crate::media::{
    net::impairment::Impairment,
    traffic::flow::{FlowKind, RIDS},
};
use serde::Serialize;

/// Frames per second of a video without simulcast.
const RATE: u32 = 30;
/// Speaking publishers of each room; the others are silent.
const SPEAKERS: u32 = 3;
/// Audio level of a speaking and of a silent publisher, in dBov.
const LEVELS: [i8; 2] = [-20, -80];

/// Bits and frames per second of each simulcast layer.
const LAYERS: [(u32, u32); 3] = [(150_000, 15), (500_000, 30), (1_500_000, 30)];

/// The stress in addition to the traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Stress {
    /// Only the traffic of the scenario.
    #[default]
    None,
    /// Receivers switch between the smallest and the largest simulcast layer.
    LayerSwitching,
    /// Clients join at this rate per second.
    JoinStorm(u32),
    /// The receivers' network is impaired.
    Impaired(Impairment),
    /// A long run in which visitors join and leave.
    Soak,
}

/// One scenario of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// Its family: B1 to B8.
    pub id: &'static str,
    /// Number of rooms.
    pub rooms: u32,
    /// People per room.
    pub people: u32,
    /// Publishers per room: the first people.
    pub publishers: u32,
    /// Bits per second of a video; 0 without video.
    pub bitrate: u32,
    /// Largest number of videos that a person receives.
    pub tiles: u32,
    /// The stress in addition to the traffic.
    pub stress: Stress,
}

impl Scenario {
    /// Whether it has a target and is played several times.
    pub fn is_headline(&self) -> bool {
        self.stress == Stress::None && matches!((self.id, self.people), ("B1", 201) | ("B2", 10))
    }

    /// The network of the receivers.
    pub fn impairment(&self) -> Impairment {
        match self.stress {
            Stress::Impaired(impairment) => impairment,
            Stress::None | Stress::LayerSwitching | Stress::JoinStorm(_) | Stress::Soak => {
                Impairment::default()
            }
        }
    }

    /// Whether video is simulcast.
    pub fn has_simulcast(&self) -> bool {
        self.stress == Stress::LayerSwitching || self.impairment().cap_kbps > 0
    }

    /// Whether all clients decrypt what they receive.
    pub fn decrypts_all(&self) -> bool {
        matches!(self.stress, Stress::LayerSwitching | Stress::Impaired(_))
    }

    /// Joins per second, if limited.
    pub fn joins_per_second(&self) -> Option<u32> {
        match self.stress {
            Stress::JoinStorm(rate) => Some(rate),
            Stress::None | Stress::LayerSwitching | Stress::Impaired(_) | Stress::Soak => None,
        }
    }

    /// Number of people in all rooms.
    pub const fn everybody(&self) -> u32 {
        self.rooms * self.people
    }

    /// The people of a room.
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

    /// The flows of a person.
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

    /// Indices of the participants whose video a participant receives.
    pub fn video_senders_to(&self, person: u32) -> Vec<u32> {
        if self.bitrate == 0 {
            return Vec::new();
        }
        let room = self.room(self.room_of(person));
        // Each begins with the next publisher, so that all publishers are received equally often.
        let after = person + 1..room.end;
        let others = after.chain(room.start..person);
        let others = others.filter(|other| self.publishes(*other));
        others.take(self.tiles as usize).collect()
    }

    /// The name in tables.
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
            "B7" if self.impairment().cap_kbps > 0 => format!("B7 1 to {}, 800 kbit/s", people - 1),
            "B7" => format!("B7 1 to {}, loss", people - 1),
            _ => format!("{id} {people}, soak"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_in_a_meeting_is_seen_equally_often_and_never_by_themselves() {
        let scenario = Scenario::meeting(20, 9);
        let mut seen = [0; 20];
        for person in 0..20 {
            for other in scenario.video_senders_to(person) {
                assert_ne!(other, person);
                seen[other as usize] += 1;
            }
        }
        assert_eq!(seen, [9; 20]);
    }

    #[test]
    fn a_broadcast_has_one_publisher_who_receives_nothing() {
        let scenario = Scenario::broadcast(50);
        assert_eq!(scenario.kinds(0).len(), 2);
        assert!(scenario.kinds(1).is_empty() && scenario.video_senders_to(0).is_empty());
        assert_eq!(scenario.video_senders_to(50), [0]);
    }
}
