//! The task that owns one room: takes letters, runs the room, runs its effects.
//!
//! It never waits for the disk, nor for a socket: commits are answered beside the
//! mailbox, frames go into bounded queues. A room that is empty and has nothing on its
//! way to the disk retires; [`super::registry`] makes it anew when somebody comes.

use super::{message::Letter, registry::Rooms};
use crate::server::rooms::{
    RoomError,
    core::command::{Asker, Command, Departure, Effect, Join, LinkId, Now, Ticket},
    core::room::Room,
    fanout::connections::Links,
    fanout::outbox::Outbox,
};
use crate::{
    protocol::{ChatMessage, ChatText, ErrorCode, MessageId, Person, RoomName, ServerMessage},
    server::{
        error::refusal,
        log_throttle::{self, RareWarning},
        metrics,
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
type PostAnswer = oneshot::Sender<Result<ChatMessage, RoomError>>;

/// One room and everything it needs of the outside.
pub struct Actor {
    /// Its name.
    name: RoomName,
    /// Which actor of this name.
    key: u64,
    /// The thinking.
    room: Room,
    /// What others want.
    mailbox: mpsc::Receiver<Letter>,
    /// The sockets of those who are here.
    links: Links,
    /// The forms that wait for the disk.
    posts: HashMap<Ticket, PostAnswer>,
    /// The next ticket.
    tickets: u64,
    /// Commits that are not answered yet, in the order they were asked for.
    commits: FuturesOrdered<BoxFuture<'static, Command>>,
    /// The room's media, once somebody sent any.
    media: Option<(MediaHandle, mpsc::Receiver<sfu::Event>)>,
    /// Where it retires from, and the store.
    rooms: Rooms,
}

/// Reads the room from the store and runs it until it retires.
pub async fn run(rooms: Rooms, name: RoomName, key: u64, mailbox: mpsc::Receiver<Letter>) {
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
    mut mailbox: mpsc::Receiver<Letter>,
    error: &StoreError,
) {
    static FAILED: RareWarning = RareWarning::new();
    log_throttle::failed(&FAILED, error, "a room could not be read from the store");
    rooms.retire(name, key);
    mailbox.close();
    while let Ok(letter) = mailbox.try_recv() {
        match letter {
            Letter::Join { answer, .. } => drop(answer.send(Err(ErrorCode::Unavailable))),
            Letter::Post { answer, .. } => drop(answer.send(Err(RoomError::Unavailable))),
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
        mailbox: mpsc::Receiver<Letter>,
    ) -> Self {
        Self {
            name,
            key,
            room,
            mailbox,
            links: Links::default(),
            posts: HashMap::new(),
            tickets: 0,
            commits: FuturesOrdered::new(),
            media: None,
            rooms,
        }
    }

    /// Runs until the room is idle or the registry has let it go.
    async fn run(mut self) {
        // Whoever had it made may be gone before their letter is here.
        let nobody_came = Instant::now() + self.rooms.inner.rules.empty_within;
        loop {
            let idle = self.room.is_idle();
            let tick = until(self.room.next_deadline().map(Instant::from_std));
            let telling = until(self.links.due());
            tokio::select! {
                Some(command) = self.commits.next() => self.handle(command),
                letter = self.mailbox.recv() => match letter {
                    Some(letter) => self.take(letter),
                    None => return self.finish().await,
                },
                Some(event) = said(&mut self.media) => self.handle(Command::Media(event)),
                () = tick => self.handle(Command::Tick),
                () = telling => self.tell_gathered(),
                () = sleep_until(nobody_came), if idle => {}
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
        self.tell_gathered();
    }

    /// Opens a letter.
    fn take(&mut self, letter: Letter) {
        match letter {
            Letter::Join {
                join,
                outbox,
                answer,
            } => self.seat(join, outbox, answer),
            Letter::Command(command) => self.handle(command),
            Letter::Post {
                from,
                id,
                text,
                answer,
            } => self.post(from, id, text, answer),
            Letter::Snapshot(answer) => drop(answer.send(self.room.snapshot())),
            #[cfg(test)]
            Letter::Fail => panic!("a test asked for this"),
        }
    }

    /// Lets a socket in, or says why not.
    fn seat(&mut self, join: Join, outbox: Outbox, answer: oneshot::Sender<Result<(), ErrorCode>>) {
        let (link, came_back) = (join.link, join.seen.is_some());
        let slow = self.links.add(link, outbox);
        self.forget_slow(slow);
        let effects = self.room.handle(Command::Join(join), now());
        let refused = effects.iter().find_map(|effect| match effect {
            Effect::Refuse { code, .. } => Some(*code),
            _ => None,
        });
        if let Some(resumed) = effects.iter().find_map(welcome) {
            metrics::joined(came_back, resumed);
        }
        if answer.send(refused.map_or(Ok(()), Err)).is_err() && refused.is_none() {
            // The socket ended while it knocked; nobody else will report that.
            self.run_effects(effects);
            return self.handle(Command::Gone {
                link,
                how: Departure::Lost,
            });
        }
        self.run_effects(effects);
    }

    /// Takes what a plain form says, within the limit.
    fn post(&mut self, from: Person, id: MessageId, text: ChatText, answer: PostAnswer) {
        if !self.rooms.inner.post_rates.allow(&self.name) {
            return respond(answer, Err(RoomError::TooManyMessages));
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.posts.insert(ticket, answer);
        self.handle(Command::Post {
            ticket,
            from,
            id,
            text,
        });
    }

    /// Runs the room, its effects, and the room again for whoever turned out too slow.
    fn handle(&mut self, command: Command) {
        if let Command::Gone { link, .. } = command {
            self.links.forget(link);
        }
        let effects = self.room.handle(command, now());
        self.run_effects(effects);
    }

    /// Tells everybody what was gathered for them.
    fn tell_gathered(&mut self) {
        let slow = self.links.flush();
        self.forget_slow(slow);
    }

    /// Runs effects in order.
    fn run_effects(&mut self, effects: Vec<Effect>) {
        let mut slow = Vec::new();
        for effect in effects {
            self.run_effect(effect, &mut slow);
        }
        self.forget_slow(slow);
    }

    /// Runs the room for those whose sockets were closed as too slow, and for whoever turns
    /// out too slow by that.
    fn forget_slow(&mut self, slow: Vec<LinkId>) {
        let mut slow = VecDeque::from(slow);
        while let Some(link) = slow.pop_front() {
            let how = Departure::Lost;
            let effects = self.room.handle(Command::Gone { link, how }, now());
            let mut slower = Vec::new();
            for effect in effects {
                self.run_effect(effect, &mut slower);
            }
            slow.extend(slower);
        }
    }

    /// Runs one effect; sockets that cannot take what they are told are added to `slow`.
    fn run_effect(&mut self, effect: Effect, slow: &mut Vec<LinkId>) {
        match effect {
            Effect::Persist { asker, message } => self.persist(asker, message),
            Effect::Change { link, change } => self.change(link, change),
            Effect::Send { link, mut message } => {
                self.add_relays(link, &mut message);
                slow.extend(self.links.send(link, &message));
            }
            Effect::Broadcast { message, except } => {
                self.forget_relays(&message);
                slow.extend(self.links.broadcast(&message, except));
            }
            Effect::Relay { from, to, message } => {
                let (behind, relayed) = self.links.relay(to, &message);
                slow.extend(behind);
                if relayed.is_err() {
                    slow.extend(self.links.send(from, &refusal(ErrorCode::Busy, None)));
                }
            }
            Effect::Whisper { message, except } => {
                slow.extend(self.links.whisper(&message, except));
            }
            Effect::Refuse { link, .. } => self.links.forget(link),
            Effect::Close { link, code } => slow.extend(self.links.close(link, code)),
            Effect::Answer { ticket, answer } => {
                if let Some(waiting) = self.posts.remove(&ticket) {
                    respond(waiting, answer);
                }
            }
            Effect::Media(command) => self.tell_media(command),
            Effect::SummaryChanged => self.rooms.summarise(self.key, &self.room.summary()),
        }
    }

    /// Hands a message to the writer without waiting for it.
    fn persist(&mut self, asker: Asker, message: NewMessage) {
        let (rooms, name, id) = (self.rooms.clone(), self.name.clone(), message.id);
        self.commits.push_back(Box::pin(async move {
            let answer = rooms.append(&name, message).await.map_err(RoomError::from);
            Command::Stored { asker, id, answer }
        }));
    }

    /// Whoever enters the call gets credentials for our own relay, too.
    fn add_relays(&self, link: LinkId, message: &mut ServerMessage) {
        if let ServerMessage::Call { ice_servers, .. } = message
            && let (Some(relays), Some(id)) = (self.rooms.relays(), self.room.who(link))
        {
            ice_servers.extend(relays.servers(&self.name, id));
        }
    }

    /// Nothing is relayed any more for whoever has left the call, or is not expected back.
    /// Whoever is only away may still talk browser to browser.
    fn forget_relays(&self, message: &ServerMessage) {
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
    fn tell_media(&mut self, command: sfu::Command) {
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
    fn change(&mut self, link: LinkId, change: Change) {
        let (rooms, name) = (self.rooms.clone(), self.name.clone());
        self.commits.push_back(Box::pin(async move {
            let answer = rooms.change(&name, change.clone()).await.ok();
            Command::Changed {
                link,
                change,
                answer,
            }
        }));
    }
}

/// What the SFU says next; nothing where there is no media.
async fn said(media: &mut Option<(MediaHandle, mpsc::Receiver<sfu::Event>)>) -> Option<sfu::Event> {
    match media {
        Some((_, events)) => events.recv().await,
        None => None,
    }
}

/// Answers a plain form.
fn respond(waiting: PostAnswer, answer: Result<ChatMessage, RoomError>) {
    if let Err(error) = &answer {
        metrics::refused(error.code(), true);
    }
    let _ = waiting.send(answer);
}

/// Whether somebody who is let in goes on where they were; nothing where the effect is
/// another one.
fn welcome(effect: &Effect) -> Option<bool> {
    match effect {
        Effect::Send {
            message: ServerMessage::Joined(joined),
            ..
        } => Some(joined.resumed),
        _ => None,
    }
}

/// Waits for a moment; for ever where there is none.
async fn until(moment: Option<Instant>) {
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
