//! The actor of a room: the task that owns one [`Room`], feeds it commands and runs its effects.
//!
//! The task waits neither for the disk nor for a socket: commits are polled beside the mailbox,
//! and frames go into bounded queues. The actor of a room that is empty and has no pending commit
//! ends; [`super::registry`] starts another one for the next message to the room.

use super::{
    media::{OfferRefused, RoomMedia},
    message::RoomMessage,
    operator::Inspection,
    registry::{RelayUse, Rooms},
};
use crate::server::rooms::{
    RoomError,
    core::command::{
        Command, ConnectionId, Departure, Effect, Join, Moderator, Now, RequestId, Requester,
    },
    core::lobby::VisitStatus,
    core::room::Room,
    fanout::connections::Connections,
    fanout::outbox::Outbox,
};
use crate::{
    protocol::{ChatDraft, ChatMessage, ErrorCode, ParticipantId, Person, RoomName, ServerMessage},
    server::{
        error::refusal,
        log_throttle::{self, LogThrottle},
        net::Network,
        sfu,
        store::{Change, NewMessage, NewRecord, StoreError},
    },
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use std::{
    collections::{HashMap, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// The reply channel of a plain form.
type FormReply = oneshot::Sender<Result<ChatMessage, RoomError>>;
/// The reply channel of a request to enter by a page without script.
type VisitReply = oneshot::Sender<Result<VisitStatus, ErrorCode>>;

/// One room, its sockets, its pending commits and its media.
pub struct Actor {
    /// The name of the room.
    name: RoomName,
    /// The number of this actor in the registry: a later actor of the same name has another one.
    key: u64,
    /// The members, the call and the recent messages.
    room: Room,
    /// Messages of handles and members. Closed by the registry when the server stops.
    mailbox: mpsc::Receiver<RoomMessage>,
    /// The sockets of the members.
    connections: Connections,
    /// The plain forms that wait for their commit.
    forms: HashMap<RequestId, FormReply>,
    /// The people with pages without script who wait for the answer to their request to enter.
    visits: Vec<(ParticipantId, VisitReply)>,
    /// The id of the last plain form.
    last_request_id: u64,
    /// Pending commits, in the order of the requests.
    commits: FuturesOrdered<BoxFuture<'static, Command>>,
    /// The room's media at the SFU, from the first offer on.
    media: Option<RoomMedia>,
    /// Deletes the messages of the room, once a host has asked for it.
    clearing: Option<Clearing>,
    /// The registry, and through it the store.
    rooms: Rooms,
}

/// The deletion of every message of the room.
struct Clearing {
    /// The socket that asked for it.
    connection: ConnectionId,
    /// The task, which returns the number of messages that it deleted.
    task: JoinHandle<Result<usize, StoreError>>,
}

/// The reply channel of a request to forget a room: whether it had a row.
pub type ForgetReply = oneshot::Sender<Result<bool, StoreError>>;

/// Loads the room from the store and runs it until it retires. Deletes the row of the room first
/// where `forget` waits for that; nobody is here then.
pub async fn run(
    rooms: Rooms,
    name: RoomName,
    key: u64,
    mailbox: mpsc::Receiver<RoomMessage>,
    forget: Option<ForgetReply>,
) {
    if let Some(reply) = forget {
        let forgotten = rooms.inner.store.forget(&name).await;
        let nobody_came = mailbox.is_empty();
        if nobody_came {
            rooms.retire(&name, key);
        }
        let _ = reply.send(forgotten);
        if nobody_came {
            return;
        }
    }
    match rooms.load(&name).await {
        Ok(room) => Actor::new(rooms, name, key, room, mailbox).run().await,
        Err(error) => refuse_all(&rooms, &name, key, mailbox, &error),
    }
}

/// Refuses all waiting messages of a room that cannot be loaded. The next message starts another
/// actor.
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
            RoomMessage::Join { reply, .. } => drop(reply.send(Err(ErrorCode::Unavailable))),
            RoomMessage::Post { reply, .. } => drop(reply.send(Err(RoomError::Unavailable))),
            RoomMessage::MayShare { reply, .. } => drop(reply.send(Err(RoomError::Unavailable))),
            RoomMessage::Visit { reply, .. } => drop(reply.send(Err(ErrorCode::Unavailable))),
            // Its sender starts another actor.
            RoomMessage::Password(_) => {}
            // A page reads the store itself, and a room without members gets no commands.
            RoomMessage::Snapshot { .. }
            | RoomMessage::IsHere { .. }
            | RoomMessage::MayUpload { .. }
            | RoomMessage::VisitStatus { .. }
            | RoomMessage::Command(_)
            | RoomMessage::Operator { .. }
            | RoomMessage::Inspect(_) => {}
            #[cfg(test)]
            RoomMessage::Fail => {}
        }
    }
}

impl Actor {
    /// The actor of a room without members.
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
            visits: Vec::new(),
            last_request_id: 0,
            commits: FuturesOrdered::new(),
            media: None,
            clearing: None,
            rooms,
        }
    }

    /// Runs until the room is idle or the registry closes the mailbox.
    async fn run(mut self) {
        // The sender that started the actor may have ended without a message.
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
                Some((connection, code)) = next_cleared(&mut self.clearing) => {
                    self.refuse(connection, code);
                }
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

    /// Waits for pending commits and acknowledges them, when the server stops.
    async fn finish(mut self) {
        while let Some(command) = self.commits.next().await {
            self.handle(command);
        }
        self.flush_broadcasts();
    }

    /// Dispatches a message of the mailbox.
    fn handle_message(&mut self, message: RoomMessage) {
        match message {
            RoomMessage::Join {
                join,
                outbox,
                reply,
            } => self.join(join, outbox, reply),
            RoomMessage::Command(command) => self.handle(command),
            RoomMessage::Post {
                from,
                network,
                draft,
                opens_private,
                reply,
            } => self.post((from, network), draft, opens_private, reply),
            RoomMessage::Operator { command, reply } => {
                let effects = self.room.handle(Command::Operator(command), now());
                let _ = reply.send(!effects.is_empty());
                self.run_effects(effects);
            }
            RoomMessage::Inspect(reply) => {
                let media = self.media.as_ref().map(|media| media.handle().inspect());
                let _ = reply.send(Inspection::of(&self.room, media));
            }
            RoomMessage::Snapshot { reader, reply } => {
                let is_visible = self.room.is_visible_to(reader.as_ref(), now());
                let mut snapshot = is_visible.then(|| self.room.snapshot());
                let messages = snapshot.iter_mut().flat_map(|seen| &mut seen.messages);
                self.rooms.inner.store.file_key().sign(messages);
                let _ = reply.send(snapshot);
            }
            RoomMessage::IsHere { id, reply } => {
                let _ = reply.send(self.room.is_here(&id));
            }
            RoomMessage::MayUpload { id, reply } => {
                let _ = reply.send(self.room.authorize_upload(&id));
            }
            RoomMessage::MayShare { id, network, reply } => {
                let _ = reply.send(self.room.authorize_post(&id, network, true, now()));
            }
            RoomMessage::Password(reply) => drop(reply.send(self.room.password())),
            RoomMessage::Visit { visitor, reply } => {
                self.visits.push((visitor.id.clone(), reply));
                let effects = self.room.visit(visitor, now());
                self.run_effects(effects);
            }
            RoomMessage::VisitStatus { id, reply } => {
                let _ = reply.send(self.room.visit_status(&id, now()));
            }
            #[cfg(test)]
            RoomMessage::Fail => panic!("a test asked for this"),
        }
    }

    /// Admits a socket, or refuses it.
    fn join(&mut self, join: Join, outbox: Outbox, reply: oneshot::Sender<Result<(), ErrorCode>>) {
        let (connection, resumes) = (join.connection, join.seen.is_some());
        let slow = self.connections.add(connection, outbox);
        self.disconnect_slow(slow);
        let effects = self.room.handle(Command::Join(join), now());
        let refused = effects.iter().find_map(refusal_of);
        if let Some(resumed) = effects.iter().find_map(resumed_by) {
            self.rooms.metrics().joined(resumes, resumed);
        }
        // The reply makes the connection send the refusal, which comes last.
        self.run_effects(effects);
        let ended = reply.send(refused.map_or(Ok(()), Err)).is_err();
        if ended && refused.is_none() {
            // The socket ended while it waited, so there is no `Membership` to report that.
            self.handle(Command::Disconnected {
                connection,
                departure: Departure::Lost,
            });
        }
    }

    /// Answers a plain form, which may have ended, and counts a refusal.
    fn answer_form(&self, reply: FormReply, result: Result<ChatMessage, RoomError>) {
        if let Err(error) = &result {
            self.rooms.metrics().refused(error.code(), true);
        }
        let _ = reply.send(result);
    }

    /// Posts the message of a plain form, within the room's rate limit for forms.
    fn post(
        &mut self,
        (from, network): (Person, Option<Network>),
        draft: ChatDraft,
        opens_private: bool,
        reply: FormReply,
    ) {
        if !self.rooms.inner.post_rates.allow(&self.name) {
            return self.answer_form(reply, Err(RoomError::TooManyMessages));
        }
        if opens_private {
            let effects = self.room.open_private(&from.id, now());
            self.run_effects(effects);
        }
        self.last_request_id += 1;
        let request_id = RequestId(self.last_request_id);
        self.forms.insert(request_id, reply);
        self.handle(Command::Post {
            request_id,
            from,
            network,
            draft,
        });
    }

    /// Applies a command to the room and runs its effects.
    fn handle(&mut self, command: Command) {
        if let Command::Disconnected { connection, .. } = command {
            self.connections.forget(connection);
        }
        let effects = self.room.handle(command, now());
        self.run_effects(effects);
    }

    /// Writes the pending broadcasts to every socket.
    fn flush_broadcasts(&mut self) {
        let slow = self.connections.flush();
        self.disconnect_slow(slow);
    }

    /// Runs effects in order.
    fn run_effects(&mut self, effects: Vec<Effect>) {
        let mut slow = Vec::new();
        for effect in effects {
            self.run_effect(effect, &mut slow);
        }
        self.disconnect_slow(slow);
    }

    /// Reports sockets that were closed as too slow to the room. The effects of a report may close
    /// further sockets.
    fn disconnect_slow(&mut self, slow: Vec<ConnectionId>) {
        let mut slow = VecDeque::from(slow);
        while let Some(connection) = slow.pop_front() {
            let command = Command::Disconnected {
                connection,
                departure: Departure::Lost,
            };
            let mut more = Vec::new();
            for effect in self.room.handle(command, now()) {
                self.run_effect(effect, &mut more);
            }
            slow.extend(more);
        }
    }

    /// Runs one effect. Adds the sockets that were closed as too slow to `slow`.
    fn run_effect(&mut self, effect: Effect, slow: &mut Vec<ConnectionId>) {
        match effect {
            Effect::Append { requester, message } => self.append(requester, message),
            Effect::Change { connection, change } => self.change(connection, change),
            Effect::Record { by, record } => self.record(by, record),
            Effect::ClearMessages { connection } => self.clear_messages(connection),
            Effect::Send {
                connection,
                mut message,
            } => {
                self.add_relays(connection, &mut message);
                self.sign_links(&mut message);
                slow.extend(self.connections.send(connection, &message));
            }
            Effect::Broadcast {
                mut message,
                except,
            } => {
                self.revoke_relays(&message);
                self.sign_links(&mut message);
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
            Effect::Hold { connection } => self.connections.hold(connection),
            Effect::Release { connection } => slow.extend(self.connections.release(connection)),
            Effect::RefuseJoin { connection, .. } => self.connections.forget(connection),
            Effect::Close { connection, code } => {
                slow.extend(self.connections.close(connection, code));
            }
            Effect::AnswerForm { request_id, result } => {
                if let Some(reply) = self.forms.remove(&request_id) {
                    self.answer_form(reply, result);
                }
            }
            Effect::AnswerVisit { id, result } => {
                for (_, reply) in self.visits.extract_if(.., |(asking, _)| *asking == id) {
                    let _ = reply.send(result.clone());
                }
            }
            Effect::Media(command) => self.send_media(command),
            Effect::SummaryChanged => {
                let (summary, is_listed) = (self.room.summary(), self.room.is_listed());
                let visibility = self.room.visibility();
                self.rooms
                    .update_summary(self.key, &summary, is_listed, visibility);
            }
        }
    }

    /// Hands a message to the store. The commit returns as a command.
    fn append(&mut self, requester: Requester, message: NewMessage) {
        let (rooms, name, id) = (self.rooms.clone(), self.name.clone(), message.draft.id);
        self.commits.push_back(Box::pin(async move {
            let result = rooms.append(&name, message).await.map_err(RoomError::from);
            Command::Stored {
                requester,
                id,
                result,
            }
        }));
    }

    /// Hands a change to the store. The commit returns as a command.
    fn change(&mut self, connection: ConnectionId, change: Change) {
        let (rooms, name) = (self.rooms.clone(), self.name.clone());
        self.commits.push_back(Box::pin(async move {
            let outcome = rooms.change(&name, change.clone()).await.ok();
            Command::Changed {
                connection,
                change,
                outcome,
            }
        }));
    }

    /// Hands a change of the authority to the store. The commit returns as a command.
    fn record(&mut self, by: Option<Moderator>, record: NewRecord) {
        let (rooms, name) = (self.rooms.clone(), self.name.clone());
        self.commits.push_back(Box::pin(async move {
            let stored = rooms.inner.store.record(&name, record.clone()).await;
            Command::Recorded {
                by,
                record,
                result: stored.map_err(RoomError::from),
            }
        }));
    }

    /// Starts to delete every message of the room, unless that runs already. Clients load a
    /// snapshot at its end; the socket that asked learns of a failure.
    fn clear_messages(&mut self, connection: ConnectionId) {
        if self.clearing.is_some() {
            return self.refuse(connection, ErrorCode::Busy);
        }
        let (rooms, name) = (self.rooms.clone(), self.name.clone());
        let task = tokio::spawn(async move {
            static FAILED: LogThrottle = LogThrottle::new();
            let cleared = rooms.clear(&name).await;
            if let Err(error) = &cleared {
                log_throttle::error(
                    &FAILED,
                    error,
                    "the messages of a room could not be deleted",
                );
            }
            cleared
        });
        self.clearing = Some(Clearing { connection, task });
    }

    /// Sends an error to one socket.
    fn refuse(&mut self, connection: ConnectionId, code: ErrorCode) {
        let slow = self.connections.send(connection, &refusal(code, None));
        self.disconnect_slow(slow);
    }

    /// Adds credentials for the server's own relay to the answers to `enter_call` and
    /// `ice_servers`.
    fn add_relays(&self, connection: ConnectionId, message: &mut ServerMessage) {
        let (list, usage) = if let ServerMessage::Call { ice_servers, .. } = message {
            (ice_servers, RelayUse::Call)
        } else if let ServerMessage::IceServers { ice_servers, .. } = message {
            (ice_servers, RelayUse::Direct)
        } else {
            return;
        };
        if let (Some(relays), Some(id)) =
            (self.rooms.relays(), self.room.participant_of(connection))
        {
            list.extend(relays.servers(&self.name, id, usage));
        }
    }

    /// Gives the files of messages fresh links: the room has kept the messages for a while.
    fn sign_links(&self, message: &mut ServerMessage) {
        let key = self.rooms.inner.store.file_key();
        key.sign(message.chat_messages_mut());
    }

    /// Revokes the relay credentials of a person who left the call or is not expected back.
    /// People who are only away may still be connected browser to browser.
    fn revoke_relays(&self, message: &ServerMessage) {
        if let ServerMessage::CallLeft {
            id, away: false, ..
        } = message
        {
            self.revoke(id, RelayUse::Call);
        } else if let ServerMessage::Gone { person }
        | ServerMessage::Left {
            person,
            away: false,
            ..
        } = message
        {
            self.revoke(&person.id, RelayUse::Call);
            self.revoke(&person.id, RelayUse::Direct);
        }
    }

    /// Revokes the relay credentials of a person for one use.
    fn revoke(&self, id: &ParticipantId, usage: RelayUse) {
        if let Some(relays) = self.rooms.relays() {
            relays.forget(&self.name, id, usage);
        }
    }

    /// Sends a command to the SFU. An offer that finds its queue full closes the connection, so that
    /// the client opens another one.
    fn send_media(&mut self, command: sfu::Command) {
        let offers = matches!(command, sfu::Command::Offer { .. });
        if self.media.is_none() && offers {
            self.media = self.rooms.open_media();
        }
        let sent = match &mut self.media {
            Some(media) => media.send(command),
            None if offers => Err(OfferRefused(command.peer())),
            None => Ok(()),
        };
        if let Err(OfferRefused(peer)) = sent {
            self.handle(Command::Media(sfu::Event::Closed { peer }));
        }
    }
}

/// The next event of the SFU; nothing without a connection to it.
async fn next_media_event(media: &mut Option<RoomMedia>) -> Option<sfu::Event> {
    match media {
        Some(media) => media.next_event().await,
        None => None,
    }
}

/// Waits for the end of a deletion of every message. Returns the socket that asked, and why nothing
/// or not everything was deleted; nothing without a deletion, or where its clients start over.
async fn next_cleared(clearing: &mut Option<Clearing>) -> Option<(ConnectionId, ErrorCode)> {
    let Clearing { connection, task } = clearing.as_mut()?;
    let (connection, cleared) = (*connection, task.await);
    *clearing = None;
    match cleared {
        Ok(Ok(0)) => Some((connection, ErrorCode::NoSuchMessage)),
        Ok(Ok(_)) => None,
        Ok(Err(_)) | Err(_) => Some((connection, ErrorCode::Unavailable)),
    }
}

/// Why a join was refused, if this effect refuses it.
fn refusal_of(effect: &Effect) -> Option<ErrorCode> {
    let Effect::RefuseJoin { code, .. } = effect else {
        return None;
    };
    Some(*code)
}

/// Whether a join resumed a former connection, if this effect answers the join.
fn resumed_by(effect: &Effect) -> Option<bool> {
    let Effect::Send {
        message: ServerMessage::Joined(joined),
        ..
    } = effect
    else {
        return None;
    };
    Some(joined.resumed)
}

/// Waits for a moment; pending for ever without one.
async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The current time by both clocks.
fn now() -> Now {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        instant: Instant::now().into_std(),
        unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
    }
}
