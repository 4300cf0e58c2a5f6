//! A room: who is here and what is said.
//!
//! Pure: time comes in as [`Now`], work goes out as [`Effect`]. Driven by
//! [`crate::server::rooms::actor::task`], the only task that holds a `Room`. Coming and going is in
//! [`super::presence`], what is said in [`super::chat`], the call in [`super::call`].

use super::{
    budget::{BroadcastBudget, MemberBudget, bucket_for_people, json_len},
    call::{CallSession, refuse},
    command::{Command, ConnectionId, Effect, Now, Requester, RoomRequest},
    history::History,
    presence::AwayMember,
};
use crate::server::rooms::{RoomError, RoomSnapshot};
use crate::{
    protocol::{
        Epoch, ErrorCode, IceServer, MAX_FRAME_BYTES, MessageId, Mode, Nickname, ParticipantId,
        Person, RoomName, RoomSummary, ServerMessage, Wanted,
    },
    server::{
        error::refusal,
        limits::{ENVELOPE_BYTES, REACTIONS_BYTES, ROOM_OFFERS},
        store::{Change, Edit, NewMessage},
    },
};
use std::{sync::Arc, time::Duration, time::Instant};

/// Within which nobody is told twice that somebody types.
const TYPING_PAUSE: Duration = Duration::from_secs(1);

/// What the operator set, the same for every room.
#[derive(Debug, Clone)]
pub struct RoomRules {
    /// People a room holds. Default 100.
    pub capacity: usize,
    /// People a call holds. Default 100.
    pub call_capacity: usize,
    /// People whose call runs browser to browser. Default 2.
    pub p2p_max: usize,
    /// Whether every call runs through the SFU, so that no client learns the address of
    /// another. Default false.
    pub hide_addresses: bool,
    /// How long a call is that small before it moves back. Default 5 s.
    pub move_back_after: Duration,
    /// How long nobody hears that a person's line broke. Default 5 s.
    pub grace: Duration,
    /// How long after that a person who comes back is no news. Default 115 s.
    pub away: Duration,
    /// How long a room waits for whoever had it made. Default 10 s.
    pub empty_within: Duration,
    /// When the server started: whoever comes back soon after that is no news either.
    pub started: Instant,
    /// Handed to whoever enters the call.
    pub ice_servers: Arc<[IceServer]>,
}

/// How a person is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// By this socket.
    Connected(ConnectionId),
    /// By none just now; at this time they are away.
    Lost(Instant),
    /// By none for longer than the grace, and the SFU still gets media from them, so the others
    /// see and hear them. They stay in the lists until the media ends, or until this time.
    MediaOnly(Instant),
}

/// Somebody here.
#[derive(Debug)]
pub(super) struct Member {
    /// Who.
    pub person: Person,
    /// How they are reached.
    pub connection_state: ConnectionState,
    /// Their stay in the call.
    pub call: Option<CallSession>,
    /// When the others were last told that they type.
    pub typing_sent_at: Option<Instant>,
    /// What they may cost the others.
    pub budget: MemberBudget,
    /// What is on their screen, where the SFU is to be told of it later, and when.
    pub view: Option<(Instant, Vec<Wanted>)>,
}

/// The state of one room.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    name: RoomName,
    /// The log `seq` counts in.
    pub(super) epoch: Epoch,
    /// The end of the log.
    pub(super) history: History,
    /// Everybody here, in order of arrival.
    pub(super) members: Vec<Member>,
    /// Whoever may come back without being news, longest away first.
    pub(super) away: Vec<AwayMember>,
    /// Messages on their way to the disk.
    pub(super) pending: usize,
    /// What everybody may be told.
    pub(super) broadcast_budget: BroadcastBudget,
    /// Offers to the SFU.
    pub(super) offers: crate::server::token_bucket::TokenBucket,
    /// What the operator set.
    pub(super) rules: RoomRules,
    /// How media goes.
    pub(super) mode: Mode,
    /// When it goes browser to browser again.
    pub(super) p2p_at: Option<Instant>,
    /// Counts places at the SFU.
    pub(super) peers: u64,
}

impl Room {
    /// An empty room whose log ends as the store says.
    pub fn new(name: RoomName, epoch: Epoch, history: History, rules: RoomRules) -> Self {
        Self {
            name,
            epoch,
            history,
            members: Vec::new(),
            away: Vec::new(),
            pending: 0,
            broadcast_budget: BroadcastBudget::new(rules.capacity),
            offers: bucket_for_people(ROOM_OFFERS, rules.call_capacity),
            mode: match rules.p2p_max == 0 || rules.hide_addresses {
                true => Mode::Sfu,
                false => Mode::P2p,
            },
            p2p_at: None,
            peers: 0,
            rules,
        }
    }

    /// Takes a command, changes the room and says what is to be done about it.
    pub fn handle(&mut self, command: Command, now: Now) -> Vec<Effect> {
        match command {
            Command::Join(join) => self.join(join, now),
            Command::Disconnected {
                connection,
                departure,
            } => self.on_disconnected(connection, departure, now),
            Command::Member {
                connection,
                request,
            } => self.handle_request(connection, request, now),
            Command::Post {
                request_id,
                from,
                id,
                text,
            } => {
                if !self
                    .broadcast_budget
                    .try_take(cost(text.as_str()), now.instant)
                {
                    let answer = Err(RoomError::TooManyMessages);
                    return vec![Effect::Answer { request_id, answer }];
                }
                let message = NewMessage {
                    id,
                    from,
                    text,
                    at: now.unix_ms,
                    reply_to: None,
                };
                self.store_message(Requester::Form(request_id), message)
            }
            Command::Stored {
                requester,
                id,
                answer,
            } => self.on_stored(requester, id, answer),
            Command::Changed {
                connection,
                change,
                answer,
            } => self.on_changed(connection, change, answer),
            Command::Forget(gone) => {
                self.history.remove(&gone);
                Vec::new()
            }
            Command::ForgetAway => self.forget_away(),
            Command::Media(event) => self.on_media_event(event, now),
            Command::Tick => self.tick(now),
        }
    }

    /// When the next [`Command::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let lost = self
            .members
            .iter()
            .filter_map(|member| match member.connection_state {
                ConnectionState::Lost(until) | ConnectionState::MediaOnly(until) => Some(until),
                ConnectionState::Connected(_) => None,
            });
        let away = self.away.iter().map(|away| away.until);
        let views = self
            .members
            .iter()
            .filter_map(|member| member.view.as_ref());
        let views = views.map(|(at, _)| *at);
        lost.chain(away).chain(views).chain(self.p2p_at).min()
    }

    /// Whether nobody is here or expected back, and nothing is on its way to the disk.
    pub fn is_idle(&self) -> bool {
        self.members.is_empty() && self.away.is_empty() && self.pending == 0
    }

    /// What the welcome page shows.
    pub fn summary(&self) -> RoomSummary {
        RoomSummary {
            name: self.name.clone(),
            people: self.count(),
            in_call: u32::try_from(self.call().len()).unwrap_or(u32::MAX),
        }
    }

    /// What the room's page shows before its socket is open.
    pub fn snapshot(&self) -> RoomSnapshot {
        let (messages, more) = self.history.newest(MAX_FRAME_BYTES);
        RoomSnapshot {
            name: self.name.clone(),
            people: self.people(),
            messages,
            more,
            epoch: self.epoch.clone(),
            seq: self.history.seq(),
            call: self.call(),
            full: self.members.len() >= self.rules.capacity,
        }
    }

    /// Everybody here, in order of arrival.
    pub(super) fn people(&self) -> Vec<Person> {
        self.members.iter().map(|m| m.person.clone()).collect()
    }

    /// How many are here.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Whoever holds this socket.
    pub(super) fn member_by_connection(&mut self, connection: ConnectionId) -> Option<&mut Member> {
        self.members
            .iter_mut()
            .find(|m| m.connection_state == ConnectionState::Connected(connection))
    }

    /// Who holds this socket.
    pub fn participant_of(&self, connection: ConnectionId) -> Option<&ParticipantId> {
        let found = self
            .members
            .iter()
            .find(|m| m.connection_state == ConnectionState::Connected(connection));
        found.map(|member| &member.person.id)
    }

    /// The place of a person in the list.
    pub(super) fn index_of(&self, id: &ParticipantId) -> Option<usize> {
        self.members.iter().position(|m| m.person.id == *id)
    }

    /// Somebody here wants something.
    fn handle_request(
        &mut self,
        connection: ConnectionId,
        request: RoomRequest,
        now: Now,
    ) -> Vec<Effect> {
        let at_link = |m: &Member| m.connection_state == ConnectionState::Connected(connection);
        let Some(index) = self.members.iter().position(at_link) else {
            return Vec::new();
        };
        match request {
            RoomRequest::Chat { id, text, reply_to } => {
                if !self.try_spend(index, cost(text.as_str()), now) {
                    return refuse_message(connection, id);
                }
                let from = self.members[index].person.clone();
                let message = NewMessage {
                    id,
                    from,
                    text,
                    at: now.unix_ms,
                    reply_to,
                };
                self.store_message(Requester::Connection(connection), message)
            }
            RoomRequest::Change { id, edit } => {
                if !self.try_spend(index, edit_cost(&edit), now) {
                    return refuse_message(connection, id);
                }
                let by = self.members[index].person.id.clone();
                let at = now.unix_ms;
                self.change(connection, Change { id, by, at, edit })
            }
            RoomRequest::Typing => {
                let id = self.members[index].person.id.clone();
                self.typing(index, connection, id, now)
            }
            RoomRequest::Rename(nickname) => {
                if !self.members[index]
                    .budget
                    .try_announce(&mut self.broadcast_budget, now.instant)
                {
                    return refuse(connection, ErrorCode::TooManyMessages);
                }
                let renamed = self.rename(index, nickname);
                renamed.map(broadcast).into_iter().collect()
            }
            call => self.handle_call_request(index, connection, call, now),
        }
    }

    /// Whether everybody may be told this many bytes on behalf of somebody here; they are
    /// spent then.
    fn try_spend(&mut self, index: usize, cost: usize, now: Now) -> bool {
        let budget = &mut self.members[index].budget;
        budget.try_broadcast(&mut self.broadcast_budget, cost, now.instant)
    }

    /// Somebody types: told to the others now and then.
    fn typing(
        &mut self,
        index: usize,
        connection: ConnectionId,
        id: ParticipantId,
        now: Now,
    ) -> Vec<Effect> {
        let told = &mut self.members[index].typing_sent_at;
        if told.is_some_and(|told| now.instant < told + TYPING_PAUSE) {
            return Vec::new();
        }
        *told = Some(now.instant);
        vec![Effect::SendIfIdle {
            message: ServerMessage::Typing { id },
            except: connection,
        }]
    }

    /// Gives somebody a new nickname; nothing where it is the old one.
    pub(super) fn rename(&mut self, index: usize, nickname: Nickname) -> Option<ServerMessage> {
        let person = &mut self.members[index].person;
        if person.nickname == nickname {
            return None;
        }
        let renamed = Person::new(person.id.clone(), nickname);
        let was = std::mem::replace(person, renamed.clone()).nickname;
        let person = renamed;
        Some(ServerMessage::Renamed { person, was })
    }
}

/// Bytes that everybody is told of a text.
pub(super) fn cost(text: &str) -> usize {
    json_len(text) + ENVELOPE_BYTES
}

/// Bytes that everybody is told of a change, at most: an edit is told with the message's
/// reactions, and what these take is known only once it is stored.
pub(super) fn edit_cost(edit: &Edit) -> usize {
    match edit {
        Edit::Text(text) => cost(text.as_str()) + REACTIONS_BYTES,
        Edit::Delete | Edit::React { .. } => ENVELOPE_BYTES,
    }
}

/// Refuses what is more than everybody can be told now.
fn refuse_message(connection: ConnectionId, id: MessageId) -> Vec<Effect> {
    let message = refusal(ErrorCode::TooManyMessages, Some(id));
    vec![Effect::Send {
        connection,
        message,
    }]
}

/// Tells everybody.
pub(super) fn broadcast(message: ServerMessage) -> Effect {
    Effect::Broadcast {
        message,
        except: None,
    }
}

/// Tells everybody but one.
pub(super) fn broadcast_except(connection: ConnectionId, message: ServerMessage) -> Effect {
    Effect::Broadcast {
        message,
        except: Some(connection),
    }
}
