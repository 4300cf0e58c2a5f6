//! The scenarios that are played: broadcasts, meetings, many rooms, audiences, and those that look
//! at one thing.

use super::model::{Scenario, Stress};
use crate::media::net::impairment::Impairment;

/// Bits a second of the picture in a broadcast.
const MEGABIT: u32 = 1_000_000;
/// Of one in a meeting.
const HALF: u32 = 500_000;

/// All scenarios.
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
    Scenario::narrow(10),
    Scenario::soak(10),
];
/// Those that show that it works.
pub const QUICK: &[Scenario] = &[Scenario::broadcast(50), Scenario::meeting(10, 9)];

impl Scenario {
    /// One sends, everybody else watches.
    pub const fn broadcast(watchers: u32) -> Self {
        Self {
            id: "B1",
            rooms: 1,
            people: watchers + 1,
            publishers: 1,
            bitrate: MEGABIT,
            tiles: 1,
            extra: Stress::None,
        }
    }

    /// Everybody sends and sees so many.
    pub const fn meeting(people: u32, tiles: u32) -> Self {
        Self {
            id: "B2",
            rooms: 1,
            people,
            publishers: people,
            bitrate: HALF,
            tiles,
            extra: Stress::None,
        }
    }

    /// Many rooms of four.
    pub const fn rooms(rooms: u32) -> Self {
        Self {
            id: "B3",
            rooms,
            people: 4,
            publishers: 4,
            bitrate: MEGABIT,
            tiles: 3,
            extra: Stress::None,
        }
    }

    /// Ten speak, everybody listens.
    pub const fn audience(people: u32) -> Self {
        Self {
            id: "B4",
            rooms: 1,
            people,
            publishers: 10,
            bitrate: 0,
            tiles: 0,
            extra: Stress::None,
        }
    }

    /// One sends layers, everybody else switches between them.
    pub const fn switching(watchers: u32) -> Self {
        Self {
            id: "B5",
            extra: Stress::LayerSwitching,
            ..Self::broadcast(watchers)
        }
    }

    /// So many come in, so many a second, into rooms of a hundred where one speaks.
    pub const fn storm(people: u32, a_second: u32) -> Self {
        Self {
            id: "B6",
            rooms: people / 100,
            people: 100,
            publishers: 1,
            bitrate: 0,
            tiles: 0,
            extra: Stress::JoinStorm(a_second),
        }
    }

    /// One sends, everybody else loses 2 %, 50 ms away.
    pub const fn lossy(watchers: u32) -> Self {
        let impairment = Impairment {
            loss_permille: 20,
            delay_ms: 25,
            jitter_ms: 10,
            cap_kbps: 0,
        };
        Self {
            id: "B7",
            extra: Stress::Impaired(impairment),
            ..Self::broadcast(watchers)
        }
    }

    /// One sends layers, everybody else can take 800 kbit/s.
    pub const fn narrow(watchers: u32) -> Self {
        let impairment = Impairment {
            loss_permille: 0,
            delay_ms: 25,
            jitter_ms: 0,
            cap_kbps: 800,
        };
        Self {
            id: "B7",
            extra: Stress::Impaired(impairment),
            ..Self::broadcast(watchers)
        }
    }

    /// A meeting that takes long.
    pub const fn soak(people: u32) -> Self {
        Self {
            id: "B8",
            extra: Stress::Soak,
            ..Self::meeting(people, people - 1)
        }
    }
}
