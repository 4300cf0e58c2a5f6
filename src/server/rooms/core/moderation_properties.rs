//! Properties of moderation: no sequence of commands raises a role without the host key or a host,
//! and what is muted reaches nobody.
//!
//! A [`Model`] keeps, for each participant, the role that the rules give. After every command it is
//! compared with the room.

use super::{
    command::{
        CallRequest, Command, ConnectionId, Departure, Effect, Join, ModerationRequest, Now,
        RoomRequest,
    },
    history::History,
    room::Room,
};
use crate::{
    protocol::{
        Devices, Epoch, Feature, FeatureSet, HostKey, Mode, Nickname, ParticipantId, Powers, Role,
        RoomName, SessionToken, SettingsChange, Source,
    },
    server::{
        authority::{Authority, AuthorityEvent},
        identity::participant_id,
        rooms::RoomRules,
        store::Recorded,
    },
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
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
    });
    prop_oneof![
        6 => (who(), shown).prop_map(|(who, shown)| Step::Join(who, shown)),
        1 => who().prop_map(Step::Leave),
        1 => who().prop_map(Step::Lose),
        6 => (who(), who(), role).prop_map(|(by, who, role)| Step::SetRole(by, who, role)),
        3 => (who(), prop::option::of(who()), source)
            .prop_map(|(by, who, source)| Step::Mute(by, who, source)),
        1 => (who(), who()).prop_map(|(by, who)| Step::AskToUnmute(by, who)),
        1 => (who(), who()).prop_map(|(by, who)| Step::Remove(by, who)),
        1 => (who(), who()).prop_map(|(by, who)| Step::Ban(by, who)),
        1 => (who(), who()).prop_map(|(by, who)| Step::LiftBan(by, who)),
        2 => (who(), change).prop_map(|(by, change)| Step::SetRoom(by, change)),
        3 => (who(), devices()).prop_map(|(who, devices)| Step::EnterCall(who, devices)),
        3 => (who(), devices(), any::<bool>())
            .prop_map(|(who, devices, unmute)| Step::SetDevices(who, devices, unmute)),
        1 => prop_oneof![1..9_u64, 200..400_u64].prop_map(Step::Wait),
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
    /// The roles that hosts and co-hosts gave.
    given: BTreeMap<usize, Role>,
}

impl Model {
    /// A room whose first participant has shown the key.
    fn new() -> Self {
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

    /// Runs a command; a record is stored at once.
    fn command(&mut self, command: Command) -> Vec<Effect> {
        let now = Now {
            instant: self.now,
            unix_ms: 1,
        };
        let mut all = Vec::new();
        let mut commands = vec![command];
        while let Some(command) = commands.pop() {
            for effect in self.room.handle(command, now) {
                if let Effect::Record {
                    connection,
                    by,
                    record,
                } = &effect
                {
                    let mut stored = Authority::from_json(&self.room.authority.to_json())
                        .expect("reads its own form");
                    let result = match stored.apply(&record.event, record.at) {
                        Ok(true) => Ok(Recorded::Applied(Some(self.room.history.seq() + 1))),
                        Ok(false) => Ok(Recorded::Unchanged),
                        Err(code) => Ok(Recorded::Refused(code)),
                    };
                    commands.push(Command::Recorded {
                        connection: *connection,
                        by: by.clone(),
                        record: record.clone(),
                        result,
                    });
                }
                all.push(effect);
            }
        }
        self.sockets.retain(|who, _| {
            let id = Self::id(*who);
            self.room.index_of(&id).is_some()
        });
        self.hosts.retain(|who| self.sockets.contains_key(who));
        all
    }

    fn join(&mut self, who: usize, shown: Shown) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let was_here = self.sockets.contains_key(&who);
        let join = Join {
            connection,
            session: session(who),
            id: Self::id(who),
            nickname: Nickname::parse("Ann").expect("valid"),
            seen: None,
            host_key: match shown {
                Shown::Nothing => None,
                Shown::TheKey => Some(key("k")),
                Shown::AnotherKey => Some(key("x")),
            },
            fresh_key: key("f"),
            network: None,
        };
        self.sockets.insert(who, connection);
        self.command(Command::Join(join));
        let is_here = self.sockets.contains_key(&who);
        if matches!(shown, Shown::TheKey) {
            assert!(is_here, "nothing keeps out who has the key");
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
            Step::Leave(who) | Step::Lose(who) => {
                let departure = match step {
                    Step::Leave(_) => Departure::Left,
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
                if is_recorded {
                    self.given.insert(who, role);
                }
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
        }
        self.check();
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
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_commands_raise_a_role_without_the_key_or_a_host(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
        }
    }
}
