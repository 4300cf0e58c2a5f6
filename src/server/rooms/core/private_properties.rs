//! Properties of private rooms: nobody enters whom the rules do not admit, who waits receives nothing
//! of the room, no role rises without the key, an invite or a host, and no invite is used too often.
//!
//! A [`Model`] runs the effects as the actor of a room does, keeps what every socket receives, and has
//! a store that answers late and fails. After every command it compares the room with the rules.

use super::{
    command::{
        Command, ConnectionId, Departure, Effect, Join, ModerationRequest, Moderator, Now,
        RoomRequest, ShownPassword, Visitor,
    },
    history::History,
    room::{ConnectionState, Room},
};
use crate::{
    protocol::{
        Access, CloseCode, Epoch, ErrorCode, HostKey, InviteDraft, InviteId, Nickname,
        ParticipantId, Role, RoomName, ServerMessage, SessionToken, SettingsChange,
    },
    server::{
        authority::{Authority, AuthorityEvent},
        identity::participant_id,
        invites::InviteKey,
        net::{Network, ban_network},
        password_hasher::PasswordHash,
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
const SESSIONS: usize = 5;
/// Invites that somebody may present.
const INVITES: usize = 3;
/// Passwords that a room may have.
const PASSWORDS: usize = 2;
/// Most people in the room.
const CAPACITY: usize = 4;
/// The time at the start, in milliseconds since the Unix epoch.
const START_MS: i64 = 1_000_000_000;

/// What a participant shows with a `join`.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    /// Whether they show the host key.
    key: bool,
    /// The invite that they present.
    invite: Option<usize>,
    /// The password that they show.
    password: Option<usize>,
}

/// A random command of one of the participants.
#[derive(Debug, Clone)]
enum Step {
    Join(usize, Shown),
    /// Somebody with a page without script asks to enter.
    Visit(usize, Shown),
    Leave(usize),
    /// The socket breaks; a member keeps the place for the grace period, and who waits for a minute.
    Break(usize),
    SetRole(usize, usize, Role),
    Admit(usize, Option<usize>),
    Deny(usize, Option<usize>),
    Remove(usize, usize),
    /// Ban a participant, with or without the network.
    Ban(usize, usize, bool),
    LiftBan(usize, usize),
    SetRoom(usize, SettingsChange),
    SetPassword(usize, Option<usize>),
    Invite(usize, usize, Role, Option<u32>),
    Revoke(usize, usize),
    End(usize),
    ForgetAway,
    Wait(u64),
    /// The store answers this many records.
    Answer(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..SESSIONS;
    let shown = || {
        let key = prop::bool::weighted(0.1);
        let invite = prop::option::of(0..INVITES);
        let password = prop::option::of(0..PASSWORDS);
        (key, invite, password).prop_map(|(key, invite, password)| Shown {
            key,
            invite,
            password,
        })
    };
    let access = prop::option::of(prop::sample::select(vec![
        Access::Listed,
        Access::Unlisted,
        Access::Closed,
    ]));
    let change = (
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        access,
        prop::option::weighted(0.3, prop::option::of(1..4_u32)),
        prop::option::weighted(0.2, prop::option::of(-400..900_i64)),
        prop::option::weighted(0.3, prop::option::of(-100..900_i64)),
    );
    let change = change.prop_map(|(locked, lobby, access, capacity, opens, closes)| {
        let at = |time: Option<i64>| time.map(|seconds| START_MS + seconds * 1000);
        SettingsChange {
            locked,
            lobby,
            access,
            capacity,
            opens: opens.map(at),
            closes: closes.map(at),
            ..SettingsChange::default()
        }
    });
    let role = || prop::sample::select(&Role::ALL[..]);
    let uses = prop::option::of(1..3_u32);
    prop_oneof![
        12 => (who(), shown()).prop_map(|(who, shown)| Step::Join(who, shown)),
        2 => (who(), shown()).prop_map(|(who, shown)| Step::Visit(who, shown)),
        2 => who().prop_map(Step::Leave),
        2 => who().prop_map(Step::Break),
        2 => (who(), who(), role()).prop_map(|(by, who, role)| Step::SetRole(by, who, role)),
        5 => (who(), prop::option::of(who())).prop_map(|(by, who)| Step::Admit(by, who)),
        3 => (who(), prop::option::of(who())).prop_map(|(by, who)| Step::Deny(by, who)),
        2 => (who(), who()).prop_map(|(by, who)| Step::Remove(by, who)),
        2 => (who(), who(), any::<bool>()).prop_map(|(by, who, net)| Step::Ban(by, who, net)),
        1 => (who(), who()).prop_map(|(by, who)| Step::LiftBan(by, who)),
        3 => (who(), any::<bool>()).prop_map(|(by, lobby)| {
            let lobby = Some(lobby);
            Step::SetRoom(by, SettingsChange { lobby, ..SettingsChange::default() })
        }),
        4 => (who(), change).prop_map(|(by, change)| Step::SetRoom(by, change)),
        2 => (who(), prop::option::of(0..PASSWORDS))
            .prop_map(|(by, password)| Step::SetPassword(by, password)),
        4 => (who(), 0..INVITES, role(), uses)
            .prop_map(|(by, invite, role, uses)| Step::Invite(by, invite, role, uses)),
        1 => (who(), 0..INVITES).prop_map(|(by, invite)| Step::Revoke(by, invite)),
        1 => who().prop_map(Step::End),
        1 => Just(Step::ForgetAway),
        2 => prop_oneof![1..9_u64, 30..400_u64].prop_map(Step::Wait),
        8 => (1..4_usize, prop::bool::weighted(0.8))
            .prop_map(|(count, stores)| Step::Answer(count, stores)),
    ]
}

fn session(number: usize) -> SessionToken {
    SessionToken::parse(&format!("session-{number:-<20}")).expect("valid")
}

fn id(who: usize) -> ParticipantId {
    participant_id(&session(who))
}

fn key(letter: &str) -> HostKey {
    HostKey::parse(&letter.repeat(22)).expect("valid")
}

fn invite_id(number: usize) -> InviteId {
    InviteId::parse(&format!("invite-{number:-<5}")).expect("valid")
}

fn hash(number: usize) -> PasswordHash {
    PasswordHash {
        salt: Vec::new(),
        hash: vec![u8::try_from(number).expect("small")],
        memory_kib: 1,
        passes: 1,
    }
}

/// The network of a participant: two people share one.
fn network(who: usize) -> Option<Network> {
    ban_network([192, 0, 2, u8::try_from(who / 2).expect("small")].into())
}

/// A change that switches the lobby on or off.
fn lobby(on: bool) -> SettingsChange {
    SettingsChange {
        lobby: Some(on),
        ..SettingsChange::default()
    }
}

/// A socket as the actor of a room keeps it.
#[derive(Debug, Default)]
struct Socket {
    who: usize,
    /// Whether broadcasts are kept from it.
    is_held: bool,
    has_joined: bool,
    received: Vec<ServerMessage>,
    closed: Option<CloseCode>,
}

/// The room, its sockets and its store.
struct Model {
    room: Room,
    now: Instant,
    unix_ms: i64,
    connections: u64,
    sockets: BTreeMap<ConnectionId, Socket>,
    /// The last socket of each participant.
    last: BTreeMap<usize, ConnectionId>,
    stored: Authority,
    seq: u64,
    pending: VecDeque<(Option<Moderator>, NewRecord)>,
    /// Who used each invite, once that is durable.
    used_by: BTreeMap<InviteId, Vec<ParticipantId>>,
    answers_at_once: bool,
}

impl Model {
    /// A room whose first participant has shown the key.
    fn new(answers_at_once: bool) -> Self {
        let now = Instant::now();
        let rules = RoomRules {
            capacity: CAPACITY,
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
        let mut model = Self {
            room: Room::new(name, epoch, History::default(), None, rules),
            now: now + Duration::from_secs(1),
            unix_ms: START_MS,
            connections: 0,
            sockets: BTreeMap::new(),
            last: BTreeMap::new(),
            stored: Authority::default(),
            seq: 0,
            pending: VecDeque::new(),
            used_by: BTreeMap::new(),
            answers_at_once,
        };
        let shown = Shown {
            key: true,
            ..Shown::default()
        };
        model.run(Step::Join(0, shown));
        model
    }

    fn now(&self) -> Now {
        Now {
            instant: self.now,
            unix_ms: self.unix_ms,
        }
    }

    /// The role of a participant who is here.
    fn role(&self, who: usize) -> Option<Role> {
        self.room.index_of(&id(who)).map(|i| self.room.role(i))
    }

    fn is_here(&self, who: usize) -> bool {
        self.role(who).is_some()
    }

    fn waits(&self, who: usize) -> bool {
        self.room.person_in_lobby(&id(who)).is_some()
    }

    fn visitor(&self, who: usize, shown: Shown) -> Visitor {
        let password = match (shown.password, self.room.password()) {
            (None, _) | (_, None) => ShownPassword::Nothing,
            (Some(number), Some(known)) if hash(number) == known => ShownPassword::Of(known),
            (Some(_), Some(_)) => ShownPassword::Wrong,
        };
        Visitor {
            host_key: shown.key.then(|| key("k")),
            invite: shown.invite.map(invite_id),
            password,
            network: network(who),
            ..Visitor::new(session(who), Nickname::parse("Ann").expect("valid"))
        }
    }

    /// Why the rules admit somebody now, if they do.
    fn is_admitted_by_rules(&self, visitor: &Visitor) -> bool {
        let authority = &self.room.authority;
        let settings = authority.settings();
        let who = &visitor.id;
        if visitor.host_key.is_some() {
            return true;
        }
        let is_banned = authority
            .bans(self.unix_ms)
            .any(|ban| ban.person.id == *who || ban.network == Some(network_of(visitor)));
        let moderates = authority.role_of(who) == Role::CoHost;
        let is_open = settings.opens.is_none_or(|opens| opens <= self.unix_ms)
            && settings.closes.is_none_or(|closes| closes > self.unix_ms);
        if is_banned || (!moderates && !is_open) {
            return false;
        }
        let was_away = self.room.away.iter().any(|away| away.person.id == *who);
        if moderates || was_away {
            return true;
        }
        if settings.locked && !authority.admits(who) {
            return false;
        }
        if authority.was_let_in(who) {
            return true;
        }
        let password = authority.password().cloned();
        let knows = password.is_none_or(|known| visitor.password == ShownPassword::Of(known));
        knows && !settings.lobby && settings.access != Access::Closed
    }

    /// Runs a command and its effects. The records wait for the store.
    fn command(&mut self, command: Command, visitor: Option<Visitor>) -> Vec<Effect> {
        let mut roles = BTreeMap::new();
        for who in 0..SESSIONS {
            roles.insert(who, self.role(who));
        }
        let away: BTreeSet<ParticipantId> = self
            .room
            .away
            .iter()
            .map(|away| away.person.id.clone())
            .collect();
        let recorded = match &command {
            Command::Recorded { by, record, .. } => Some((by.clone(), record.event.clone())),
            _ => None,
        };
        let admitted_before = visitor.as_ref().map(|v| self.is_admitted_by_rules(v));
        let effects = self.room.handle(command, self.now());
        self.deliver(&effects);
        for who in 0..SESSIONS {
            let (before, after) = (roles[&who], self.role(who));
            if before.is_none() && after.is_some() {
                let asked = visitor.as_ref().filter(|visitor| visitor.id == id(who));
                let known = self.room.authority.was_let_in(&id(who));
                let may = match asked {
                    Some(_) => admitted_before == Some(true),
                    // Admitted, by an invite, or because the room was opened to them.
                    None => {
                        let settings = self.room.authority.settings();
                        let is_open = !settings.lobby && settings.access != Access::Closed;
                        (known || is_open || away.contains(&id(who)))
                            && self.room.authority.admits(&id(who))
                    }
                };
                assert!(may, "{who} has entered");
            }
            let Some(after) = after else { continue };
            if after <= before.unwrap_or_default() {
                continue;
            }
            let shows_key = visitor
                .as_ref()
                .is_some_and(|v| v.id == id(who) && v.host_key.is_some());
            let acts = after == Role::Host && !self.room.members.iter().any(|m| m.holds_key);
            let was_given = match &recorded {
                Some((Some(_), AuthorityEvent::Role { id: given, role })) => {
                    *given == id(who) && *role == after
                }
                Some((
                    _,
                    AuthorityEvent::UseInvite {
                        invite, id: user, ..
                    },
                )) => {
                    *user == id(who)
                        && self
                            .room
                            .authority
                            .invite(invite)
                            .is_some_and(|invite| invite.role == after)
                }
                _ => false,
            };
            // The role was given before, and they enter now.
            let had = before.is_none() && self.room.authority.role_of(&id(who)) == after;
            let keeps_key = self.room.index_of(&id(who)).is_some_and(|i| {
                self.room.members[i].holds_key && before.is_some() && after == Role::Host
            });
            assert!(
                shows_key || acts || was_given || had || keeps_key,
                "{who} rose from {before:?} to {after:?}"
            );
        }
        let mut all = effects;
        while self.answers_at_once && !self.pending.is_empty() {
            all.extend(self.answer(true));
        }
        all
    }

    /// Runs effects as the actor of a room does.
    fn deliver(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Hold { connection } => {
                    self.sockets.get_mut(connection).expect("known").is_held = true;
                }
                Effect::Release { connection } => {
                    let socket = self.sockets.get_mut(connection).expect("known");
                    assert!(socket.is_held, "released once");
                    socket.is_held = false;
                }
                Effect::RefuseJoin { connection, .. } => drop(self.sockets.remove(connection)),
                Effect::Close { connection, code } => {
                    let socket = self.sockets.get_mut(connection);
                    let socket = socket.expect("a socket that was not refused is closed");
                    socket.closed.get_or_insert(*code);
                }
                Effect::Send {
                    connection,
                    message,
                } => self.receive(*connection, message),
                Effect::Broadcast { message, except } => {
                    let sockets = self.sockets.iter();
                    let open =
                        sockets.filter(|(_, socket)| socket.closed.is_none() && !socket.is_held);
                    let open: Vec<_> = open.map(|(connection, _)| *connection).collect();
                    for connection in open {
                        if Some(connection) != *except {
                            self.receive(connection, message);
                        }
                    }
                }
                Effect::Record { by, record } => {
                    self.pending.push_back((by.clone(), record.clone()));
                }
                _ => {}
            }
        }
    }

    /// A socket receives a message. Who has not entered learns only that.
    fn receive(&mut self, connection: ConnectionId, message: &ServerMessage) {
        let Some(socket) = self.sockets.get_mut(&connection) else {
            return;
        };
        if socket.closed.is_some() {
            return;
        }
        match message {
            ServerMessage::Joined(_) => {
                assert!(!socket.is_held, "it was released before");
                socket.has_joined = true;
            }
            ServerMessage::Waiting { .. }
            | ServerMessage::Denied { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Error { .. } => {}
            other => assert!(socket.has_joined, "{} receives {other:?}", socket.who),
        }
        socket.received.push(message.clone());
    }

    /// The store answers the oldest record.
    fn answer(&mut self, stores: bool) -> Vec<Effect> {
        let Some((by, record)) = self.pending.pop_front() else {
            return Vec::new();
        };
        let result = match stores {
            false => Err(RoomError::Unavailable),
            true => match self.stored.apply(&record.event, record.at) {
                Ok(true) => {
                    let takes_seq = !matches!(record.event, AuthorityEvent::Claim { .. });
                    self.seq += u64::from(takes_seq);
                    if let AuthorityEvent::UseInvite { invite, id, .. } = &record.event {
                        let users = self.used_by.entry(invite.clone()).or_default();
                        users.push(id.clone());
                    }
                    Ok(Recorded::Applied(takes_seq.then_some(self.seq)))
                }
                Ok(false) => Ok(Recorded::Unchanged),
                Err(code) => Ok(Recorded::Refused(code)),
            },
        };
        self.command(Command::Recorded { by, record, result }, None)
    }

    fn moderate(&mut self, by: usize, request: ModerationRequest) -> Vec<Effect> {
        let Some(connection) = self.last.get(&by).copied() else {
            return Vec::new();
        };
        let is_open = self
            .sockets
            .get(&connection)
            .is_some_and(|s| s.closed.is_none());
        if !is_open {
            return Vec::new();
        }
        let request = RoomRequest::Moderate(request);
        let role = self.role(by);
        let is_harmless = matches!(
            request,
            RoomRequest::Moderate(ModerationRequest::CreateInvite { .. })
        );
        let effects = self.command(
            Command::Member {
                connection,
                request,
            },
            None,
        );
        let moderates = role.is_some_and(|role| role >= Role::CoHost);
        let is_by_host = |effect: &Effect| matches!(effect, Effect::Record { by: Some(_), .. });
        let changes = effects.iter().any(is_by_host);
        assert!(
            moderates || is_harmless || !changes,
            "{by} is {role:?} and changes the room: {effects:?}"
        );
        effects
    }

    fn join(&mut self, who: usize, shown: Shown) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let visitor = self.visitor(who, shown);
        let socket = Socket {
            who,
            ..Socket::default()
        };
        self.sockets.insert(connection, socket);
        self.last.insert(who, connection);
        let join = Join {
            connection,
            visitor: visitor.clone(),
            seen: None,
            fresh_key: key("f"),
            opening: SettingsChange::default(),
        };
        self.command(Command::Join(join), Some(visitor));
        connection
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Join(who, shown) => drop(self.join(who, shown)),
            Step::Visit(who, shown) => {
                let visitor = self.visitor(who, shown);
                let effects = self.room.visit(visitor, self.now());
                self.deliver(&effects);
                while self.answers_at_once && !self.pending.is_empty() {
                    self.answer(true);
                }
            }
            Step::Leave(who) | Step::Break(who) => {
                let departure = match step {
                    Step::Leave(_) => Departure::Left,
                    _ => Departure::Lost,
                };
                if let Some(connection) = self.last.remove(&who) {
                    self.sockets.remove(&connection);
                    let ended = Command::Disconnected {
                        connection,
                        departure,
                    };
                    self.command(ended, None);
                }
            }
            Step::SetRole(by, who, role) => {
                let who = id(who);
                self.moderate(by, ModerationRequest::SetRole { who, role });
            }
            Step::Admit(by, who) => {
                self.moderate(by, ModerationRequest::Admit(who.map(id)));
            }
            Step::Deny(by, who) => {
                let (who, reason) = (who.map(id), None);
                self.moderate(by, ModerationRequest::Deny { who, reason });
            }
            Step::Remove(by, who) => {
                let (who, reason) = (id(who), None);
                self.moderate(by, ModerationRequest::Remove { who, reason });
            }
            Step::Ban(by, who, address) => {
                let request = ModerationRequest::Ban {
                    who: id(who),
                    reason: None,
                    address,
                };
                self.moderate(by, request);
            }
            Step::LiftBan(by, who) => {
                self.moderate(by, ModerationRequest::LiftBan(id(who)));
            }
            Step::SetRoom(by, change) => {
                self.moderate(by, ModerationRequest::SetRoom(change));
            }
            Step::SetPassword(by, password) => {
                self.moderate(by, ModerationRequest::SetPassword(password.map(hash)));
            }
            Step::Invite(by, number, role, uses) => {
                let actor = self.role(by);
                let draft = InviteDraft {
                    role,
                    name: None,
                    lasts_s: Some(200),
                    uses,
                };
                let id = invite_id(number);
                let effects = self.moderate(by, ModerationRequest::CreateInvite { id, draft });
                let is_recorded = effects.iter().any(|effect| {
                    matches!(effect, Effect::Record { record, .. }
                        if matches!(record.event, AuthorityEvent::Invite(_)))
                });
                let may = actor.is_some_and(|actor| role < actor || role <= Role::Guest);
                assert!(may || !is_recorded, "{actor:?} invites a {role:?}");
            }
            Step::Revoke(by, number) => {
                self.moderate(by, ModerationRequest::RevokeInvite(invite_id(number)));
            }
            Step::End(by) => {
                self.moderate(by, ModerationRequest::EndMeeting);
            }
            Step::ForgetAway => drop(self.command(Command::ForgetAway, None)),
            Step::Wait(seconds) => {
                self.now += Duration::from_secs(seconds);
                self.unix_ms += i64::try_from(seconds).expect("small") * 1000;
                self.command(Command::Tick, None);
            }
            Step::Answer(count, stores) => {
                for _ in 0..count {
                    self.answer(stores);
                }
            }
        }
        self.check();
    }

    /// The store answers everything, and has the authority that the room has.
    fn finish(&mut self) {
        while !self.pending.is_empty() {
            self.answer(true);
            self.check();
        }
        if let Some((host_key, opening)) = self.room.unstored_claim.clone() {
            let event = AuthorityEvent::Claim { host_key, opening };
            assert_eq!(self.stored.apply(&event, 1), Ok(true), "it was not stored");
        }
        assert_eq!(self.room.authority, self.stored);
        assert_eq!(self.room.history.seq(), self.seq);
        // Nobody waits for ever.
        self.run(Step::Wait(11 * 60));
        for who in 0..SESSIONS {
            assert!(!self.waits(who), "{who} waits");
        }
    }

    /// Compares the room with the rules.
    fn check(&self) {
        let members = self.room.members.iter();
        let connected = members.filter_map(|member| match member.connection_state {
            ConnectionState::Connected(connection) => Some(connection),
            ConnectionState::Lost(_) | ConnectionState::MediaOnly(_) => None,
        });
        let connected: BTreeSet<_> = connected.collect();
        let open = self.sockets.iter().filter(|(_, s)| s.closed.is_none());
        for (connection, socket) in open {
            let is_member = connected.contains(connection);
            assert_eq!(socket.has_joined, is_member, "{}", socket.who);
            assert_eq!(socket.is_held, !is_member, "{}", socket.who);
        }
        for who in 0..SESSIONS {
            assert!(!(self.is_here(who) && self.waits(who)), "{who} is here");
        }
        for member in &self.room.members {
            let is_banned = self
                .room
                .authority
                .bans(self.unix_ms)
                .any(|ban| ban.person.id == member.person.id);
            assert!(!is_banned || member.holds_key, "{:?}", member.person);
        }
        for authority in [&self.room.authority, &self.stored] {
            for invite in authority.invites(0) {
                let users = self.used_by.get(&invite.id).map_or(0, Vec::len);
                let limit = invite.uses.unwrap_or(u32::MAX);
                assert!(invite.used <= limit, "{invite:?}");
                assert!(invite.used as usize <= users, "{invite:?}");
            }
        }
        assert_eq!(self.room.pending, self.pending.len());
        assert!(self.room.members.len() <= CAPACITY + super::presence::HOST_RESERVE);
    }

    /// What the last socket of a participant has received.
    fn received(&self, who: usize) -> &[ServerMessage] {
        self.last
            .get(&who)
            .and_then(|connection| self.sockets.get(connection))
            .map_or(&[], |socket| &socket.received)
    }

    /// How the last socket of a participant was closed.
    fn closed(&self, who: usize) -> Option<CloseCode> {
        self.sockets[&self.last[&who]].closed
    }

    /// The number of people who wait, as the host was told last.
    fn told_host(&self) -> Option<u32> {
        self.received(0)
            .iter()
            .rev()
            .find_map(|message| match message {
                ServerMessage::Lobby { count, .. } => Some(*count),
                _ => None,
            })
    }

    fn run_all(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            self.run(step);
        }
    }
}

/// The network of a visitor.
fn network_of(visitor: &Visitor) -> Network {
    visitor.network.expect("every participant has one")
}

const NOTHING: Shown = Shown {
    key: false,
    invite: None,
    password: None,
};

/// A room with a lobby in which the participants 1 and 2 wait.
fn with_lobby(answers_at_once: bool) -> Model {
    let mut model = Model::new(answers_at_once);
    model.run_all([
        Step::SetRoom(0, lobby(true)),
        Step::Answer(3, true),
        Step::Join(1, NOTHING),
        Step::Join(2, NOTHING),
        Step::Wait(1),
    ]);
    assert!(model.waits(1) && model.waits(2));
    model
}

#[test]
fn whoever_waits_enters_when_the_lobby_is_switched_off() {
    let mut model = with_lobby(true);
    model.run(Step::SetRoom(0, lobby(false)));
    assert!(model.is_here(1) && model.is_here(2));
    model.run(Step::Wait(1));
    assert_eq!(model.told_host(), Some(0));
}

#[test]
fn whoever_waits_connects_again_when_the_lobby_is_switched_off_in_a_room_they_may_not_enter() {
    let mut model = with_lobby(true);
    model.run(Step::SetPassword(0, Some(0)));
    assert_eq!(model.closed(1), Some(CloseCode::Restarting));
    model.run(Step::Join(1, NOTHING));
    assert!(
        !model.is_here(1) && !model.waits(1),
        "the password is asked for"
    );
    let password = Shown {
        password: Some(0),
        ..NOTHING
    };
    model.run(Step::Join(1, password));
    assert!(model.waits(1));
    let locked = SettingsChange {
        locked: Some(true),
        ..lobby(false)
    };
    model.run(Step::SetRoom(0, locked));
    assert_eq!(model.closed(1), Some(CloseCode::Restarting));
    assert!(!model.is_here(1));
}

#[test]
fn a_smaller_capacity_keeps_out_whoever_waits() {
    let mut model = with_lobby(true);
    let full = SettingsChange {
        capacity: Some(Some(1)),
        ..lobby(false)
    };
    model.run(Step::SetRoom(0, full));
    assert!(!model.is_here(1) && !model.waits(1));
    assert_eq!(model.closed(1), Some(CloseCode::Restarting));
}

#[test]
fn hosts_learn_that_somebody_who_waited_was_banned() {
    let mut model = with_lobby(true);
    assert_eq!(model.told_host(), Some(2));
    model.run_all([Step::Ban(0, 1, false), Step::Wait(1)]);
    assert_eq!(model.told_host(), Some(1));
}

#[test]
fn a_ban_of_a_network_ends_the_waits_of_its_people() {
    let mut model = Model::new(true);
    model.run_all([
        Step::SetRoom(0, lobby(true)),
        Step::Join(2, NOTHING),
        Step::Join(3, NOTHING),
        Step::Ban(0, 2, true),
    ]);
    assert!(!model.waits(3), "of the same network");
    model.run(Step::Join(3, NOTHING));
    assert!(!model.waits(3));
}

#[test]
fn hosts_learn_that_the_end_of_the_window_emptied_the_lobby() {
    let mut model = with_lobby(true);
    let closes = SettingsChange {
        closes: Some(Some(START_MS + 60_000)),
        ..SettingsChange::default()
    };
    model.run_all([Step::SetRoom(0, closes), Step::Wait(70), Step::Wait(1)]);
    assert_eq!(model.closed(1), Some(CloseCode::RoomClosed));
    assert_eq!(model.told_host(), Some(0));
}

#[test]
fn the_window_ends_the_wait_of_people_in_a_room_without_members() {
    let mut model = Model::new(true);
    let closes = SettingsChange {
        closes: Some(Some(START_MS + 60_000)),
        ..lobby(true)
    };
    model.run_all([
        Step::SetRoom(0, closes),
        Step::Leave(0),
        Step::Join(1, NOTHING),
    ]);
    assert!(model.waits(1));
    let due = model.room.next_deadline().expect("the end of the window");
    assert!(due <= model.now + Duration::from_secs(60), "{due:?}");
    model.run(Step::Wait(61));
    assert_eq!(model.closed(1), Some(CloseCode::RoomClosed));
}

#[test]
fn an_invite_whose_use_becomes_durable_after_the_window_lets_nobody_in() {
    let mut model = Model::new(false);
    let closes = SettingsChange {
        closes: Some(Some(START_MS + 60_000)),
        access: Some(Access::Closed),
        ..SettingsChange::default()
    };
    let invited = Shown {
        invite: Some(0),
        ..NOTHING
    };
    model.run_all([
        Step::SetRoom(0, closes),
        Step::Invite(0, 0, Role::Guest, None),
        Step::Answer(9, true),
        Step::Join(1, invited),
        Step::Wait(61),
        Step::Answer(1, true),
    ]);
    let joined = model.received(1).iter();
    let joined = joined.filter(|message| matches!(message, ServerMessage::Joined(_)));
    assert_eq!(joined.count(), 0, "{:?}", model.received(1));
}

#[test]
fn somebody_turned_away_before_the_admission_is_durable_stays_outside() {
    let mut model = with_lobby(false);
    model.run_all([
        Step::Admit(0, Some(1)),
        Step::Deny(0, Some(1)),
        Step::Answer(1, true),
        Step::Join(1, NOTHING),
        Step::Answer(9, true),
    ]);
    assert!(!model.is_here(1), "the last word counts");
    model.run(Step::Join(1, NOTHING));
    assert!(!model.is_here(1));
}

#[test]
fn who_returns_before_a_removal_from_a_room_with_a_lobby_is_durable_does_not_stay() {
    let mut model = with_lobby(false);
    model.run_all([
        Step::Admit(0, Some(1)),
        Step::Answer(1, true),
        Step::Remove(0, 1),
        Step::Join(1, NOTHING),
    ]);
    assert!(model.is_here(1), "the store is slow");
    model.run(Step::Answer(1, true));
    assert!(!model.is_here(1));
}

#[test]
fn who_is_removed_while_the_lobby_is_being_switched_on_has_to_wait() {
    let mut model = Model::new(false);
    model.run_all([
        Step::Answer(9, true),
        Step::Join(1, NOTHING),
        Step::SetRoom(0, lobby(true)),
        Step::Remove(0, 1),
        Step::Answer(9, true),
        Step::Join(1, NOTHING),
    ]);
    assert!(model.waits(1) && !model.is_here(1));
}

#[test]
fn somebody_admitted_to_a_locked_room_gets_the_role_of_the_invite() {
    let mut model = Model::new(true);
    let locked = SettingsChange {
        locked: Some(true),
        ..lobby(true)
    };
    let invited = Shown {
        invite: Some(0),
        ..NOTHING
    };
    model.run_all([
        Step::Invite(0, 0, Role::Speaker, Some(1)),
        Step::SetRoom(0, locked),
        Step::Join(1, invited),
    ]);
    assert!(model.waits(1), "an invite does not pass a lock");
    model.run(Step::Admit(0, Some(1)));
    assert_eq!(model.role(1), Some(Role::Speaker));
}

#[test]
fn an_invite_that_was_used_does_not_undo_what_a_host_decided_about_the_role() {
    for role in [Role::Viewer, Role::Guest] {
        let mut model = Model::new(true);
        let invited = Shown {
            invite: Some(0),
            ..NOTHING
        };
        model.run_all([
            Step::Invite(0, 0, Role::Speaker, None),
            Step::Join(1, invited),
        ]);
        assert_eq!(model.role(1), Some(Role::Speaker));
        model.run_all([
            Step::SetRole(0, 1, role),
            Step::Leave(1),
            Step::Join(1, invited),
        ]);
        assert_eq!(model.role(1), Some(role));
        assert_eq!(model.stored.invite(&invite_id(0)).map(|i| i.used), Some(1));
    }
}

#[test]
fn a_failure_of_the_store_lets_whoever_uses_an_invite_try_again() {
    let mut model = Model::new(false);
    model.run_all([
        Step::Invite(0, 0, Role::Guest, None),
        Step::Answer(9, true),
        Step::Join(
            1,
            Shown {
                invite: Some(0),
                ..NOTHING
            },
        ),
        Step::Answer(1, false),
    ]);
    assert_eq!(model.closed(1), Some(CloseCode::Restarting));
    let received = model.received(1);
    assert!(
        matches!(
            received,
            [ServerMessage::Error {
                code: ErrorCode::Unavailable,
                ..
            }]
        ),
        "{received:?}"
    );
}

#[test]
fn a_claim_that_is_stored_late_does_not_undo_later_settings() {
    let mut authority = Authority::default();
    let claim = AuthorityEvent::Claim {
        host_key: crate::server::authority::HostKeyHash::of(&key("k")),
        opening: SettingsChange {
            access: Some(Access::Unlisted),
            ..SettingsChange::default()
        },
    };
    let close = AuthorityEvent::Settings {
        change: SettingsChange {
            access: Some(Access::Closed),
            ..SettingsChange::default()
        },
        admitted: Vec::new(),
    };
    assert_eq!(authority.apply(&claim, 0), Ok(true));
    assert_eq!(authority.apply(&close, 0), Ok(true));
    assert_eq!(authority.apply(&claim, 0), Ok(false));
    assert_eq!(authority.settings().access, Access::Closed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn nobody_enters_a_private_room_whom_its_rules_do_not_admit(
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
