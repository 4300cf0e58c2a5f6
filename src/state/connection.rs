//! The state of the connection to the server and its reconnect policy.
//!
//! A pure state machine. The room controller passes it events and random numbers for jitter,
//! and follows the [`ReconnectPlan`].

use crate::protocol::{CloseCode, ErrorCode, Refusal, ServerMessage};
use crate::state::entry::{Admission, Barrier};
use std::time::Duration;

/// How long the connection may be down before the page shows a banner.
pub const BANNER_DELAY: Duration = Duration::from_secs(3);
/// Interval of `ping` messages to the server.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Silence after which the connection counts as lost. Server and client both ping every 5 s.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time from opening a socket to `joined`.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The delays between attempts after the first, in milliseconds, each times 0.5 to 1.5. The
/// first delay is uniform in 0 to 1 s, which spreads the clients of a restarted server.
const BACKOFF_MS: [f64; 5] = [1_000.0, 2_000.0, 4_000.0, 8_000.0, 10_000.0];

/// Upper bound of a refusal's `Retry-After`, which may come from a misconfigured proxy.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The known reason why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The server refuses the connection.
    Refused(Refusal),
    /// A proxy or a newer server refuses the connection with this HTTP status.
    Status(u16),
    /// The server refuses the `join`.
    Join(ErrorCode),
}

/// A refusal and the time until the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reason of the refusal.
    pub reason: Reason,
    /// The `Retry-After` (RFC 9110 10.2.3), if present.
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// Reads a response to a connection request: its status, `noom-refusal` and `Retry-After`.
    /// `None` if the response is no refusal, for example because the server is unreachable.
    pub fn read(status: u16, refusal: Option<&str>, retry_after: Option<&str>) -> Option<Self> {
        let known = refusal.and_then(Refusal::parse).map(Reason::Refused);
        let reason = known.or(match status {
            401 | 403 | 407 | 421 | 429 | 451 => Some(Reason::Status(status)),
            _ => refusal.map(|_| Reason::Status(status)),
        })?;
        let seconds = retry_after.and_then(|seconds| seconds.trim().parse().ok());
        Some(Self {
            reason,
            retry_after: seconds.map(Duration::from_secs),
        })
    }

    /// The refusal of a `join`; `None` for any other error.
    pub fn of_join(code: ErrorCode) -> Option<Self> {
        match code {
            ErrorCode::TooManyJoins
            | ErrorCode::TooManyNewRooms
            | ErrorCode::TooManyRooms
            | ErrorCode::BadRoomName
            | ErrorCode::BadNickname
            | ErrorCode::Unavailable => Some(Self {
                reason: Reason::Join(code),
                retry_after: None,
            }),
            ErrorCode::BadMessage
            | ErrorCode::UnknownType
            | ErrorCode::NotJoined
            | ErrorCode::AlreadyJoined
            | ErrorCode::MessageEmpty
            | ErrorCode::MessageTooLong
            | ErrorCode::MessageNotAllowed
            | ErrorCode::NoSuchMessage
            | ErrorCode::NotYours
            | ErrorCode::BadEmoji
            | ErrorCode::TooManyReactions
            | ErrorCode::TooManyMessages
            | ErrorCode::RoomFull
            | ErrorCode::CallFull
            | ErrorCode::NotInCall
            | ErrorCode::NoSuchPerson
            | ErrorCode::Busy
            | ErrorCode::AddressesHidden
            | ErrorCode::SignalTooLong
            | ErrorCode::BadOffer
            | ErrorCode::RoomStorageFull
            | ErrorCode::AddressStorageFull
            | ErrorCode::ServerStorageFull
            | ErrorCode::NotAllowed
            | ErrorCode::RoomLocked
            | ErrorCode::Banned
            | ErrorCode::BadText
            | ErrorCode::TooManyEntries
            | ErrorCode::PasswordRequired
            | ErrorCode::WrongPassword
            | ErrorCode::TooManyGuesses
            | ErrorCode::InviteRequired
            | ErrorCode::BadInvite
            | ErrorCode::InviteExpired
            | ErrorCode::InviteUsedUp
            | ErrorCode::NotOpen
            | ErrorCode::LobbyFull
            | ErrorCode::WaitedTooLong
            | ErrorCode::TurnedAway
            | ErrorCode::BadSetting
            | ErrorCode::FilesOff
            | ErrorCode::FileTooLarge
            | ErrorCode::NoSuchFile
            | ErrorCode::TooManyFiles
            | ErrorCode::TooManyUploads => None,
        }
    }
}

/// The phase of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Not started. Always so on the server.
    #[default]
    Idle,
    /// A socket is being opened, or has not joined yet.
    Connecting,
    /// The room is joined.
    Live,
    /// Lost; another attempt is planned.
    Waiting,
    /// The connection is live, and a host has to admit this participant.
    Lobby,
    /// This participant is not in the room; the user decides when to try again.
    Out,
}

impl Phase {
    /// Whether the server answers on this connection.
    pub fn is_connected(self) -> bool {
        match self {
            Self::Live | Self::Lobby => true,
            Self::Idle | Self::Connecting | Self::Waiting | Self::Out => false,
        }
    }
}

/// The connection as the page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionState {
    /// State of the connection.
    pub phase: Phase,
    /// What the page shows.
    pub admission: Admission,
    /// Attempts since it was last live.
    pub attempts: u32,
    /// Whether the banner is shown.
    pub banner: bool,
    /// Whether the connection has been live on this page.
    pub was_live: bool,
    /// The reason that the server or a proxy gave for a refusal.
    pub reason: Option<Reason>,
}

/// The reaction to a lost socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconnectPlan {
    /// Try again after this delay.
    Retry(Duration),
    /// Join at once as a new participant: another tab continues this session.
    StartOver,
    /// Do nothing until the user asks for it.
    Stay,
    /// Leave the call, and do nothing until the user asks for it.
    Leave,
}

impl ConnectionState {
    /// A socket is being opened.
    pub fn on_connecting(&mut self) {
        self.phase = Phase::Connecting;
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Applies a message of the server. Returns whether anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(_) => {
                *self = Self {
                    phase: Phase::Live,
                    was_live: true,
                    ..Self::default()
                };
                true
            }
            ServerMessage::Waiting { .. } => {
                let before = *self;
                *self = Self {
                    phase: Phase::Lobby,
                    admission: Admission::Lobby,
                    ..Self::default()
                };
                *self != before
            }
            ServerMessage::Denied { .. } => self.stay_out(Barrier::Denied),
            // Errors about a `join` only: a member who is in the room stays there.
            ServerMessage::Error { code, id: None, .. } if self.phase != Phase::Live => {
                Barrier::of_error(*code).is_some_and(|barrier| self.stay_out(barrier))
            }
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Chat(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Typing { .. }
            | ServerMessage::Entered { .. }
            | ServerMessage::Renamed { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::Announcement { .. }
            | ServerMessage::RoleChanged { .. }
            | ServerMessage::RoomChanged { .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Hosts { .. }
            | ServerMessage::Invites { .. }
            | ServerMessage::History { .. }
            | ServerMessage::Call { .. }
            | ServerMessage::MediaMode { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::MediaClosed { .. }
            | ServerMessage::Slots { .. }
            | ServerMessage::Layers { .. }
            | ServerMessage::Codec { .. }
            | ServerMessage::Speakers { .. }
            | ServerMessage::Qualities { .. }
            | ServerMessage::CallEntered { .. }
            | ServerMessage::CallLeft { .. }
            | ServerMessage::Devices { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => false,
        }
    }

    /// The room does not admit this participant. Always a change.
    fn stay_out(&mut self, barrier: Barrier) -> bool {
        (self.phase, self.banner, self.reason) = (Phase::Out, false, None);
        self.admission = Admission::Outside(barrier);
        true
    }

    /// The socket closed with `code`. `jitter` is random in 0..1.
    pub fn on_lost(&mut self, code: u16, jitter: f64) -> ReconnectPlan {
        if self.phase == Phase::Out {
            return ReconnectPlan::Stay;
        }
        let out = [
            (CloseCode::NotAllowed, Barrier::Banned),
            (CloseCode::Removed, Barrier::Removed),
            (CloseCode::RoomClosed, Barrier::Closed),
        ];
        if let Some((_, barrier)) = out.into_iter().find(|(known, _)| known.code() == code) {
            self.stay_out(barrier);
            return ReconnectPlan::Leave;
        }
        let first = self.phase.is_connected();
        self.phase = Phase::Waiting;
        if code == CloseCode::Replaced.code() {
            return ReconnectPlan::StartOver;
        }
        ReconnectPlan::Retry(backoff(if first { 0 } else { self.attempts }, jitter))
    }

    /// An attempt was refused. Returns the delay until the next one: at least the `Retry-After`,
    /// spread by `jitter`, which is random in 0..1.
    pub fn on_refused(&mut self, refused: Refused, jitter: f64) -> Duration {
        self.phase = Phase::Waiting;
        self.banner = true;
        self.reason = Some(refused.reason);
        let at_least = refused.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let at_least = at_least.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0);
        backoff(self.attempts, jitter).max(at_least)
    }

    /// The reply to the question why an attempt failed: a refusal, or `None` if no reason is
    /// known. Returns the new delay of a planned attempt that the refusal postpones.
    pub fn on_explanation(&mut self, refused: Option<Refused>, jitter: f64) -> Option<Duration> {
        match (self.phase, refused) {
            (Phase::Waiting, Some(refused)) => Some(self.on_refused(refused, jitter)),
            (Phase::Connecting, Some(refused)) => {
                (self.banner, self.reason) = (true, Some(refused.reason));
                None
            }
            (Phase::Waiting | Phase::Connecting, None) => {
                self.reason = None;
                None
            }
            (Phase::Idle | Phase::Live | Phase::Lobby | Phase::Out, _) => None,
        }
    }

    /// The connection has been down for [`BANNER_DELAY`]. Returns whether the banner is new.
    pub fn show_banner(&mut self) -> bool {
        let is_down = !self.phase.is_connected() && self.phase != Phase::Out;
        let is_new = is_down && !self.banner;
        self.banner |= is_new;
        is_new
    }
}

/// The delay before attempt number `attempts` (0 is the first). `jitter` is random in 0..1.
pub fn backoff(attempts: u32, jitter: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    let Some(step) = attempts.checked_sub(1) else {
        return Duration::from_secs_f64(jitter);
    };
    let step = usize::try_from(step)
        .unwrap_or(usize::MAX)
        .min(BACKOFF_MS.len() - 1);
    Duration::from_secs_f64(BACKOFF_MS[step] * (0.5 + jitter) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ParticipantId, SessionToken};

    #[test]
    fn the_first_attempt_comes_within_a_second_and_later_ones_back_off() {
        assert_eq!(backoff(0, 0.0), Duration::ZERO);
        assert_eq!(backoff(0, 1.0), Duration::from_secs(1));
        let middles: Vec<u64> = (1..=7).map(|n| backoff(n, 0.5).as_secs()).collect();
        assert_eq!(middles, [1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(backoff(4, 0.0), Duration::from_secs(4));
        assert_eq!(backoff(4, 1.0), Duration::from_secs(12));
    }

    #[test]
    fn reconnecting_never_stops_except_outside_the_room() {
        let mut connection = ConnectionState::default();
        for _ in 0..1000 {
            connection.on_connecting();
            assert!(matches!(
                connection.on_lost(1006, 0.5),
                ReconnectPlan::Retry(_)
            ));
        }
        connection.apply(&error(ErrorCode::RoomFull));
        assert_eq!(connection.on_lost(1000, 0.5), ReconnectPlan::Stay);
    }

    #[test]
    fn a_removed_participant_and_a_closed_room_wait_for_the_user() {
        for (code, barrier) in [
            (CloseCode::NotAllowed, Barrier::Banned),
            (CloseCode::Removed, Barrier::Removed),
            (CloseCode::RoomClosed, Barrier::Closed),
        ] {
            let mut connection = ConnectionState {
                phase: Phase::Live,
                ..ConnectionState::default()
            };
            let plan = connection.on_lost(code.code(), 0.5);
            assert_eq!((plan, connection.phase), (ReconnectPlan::Leave, Phase::Out));
            assert_eq!(connection.admission, Admission::Outside(barrier));
            assert!(!connection.show_banner());
            assert_eq!(connection.on_lost(1006, 0.5), ReconnectPlan::Stay);
            connection.on_connecting();
            assert_eq!(connection.phase, Phase::Connecting);
            assert_eq!(
                connection.admission,
                Admission::Outside(barrier),
                "until it is known"
            );
        }
    }

    fn error(code: ErrorCode) -> ServerMessage {
        ServerMessage::Error {
            code,
            message: String::new(),
            id: None,
        }
    }

    fn waiting() -> ServerMessage {
        ServerMessage::Waiting {
            me: ParticipantId::parse("p_me").expect("valid"),
            session: SessionToken::parse("0123456789012345678901").expect("valid"),
            place: 1,
            host_here: false,
            until: 0,
        }
    }

    #[test]
    fn the_lobby_is_a_live_connection_that_reconnects_and_keeps_its_page() {
        let mut connection = ConnectionState::default();
        connection.on_connecting();
        assert!(connection.apply(&waiting()));
        assert!(
            !connection.apply(&waiting()),
            "news about the place change no connection"
        );
        assert_eq!(connection.phase, Phase::Lobby);
        assert!(!connection.show_banner());
        assert_eq!(
            connection.on_lost(1006, 0.5),
            ReconnectPlan::Retry(backoff(0, 0.5)),
            "at once, as from a room"
        );
        assert_eq!(connection.admission, Admission::Lobby);
        assert!(connection.show_banner());
        connection.on_connecting();
        connection.apply(&waiting());
        assert!(!connection.banner);
    }

    #[test]
    fn a_refusal_in_the_lobby_ends_the_wait_before_the_socket_closes() {
        for (message, barrier) in [
            (ServerMessage::Denied { reason: None }, Barrier::Denied),
            (error(ErrorCode::WaitedTooLong), Barrier::WaitedTooLong),
        ] {
            let mut connection = ConnectionState::default();
            connection.on_connecting();
            connection.apply(&waiting());
            assert!(connection.apply(&message));
            let closed = connection.on_lost(CloseCode::NotAllowed.code(), 0.5);
            assert_eq!(closed, ReconnectPlan::Stay);
            assert_eq!(connection.admission, Admission::Outside(barrier));
        }
    }

    #[test]
    fn an_error_about_entering_concerns_nobody_who_is_in_the_room() {
        let mut connection = ConnectionState {
            phase: Phase::Live,
            ..ConnectionState::default()
        };
        assert!(!connection.apply(&error(ErrorCode::RoomFull)));
        assert_eq!(connection.admission, Admission::Room);
        connection.on_lost(1006, 0.5);
        connection.on_connecting();
        assert!(connection.apply(&error(ErrorCode::PasswordRequired)));
        let asks = connection.admission.barrier().map(Barrier::asks_password);
        assert_eq!((connection.phase, asks), (Phase::Out, Some(true)));
    }

    fn too_many(retry_after: &str) -> Refused {
        Refused::read(429, Some("too_many_connections"), Some(retry_after)).expect("a refusal")
    }

    #[test]
    fn a_refusal_is_shown_at_once_and_its_retry_after_is_kept() {
        let mut connection = ConnectionState::default();
        connection.on_connecting();
        assert_eq!(
            connection.on_refused(too_many("30"), 0.0),
            Duration::from_secs(30)
        );
        assert_eq!(
            connection.on_refused(too_many("30"), 1.0),
            Duration::from_secs(45)
        );
        assert!(connection.banner && connection.phase == Phase::Waiting);
        let reason = Reason::Refused(Refusal::TooManyConnections);
        assert_eq!(connection.reason, Some(reason));
        // A delay of a day is capped, and a date is not parsed.
        assert_eq!(
            connection.on_refused(too_many("86400"), 0.0),
            Duration::from_secs(300)
        );
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(connection.on_refused(too_many(date), 0.5), backoff(1, 0.5));
        // An attempt that fails without a reason keeps the reason.
        connection.on_connecting();
        connection.on_lost(1006, 0.5);
        assert_eq!(connection.reason, Some(reason));
        connection.on_explanation(None, 0.5);
        assert_eq!(connection.reason, None);
    }

    #[test]
    fn a_late_refusal_delays_the_planned_attempt_only() {
        let mut connection = ConnectionState::default();
        connection.on_connecting();
        connection.on_lost(1006, 0.5);
        let put_off = connection.on_explanation(Some(too_many("10")), 0.0);
        assert_eq!(put_off, Some(Duration::from_secs(10)));
        connection.on_connecting();
        assert_eq!(connection.on_explanation(Some(too_many("10")), 0.0), None);
        assert_eq!(connection.phase, Phase::Connecting);
        for phase in [Phase::Live, Phase::Lobby, Phase::Out] {
            let mut connection = ConnectionState {
                phase,
                ..ConnectionState::default()
            };
            let before = connection;
            assert_eq!(connection.on_explanation(Some(too_many("10")), 0.0), None);
            assert_eq!(connection, before, "{phase:?}");
        }
    }

    #[test]
    fn only_answers_that_refuse_are_read_as_refusals() {
        let reason = |status, refusal| Refused::read(status, refusal, None).map(|r| r.reason);
        let foreign = Reason::Refused(Refusal::ForeignOrigin);
        assert_eq!(reason(403, Some("foreign_origin")), Some(foreign));
        assert_eq!(
            reason(503, Some("server_full")),
            Some(Reason::Refused(Refusal::ServerFull))
        );
        assert_eq!(reason(403, None), Some(Reason::Status(403)));
        assert_eq!(reason(429, Some("new_kind")), Some(Reason::Status(429)));
        for away in [200, 204, 404, 405, 415, 500, 502, 503, 504] {
            assert_eq!(reason(away, None), None, "{away}");
        }
    }

    #[test]
    fn a_session_replaced_by_another_tab_starts_over() {
        let mut connection = ConnectionState {
            phase: Phase::Live,
            ..ConnectionState::default()
        };
        assert_eq!(
            connection.on_lost(CloseCode::Replaced.code(), 0.5),
            ReconnectPlan::StartOver
        );
    }
}
