//! Entering the room: why this participant is not in it, and who waits to be let in.

use crate::protocol::{ChatText, ErrorCode, Knock, Nickname, RoomSettings, ServerMessage};
use crate::state::connection::backoff;
use std::time::Duration;

/// Longest time until a page asks again whether the room is open.
const MAX_OPENING_DELAY: Duration = Duration::from_secs(60 * 60);
/// Within this time after its opening the pages that wait for a room come back, so that they do not
/// come at once.
const OPENING_SPREAD: Duration = Duration::from_secs(3);

/// Why this participant is not in the room, until the user tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// The room is full.
    Full,
    /// The room admits nobody new.
    Locked,
    /// A host keeps this participant out.
    Banned,
    /// A host or the operator removed this participant.
    Removed,
    /// A host ended the meeting, the operator closed the room, or its time is over.
    Closed,
    /// The room has a password, and none was sent.
    PasswordRequired,
    /// The password is not that of the room.
    WrongPassword,
    /// Too many passwords were tried.
    TooManyGuesses,
    /// Only participants with an invite may enter.
    InviteRequired,
    /// The server does not know the invite.
    BadInvite,
    /// The invite has expired.
    InviteExpired,
    /// As many participants as may have used the invite.
    InviteUsedUp,
    /// The room is not open at this time.
    NotOpen,
    /// As many people as may wait in the lobby.
    LobbyFull,
    /// A host turned this participant away from the lobby.
    Denied,
    /// A host turned this participant away a moment ago.
    TurnedAway,
    /// Nobody admitted this participant in time.
    WaitedTooLong,
}

impl Barrier {
    /// The barrier that an error about a `join` names; `None` for any other error.
    pub fn of_error(code: ErrorCode) -> Option<Self> {
        match code {
            ErrorCode::RoomFull => Some(Self::Full),
            ErrorCode::RoomLocked => Some(Self::Locked),
            ErrorCode::Banned => Some(Self::Banned),
            ErrorCode::PasswordRequired => Some(Self::PasswordRequired),
            ErrorCode::WrongPassword => Some(Self::WrongPassword),
            ErrorCode::TooManyGuesses => Some(Self::TooManyGuesses),
            ErrorCode::InviteRequired => Some(Self::InviteRequired),
            ErrorCode::BadInvite => Some(Self::BadInvite),
            ErrorCode::InviteExpired => Some(Self::InviteExpired),
            ErrorCode::InviteUsedUp => Some(Self::InviteUsedUp),
            ErrorCode::NotOpen => Some(Self::NotOpen),
            ErrorCode::LobbyFull => Some(Self::LobbyFull),
            ErrorCode::TurnedAway => Some(Self::TurnedAway),
            ErrorCode::WaitedTooLong => Some(Self::WaitedTooLong),
            ErrorCode::BadMessage
            | ErrorCode::UnknownType
            | ErrorCode::NotJoined
            | ErrorCode::AlreadyJoined
            | ErrorCode::BadRoomName
            | ErrorCode::BadNickname
            | ErrorCode::MessageEmpty
            | ErrorCode::MessageTooLong
            | ErrorCode::MessageNotAllowed
            | ErrorCode::NoSuchMessage
            | ErrorCode::NotYours
            | ErrorCode::BadEmoji
            | ErrorCode::TooManyReactions
            | ErrorCode::TooManyMessages
            | ErrorCode::TooManyJoins
            | ErrorCode::TooManyNewRooms
            | ErrorCode::TooManyRooms
            | ErrorCode::CallFull
            | ErrorCode::NotInCall
            | ErrorCode::NoSuchPerson
            | ErrorCode::Busy
            | ErrorCode::AddressesHidden
            | ErrorCode::SignalTooLong
            | ErrorCode::BadOffer
            | ErrorCode::Unavailable
            | ErrorCode::RoomStorageFull
            | ErrorCode::AddressStorageFull
            | ErrorCode::ServerStorageFull
            | ErrorCode::NotAllowed
            | ErrorCode::BadText
            | ErrorCode::TooManyEntries
            | ErrorCode::BadSetting
            | ErrorCode::FilesOff
            | ErrorCode::FileTooLarge
            | ErrorCode::NoSuchFile
            | ErrorCode::TooManyFiles
            | ErrorCode::TooManyUploads => None,
        }
    }

    /// Whether the page asks for the password.
    pub fn asks_password(self) -> bool {
        matches!(
            self,
            Self::PasswordRequired | Self::WrongPassword | Self::TooManyGuesses
        )
    }

    /// Whether the invite is the reason, so that the participant may try without it.
    pub fn refuses_invite(self) -> bool {
        matches!(
            self,
            Self::BadInvite | Self::InviteExpired | Self::InviteUsedUp
        )
    }
}

/// What the page of a room shows. It stays while the connection is lost and while the page tries
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admission {
    /// The room, as far as it is known.
    #[default]
    Room,
    /// The lobby, in which this participant waits.
    Lobby,
    /// Why this participant is not in the room.
    Outside(Barrier),
}

impl Admission {
    /// Why this participant is not in the room.
    pub fn barrier(self) -> Option<Barrier> {
        match self {
            Self::Outside(barrier) => Some(barrier),
            Self::Room | Self::Lobby => None,
        }
    }
}

/// The place of this participant in the lobby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LobbyPlace {
    /// The place, from 1.
    pub place: u32,
    /// Whether anybody is in the room who can admit this participant.
    pub host_here: bool,
    /// When the wait ends, in milliseconds since the Unix epoch.
    pub until: i64,
}

/// When the room is open, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// When it opens.
    pub opens: Option<i64>,
    /// When it closes.
    pub closes: Option<i64>,
}

impl Window {
    /// The window of a room with these settings.
    fn of(settings: &RoomSettings) -> Self {
        Self {
            opens: settings.opens,
            closes: settings.closes,
        }
    }

    /// Whether the room has closed.
    pub fn is_over(self, now_ms: i64) -> bool {
        self.closes.is_some_and(|closes| closes <= now_ms)
    }

    /// After how long the page tries again by itself: when the room opens; `None` if it has closed.
    /// `attempts`: attempts since the connection was last live. `jitter` is random in 0..1.
    pub fn opening_delay(self, now_ms: i64, attempts: u32, jitter: f64) -> Option<Duration> {
        let until_ms = self.opens?.saturating_sub(now_ms);
        if self.is_over(now_ms) {
            return None;
        }
        let until = Duration::from_millis(u64::try_from(until_ms).unwrap_or(0));
        let spread = OPENING_SPREAD.mul_f64(jitter.clamp(0.0, 1.0));
        // The clock of this device may be ahead of that of the server.
        let at_least = backoff(attempts, jitter);
        Some(
            until
                .saturating_add(spread)
                .clamp(at_least, MAX_OPENING_DELAY),
        )
    }
}

/// The people in the lobby, for those who may admit them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WaitingList {
    /// How many people wait.
    pub count: u32,
    /// Those who wait longest.
    pub people: Vec<Knock>,
}

impl WaitingList {
    /// How many people wait that the list does not show.
    pub fn hidden(&self) -> u32 {
        let shown = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        self.count.saturating_sub(shown)
    }

    /// Whether somebody has come to the lobby since `before`.
    pub fn has_arrivals_since(&self, before: &Self) -> bool {
        let is_new = |knock: &Knock| {
            let mut known = before.people.iter();
            !known.any(|known| known.person.id == knock.person.id)
        };
        // Where not all are listed, somebody new in the list may have waited behind it.
        let is_whole = before.hidden() == 0;
        self.count > before.count || (is_whole && self.people.iter().any(is_new))
    }
}

/// What the server said about entering the room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The nickname with which this participant asks to enter. The controller sets it.
    pub nickname: Option<Nickname>,
    /// The place in the lobby, while this participant waits.
    pub lobby: Option<LobbyPlace>,
    /// The reason of the host who turned this participant away.
    pub reason: Option<ChatText>,
    /// Whether the server refused the line for the hosts. The controller sets it.
    pub line_refused: bool,
    /// When the room is open, where the server said so.
    pub window: Window,
    /// Who waits for this participant to admit them.
    pub waiting: WaitingList,
}

impl Entry {
    /// Applies a message of the server. Returns whether anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(joined) => {
                *self = Self {
                    nickname: self.nickname.take(),
                    window: Window::of(&joined.room),
                    ..Self::default()
                };
            }
            ServerMessage::Waiting {
                place,
                host_here,
                until,
                ..
            } => {
                self.lobby = Some(LobbyPlace {
                    place: *place,
                    host_here: *host_here,
                    until: *until,
                });
                self.reason = None;
            }
            ServerMessage::Denied { reason } => {
                self.lobby = None;
                self.reason.clone_from(reason);
            }
            ServerMessage::Lobby { count, people } => {
                self.waiting = WaitingList {
                    count: *count,
                    people: people.clone(),
                };
            }
            ServerMessage::Window { opens, closes } => {
                self.window = Window {
                    opens: *opens,
                    closes: *closes,
                };
            }
            ServerMessage::RoomChanged { room, .. } => {
                let before = std::mem::replace(&mut self.window, Window::of(room));
                return before != self.window;
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
            | ServerMessage::Hosts { .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
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
            | ServerMessage::Pong => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ParticipantId, Person, SessionToken};

    fn knock(key: &str) -> Knock {
        let id = ParticipantId::parse(&format!("p_{key}")).expect("valid");
        Knock {
            person: Person::new(id, Nickname::parse(key).expect("valid")),
            line: None,
            since: 0,
        }
    }

    fn list(count: u32, keys: &[&str]) -> WaitingList {
        WaitingList {
            count,
            people: keys.iter().map(|key| knock(key)).collect(),
        }
    }

    #[test]
    fn the_page_comes_back_when_the_room_opens_and_not_all_pages_at_once() {
        let window = Window {
            opens: Some(60_000),
            closes: Some(90_000),
        };
        let delay = |now, attempts, jitter| window.opening_delay(now, attempts, jitter);
        assert_eq!(delay(0, 1, 0.0), Some(Duration::from_secs(60)));
        assert_eq!(delay(0, 1, 1.0), Some(Duration::from_secs(63)));
        // The server says that the room is closed although it is open by this clock.
        assert_eq!(delay(70_000, 4, 0.5), Some(backoff(4, 0.5)));
        assert_eq!(delay(90_000, 1, 0.5), None, "it has closed");
        let far = Window {
            opens: Some(i64::MAX),
            closes: None,
        };
        assert_eq!(far.opening_delay(-1, 1, 0.5), Some(MAX_OPENING_DELAY));
        let never = Window {
            opens: None,
            closes: Some(10),
        };
        assert_eq!(never.opening_delay(20, 1, 0.5), None);
    }

    #[test]
    fn a_place_in_the_lobby_lasts_until_a_host_decides() {
        let waiting = |place| ServerMessage::Waiting {
            me: knock("me").person.id,
            session: SessionToken::parse("0123456789012345678901").expect("valid"),
            place,
            host_here: true,
            until: 9,
        };
        let mut entry = Entry::default();
        assert!(entry.apply(&waiting(2)));
        assert!(entry.apply(&waiting(1)));
        assert_eq!(entry.lobby.map(|lobby| lobby.place), Some(1));
        let reason = ChatText::parse("not today").ok();
        entry.apply(&ServerMessage::Denied {
            reason: reason.clone(),
        });
        assert_eq!((entry.lobby, &entry.reason), (None, &reason));
        entry.apply(&waiting(1));
        assert_eq!(
            entry.reason, None,
            "the page of the second wait shows no old reason"
        );
    }

    #[test]
    fn the_page_knows_when_the_room_closes_from_its_settings() {
        let changed = |closes| ServerMessage::RoomChanged {
            seq: 1,
            room: RoomSettings {
                closes,
                ..RoomSettings::default()
            },
            by: None,
        };
        let mut entry = Entry::default();
        assert!(entry.apply(&changed(Some(9))));
        assert!(!entry.apply(&changed(Some(9))));
        assert!(entry.window.is_over(9) && !entry.window.is_over(8));
        assert!(entry.apply(&changed(None)));
        assert!(!entry.window.is_over(i64::MAX));
    }

    #[test]
    fn the_list_says_how_many_wait_behind_those_that_it_shows() {
        assert_eq!(list(500, &["a", "b"]).hidden(), 498);
        assert_eq!(list(2, &["a", "b"]).hidden(), 0);
    }

    #[test]
    fn only_somebody_who_has_just_come_counts_as_an_arrival() {
        let arrives = |before: &WaitingList, now: &WaitingList| now.has_arrivals_since(before);
        assert!(arrives(&list(0, &[]), &list(1, &["a"])));
        assert!(
            arrives(&list(1, &["a"]), &list(1, &["b"])),
            "one in for one out"
        );
        assert!(!arrives(&list(2, &["a", "b"]), &list(1, &["b"])));
        assert!(!arrives(&list(1, &["a"]), &list(1, &["a"])));
        assert!(
            !arrives(&list(3, &["a", "b"]), &list(2, &["b", "c"])),
            "waited behind those whom the list showed"
        );
        assert!(arrives(&list(500, &["a"]), &list(501, &["a"])));
    }

    #[test]
    fn each_page_about_a_password_or_an_invite_belongs_to_an_error_of_the_server() {
        let of = |code| Barrier::of_error(code).expect("a barrier");
        for code in [
            ErrorCode::PasswordRequired,
            ErrorCode::WrongPassword,
            ErrorCode::TooManyGuesses,
        ] {
            assert!(of(code).asks_password() && !of(code).refuses_invite());
        }
        for code in [
            ErrorCode::BadInvite,
            ErrorCode::InviteExpired,
            ErrorCode::InviteUsedUp,
        ] {
            assert!(of(code).refuses_invite() && !of(code).asks_password());
        }
        assert!(!of(ErrorCode::InviteRequired).refuses_invite());
        assert_eq!(Barrier::of_error(ErrorCode::NotAllowed), None);
    }
}
