//! Properties of [`Room`]: after any sequence of actions in two rooms, the views of the clients
//! agree with the state of the rooms.
//!
//! A [`World`] runs two rooms as the actor does, on a store in memory. For each socket it keeps a
//! client model that is updated from received messages only.

use super::{
    command::{
        CallRequest, ChatRequest, Command, ConnectionId, Departure, DirectRequest, Effect, Join,
        Now, RequestId, Requester, RoomRequest, Visitor,
    },
    history::History,
    operator::OperatorCommand,
    room::Room,
};
use crate::server::rooms::{RoomError, RoomRules};
use crate::{
    protocol::{
        ChatDraft, ChatMessage, ChatText, Devices, Emoji, Epoch, ErrorCode, Leg, MessageId, Mode,
        Nickname, ParticipantId, Person, RoomName, Seq, ServerMessage, SessionToken,
        SettingsChange, Signal,
    },
    server::{
        authority::{Authority, new_host_key},
        identity::participant_id,
        invites::InviteKey,
        store::{Appended, Change, Changed, Edit, NewMessage},
    },
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Small numbers of people, ids and names, so that actions collide.
const ROOMS: usize = 2;
const SESSIONS: usize = 5;
const CAPACITY: usize = 3;
const CALL_CAPACITY: usize = 2;

/// A random action. Its numbers are reduced modulo the number of existing items.
#[derive(Debug, Clone)]
enum Action {
    Join {
        room: usize,
        session: usize,
        nickname: u8,
        resume: bool,
    },
    Gone {
        socket: usize,
        departure: Departure,
    },
    Chat {
        socket: usize,
        id: u8,
    },
    Post {
        room: usize,
        session: usize,
        id: u8,
    },
    Edit {
        socket: usize,
        id: u8,
        text: u8,
    },
    Delete {
        socket: usize,
        id: u8,
    },
    React {
        socket: usize,
        id: u8,
        on: bool,
    },
    Rename {
        socket: usize,
        nickname: u8,
    },
    EnterCall {
        socket: usize,
        leg: Leg,
        hide_address: bool,
    },
    LeaveCall {
        socket: usize,
    },
    Devices {
        socket: usize,
        camera: bool,
    },
    Signal {
        socket: usize,
        to: usize,
        leg: Leg,
    },
    Direct {
        socket: usize,
        to: usize,
    },
    Wait {
        seconds: u64,
    },
    Answer {
        fails: bool,
    },
    Remove {
        room: usize,
        session: usize,
    },
    Close {
        room: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let departure = prop_oneof![
        Just(Departure::Left),
        Just(Departure::Lost),
        Just(Departure::TimedOut)
    ];
    let socket = 0..8_usize;
    let (room, session) = (0..ROOMS, 0..SESSIONS);
    prop_oneof![
        4 => (room.clone(), session.clone(), 0..3_u8, any::<bool>()).prop_map(
            |(room, session, nickname, resume)| Action::Join { room, session, nickname, resume }
        ),
        2 => (socket.clone(), departure).prop_map(|(socket, departure)| Action::Gone { socket, departure }),
        4 => (socket.clone(), 0..20_u8).prop_map(|(socket, id)| Action::Chat { socket, id }),
        2 => (socket.clone(), 0..20_u8, 0..3_u8)
            .prop_map(|(socket, id, text)| Action::Edit { socket, id, text }),
        1 => (socket.clone(), 0..20_u8).prop_map(|(socket, id)| Action::Delete { socket, id }),
        2 => (socket.clone(), 0..20_u8, any::<bool>())
            .prop_map(|(socket, id, on)| Action::React { socket, id, on }),
        1 => (room.clone(), session.clone())
            .prop_map(|(room, session)| Action::Remove { room, session }),
        1 => room.clone().prop_map(|room| Action::Close { room }),
        1 => (room, session, 0..20_u8)
            .prop_map(|(room, session, id)| Action::Post { room, session, id }),
        1 => (socket.clone(), 0..3_u8)
            .prop_map(|(socket, nickname)| Action::Rename { socket, nickname }),
        2 => (socket.clone(), 0..3_u32, prop::bool::weighted(0.3)).prop_map(
            |(socket, leg, hide_address)| Action::EnterCall { socket, leg, hide_address }
        ),
        1 => socket.clone().prop_map(|socket| Action::LeaveCall { socket }),
        1 => (socket.clone(), any::<bool>())
            .prop_map(|(socket, camera)| Action::Devices { socket, camera }),
        2 => (socket.clone(), 0..SESSIONS)
            .prop_map(|(socket, to)| Action::Direct { socket, to }),
        2 => (socket, 0..SESSIONS, 0..3_u32)
            .prop_map(|(socket, to, leg)| Action::Signal { socket, to, leg }),
        1 => prop_oneof![0..9_u64, 100..200_u64].prop_map(|seconds| Action::Wait { seconds }),
        4 => prop::bool::weighted(0.1).prop_map(|fails| Action::Answer { fails }),
    ]
}

fn session(number: usize) -> SessionToken {
    SessionToken::parse(&format!("session-{number:-<20}")).expect("valid")
}

fn nickname(number: u8) -> Nickname {
    Nickname::parse(&format!("Guest {number}")).expect("valid")
}

/// The view of one client, built from the messages that its socket received.
struct Client {
    room: usize,
    id: ParticipantId,
    open: bool,
    people: Vec<Person>,
    call: BTreeMap<ParticipantId, (Leg, Devices)>,
    seq: Seq,
    log: Vec<ChatMessage>,
}

/// A store in memory.
#[derive(Default)]
struct Log {
    messages: Vec<ChatMessage>,
    seq: Seq,
}

impl Log {
    /// Appends a message as the writer's thread does.
    fn append(&mut self, new: NewMessage) -> Appended {
        if let Some(known) = self
            .messages
            .iter()
            .find(|message| message.id == new.draft.id)
        {
            let message = known.clone();
            let duplicate = true;
            return Appended { message, duplicate };
        }
        self.seq += 1;
        let message = ChatMessage::new(self.seq, new.from, new.draft, new.at);
        self.messages.push(message.clone());
        let duplicate = false;
        Appended { message, duplicate }
    }

    /// Changes a message as the writer's thread does, without a check of its author.
    fn change(&mut self, change: Change) -> Changed {
        let found = self.messages.iter_mut().find(|m| m.id == change.id);
        let Some(message) = found else {
            return Changed::Refused(ErrorCode::NoSuchMessage);
        };
        let before = message.clone();
        match change.edit {
            Edit::Text(text) => message.text = Some(text),
            Edit::Delete => (message.text, message.pinned) = (None, 0),
            Edit::Pin(on) => message.pinned = if on { self.seq + 1 } else { 0 },
            Edit::React { emoji, on } => message.react(&emoji, &change.by, on, before.changed),
        }
        if *message == before {
            return Changed::Unchanged(before);
        }
        self.seq += 1;
        message.changed = self.seq;
        Changed::Applied(message.clone())
    }
}

/// A job that waits for the store.
enum Waiting {
    Append(Requester, NewMessage),
    Change(ConnectionId, Change),
}

impl Client {
    /// Handles a changed message.
    fn change(&mut self, message: ChatMessage) {
        if let Some(known) = self.log.iter_mut().find(|known| known.id == message.id) {
            *known = message;
        }
    }
}

/// The rooms, the store and the clients.
struct World {
    rooms: Vec<Room>,
    stores: Vec<Log>,
    pending: Vec<(usize, Waiting)>,
    clients: BTreeMap<ConnectionId, Client>,
    /// For each room, the people who hid their address when they last entered the call.
    hides: BTreeMap<(usize, ParticipantId), bool>,
    /// Whether the operator hides all addresses.
    all_hide: bool,
    /// The mode of each room that was last announced to its members.
    modes: Vec<Mode>,
    /// The number of delivered signals.
    signals: usize,
    connections: u64,
    now: Instant,
}

impl World {
    fn new(all_hide: bool) -> Self {
        let rules = RoomRules {
            capacity: CAPACITY,
            call_capacity: CALL_CAPACITY,
            p2p_max: 2,
            hide_addresses: all_hide,
            move_back_after: Duration::from_secs(5),
            grace: Duration::from_secs(5),
            away: Duration::from_secs(115),
            empty_within: Duration::from_secs(10),
            started: Instant::now(),
            ice_servers: Arc::default(),
            invite_key: InviteKey::new([7; 32]),
            claim_rooms: false,
        };
        let room = |number: usize| {
            let name = RoomName::parse(&format!("room {number}")).expect("valid");
            let epoch = Epoch::parse(&format!("epoch {number}")).expect("valid");
            let authority = Some(Authority::default());
            Room::new(name, epoch, History::default(), authority, rules.clone())
        };
        Self {
            rooms: (0..ROOMS).map(room).collect(),
            stores: (0..ROOMS).map(|_| Log::default()).collect(),
            pending: Vec::new(),
            clients: BTreeMap::new(),
            hides: BTreeMap::new(),
            all_hide,
            modes: vec![if all_hide { Mode::Sfu } else { Mode::P2p }; ROOMS],
            signals: 0,
            connections: 0,
            now: Instant::now(),
        }
    }

    /// An open socket with its room, chosen by any number.
    fn socket(&self, number: usize) -> Option<(ConnectionId, usize)> {
        let open: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, client)| client.open)
            .collect();
        let (connection, client) = open.get(number % open.len().max(1))?;
        Some((**connection, client.room))
    }

    fn change(&mut self, socket: usize, id: u8, edit: Edit) {
        let id = message(id).id;
        let request = ChatRequest::Change { id, edit };
        self.handle_request(socket, RoomRequest::Chat(request));
    }

    fn handle_request(&mut self, socket: usize, request: RoomRequest) {
        if let Some((connection, room)) = self.socket(socket) {
            self.command(
                room,
                Command::Member {
                    connection,
                    request,
                },
            );
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Join {
                room,
                session,
                nickname,
                resume,
            } => {
                self.join(room, session, nickname, resume);
            }
            Action::Gone { socket, departure } => {
                if let Some((connection, room)) = self.socket(socket) {
                    self.client(connection).open = false;
                    self.command(
                        room,
                        Command::Disconnected {
                            connection,
                            departure,
                        },
                    );
                }
            }
            Action::Chat { socket, id } => {
                let request = ChatRequest::Send(message(id));
                self.handle_request(socket, RoomRequest::Chat(request));
            }
            Action::Edit { socket, id, text } => {
                self.change(socket, id, Edit::Text(message(text).text));
            }
            Action::Delete { socket, id } => {
                self.change(socket, id, Edit::Delete);
            }
            Action::React { socket, id, on } => {
                let emoji = Emoji::parse("👍").expect("valid");
                self.change(socket, id, Edit::React { emoji, on });
            }
            Action::Post {
                room,
                session: number,
                id,
            } => {
                let draft = message(id);
                let from = Person::new(participant_id(&session(number)), nickname(0));
                let request_id = RequestId(0);
                self.command(
                    room,
                    Command::Post {
                        request_id,
                        from,
                        network: None,
                        draft,
                    },
                );
            }
            Action::Rename {
                socket,
                nickname: number,
            } => {
                self.handle_request(socket, RoomRequest::Rename(nickname(number)));
            }
            Action::EnterCall {
                socket,
                leg,
                hide_address,
            } => {
                if let Some((connection, room)) = self.socket(socket) {
                    let id = self.client(connection).id.clone();
                    self.hides.insert((room, id), hide_address);
                }
                let request = RoomRequest::Call(CallRequest::Enter {
                    leg,
                    devices: Devices::default(),
                    hide_address,
                });
                self.handle_request(socket, request);
            }
            Action::LeaveCall { socket } => {
                self.handle_request(socket, RoomRequest::Call(CallRequest::Leave))
            }
            Action::Devices { socket, camera } => {
                let devices = Devices {
                    camera,
                    ..Devices::default()
                };
                self.handle_request(
                    socket,
                    RoomRequest::Call(CallRequest::SetDevices {
                        devices,
                        unmute: false,
                    }),
                );
            }
            Action::Signal { socket, to, leg } => {
                let to = participant_id(&session(to));
                let signal = Signal::Offer {
                    connection: 0,
                    sdp: String::new(),
                };
                self.handle_request(
                    socket,
                    RoomRequest::Call(CallRequest::Signal { to, leg, signal }),
                );
            }
            Action::Direct { socket, to } => {
                let to = participant_id(&session(to));
                let signal = Signal::Offer {
                    connection: 0,
                    sdp: String::new(),
                };
                self.handle_request(
                    socket,
                    RoomRequest::Direct(DirectRequest::Signal { to, signal }),
                );
            }
            Action::Wait { seconds } => {
                self.now += Duration::from_secs(seconds);
                for room in 0..ROOMS {
                    self.command(room, Command::Tick);
                }
            }
            Action::Answer { fails } => self.answer(fails),
            Action::Remove { room, session } => {
                let id = participant_id(&self::session(session));
                self.command(room, Command::Operator(OperatorCommand::Remove(id)));
            }
            Action::Close { room } => {
                self.command(room, Command::Operator(OperatorCommand::Close));
                assert!(self.rooms[room].snapshot().people.is_empty());
            }
        }
    }

    fn join(&mut self, room: usize, number: usize, name: u8, resume: bool) {
        self.connections += 1;
        let (connection, session) = (ConnectionId(self.connections), session(number));
        let id = participant_id(&session);
        let former = self
            .clients
            .values()
            .rev()
            .find(|c| c.room == room && c.id == id);
        let seen = former
            .filter(|_| resume)
            .map(|former| (former.seq, former.log.clone()));
        let epoch = Epoch::parse(&format!("epoch {room}")).expect("valid");
        let (seq, log) = seen.clone().unwrap_or_default();
        let client = Client {
            room,
            id: id.clone(),
            open: true,
            people: Vec::new(),
            call: BTreeMap::new(),
            seq,
            log,
        };
        self.clients.insert(connection, client);
        let seen = seen.map(|(seq, _)| (epoch, seq));
        let nickname = nickname(name);
        self.command(
            room,
            Command::Join(Join {
                connection,
                visitor: Visitor::new(session, nickname),
                seen,
                fresh_key: new_host_key(),
                opening: SettingsChange::default(),
            }),
        );
    }

    /// Answers the oldest job, in order as the writer's thread does.
    fn answer(&mut self, fails: bool) {
        if self.pending.is_empty() {
            return;
        }
        let (room, waiting) = self.pending.remove(0);
        let store = &mut self.stores[room];
        let command = match waiting {
            Waiting::Append(requester, new) => {
                let id = new.draft.id;
                let known = store.messages.iter().any(|message| message.id == id);
                let stored = (known || !fails).then(|| store.append(new));
                let result = stored.ok_or(RoomError::Unavailable);
                Command::Stored {
                    requester,
                    id,
                    result,
                }
            }
            Waiting::Change(connection, change) => {
                let outcome = (!fails).then(|| store.change(change.clone()));
                Command::Changed {
                    connection,
                    change,
                    outcome,
                }
            }
        };
        self.command(room, command);
    }

    fn client(&mut self, connection: ConnectionId) -> &mut Client {
        self.clients
            .get_mut(&connection)
            .expect("a connection the world made")
    }

    /// Runs a command and its effects, and checks the room afterwards.
    fn command(&mut self, room: usize, command: Command) {
        let now = Now {
            instant: self.now,
            unix_ms: 0,
        };
        for effect in self.rooms[room].handle(command, now) {
            match effect {
                Effect::Append { requester, message } => {
                    self.pending
                        .push((room, Waiting::Append(requester, message)));
                }
                Effect::Media(_) => {}
                Effect::Record { .. }
                | Effect::ClearMessages { .. }
                | Effect::Hold { .. }
                | Effect::Release { .. } => {
                    panic!("no member of these rooms is a host");
                }
                Effect::Change { connection, change } => {
                    self.pending
                        .push((room, Waiting::Change(connection, change)));
                }
                Effect::Send {
                    connection,
                    message,
                } => {
                    assert_eq!(
                        self.client(connection).room,
                        room,
                        "a message stays in its room"
                    );
                    self.tell(connection, message);
                }
                Effect::Relay { to, message, .. } => self.tell(to, message),
                Effect::Broadcast { message, except } => {
                    if let ServerMessage::MediaMode { mode } = message {
                        self.modes[room] = mode;
                    }
                    let open = self
                        .clients
                        .iter()
                        .filter(|(_, c)| c.open && c.room == room);
                    let connections: Vec<_> = open.map(|(connection, _)| *connection).collect();
                    for connection in connections
                        .into_iter()
                        .filter(|connection| Some(*connection) != except)
                    {
                        self.tell(connection, message.clone());
                    }
                }
                Effect::RefuseJoin { connection, .. } | Effect::Close { connection, .. } => {
                    self.client(connection).open = false;
                }
                Effect::AnswerForm { .. }
                | Effect::AnswerVisit { .. }
                | Effect::SendIfIdle { .. }
                | Effect::SummaryChanged => {}
            }
        }
        self.check(room);
    }

    /// Updates the view of a client by a received message.
    fn tell(&mut self, connection: ConnectionId, message: ServerMessage) {
        let room = self.client(connection).room;
        let stored = self.stores[room].messages.len();
        let client = self.client(connection);
        if !client.open {
            return;
        }
        match message {
            ServerMessage::Joined(joined) => {
                assert_eq!(joined.me, client.id);
                if !joined.resumed {
                    client.log.clear();
                }
                client.log.extend(joined.history);
                for message in joined.changed {
                    client.change(message);
                }
                let all = client.log.len() == stored;
                assert!(
                    all || joined.more,
                    "resumed or fresh, the log is whole or says so"
                );
                client.seq = joined.seq;
                client.people = joined.people;
                let call = joined.call.into_iter().map(|p| (p.id, (p.leg, p.devices)));
                client.call = call.collect();
            }
            ServerMessage::Chat(chat) if chat.seq > client.seq => {
                assert_eq!(chat.seq, client.seq + 1, "no gap in the order");
                client.seq = chat.seq;
                client.log.push(chat);
            }
            ServerMessage::Chat(chat) => {
                assert!(
                    client.log.contains(&chat),
                    "an old message is repeated unchanged"
                );
            }
            ServerMessage::Changed { seq, message } if seq > client.seq => {
                assert_eq!(seq, client.seq + 1, "no gap in the order");
                client.seq = seq;
                client.change(message);
            }
            ServerMessage::Changed { message, .. } => {
                let shown = client.log.iter().find(|known| known.id == message.id);
                assert!(shown.is_none_or(|known| *known == message));
            }
            ServerMessage::Reaction {
                seq,
                id,
                emoji,
                from,
                on,
            } => {
                assert_eq!(seq, client.seq + 1, "no gap in the order");
                client.seq = seq;
                if let Some(known) = client.log.iter_mut().find(|known| known.id == id) {
                    known.react(&emoji, &from, on, seq);
                }
            }
            ServerMessage::Gone { person } => {
                assert!(client.people.iter().all(|other| other.id != person.id));
            }
            ServerMessage::Entered { person, count, .. } => {
                client.people.push(person);
                assert_eq!(client.people.len(), count as usize);
            }
            ServerMessage::Left { person, count, .. } => {
                assert!(
                    !client.call.contains_key(&person.id),
                    "the call is left first"
                );
                client.people.retain(|other| other.id != person.id);
                assert_eq!(client.people.len(), count as usize);
            }
            ServerMessage::Renamed { person, was } => {
                let found = client.people.iter_mut().find(|other| other.id == person.id);
                let found = found.expect("the renamed person is in the room");
                assert_eq!(found.nickname, was);
                *found = person;
            }
            ServerMessage::Call { people, mode, .. } => {
                client.call = people
                    .into_iter()
                    .map(|p| (p.id, (p.leg, p.devices)))
                    .collect();
                self.modes[room] = mode;
            }
            ServerMessage::CallEntered { person } => {
                client.call.insert(person.id, (person.leg, person.devices));
            }
            ServerMessage::CallLeft { id, leg, .. } => {
                assert_eq!(client.call.remove(&id).map(|(stay, _)| stay), Some(leg));
            }
            ServerMessage::Devices { id, devices } => {
                client.call.get_mut(&id).expect("in the call").1 = devices;
            }
            ServerMessage::Signal {
                from, leg: None, ..
            } => {
                assert_ne!(from, client.id);
                assert!(
                    client.people.iter().any(|person| person.id == from),
                    "only from who is in the room"
                );
            }
            ServerMessage::Signal {
                from,
                leg: Some(leg),
                ..
            } => {
                assert_eq!(client.call.get(&from).map(|(stay, _)| *stay), Some(leg));
                assert!(
                    client.call.contains_key(&client.id),
                    "only who is in the call"
                );
                let to = client.id.clone();
                for id in [from, to] {
                    assert!(
                        !self.must_hide_address(room, &id),
                        "no signal from or to a person who hides"
                    );
                }
                self.signals += 1;
            }
            ServerMessage::Error { .. }
            | ServerMessage::Pong
            | ServerMessage::MediaMode { .. }
            | ServerMessage::MediaClosed { .. } => {}
            other => panic!("a room never sends {other:?}"),
        }
    }

    /// Whether the address of a participant in the call of a room must be hidden.
    fn must_hide_address(&self, room: usize, id: &ParticipantId) -> bool {
        let asked = self.hides.get(&(room, id.clone()));
        self.all_hide || asked.copied().unwrap_or_default()
    }

    /// Checks that the view of every client in a room agrees with the room.
    fn check(&self, number: usize) {
        let room = &self.rooms[number];
        let snapshot = room.snapshot();
        assert!(snapshot.people.len() <= CAPACITY && snapshot.call.len() <= CALL_CAPACITY);
        assert_eq!(room.summary().people as usize, snapshot.people.len());
        assert_eq!(snapshot.seq, self.stores[number].seq);
        let hides = snapshot
            .call
            .iter()
            .any(|p| self.must_hide_address(number, &p.id));
        assert!(
            !hides || self.modes[number] == Mode::Sfu,
            "a call with a hidden address runs through the SFU"
        );
        let is_here = |id: &ParticipantId| snapshot.people.iter().any(|p| p.id == *id);
        assert!(
            snapshot.call.iter().all(|p| is_here(&p.id)),
            "the call is among the people"
        );
        let unique: std::collections::BTreeSet<_> = snapshot.people.iter().map(|p| &p.id).collect();
        assert_eq!(unique.len(), snapshot.people.len());
        let call: BTreeMap<_, _> = snapshot
            .call
            .iter()
            .map(|p| (p.id.clone(), (p.leg, p.devices)))
            .collect();
        for client in self.clients.values().filter(|c| c.open && c.room == number) {
            assert!(is_here(&client.id));
            assert_eq!(client.people, snapshot.people, "in order of arrival");
            let mut believed = client.call.clone();
            // A client does not receive changes of its own devices.
            if let Some((own, devices)) = believed.get_mut(&client.id).zip(call.get(&client.id)) {
                *own = *devices;
            }
            assert_eq!(believed, call);
            assert_eq!(client.seq, snapshot.seq);
            assert!(
                self.stores[number].messages.ends_with(&client.log),
                "the messages received one by one equal a snapshot"
            );
        }
    }
}

fn message(id: u8) -> ChatDraft {
    ChatDraft {
        id: MessageId(uuid::Uuid::from_u128(u128::from(id))),
        text: ChatText::parse(&format!("message {id}")).expect("valid"),
        reply_to: None,
        files: Vec::new(),
        mentions: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn clients_agree_with_the_room_after_any_order_of_actions(
        actions in prop::collection::vec(action(), 1..120),
        all_hide in prop::bool::weighted(0.2),
    ) {
        let mut world = World::new(all_hide);
        for action in actions {
            world.act(action);
        }
        prop_assert!(!all_hide || world.signals == 0);
        while !world.pending.is_empty() {
            world.answer(false);
        }
        // All clients leave, and the rooms are idle again.
        world.act(Action::Wait { seconds: 9 });
        while world.socket(0).is_some() {
            world.act(Action::Gone { socket: 0, departure: Departure::Lost });
        }
        world.act(Action::Wait { seconds: 5 });
        world.act(Action::Wait { seconds: 115 });
        prop_assert!(world.rooms.iter().all(Room::is_idle));
    }
}

/// Positive control: the property about signals would also hold if none were ever delivered.
#[test]
fn signals_pass_between_two_people_until_one_hides_their_address() {
    let enter = |socket, hide_address| Action::EnterCall {
        socket,
        leg: 1,
        hide_address,
    };
    let join = |session| Action::Join {
        room: 0,
        session,
        nickname: 0,
        resume: false,
    };
    let mut world = World::new(false);
    for action in [join(0), join(1), enter(0, false), enter(1, false)] {
        world.act(action);
    }
    let signal = |socket, to| Action::Signal { socket, to, leg: 1 };
    world.act(signal(0, 1));
    world.act(signal(1, 0));
    assert_eq!(world.signals, 2);
    world.act(enter(0, true));
    world.act(signal(0, 1));
    world.act(signal(1, 0));
    assert_eq!(world.signals, 2, "neither from nor to a person who hides");
    world.act(enter(0, false));
    world.act(signal(0, 1));
    assert_eq!(world.signals, 3);
}
