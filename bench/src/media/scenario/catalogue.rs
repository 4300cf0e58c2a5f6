//! All scenarios: broadcasts, meetings, many rooms, audiences, and stress.

use super::model::{Scenario, Stress};
use crate::media::net::impairment::Impairment;

/// Bits per second of a video in a broadcast.
const BROADCAST_BITRATE: u32 = 1_000_000;
/// Bits per second of a video in a meeting.
const MEETING_BITRATE: u32 = 500_000;

/// Every scenario, in the order of the report.
pub const ALL: &[Scenario] = &[
    Scenario::broadcast(50),
    Scenario::broadcast(100),
    Scenario::broadcast(200),
    Scenario::broadcast(400),
    Scenario::broadcast(800),
    Scenario::meeting(5, 4),
    Scenario::meeting(10, 9),
    Scenario::meeting(20, 9),
    Scenario::meeting(20, 19),
    Scenario::meeting(30, 9),
    Scenario::meeting(30, 29),
    Scenario::rooms(10),
    Scenario::rooms(25),
    Scenario::rooms(50),
    Scenario::audience(100),
    Scenario::audience(300),
    Scenario::audience(1_000),
    Scenario::switching(20),
    Scenario::storm(1_000, 100),
    Scenario::lossy(20),
    Scenario::rate_limited(10),
    Scenario::soak(10),
];
/// The scenarios of `--quick`.
pub const QUICK: &[Scenario] = &[Scenario::broadcast(50), Scenario::meeting(10, 9)];

impl Scenario {
    /// One publisher, all other clients receive.
    pub const fn broadcast(watchers: u32) -> Self {
        Self {
            id: "B1",
            rooms: 1,
            people: watchers + 1,
            publishers: 1,
            bitrate: BROADCAST_BITRATE,
            tiles: 1,
            stress: Stress::None,
        }
    }

    /// Everybody publishes and receives up to `tiles` videos.
    pub const fn meeting(people: u32, tiles: u32) -> Self {
        Self {
            id: "B2",
            rooms: 1,
            people,
            publishers: people,
            bitrate: MEETING_BITRATE,
            tiles,
            stress: Stress::None,
        }
    }

    /// Many rooms of four people.
    pub const fn rooms(rooms: u32) -> Self {
        Self {
            id: "B3",
            rooms,
            people: 4,
            publishers: 4,
            bitrate: BROADCAST_BITRATE,
            tiles: 3,
            stress: Stress::None,
        }
    }

    /// Ten publish audio, all clients receive.
    pub const fn audience(people: u32) -> Self {
        Self {
            id: "B4",
            rooms: 1,
            people,
            publishers: 10,
            bitrate: 0,
            tiles: 0,
            stress: Stress::None,
        }
    }

    /// One publishes simulcast, all other clients switch layers.
    pub const fn switching(watchers: u32) -> Self {
        Self {
            id: "B5",
            stress: Stress::LayerSwitching,
            ..Self::broadcast(watchers)
        }
    }

    /// People join at `rate` per second, into rooms of a hundred with one audio publisher.
    pub const fn storm(people: u32, rate: u32) -> Self {
        Self {
            id: "B6",
            rooms: people / 100,
            people: 100,
            publishers: 1,
            bitrate: 0,
            tiles: 0,
            stress: Stress::JoinStorm(rate),
        }
    }

    /// One publishes, the receivers lose 2 % at a round trip of 50 ms.
    pub const fn lossy(watchers: u32) -> Self {
        let impairment = Impairment {
            loss_permille: 20,
            delay_ms: 25,
            jitter_ms: 10,
            cap_kbps: 0,
        };
        Self {
            id: "B7",
            stress: Stress::Impaired(impairment),
            ..Self::broadcast(watchers)
        }
    }

    /// One publishes simulcast, the receivers have 800 kbit/s.
    pub const fn rate_limited(watchers: u32) -> Self {
        let impairment = Impairment {
            loss_permille: 0,
            delay_ms: 25,
            jitter_ms: 0,
            cap_kbps: 800,
        };
        Self {
            id: "B7",
            stress: Stress::Impaired(impairment),
            ..Self::broadcast(watchers)
        }
    }

    /// A long meeting with visitors.
    pub const fn soak(people: u32) -> Self {
        Self {
            id: "B8",
            stress: Stress::Soak,
            ..Self::meeting(people, people - 1)
        }
    }
}
