//! The line to the server: whether it is up, and when to try again.
//!
//! A pure state machine. The driver feeds it what happened, with a random number
//! where jitter is wanted, and does what [`Next`] says.

use crate::protocol::{CloseCode, ErrorCode, ServerMessage};
use std::time::Duration;

/// The line may be down this long before a banner says so.
pub const QUIET_AFTER_LOSS: Duration = Duration::from_secs(3);
/// How often to ask the server for a sign of life.
pub const PING_EVERY: Duration = Duration::from_secs(5);
/// Silence after which the line counts as lost; the server pings every 5 s and so do we.
pub const DEAD_AFTER: Duration = Duration::from_secs(15);
/// How long a new socket may take until it has joined.
pub const JOIN_WITHIN: Duration = Duration::from_secs(10);
/// The waits between attempts, in milliseconds, each times 0.5 to 1.5. The first is
/// anything up to a second, so that a restarted server is not met by everybody at once.
const BACK_OFF_MS: [f64; 5] = [1_000.0, 2_000.0, 4_000.0, 8_000.0, 10_000.0];

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// Not asked for yet (and always so on the server).
    #[default]
    Idle,
    /// A socket is being opened, or has not joined yet.
    Connecting,
    /// Joined.
    Live,
    /// Down; another attempt is planned.
    Waiting,
    /// The room holds as many people as it may; nothing happens until asked.
    Full,
}

/// The line as a person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// How it is.
    pub stage: Stage,
    /// Attempts since it was last live.
    pub attempts: u32,
    /// It has been down long enough to say so.
    pub banner: bool,
    /// It has been live before on this page.
    pub was_live: bool,
}

/// What to do about a lost socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after so long.
    Retry(Duration),
    /// Come in as somebody new at once: another tab goes on with this session.
    StartOver,
    /// Nothing until asked.
    Stay,
}

impl Line {
    /// A socket is being opened.
    pub fn connecting(&mut self) {
        self.stage = Stage::Connecting;
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Takes in what a message says of the line. True where anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(_) => {
                *self = Self {
                    stage: Stage::Live,
                    was_live: true,
                    ..Self::default()
                };
                true
            }
            ServerMessage::Error {
                code: ErrorCode::RoomFull,
                ..
            } => {
                self.stage = Stage::Full;
                true
            }
            _ => false,
        }
    }

    /// The socket is gone; `jitter` is random in 0..1.
    pub fn lost(&mut self, code: u16, jitter: f64) -> Next {
        if self.stage == Stage::Full {
            return Next::Stay;
        }
        let first = self.stage == Stage::Live;
        self.stage = Stage::Waiting;
        if code == CloseCode::Replaced.code() {
            return Next::StartOver;
        }
        Next::Retry(wait(if first { 0 } else { self.attempts }, jitter))
    }

    /// It has been down for [`QUIET_AFTER_LOSS`]. True where that is news.
    pub fn still_lost(&mut self) -> bool {
        let news = self.stage != Stage::Live && self.stage != Stage::Full && !self.banner;
        self.banner |= news;
        news
    }
}

/// How long to wait before attempt number `attempts` (0 is the first); `jitter` is
/// random in 0..1.
pub fn wait(attempts: u32, jitter: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    let Some(step) = attempts.checked_sub(1) else {
        return Duration::from_secs_f64(jitter);
    };
    let step = usize::try_from(step)
        .unwrap_or(usize::MAX)
        .min(BACK_OFF_MS.len() - 1);
    Duration::from_secs_f64(BACK_OFF_MS[step] * (0.5 + jitter) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_comes_within_a_second_and_the_later_ones_back_off() {
        assert_eq!(wait(0, 0.0), Duration::ZERO);
        assert_eq!(wait(0, 1.0), Duration::from_secs(1));
        let middles: Vec<u64> = (1..=7).map(|n| wait(n, 0.5).as_secs()).collect();
        assert_eq!(middles, [1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(wait(4, 0.0), Duration::from_secs(4));
        assert_eq!(wait(4, 1.0), Duration::from_secs(12));
    }

    #[test]
    fn it_never_gives_up_but_waits_to_be_asked_where_the_room_is_full() {
        let mut line = Line::default();
        for _ in 0..1000 {
            line.connecting();
            assert!(matches!(line.lost(1006, 0.5), Next::Retry(_)));
        }
        line.stage = Stage::Full;
        assert_eq!(line.lost(1000, 0.5), Next::Stay);
    }

    #[test]
    fn a_session_taken_over_by_another_tab_starts_over_here() {
        let mut line = Line {
            stage: Stage::Live,
            ..Line::default()
        };
        assert_eq!(line.lost(CloseCode::Replaced.code(), 0.5), Next::StartOver);
    }
}
