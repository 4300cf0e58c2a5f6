//! Properties of moderation: no sequence of commands raises a role without the host key or a host,
//! what is muted reaches nobody, and bans and locks keep out whom they name.
//!
//! A [`Model`] keeps, for each participant, what the rules give, and the authority that the store
//! has. The store answers late, and it fails. After every command the model is compared with the
//! room.

use super::{
    command::{
        CallRequest, Command, ConnectionId, Departure, Effect, Join, ModerationRequest, Moderator,
        Now, RoomRequest, Visitor,
    },
    history::History,
    presence::AwayMember,
    room::Room,
};
use crate::{
    protocol::{
        Devices, Epoch, ErrorCode, Feature, FeatureSet, HostKey, Mode, Nickname, ParticipantId,
        Powers, Role, RoomName, ServerMessage, SessionToken, SettingsChange, Source,
    },
    server::{
        authority::{Authority, AuthorityEvent},
        identity::participant_id,
        invites::InviteKey,
        rooms::{RoomError, RoomRules},
        store::{NewRecord, Recorded},
    },
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// Few people, so that the actions concern each other.
const SESSIONS: usize = 4;

/// A key that a participant shows.
#[derive(Debug, Clone, Copy)]
enum Shown {
    Nothing,
    TheKey,
    AnotherKey,
}

/// A random command of one of the participants.
#[derive(Debug, Clone)]
enum Step {
    Join(usize, Shown),
    Leave(usize),
    /// The socket breaks; the participant stays a member for the grace period.
    Break(usize),
    /// The socket is silent for too long; the participant is away.
    Lose(usize),
    SetRole(usize, usize, Role),
    Mute(usize, Option<usize>, Source),
    AskToUnmute(usize, usize),
    Remove(usize, usize),
    Ban(usize, usize),
    LiftBan(usize, usize),
    SetRoom(usize, SettingsChange),
    EnterCall(usize, Devices),
    SetDevices(usize, Devices, bool),
    Wait(u64),
    /// The store answers this many records.
    Answer(usize, Outcome),
}

/// What the store does with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    Failed,
    Refused,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..SESSIONS;
    let role = prop::sample::select(&Role::ALL[..]);
    let source = prop::sample::select(&Source::ALL[..]);
    let devices = || {
        any::<[bool; 3]>().prop_map(|[microphone, camera, screen]| Devices {
            microphone,
            camera,
            screen,
        })
    };
    let shown = prop_oneof![
        Just(Shown::Nothing),
        Just(Shown::TheKey),
        Just(Shown::AnotherKey)
    ];
    let features = prop::collection::vec(prop::sample::select(&Feature::ALL[..]), 0..8);
    let powers = features.prop_map(|features| Powers {
        guest: FeatureSet::of(&features),
        ..Powers::default()
    });
    let change = (
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        prop::option::of(powers),
    );
    let change = change.prop_map(|(locked, host_unmutes, powers)| SettingsChange {
        locked,
        host_unmutes,
        powers,
        ..SettingsChange::default()
    });
    let outcome = prop_oneof![
        6 => Just(Outcome::Stored),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Refused),
    ];
    prop_oneof![
        6 => (who(), shown).prop_map(|(who, shown)| Step::Join(who, shown)),
        1 => who().prop_map(Step::Leave),
        1 => who().prop_map(Step::Break),
        1 => who().prop_map(Step::Lose),
        6 => (who(), who(), role).prop_map(|(by, who, role)| Step::SetRole(by, who, role)),
        3 => (who(), prop::option::of(who()), source)
            .prop_map(|(by, who, source)| Step::Mute(by, who, source)),
        1 => (who(), who()).prop_map(|(by, who)| Step::AskToUnmute(by, who)),
        1 => (who(), who()).prop_map(|(by, who)| Step::Remove(by, who)),
        1 => (who(), who()).prop_map(|(by, who)| Step::Ban(by, who)),
        1 => (who(), who()).prop_map(|(by, who)| Step::LiftBan(by, who)),
        1 => (who(), any::<bool>()).prop_map(|(by, locked)| {
            let locked = Some(locked);
            Step::SetRoom(by, SettingsChange { locked, ..SettingsChange::default() })
        }),
        2 => (who(), change).prop_map(|(by, change)| Step::SetRoom(by, change)),
        3 => (who(), devices()).prop_map(|(who, devices)| Step::EnterCall(who, devices)),
        3 => (who(), devices(), any::<bool>())
            .prop_map(|(who, devices, unmute)| Step::SetDevices(who, devices, unmute)),
        1 => prop_oneof![1..9_u64, 200..400_u64].prop_map(Step::Wait),
        5 => (1..4_usize, outcome).prop_map(|(count, outcome)| Step::Answer(count, outcome)),
    ]
}

fn session(number: usize) -> SessionToken {
    SessionToken::parse(&format!("session-{number:-<20}")).expect("valid")
}

fn key(letter: &str) -> HostKey {
    HostKey::parse(&letter.repeat(22)).expect("valid")
}

/// Who may be what, by the rules of docs/protocol.md.
struct Model {
    room: Room,
    now: Instant,
    connections: u64,
    /// The socket of each participant who is here.
    sockets: BTreeMap<usize, ConnectionId>,
    /// Whether a participant who is here has shown the key.
    hosts: BTreeSet<usize>,
    /// The roles that hosts and co-hosts gave, once they are durable.
    given: BTreeMap<usize, Role>,
    /// Who is banned, once that is durable.
    banned: BTreeSet<usize>,
    /// Who may return, while the room is locked.
    admitted: Option<BTreeSet<usize>>,
    /// Who was removed or banned while the room is locked.
    dismissed: BTreeSet<usize>,
    /// The authority that the store has.
    stored: Authority,
    /// The end of the log in the store.
    seq: u64,
    /// The records that the store has not answered, and who was here or away when each was sent.
    pending: VecDeque<(Recording, BTreeSet<usize>)>,
    /// Whether the store answers at once.
    answers_at_once: bool,
    /// Whether a host is here, who acts as one and from when, as everybody was told last.
    told: (bool, Option<ParticipantId>, Option<i64>),
}

/// A record on its way to the store.
struct Recording {
    by: Option<Moderator>,
    record: NewRecord,
}

impl Model {
    /// A room whose first participant has shown the key.
    fn new(answers_at_once: bool) -> Self {
        let now = Instant::now();
        let rules = RoomRules {
            capacity: 9,
            call_capacity: 9,
            p2p_max: 64,
            hide_addresses: false,
            move_back_after: Duration::from_secs(5),
            grace: Duration::from_secs(5),
            away: Duration::from_secs(115),
            empty_within: Duration::from_secs(10),
            started: now - Duration::from_secs(3600),
            ice_servers: Arc::default(),
            invite_key: InviteKey::new([7; 32]),
            claim_rooms: false,
        };
        let name = RoomName::parse("team").expect("valid");
        let epoch = Epoch::parse("e").expect("valid");
        let room = Room::new(name, epoch, History::default(), None, rules);
        let mut model = Self {
            room,
            now,
            connections: 0,
            sockets: BTreeMap::new(),
            hosts: BTreeSet::new(),
            given: BTreeMap::new(),
            banned: BTreeSet::new(),
            admitted: None,
            dismissed: BTreeSet::new(),
            stored: Authority::default(),
            seq: 0,
            pending: VecDeque::new(),
            answers_at_once,
            told: (true, None, None),
        };
        model.join(0, Shown::TheKey);
        model
    }

    fn id(who: usize) -> ParticipantId {
        participant_id(&session(who))
    }

    /// The role that the rules give, except that of an acting host.
    fn role(&self, who: usize) -> Role {
        match self.hosts.contains(&who) {
            true => Role::Host,
            false => self.given.get(&who).copied().unwrap_or_default(),
        }
    }

    /// The role in the room, which may be that of an acting host.
    fn actual(&self, who: usize) -> Option<Role> {
        let index = self.room.index_of(&Self::id(who))?;
        Some(self.room.role(index))
    }

    /// The participant of this id.
    fn of(id: &ParticipantId) -> usize {
        let found = (0..SESSIONS).find(|who| Self::id(*who) == *id);
        found.expect("one of the participants")
    }

    fn is_away(&self, who: usize) -> bool {
        let id = Self::id(who);
        self.room.away.iter().any(|away| away.person.id == id)
    }

    /// Runs a command. Its records wait for the store.
    fn command(&mut self, command: Command) -> Vec<Effect> {
        let now = Now {
            instant: self.now,
            unix_ms: 1,
        };
        let expected = |who: &usize| self.sockets.contains_key(who) || self.is_away(*who);
        let expected: BTreeSet<usize> = (0..SESSIONS).filter(expected).collect();
        let mut effects = self.room.handle(command, now);
        for effect in &effects {
            if let Effect::Record { by, record } = effect {
                let recording = Recording {
                    by: by.clone(),
                    record: record.clone(),
                };
                self.pending.push_back((recording, expected.clone()));
            }
            if let Effect::Broadcast { message, .. } = effect
                && let ServerMessage::Hosts { here, acting, from } = message
            {
                self.told = (*here, acting.clone(), *from);
            }
        }
        self.sockets.retain(|who, _| {
            let id = Self::id(*who);
            self.room.index_of(&id).is_some()
        });
        self.hosts.retain(|who| self.sockets.contains_key(who));
        while self.answers_at_once && !self.pending.is_empty() {
            effects.extend(self.answer(Outcome::Stored));
        }
        effects
    }

    /// The store answers the oldest record.
    fn answer(&mut self, outcome: Outcome) -> Vec<Effect> {
        let Some((recording, expected)) = self.pending.pop_front() else {
            return Vec::new();
        };
        let Recording { by, record } = recording;
        let result = match outcome {
            Outcome::Failed => Err(RoomError::Unavailable),
            Outcome::Refused => Ok(Recorded::Refused(ErrorCode::TooManyEntries)),
            Outcome::Stored => match self.stored.apply(&record.event, record.at) {
                Ok(true) => {
                    let takes_seq = !matches!(record.event, AuthorityEvent::Claim { .. });
                    self.seq += u64::from(takes_seq);
                    Ok(Recorded::Applied(takes_seq.then_some(self.seq)))
                }
                Ok(false) => Ok(Recorded::Unchanged),
                Err(code) => Ok(Recorded::Refused(code)),
            },
        };
        if matches!(result, Ok(Recorded::Applied(_) | Recorded::Unchanged)) {
            self.note(&record.event, expected);
        }
        self.command(Command::Recorded { by, record, result })
    }

    /// Notes what a durable record means by the rules.
    fn note(&mut self, event: &AuthorityEvent, expected: BTreeSet<usize>) {
        match event {
            AuthorityEvent::Claim { .. } => {}
            AuthorityEvent::Role { id, role } => {
                self.given.insert(Self::of(id), *role);
            }
            AuthorityEvent::Ban(ban) => {
                let who = Self::of(&ban.person.id);
                self.banned.insert(who);
                self.dismiss(who);
            }
            AuthorityEvent::LiftBan(id) => {
                self.banned.remove(&Self::of(id));
            }
            AuthorityEvent::Dismiss(id) => self.dismiss(Self::of(id)),
            AuthorityEvent::Settings { change, .. } => match change.locked {
                Some(true) => {
                    self.admitted.get_or_insert(expected);
                }
                Some(false) => {
                    self.admitted = None;
                    self.dismissed.clear();
                }
                None => {}
            },
            AuthorityEvent::Password { .. }
            | AuthorityEvent::Admit(_)
            | AuthorityEvent::Invite(_)
            | AuthorityEvent::RevokeInvite(_)
            | AuthorityEvent::UseInvite { .. }
            | AuthorityEvent::Visit { .. } => {}
        }
    }

    fn dismiss(&mut self, who: usize) {
        if let Some(admitted) = &mut self.admitted {
            admitted.remove(&who);
            // Who has come back as a co-host meanwhile stays, also when the role is lower later.
            let stays = self.sockets.contains_key(&who) && self.role(who).moderates();
            if !stays {
                self.dismissed.insert(who);
            }
        }
    }

    fn join(&mut self, who: usize, shown: Shown) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let was_here = self.sockets.contains_key(&who);
        let join = Join {
            connection,
            visitor: Visitor {
                host_key: match shown {
                    Shown::Nothing => None,
                    Shown::TheKey => Some(key("k")),
                    Shown::AnotherKey => Some(key("x")),
                },
                ..Visitor::new(session(who), Nickname::parse("Ann").expect("valid"))
            },
            seen: None,
            fresh_key: key("f"),
            opening: SettingsChange::default(),
        };
        let was_away = self.is_away(who);
        let is_co_host = self.given.get(&who) == Some(&Role::CoHost);
        let is_admitted = self
            .admitted
            .as_ref()
            .is_none_or(|admitted| admitted.contains(&who) || was_away || is_co_host);
        let may_enter = was_here || (is_admitted && !self.banned.contains(&who));
        self.sockets.insert(who, connection);
        self.command(Command::Join(join));
        let is_here = self.sockets.contains_key(&who);
        let shows_key = matches!(shown, Shown::TheKey);
        assert_eq!(is_here, may_enter || shows_key, "{who} enters");
        if is_here && !was_here {
            // As a host or co-host.
            self.dismissed.remove(&who);
        }
        if shows_key {
            self.hosts.insert(who);
        } else if !was_here {
            self.hosts.remove(&who);
        }
    }

    /// Sends a request of a participant, if they are here.
    fn request(&mut self, who: usize, request: RoomRequest) -> Vec<Effect> {
        let Some(connection) = self.sockets.get(&who).copied() else {
            return Vec::new();
        };
        self.command(Command::Member {
            connection,
            request,
        })
    }

    fn moderate(&mut self, by: usize, request: ModerationRequest) -> Vec<Effect> {
        self.request(by, RoomRequest::Moderate(request))
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Join(who, shown) => self.join(who, shown),
            Step::Leave(who) | Step::Break(who) | Step::Lose(who) => {
                let departure = match step {
                    Step::Leave(_) => Departure::Left,
                    Step::Break(_) => Departure::Lost,
                    _ => Departure::TimedOut,
                };
                if let Some(connection) = self.sockets.get(&who).copied() {
                    self.command(Command::Disconnected {
                        connection,
                        departure,
                    });
                }
            }
            Step::SetRole(by, who, role) => {
                let (actor, target) = (self.actual(by), self.actual(who));
                let target = target.unwrap_or(self.given.get(&who).copied().unwrap_or_default());
                let who_id = Self::id(who);
                let effects = self.moderate(by, ModerationRequest::SetRole { who: who_id, role });
                let is_recorded = effects.iter().any(|effect| {
                    matches!(effect, Effect::Record { record, .. }
                        if matches!(record.event, AuthorityEvent::Role { .. }))
                });
                let allowed = by != who
                    && actor.is_some_and(|actor| {
                        actor >= Role::CoHost && target < actor && role < actor
                    });
                assert!(allowed || !is_recorded, "{by} gave {who} the role {role:?}");
            }
            Step::Mute(by, who, source) => {
                let who = who.map(Self::id);
                self.moderate(by, ModerationRequest::Mute { who, source });
            }
            Step::AskToUnmute(by, who) => {
                self.moderate(by, ModerationRequest::AskToUnmute(Self::id(who)));
            }
            Step::Remove(by, who) => {
                let (who, reason) = (Self::id(who), None);
                self.moderate(by, ModerationRequest::Remove { who, reason });
            }
            Step::Ban(by, who) => {
                let request = ModerationRequest::Ban {
                    who: Self::id(who),
                    reason: None,
                    address: false,
                };
                self.moderate(by, request);
            }
            Step::LiftBan(by, who) => {
                self.moderate(by, ModerationRequest::LiftBan(Self::id(who)));
            }
            Step::SetRoom(by, change) => {
                self.moderate(by, ModerationRequest::SetRoom(change));
            }
            Step::EnterCall(who, devices) => {
                let request = CallRequest::Enter {
                    leg: 1,
                    devices,
                    hide_address: false,
                };
                self.request(who, RoomRequest::Call(request));
            }
            Step::SetDevices(who, devices, unmute) => {
                let request = CallRequest::SetDevices { devices, unmute };
                self.request(who, RoomRequest::Call(request));
            }
            Step::Wait(seconds) => {
                self.now += Duration::from_secs(seconds);
                self.command(Command::Tick);
            }
            Step::Answer(count, outcome) => {
                for _ in 0..count {
                    self.answer(outcome);
                }
            }
        }
        self.check();
    }

    /// The store answers everything, and has the authority that the room has.
    fn finish(&mut self) {
        while !self.pending.is_empty() {
            self.answer(Outcome::Stored);
            self.check();
        }
        if let Some((host_key, opening)) = self.room.unstored_claim.clone() {
            let event = AuthorityEvent::Claim { host_key, opening };
            assert_eq!(self.stored.apply(&event, 1), Ok(true), "it was not stored");
        }
        assert_eq!(self.room.authority, self.stored);
        assert_eq!(self.room.history.seq(), self.seq);
    }

    /// Compares the room with the rules.
    fn check(&self) {
        let mut acting = 0;
        for who in 0..SESSIONS {
            let Some(actual) = self.actual(who) else {
                continue;
            };
            let expected = self.role(who);
            if actual != expected {
                assert_eq!((actual, expected), (Role::Host, Role::CoHost), "{who}");
                assert!(
                    self.hosts.is_empty(),
                    "a host is here, and {who} acts as one"
                );
                acting += 1;
            }
        }
        assert!(acting <= 1, "one co-host acts as host");
        let (here, acting, from) = &self.told;
        assert_eq!(*here, !self.hosts.is_empty(), "everybody knows it");
        match (acting.as_ref().map(Self::of), from) {
            (Some(who), None) => assert_eq!(self.actual(who), Some(Role::Host), "{who} acts"),
            (Some(who), Some(_)) => assert_eq!(self.actual(who), Some(Role::CoHost)),
            (None, from) => {
                let is_co_host = |who| self.actual(who) == Some(Role::CoHost);
                assert!(from.is_none() && (*here || !(0..SESSIONS).any(is_co_host)));
            }
        }
        let mut is_muted = false;
        for index in 0..self.room.members.len() {
            let Some(session) = self.room.members[index].call else {
                continue;
            };
            assert_eq!(session.muted, self.room.muted(index));
            assert_eq!(session.devices, session.muted.mask(session.devices));
            is_muted |= !session.muted.is_empty();
        }
        assert!(!is_muted || self.room.mode == Mode::Sfu);
        assert_eq!(self.room.pending, self.pending.len());
        for who in &self.banned {
            let is_here = self.sockets.contains_key(who);
            assert!(!is_here || self.hosts.contains(who), "{who} is banned");
            let is_expected = |away: &AwayMember| away.person.id == Self::id(*who);
            let mut away = self.room.away.iter().filter(|away| !away.holds_key);
            assert!(!away.any(is_expected), "{who} is banned, and expected back");
        }
        for who in &self.dismissed {
            let is_here = self.sockets.contains_key(who);
            let may_enter = self.role(*who).moderates();
            assert!(!is_here || may_enter, "{who} was removed");
        }
    }
}

#[test]
fn who_returns_before_a_removal_from_a_locked_room_is_durable_does_not_stay() {
    let mut model = Model::new(false);
    let locked = Some(true);
    let lock = SettingsChange {
        locked,
        ..SettingsChange::default()
    };
    for step in [
        Step::Join(1, Shown::Nothing),
        Step::SetRoom(0, lock),
        Step::Answer(3, Outcome::Stored),
        Step::Remove(0, 1),
        Step::Join(1, Shown::Nothing),
    ] {
        model.run(step);
    }
    assert!(model.sockets.contains_key(&1), "the store is slow");
    model.run(Step::Answer(1, Outcome::Stored));
    assert!(!model.sockets.contains_key(&1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_commands_raise_a_role_without_the_key_or_a_host(
        steps in prop::collection::vec(step(), 1..120),
        answers_at_once in any::<bool>(),
    ) {
        let mut model = Model::new(answers_at_once);
        for step in steps {
            model.run(step);
        }
        model.finish();
    }
}

#[test]
fn a_co_host_who_returns_before_the_removal_is_durable_stays_with_a_lower_role() {
    let mut model = Model::new(false);
    let lock = SettingsChange {
        locked: Some(true),
        ..SettingsChange::default()
    };
    for step in [
        Step::Join(1, Shown::Nothing),
        Step::SetRoom(0, lock),
        Step::SetRole(0, 1, Role::CoHost),
        Step::Answer(5, Outcome::Stored),
        Step::Remove(0, 1),
        Step::SetRole(0, 1, Role::Viewer),
        Step::Join(1, Shown::Nothing),
        Step::Answer(2, Outcome::Stored),
    ] {
        model.run(step);
    }
    assert!(model.sockets.contains_key(&1));
    assert_eq!(model.actual(1), Some(Role::Viewer));
}
