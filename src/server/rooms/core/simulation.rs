//! Deterministic simulation of a server and its clients, with a virtual clock and fixed seeds.
//!
//! The real [`Room`] runs on a store in memory; the real [`RoomState`] and [`Outbox`] of the
//! browser run on connections that break at random. The server crashes between any two steps and
//! keeps committed messages only. At the end all faults stop, and the invariants are checked: no
//! acknowledged message is missing or duplicate, all clients have the same order, and each client
//! shows what is stored.
//!
//! A [`Sabotage`] breaks one invariant on purpose; the simulation must detect each.

use super::{
    command::{
        ChatRequest, Command, ConnectionId, Departure, Effect, Join, Now, Requester, RoomRequest,
        Visitor,
    },
    history::History,
    room::Room,
};
use crate::server::rooms::RoomRules;
use crate::{
    protocol::{
        ChatMessage, ChatText, ClientMessage, Epoch, JoinRequest, MessageId, Nickname, Resume,
        RoomName, Seq, ServerMessage, SessionToken, SettingsChange,
    },
    server::{
        authority::{Authority, new_host_key},
        identity::participant_id,
        invites::InviteKey,
        store::{Appended, Change, Changed, Edit, NewMessage, Page},
    },
    state::{RoomState, outbox::Outbox},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

const CLIENTS: usize = 4;
const STEPS: usize = 600;
const SEEDS: u64 = 150;

/// A planted fault that breaks one invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    /// The acknowledgement leaves before the commit.
    EarlyAck,
    /// The store does not detect a duplicate id.
    Doubles,
    /// A resumed connection loses its first message.
    ShortReplay,
    /// A client that resumes does not receive missed changes.
    SilentChange,
    /// Two commits are broadcast in reverse order.
    Swapped,
}

/// The durable state, which survives a crash of the server.
#[derive(Default)]
struct Disk {
    messages: Vec<ChatMessage>,
    seq: Seq,
}

impl Disk {
    fn append(&mut self, new: &NewMessage, sabotage: Option<Sabotage>) -> Appended {
        let known = self
            .messages
            .iter()
            .find(|message| message.id == new.draft.id);
        if let Some(known) = known.filter(|_| sabotage != Some(Sabotage::Doubles)) {
            let message = known.clone();
            let duplicate = true;
            return Appended { message, duplicate };
        }
        self.seq += 1;
        let message = ChatMessage::new(self.seq, new.from.clone(), new.draft.clone(), new.at);
        self.messages.push(message.clone());
        let duplicate = false;
        Appended { message, duplicate }
    }

    fn change(&mut self, change: &Change) -> Option<Changed> {
        let message = self.messages.iter_mut().find(|m| m.id == change.id)?;
        let Edit::Text(text) = &change.edit else {
            return None;
        };
        self.seq += 1;
        message.text = Some(text.clone());
        message.changed = self.seq;
        Some(Changed::Applied(message.clone()))
    }

    /// Loads the room as a restarted server does.
    fn load(&self, rules: RoomRules) -> Room {
        let mut changes: Vec<_> = self.messages.iter().filter(|m| m.changed > 0).collect();
        changes.sort_by_key(|message| message.changed);
        let changes = changes.into_iter().cloned().collect();
        let newest = Page {
            messages: self.messages.clone(),
            more: false,
        };
        let history = History::new(self.seq, 0, newest, changes);
        let name = RoomName::parse("team").expect("valid");
        Room::new(name, epoch(), history, Some(Authority::default()), rules)
    }
}

fn epoch() -> Epoch {
    Epoch::parse("epoch").expect("valid")
}

/// A job that waits for the writer's thread.
enum Job {
    Append(Requester, NewMessage),
    Change(ConnectionId, Change),
}

/// A browser tab: its state, its outbox and its current connection.
struct Client {
    session: SessionToken,
    state: RoomState,
    outbox: Outbox,
    link: Option<Link>,
    acknowledged: BTreeSet<MessageId>,
    /// Ids in the order they were first shown.
    shown: Vec<MessageId>,
}

/// A connection and the messages in transit in both directions.
struct Link {
    connection: ConnectionId,
    up: VecDeque<ClientMessage>,
    down: VecDeque<ServerMessage>,
    joined: bool,
}

/// The room, the store, the clients and the network between them.
struct World {
    random: StdRng,
    sabotage: Option<Sabotage>,
    disk: Disk,
    room: Option<Room>,
    jobs: VecDeque<Job>,
    clients: Vec<Client>,
    /// Number of messages that the users have sent; the next message gets it as its id.
    messages_sent: u128,
    connections: u64,
    now: Instant,
    /// The virtual time of the browsers, in milliseconds.
    ms: f64,
}

impl World {
    fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let client = |number: usize| Client {
            session: SessionToken::parse(&format!("session-{number:-<20}")).expect("valid"),
            state: RoomState::default(),
            outbox: Outbox::new(0.0),
            link: None,
            acknowledged: BTreeSet::new(),
            shown: Vec::new(),
        };
        Self {
            random: StdRng::seed_from_u64(seed),
            sabotage,
            disk: Disk::default(),
            room: None,
            jobs: VecDeque::new(),
            clients: (0..CLIENTS).map(client).collect(),
            messages_sent: 0,
            connections: 0,
            now: Instant::now(),
            ms: 0.0,
        }
    }

    /// Runs one random step of the server or of a client.
    fn step(&mut self) {
        self.ms += 250.0;
        self.now += Duration::from_millis(250);
        let who = self.random.random_range(0..CLIENTS);
        match self.random.random_range(0..100) {
            0..2 => self.crash(),
            2..12 => self.start(),
            12..16 => self.break_connection(who),
            16..20 => self.reload(who),
            20..32 => self.connect(who),
            32..46 => self.say(who),
            46..50 => self.edit(who),
            50..64 => self.commit(),
            64..82 => self.deliver_up(who),
            _ => self.deliver_down(who),
        }
    }

    fn start(&mut self) {
        if self.room.is_none() {
            let rules = RoomRules {
                capacity: 9,
                call_capacity: 2,
                p2p_max: 2,
                hide_addresses: false,
                move_back_after: Duration::from_secs(5),
                grace: Duration::from_secs(5),
                away: Duration::from_secs(115),
                empty_within: Duration::from_secs(10),
                started: self.now,
                ice_servers: Arc::default(),
                invite_key: InviteKey::new([7; 32]),
                claim_rooms: false,
            };
            self.room = Some(self.disk.load(rules));
        }
    }

    /// Crashes the server: all connections break, and uncommitted jobs are lost.
    fn crash(&mut self) {
        self.room = None;
        self.jobs.clear();
        for who in 0..CLIENTS {
            self.clients[who].link = None;
        }
    }

    /// Breaks a client's connection; messages in transit are lost.
    fn break_connection(&mut self, who: usize) {
        if let Some(link) = self.clients[who].link.take() {
            let (connection, departure) = (link.connection, Departure::Lost);
            self.command(Command::Disconnected {
                connection,
                departure,
            });
        }
    }

    /// Reloads a client's tab, which keeps its session and its unsent messages only.
    fn reload(&mut self, who: usize) {
        self.break_connection(who);
        let client = &mut self.clients[who];
        let pending = std::mem::take(&mut client.state.log.pending);
        client.state = RoomState::default();
        client.state.log.pending = pending;
        client.shown.clear();
    }

    fn connect(&mut self, who: usize) {
        if self.room.is_none() || self.clients[who].link.is_some() {
            return;
        }
        self.connections += 1;
        let client = &mut self.clients[who];
        let resume = client.state.log.position.as_ref().map(|at| Resume {
            session: client.session.clone(),
            epoch: at.epoch.clone(),
            seq: at.seq,
        });
        let join = ClientMessage::Join(JoinRequest {
            room: "team".to_owned(),
            nickname: format!("Guest {who}"),
            resume,
            ..JoinRequest::default()
        });
        client.link = Some(Link {
            connection: ConnectionId(self.connections),
            up: [join].into(),
            down: VecDeque::new(),
            joined: false,
        });
    }

    fn say(&mut self, who: usize) {
        self.messages_sent += 1;
        let id = MessageId(uuid::Uuid::from_u128(self.messages_sent));
        let text = ChatText::parse(&format!("message {}", self.messages_sent)).expect("valid");
        self.clients[who].state.log.send(
            crate::protocol::ChatDraft {
                id,
                text,
                reply_to: None,
                files: Vec::new(),
                mentions: Vec::new(),
            },
            Vec::new(),
        );
        self.send_pending(who);
    }

    fn edit(&mut self, who: usize) {
        let client = &mut self.clients[who];
        let me = participant_id(&client.session);
        let own = client.state.log.messages().find(|m| m.from.id == me);
        let (Some(own), Some(link)) = (own, &mut client.link) else {
            return;
        };
        let (id, text) = (own.id, format!("edited {}", self.ms));
        link.up.push_back(ClientMessage::Edit { id, text });
    }

    fn send_pending(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if let Some(link) = client.link.as_mut().filter(|link| link.joined) {
            let (due, _) = client.outbox.due(&client.state.log.pending, self.ms);
            link.up.extend(due);
        }
    }

    fn deliver_up(&mut self, who: usize) {
        let Some(link) = &mut self.clients[who].link else {
            return;
        };
        let (connection, Some(message)) = (link.connection, link.up.pop_front()) else {
            return;
        };
        let session = self.clients[who].session.clone();
        let command = match message {
            ClientMessage::Join(JoinRequest {
                nickname, resume, ..
            }) => Command::Join(Join {
                connection,
                visitor: Visitor::new(session, Nickname::parse(&nickname).expect("valid")),
                seen: resume.map(|resume| (resume.epoch, resume.seq)),
                fresh_key: new_host_key(),
                opening: SettingsChange::default(),
            }),
            ClientMessage::Chat(draft) => {
                let draft = draft.parse().expect("valid");
                let request = RoomRequest::Chat(ChatRequest::Send(draft));
                Command::Member {
                    connection,
                    request,
                }
            }
            ClientMessage::Edit { id, text } => {
                let edit = Edit::Text(ChatText::parse(&text).expect("valid"));
                let request = RoomRequest::Chat(ChatRequest::Change { id, edit });
                Command::Member {
                    connection,
                    request,
                }
            }
            other => panic!("no client of the simulation sends {other:?}"),
        };
        self.command(command);
    }

    fn deliver_down(&mut self, who: usize) {
        let client = &mut self.clients[who];
        let Some(link) = &mut client.link else { return };
        let Some(message) = link.down.pop_front() else {
            return;
        };
        let mine = participant_id(&client.session);
        if let ServerMessage::Chat(chat) = &message
            && chat.from.id == mine
        {
            client.acknowledged.insert(chat.id);
        }
        if let ServerMessage::Joined(joined) = &message {
            link.joined = true;
            client.outbox = Outbox::new(self.ms);
            if !joined.resumed {
                client.shown.clear();
            }
        }
        client.state.apply(&message);
        for message in client.state.log.messages() {
            if !client.shown.contains(&message.id) {
                client.shown.push(message.id);
            }
        }
        self.send_pending(who);
    }

    /// Commits the oldest job, and returns the result to the room.
    fn commit(&mut self) {
        let mut due: Vec<Job> = self.jobs.pop_front().into_iter().collect();
        if self.sabotage == Some(Sabotage::Swapped) {
            due.extend(self.jobs.pop_front());
        }
        let sabotage = self.sabotage;
        let mut answers: Vec<Command> = due
            .into_iter()
            .map(|job| match job {
                Job::Append(requester, new) => Command::Stored {
                    requester,
                    id: new.draft.id,
                    result: Ok(self.disk.append(&new, sabotage)),
                },
                Job::Change(connection, change) => Command::Changed {
                    connection,
                    outcome: self.disk.change(&change),
                    change,
                },
            })
            .collect();
        if self.sabotage == Some(Sabotage::Swapped) {
            answers.reverse();
        }
        for answer in answers {
            self.command(answer);
        }
    }

    fn command(&mut self, command: Command) {
        let now = Now {
            instant: self.now,
            unix_ms: 0,
        };
        let Some(room) = &mut self.room else { return };
        for effect in room.handle(command, now) {
            self.run(effect);
        }
    }

    fn run(&mut self, effect: Effect) {
        match effect {
            Effect::Media(_) => {}
            Effect::Record { .. }
            | Effect::ClearMessages { .. }
            | Effect::Hold { .. }
            | Effect::Release { .. } => {
                panic!("no client of the simulation is a host");
            }
            Effect::Append { requester, message } if self.sabotage == Some(Sabotage::EarlyAck) => {
                // Acknowledged at once, but durable only after the commit.
                let seq = self.disk.seq + 1 + self.jobs.len() as Seq;
                let (id, from) = (message.draft.id, message.from.clone());
                let early = ChatMessage::new(seq, from, message.draft.clone(), message.at);
                self.jobs.push_back(Job::Append(requester, message));
                let result = Ok(Appended {
                    message: early,
                    duplicate: false,
                });
                self.command(Command::Stored {
                    requester,
                    id,
                    result,
                });
            }
            Effect::Append { requester, message } => {
                self.jobs.push_back(Job::Append(requester, message))
            }
            Effect::Change { connection, change } => {
                self.jobs.push_back(Job::Change(connection, change))
            }
            Effect::Send {
                connection,
                message,
            } => self.deliver(connection, message),
            Effect::Relay { to, message, .. } => self.deliver(to, message),
            Effect::Broadcast { message, except } => {
                let links = self.clients.iter().filter_map(|c| c.link.as_ref());
                let connections: Vec<_> = links.map(|link| link.connection).collect();
                for connection in connections
                    .into_iter()
                    .filter(|connection| Some(*connection) != except)
                {
                    let joined = self.is_joined(connection);
                    if joined {
                        self.deliver(connection, message.clone());
                    }
                }
            }
            Effect::Close { connection, .. } | Effect::RefuseJoin { connection, .. } => {
                for client in &mut self.clients {
                    client.link.take_if(|link| link.connection == connection);
                }
            }
            Effect::AnswerForm { .. }
            | Effect::AnswerVisit { .. }
            | Effect::SendIfIdle { .. }
            | Effect::SummaryChanged => {}
        }
    }

    /// Whether the room has admitted this connection.
    fn is_joined(&mut self, connection: ConnectionId) -> bool {
        self.room
            .as_mut()
            .is_some_and(|room| room.member_by_connection(connection).is_some())
    }

    fn deliver(&mut self, connection: ConnectionId, mut message: ServerMessage) {
        if let ServerMessage::Joined(joined) = &mut message {
            match self.sabotage {
                Some(Sabotage::ShortReplay) if joined.resumed && !joined.history.is_empty() => {
                    joined.history.remove(0);
                }
                Some(Sabotage::SilentChange) => joined.changed.clear(),
                _ => {}
            }
        }
        let links = self.clients.iter_mut().filter_map(|c| c.link.as_mut());
        if let Some(link) = links.into_iter().find(|link| link.connection == connection) {
            link.down.push_back(message);
        }
    }

    /// Stops all faults, reconnects all clients, and delivers all messages.
    fn stop_faults(&mut self) {
        self.start();
        for _ in 0..2_000 {
            self.ms += 250.0;
            self.commit();
            for who in 0..CLIENTS {
                self.connect(who);
                self.deliver_up(who);
                self.deliver_down(who);
                self.send_pending(who);
            }
        }
    }

    /// Checks the invariants at the end of a run.
    fn check_invariants(&self) -> Result<(), String> {
        let stored: Vec<MessageId> = self.disk.messages.iter().map(|m| m.id).collect();
        let unique: BTreeSet<_> = stored.iter().collect();
        if unique.len() != stored.len() {
            return Err("a message is stored twice".to_owned());
        }
        let places: BTreeMap<MessageId, usize> = stored
            .iter()
            .enumerate()
            .map(|(at, id)| (*id, at))
            .collect();
        for (who, client) in self.clients.iter().enumerate() {
            if let Some(lost) = client
                .acknowledged
                .iter()
                .find(|id| !places.contains_key(id))
            {
                return Err(format!("{who}: {lost} was acknowledged and is gone"));
            }
            if !client.state.log.pending.is_empty() {
                return Err(format!("{who}: a pending message was never sent"));
            }
            let seen: Vec<_> = client.state.log.messages().cloned().collect();
            if !self.disk.messages.ends_with(&seen) {
                return Err(format!(
                    "{who}: the shown messages differ from the stored ones"
                ));
            }
            let order: Vec<_> = client.shown.iter().map(|id| places.get(id)).collect();
            if !order.is_sorted() {
                return Err(format!("{who}: messages were shown in another order"));
            }
        }
        match stored.len() == usize::try_from(self.messages_sent).unwrap_or(0) {
            true => Ok(()),
            false => Err("a sent message is not stored".to_owned()),
        }
    }
}

/// Runs one seed. Returns the result of the checks, and figures that identify the run.
fn run(seed: u64, sabotage: Option<Sabotage>) -> (Result<(), String>, usize, Seq) {
    let mut world = World::new(seed, sabotage);
    world.start();
    for _ in 0..STEPS {
        world.step();
    }
    world.stop_faults();
    let acknowledged = world.clients.iter().map(|c| c.acknowledged.len()).sum();
    (world.check_invariants(), acknowledged, world.disk.seq)
}

#[test]
fn acknowledged_messages_survive_random_crashes() {
    let mut acknowledged = 0;
    for seed in 0..SEEDS {
        let (result, count, _) = run(seed, None);
        assert_eq!(result, Ok(()), "seed {seed}");
        acknowledged += count;
    }
    assert!(acknowledged > 5_000, "the simulation stores messages");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    assert_eq!(run(3, None), run(3, None));
    let outcomes: BTreeSet<_> = (0..9).map(|seed| run(seed, None).2).collect();
    assert!(outcomes.len() > 3);
}

#[test]
fn every_planted_fault_is_detected() {
    for sabotage in [
        Sabotage::EarlyAck,
        Sabotage::Doubles,
        Sabotage::ShortReplay,
        Sabotage::SilentChange,
        Sabotage::Swapped,
    ] {
        let noticed = (0..SEEDS).any(|seed| run(seed, Some(sabotage)).0.is_err());
        assert!(noticed, "{sabotage:?}");
    }
}
