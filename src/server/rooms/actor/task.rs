//! The task that owns one room: takes letters, runs the room, runs its effects.
//!
//! It never waits for the disk, nor for a socket: commits are answered beside the
//! mailbox, frames go into bounded queues. A room that is empty and has nothing on its
//! way to the disk retires; [`super::registry`] makes it anew when somebody comes.

use super::{message::RoomMessage, registry::Rooms};
use crate::server::rooms::{
    RoomError,
    core::command::{Command, ConnectionId, Departure, Effect, Join, Now, RequestId, Requester},
    core::room::Room,
    fanout::connections::Connections,
    fanout::outbox::Outbox,
};
use crate::{
    protocol::{ChatMessage, ChatText, ErrorCode, MessageId, Person, RoomName, ServerMessage},
    server::{
        error::refusal,
        log_throttle::{self, LogThrottle},
        sfu::{self, MediaHandle},
        store::{Change, NewMessage, StoreError},
    },
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use std::{
    collections::{HashMap, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

/// Where a plain form waits for its answer.
type FormAnswer = oneshot::Sender<Result<ChatMessage, RoomError>>;

/// One room and everything it needs of the outside.
pub struct Actor {
    /// Its name.
    name: RoomName,
    /// Which actor of this name.
    key: u64,
    /// The thinking.
    room: Room,
    /// What others want.
    mailbox: mpsc::Receiver<RoomMessage>,
    /// The sockets of those who are here.
    connections: Connections,
    /// The forms that wait for the disk.
    forms: HashMap<RequestId, FormAnswer>,
    /// The next ticket.
    last_request_id: u64,
    /// Commits that are not answered yet, in the order they were asked for.
    commits: FuturesOrdered<BoxFuture<'static, Command>>,
    /// The room's media, once somebody sent any.
    media: Option<(MediaHandle, mpsc::Receiver<sfu::Event>)>,
    /// Where it retires from, and the store.
    rooms: Rooms,
}

/// Reads the room from the store and runs it until it retires.
pub async fn run(rooms: Rooms, name: RoomName, key: u64, mailbox: mpsc::Receiver<RoomMessage>) {
    match rooms.load(&name).await {
        Ok(room) => Actor::new(rooms, name, key, room, mailbox).run().await,
        Err(error) => refuse_all(&rooms, &name, key, mailbox, &error),
    }
}

/// The room cannot be read: everybody who waits is told so; the next one tries anew.
fn refuse_all(
    rooms: &Rooms,
    name: &RoomName,
    key: u64,
    mut mailbox: mpsc::Receiver<RoomMessage>,
    error: &StoreError,
) {
    static FAILED: LogThrottle = LogThrottle::new();
    log_throttle::error(&FAILED, error, "a room could not be read from the store");
    rooms.retire(name, key);
    mailbox.close();
    while let Ok(message) = mailbox.try_recv() {
        match message {
            RoomMessage::Join { answer, .. } => drop(answer.send(Err(ErrorCode::Unavailable))),
            RoomMessage::Post { answer, .. } => drop(answer.send(Err(RoomError::Unavailable))),
            _ => {}
        }
    }
}

impl Actor {
    /// An actor for a room that nobody is in yet.
    fn new(
        rooms: Rooms,
        name: RoomName,
        key: u64,
        room: Room,
        mailbox: mpsc::Receiver<RoomMessage>,
    ) -> Self {
        Self {
            name,
            key,
            room,
            mailbox,
            connections: Connections::new(rooms.metrics().clone()),
            forms: HashMap::new(),
            last_request_id: 0,
            commits: FuturesOrdered::new(),
            media: None,
            rooms,
        }
    }

    /// Runs until the room is idle or the registry has let it go.
    async fn run(mut self) {
        // Whoever had it made may be gone before their letter is here.
        let first_deadline = Instant::now() + self.rooms.inner.rules.empty_within;
        loop {
            let idle = self.room.is_idle();
            let tick = sleep_until_some(self.room.next_deadline().map(Instant::from_std));
            let flush = sleep_until_some(self.connections.due());
            tokio::select! {
                Some(command) = self.commits.next() => self.handle(command),
                message = self.mailbox.recv() => match message {
                    Some(message) => self.handle_message(message),
                    None => return self.finish().await,
                },
                Some(event) = next_media_event(&mut self.media) => self.handle(Command::Media(event)),
                () = tick => self.handle(Command::Tick),
                () = flush => self.flush_broadcasts(),
                () = sleep_until(first_deadline), if idle => {}
            }
            if self.room.is_idle() && self.mailbox.is_empty() {
                self.rooms.retire(&self.name, self.key);
                return;
            }
        }
    }

    /// The server stops: what is on its way to the disk is still answered.
    async fn finish(mut self) {
        while let Some(command) = self.commits.next().await {
            self.handle(command);
        }
        self.flush_broadcasts();
    }

    /// Opens a letter.
    fn handle_message(&mut self, message: RoomMessage) {
        match message {
            RoomMessage::Join {
                join,
                outbox,
                answer,
            } => self.join_connection(join, outbox, answer),
            RoomMessage::Command(command) => self.handle(command),
            RoomMessage::Post {
                from,
                id,
                text,
                answer,
            } => self.post(from, id, text, answer),
            RoomMessage::Snapshot(answer) => drop(answer.send(self.room.snapshot())),
            #[cfg(test)]
            RoomMessage::Fail => panic!("a test asked for this"),
        }
    }

    /// Lets a socket in, or says why not.
    fn join_connection(
        &mut self,
        join: Join,
        outbox: Outbox,
        answer: oneshot::Sender<Result<(), ErrorCode>>,
    ) {
        let (connection, came_back) = (join.connection, join.seen.is_some());
        let slow = self.connections.add(connection, outbox);
        self.drop_slow(slow);
        let effects = self.room.handle(Command::Join(join), now());
        let refused = effects.iter().find_map(|effect| match effect {
            Effect::Refuse { code, .. } => Some(*code),
            _ => None,
        });
        if let Some(resumed) = effects.iter().find_map(resumed_by) {
            self.rooms.metrics().joined(came_back, resumed);
        }
        if answer.send(refused.map_or(Ok(()), Err)).is_err() && refused.is_none() {
            // The socket ended while it knocked; nobody else will report that.
            self.run_effects(effects);
            return self.handle(Command::Disconnected {
                connection,
                departure: Departure::Lost,
            });
        }
        self.run_effects(effects);
    }

    /// Answers a plain form, and counts a refusal.
    fn respond(&self, waiting: FormAnswer, answer: Result<ChatMessage, RoomError>) {
        if let Err(error) = &answer {
            self.rooms.metrics().refused(error.code(), true);
        }
        let _ = waiting.send(answer);
    }

    /// Takes what a plain form says, within the limit.
    fn post(&mut self, from: Person, id: MessageId, text: ChatText, answer: FormAnswer) {
        if !self.rooms.inner.post_rates.allow(&self.name) {
            return self.respond(answer, Err(RoomError::TooManyMessages));
        }
        self.last_request_id += 1;
        let request_id = RequestId(self.last_request_id);
        self.forms.insert(request_id, answer);
        self.handle(Command::Post {
            request_id,
            from,
            id,
            text,
        });
    }

    /// Runs the room, its effects, and the room again for whoever turned out too slow.
    fn handle(&mut self, command: Command) {
        if let Command::Disconnected { connection, .. } = command {
            self.connections.forget(connection);
        }
        let effects = self.room.handle(command, now());
        self.run_effects(effects);
    }

    /// Tells everybody what was gathered for them.
    fn flush_broadcasts(&mut self) {
        let slow = self.connections.flush();
        self.drop_slow(slow);
    }

    /// Runs effects in order.
    fn run_effects(&mut self, effects: Vec<Effect>) {
        let mut slow = Vec::new();
        for effect in effects {
            self.run_effect(effect, &mut slow);
        }
        self.drop_slow(slow);
    }

    /// Runs the room for those whose sockets were closed as too slow, and for whoever turns
    /// out too slow by that.
    fn drop_slow(&mut self, slow: Vec<ConnectionId>) {
        let mut slow = VecDeque::from(slow);
        while let Some(connection) = slow.pop_front() {
            let departure = Departure::Lost;
            let effects = self.room.handle(
                Command::Disconnected {
                    connection,
                    departure,
                },
                now(),
            );
            let mut slower = Vec::new();
            for effect in effects {
                self.run_effect(effect, &mut slower);
            }
            slow.extend(slower);
        }
    }

    /// Runs one effect; sockets that cannot take what they are told are added to `slow`.
    fn run_effect(&mut self, effect: Effect, slow: &mut Vec<ConnectionId>) {
        match effect {
            Effect::Persist { requester, message } => self.persist(requester, message),
            Effect::Change { connection, change } => self.change(connection, change),
            Effect::Send {
                connection,
                mut message,
            } => {
                self.add_relays(connection, &mut message);
                slow.extend(self.connections.send(connection, &message));
            }
            Effect::Broadcast { message, except } => {
                self.revoke_relays(&message);
                slow.extend(self.connections.broadcast(&message, except));
            }
            Effect::Relay { from, to, message } => {
                let (behind, relayed) = self.connections.relay(to, &message);
                slow.extend(behind);
                if relayed.is_err() {
                    slow.extend(self.connections.send(from, &refusal(ErrorCode::Busy, None)));
                }
            }
            Effect::SendIfIdle { message, except } => {
                slow.extend(self.connections.send_if_idle(&message, except));
            }
            Effect::Refuse { connection, .. } => self.connections.forget(connection),
            Effect::Close { connection, code } => {
                slow.extend(self.connections.close(connection, code))
            }
            Effect::Answer { request_id, answer } => {
                if let Some(waiting) = self.forms.remove(&request_id) {
                    self.respond(waiting, answer);
                }
            }
            Effect::Media(command) => self.send_media(command),
            Effect::SummaryChanged => self.rooms.summarise(self.key, &self.room.summary()),
        }
    }

    /// Hands a message to the writer without waiting for it.
    fn persist(&mut self, requester: Requester, message: NewMessage) {
        let (rooms, name, id) = (self.rooms.clone(), self.name.clone(), message.id);
        self.commits.push_back(Box::pin(async move {
            let answer = rooms.append(&name, message).await.map_err(RoomError::from);
            Command::Stored {
                requester,
                id,
                answer,
            }
        }));
    }

    /// Whoever enters the call gets credentials for our own relay, too.
    fn add_relays(&self, connection: ConnectionId, message: &mut ServerMessage) {
        if let ServerMessage::Call { ice_servers, .. } = message
            && let (Some(relays), Some(id)) =
                (self.rooms.relays(), self.room.participant_of(connection))
        {
            ice_servers.extend(relays.servers(&self.name, id));
        }
    }

    /// Nothing is relayed any more for whoever has left the call, or is not expected back.
    /// Whoever is only away may still talk browser to browser.
    fn revoke_relays(&self, message: &ServerMessage) {
        if let ServerMessage::CallLeft {
            id, away: false, ..
        }
        | ServerMessage::Gone {
            person: Person { id, .. },
        }
        | ServerMessage::Left {
            person: Person { id, .. },
            away: false,
            ..
        } = message
            && let Some(relays) = self.rooms.relays()
        {
            relays.forget(&self.name, id);
        }
    }

    /// Tells the SFU. Where it has no place for an offer, whoever made it makes another.
    fn send_media(&mut self, command: sfu::Command) {
        let refused = match &command {
            sfu::Command::Offer { peer, .. } => Some(*peer),
            _ => None,
        };
        if self.media.is_none() && refused.is_some() {
            self.media = Some(self.rooms.open_media());
        }
        let Some((media, _)) = &self.media else {
            return;
        };
        if !media.send(command)
            && let Some(peer) = refused
        {
            self.handle(Command::Media(sfu::Event::Closed { peer }));
        }
    }

    /// Hands a change to the writer without waiting for it.
    fn change(&mut self, connection: ConnectionId, change: Change) {
        let (rooms, name) = (self.rooms.clone(), self.name.clone());
        self.commits.push_back(Box::pin(async move {
            let answer = rooms.change(&name, change.clone()).await.ok();
            Command::Changed {
                connection,
                change,
                answer,
            }
        }));
    }
}

/// What the SFU says next; nothing where there is no media.
async fn next_media_event(
    media: &mut Option<(MediaHandle, mpsc::Receiver<sfu::Event>)>,
) -> Option<sfu::Event> {
    match media {
        Some((_, events)) => events.recv().await,
        None => None,
    }
}

/// Whether somebody who is let in goes on where they were; nothing where the effect is
/// another one.
fn resumed_by(effect: &Effect) -> Option<bool> {
    match effect {
        Effect::Send {
            message: ServerMessage::Joined(joined),
            ..
        } => Some(joined.resumed),
        _ => None,
    }
}

/// Waits for a moment; for ever where there is none.
async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The time, for the room.
fn now() -> Now {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        instant: Instant::now().into_std(),
        unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
    }
}
