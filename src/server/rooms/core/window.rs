//! The window of a room: it opens and closes at times that its hosts set.

use super::{
    command::{Effect, Now},
    room::{ConnectionState, Room},
};
use crate::protocol::CloseCode;
use std::time::{Duration, Instant};

/// How long before it closes a room warns everybody. 5 min.
const WARNING_MS: i64 = 5 * 60 * 1000;
/// Longest time until the wall clock is read again, which may jump. 1 min.
const MAX_STEP: Duration = Duration::from_secs(60);

/// When the window of a room has to be looked at again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WindowTimer {
    /// When that is.
    due: Option<Instant>,
    /// The time of closing that everybody was warned of.
    warned_of: Option<i64>,
}

impl WindowTimer {
    /// When the window has to be looked at.
    pub fn due(self) -> Option<Instant> {
        self.due
    }
}

impl Room {
    /// Warns of the end of the window, and ends the stay of everybody who does not moderate at it.
    pub(super) fn update_window(&mut self, now: Now) -> Vec<Effect> {
        self.window.due = None;
        let Some(closes) = self.authority.settings().closes else {
            return Vec::new();
        };
        if self.members.is_empty() && self.lobby.is_empty() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        let left_ms = closes.saturating_sub(now.unix_ms);
        if left_ms <= 0 {
            return self.close_window(now);
        }
        let is_new = self.window.warned_of != Some(closes);
        if left_ms <= WARNING_MS && is_new {
            self.window.warned_of = Some(closes);
            effects.push(self.announce_window());
        }
        let next_ms = match left_ms > WARNING_MS {
            true => left_ms - WARNING_MS,
            false => left_ms,
        };
        let next = Duration::from_millis(u64::try_from(next_ms).unwrap_or_default());
        self.window.due = Some(now.instant + next.min(MAX_STEP));
        effects
    }

    /// Starts to watch the window, unless that is done already: somebody waits in a room without
    /// members.
    pub(super) fn watch_window(&mut self, now: Now) -> Vec<Effect> {
        match self.window.due {
            Some(_) => Vec::new(),
            None => self.update_window(now),
        }
    }

    /// Ends the stay of everybody who does not moderate, and every wait.
    fn close_window(&mut self, now: Now) -> Vec<Effect> {
        let code = CloseCode::RoomClosed;
        let waited = !self.lobby.is_empty();
        let mut effects = self.empty_lobby(code);
        let stays = |room: &Self, index: usize| room.role(index).moderates();
        while let Some(index) = (0..self.members.len()).find(|index| !stays(self, *index)) {
            if let ConnectionState::Connected(connection) = self.members[index].connection_state {
                effects.push(Effect::Close { connection, code });
            }
            effects.extend(self.remove_member(index, false, now));
        }
        if waited {
            effects.extend(self.tell_lobby(now));
        }
        effects
    }
}
