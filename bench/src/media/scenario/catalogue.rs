//! The shapes that are played: broadcasts, meetings, many rooms, audiences, and those that look
//! at one thing.

use super::model::{Extra, Shape};
use crate::media::net::impairment::Weather;

/// Bits a second of the picture in a broadcast.
const MEGABIT: u32 = 1_000_000;
/// Of one in a meeting.
const HALF: u32 = 500_000;

/// All shapes.
pub const ALL: &[Shape] = &[
    Shape::broadcast(50),
    Shape::broadcast(100),
    Shape::broadcast(200),
    Shape::broadcast(400),
    Shape::broadcast(800),
    Shape::meeting(5, 4),
    Shape::meeting(10, 9),
    Shape::meeting(20, 9),
    Shape::meeting(20, 19),
    Shape::meeting(30, 9),
    Shape::meeting(30, 29),
    Shape::rooms(10),
    Shape::rooms(25),
    Shape::rooms(50),
    Shape::audience(100),
    Shape::audience(300),
    Shape::audience(1_000),
    Shape::switching(20),
    Shape::storm(1_000, 100),
    Shape::lossy(20),
    Shape::narrow(10),
    Shape::soak(10),
];
/// Those that show that it works.
pub const QUICK: &[Shape] = &[Shape::broadcast(50), Shape::meeting(10, 9)];

impl Shape {
    /// One sends, everybody else watches.
    pub const fn broadcast(watchers: u32) -> Self {
        Self {
            id: "B1",
            rooms: 1,
            people: watchers + 1,
            publishers: 1,
            bitrate: MEGABIT,
            tiles: 1,
            extra: Extra::Nothing,
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
            extra: Extra::Nothing,
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
            extra: Extra::Nothing,
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
            extra: Extra::Nothing,
        }
    }

    /// One sends layers, everybody else switches between them.
    pub const fn switching(watchers: u32) -> Self {
        Self {
            id: "B5",
            extra: Extra::Switching,
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
            extra: Extra::Storm(a_second),
        }
    }

    /// One sends, everybody else loses 2 %, 50 ms away.
    pub const fn lossy(watchers: u32) -> Self {
        let weather = Weather {
            loss_permille: 20,
            delay_ms: 25,
            jitter_ms: 10,
            cap_kbps: 0,
        };
        Self {
            id: "B7",
            extra: Extra::Rough(weather),
            ..Self::broadcast(watchers)
        }
    }

    /// One sends layers, everybody else can take 800 kbit/s.
    pub const fn narrow(watchers: u32) -> Self {
        let weather = Weather {
            loss_permille: 0,
            delay_ms: 25,
            jitter_ms: 0,
            cap_kbps: 800,
        };
        Self {
            id: "B7",
            extra: Extra::Rough(weather),
            ..Self::broadcast(watchers)
        }
    }

    /// A meeting that takes long.
    pub const fn soak(people: u32) -> Self {
        Self {
            id: "B8",
            extra: Extra::Soak,
            ..Self::meeting(people, people - 1)
        }
    }
}
