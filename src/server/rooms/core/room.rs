//! The state of a room, and the dispatch of commands.
//!
//! Pure: time comes in as [`Now`], work goes out as [`Effect`]s. Driven by
//! [`crate::server::rooms::actor::task`], the only task that holds a `Room`. Members come and go
//! in [`super::presence`], messages are in [`super::chat`], the call in [`super::call`] and its
//! media in [`super::media`].

use super::{
    admission::Entering,
    budget::{BroadcastBudget, MemberBudget, bucket_for_people},
    call::CallSession,
    command::{ChatRequest, Command, ConnectionId, Effect, Now, RoomRequest},
    history::History,
    lobby::Lobby,
    moderation::{HostNews, HostPresence, Moderated, Told},
    presence::AwayMember,
    window::WindowTimer,
};
use crate::{
    protocol::{
        Epoch, ErrorCode, IceServer, InviteId, MAX_FRAME_BYTES, Mode, ParticipantId, Person,
        RoomName, RoomSummary, ServerMessage, SettingsChange, Wanted,
    },
    server::{
        authority::{Authority, HostKeyHash},
        error::refusal,
        invites::InviteKey,
        limits::ROOM_OFFERS,
        net::Network,
        password_hasher::PasswordHash,
        rooms::RoomSnapshot,
        token_bucket::TokenBucket,
    },
};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// The operator's settings, the same for every room.
#[derive(Debug, Clone)]
pub struct RoomRules {
    /// People in a room, at most. Default 100.
    pub capacity: usize,
    /// People in a call, at most. Default 100.
    pub call_capacity: usize,
    /// People in a call that runs browser to browser, at most. Default 2.
    pub p2p_max: usize,
    /// Whether every call runs through the SFU, so that no client learns the address of
    /// another. Default false.
    pub hide_addresses: bool,
    /// Delay from the time a call has at most `p2p_max` people to its switch back to browser to
    /// browser. Default 5 s.
    pub move_back_after: Duration,
    /// Grace period: how long a member without a socket counts as present. Default 5 s.
    pub grace: Duration,
    /// How long after the grace period a person is expected back. Default 115 s.
    pub away: Duration,
    /// How long an empty room waits for its first member. Default 10 s.
    pub empty_within: Duration,
    /// The start of the server: clients that resume soon after it count as returning.
    pub started: Instant,
    /// ICE servers for everybody who enters the call.
    pub ice_servers: Arc<[IceServer]>,
    /// Signs the invites of every room.
    pub invite_key: InviteKey,
    /// Whether a stored room without a host gives its key to the next who enters.
    pub claim_rooms: bool,
}

/// Whether a member has a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// Reached by this socket.
    Connected(ConnectionId),
    /// Without a socket, within the grace period, which ends at this time.
    Lost(Instant),
    /// Without a socket beyond the grace period, while the SFU still receives their media. The
    /// others see and hear them, so they stay in the lists until the media ends, but not longer
    /// than until this time.
    MediaOnly(Instant),
}

/// A person in the room.
#[derive(Debug)]
pub(super) struct Member {
    /// Id and current nickname.
    pub person: Person,
    /// Whether they have a socket.
    pub connection_state: ConnectionState,
    /// Their session in the call, while they are in it.
    pub call: Option<CallSession>,
    /// When the others were last sent `typing` on their behalf.
    pub typing_sent_at: Option<Instant>,
    /// Their rate limits.
    pub budget: MemberBudget,
    /// A delayed subscription, and the time at which it goes to the SFU.
    pub due_subscription: Option<(Instant, Vec<Wanted>)>,
    /// Whether the member has shown the host key.
    pub holds_key: bool,
    /// What hosts have done to the member.
    pub moderated: Moderated,
    /// The muted devices of which the page of the member knows.
    pub told: Told,
    /// The network of the member; nothing for an address that is exempt from limits.
    pub network: Option<Network>,
    /// The invite by which the member came.
    pub invite: Option<InviteId>,
}

impl Member {
    /// Whether they are reached by this socket.
    pub fn is_at(&self, connection: ConnectionId) -> bool {
        self.connection_state == ConnectionState::Connected(connection)
    }
}

/// Who may see a room.
#[derive(Debug, Clone)]
pub enum Visibility {
    /// Everybody who has its name.
    Everybody,
    /// These participants, who are in it, and those whom its authority knows.
    Inside(HashSet<ParticipantId>),
}

/// The state of one room.
#[derive(Debug)]
pub struct Room {
    /// The name, which never changes.
    pub(super) name: RoomName,
    /// The log that `seq` counts in.
    pub(super) epoch: Epoch,
    /// The end of the log.
    pub(super) history: History,
    /// Everybody here, in order of arrival.
    pub(super) members: Vec<Member>,
    /// People whose return is expected, longest away first.
    pub(super) away: Vec<AwayMember>,
    /// The number of messages and changes that the store has not answered yet.
    pub(super) pending: usize,
    /// Rate limit of bytes that are sent to everybody.
    pub(super) broadcast_budget: BroadcastBudget,
    /// Rate limit of offers to the SFU.
    pub(super) offers: TokenBucket,
    /// The operator's settings.
    pub(super) rules: RoomRules,
    /// Whether media goes browser to browser or through the SFU.
    pub(super) mode: Mode,
    /// When the call runs browser to browser again, if a switch is scheduled.
    pub(super) p2p_at: Option<Instant>,
    /// Counts the peers opened at the SFU, for their keys.
    pub(super) peers: u64,
    /// The host key, the settings, the roles and the bans.
    pub(super) authority: Authority,
    /// Whether the next member gets the host key.
    pub(super) is_unclaimed: bool,
    /// The host key and the settings that the room opened with, until the store has them.
    pub(super) unstored_claim: Option<(HostKeyHash, SettingsChange)>,
    /// Whether a host is here.
    pub(super) host_presence: HostPresence,
    /// What everybody knows about it.
    pub(super) host_news: HostNews,
    /// Who waits until a host admits them.
    pub(super) lobby: Lobby,
    /// Who enters by an invite whose use the store has not answered yet.
    pub(super) entering: Vec<Entering>,
    /// When the room opens or closes, or warns that it closes.
    pub(super) window: WindowTimer,
}

impl Room {
    /// An empty room with this log. Without an authority nobody has claimed the room yet.
    pub fn new(
        name: RoomName,
        epoch: Epoch,
        history: History,
        authority: Option<Authority>,
        rules: RoomRules,
    ) -> Self {
        Self {
            is_unclaimed: authority.is_none(),
            unstored_claim: None,
            lobby: Lobby::default(),
            entering: Vec::new(),
            window: WindowTimer::default(),
            authority: authority.unwrap_or_default(),
            host_presence: HostPresence::default(),
            host_news: HostNews::default(),
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

    /// Applies a command and returns its effects.
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
                network,
                draft,
            } => self.post(request_id, (from, network), draft, now),
            Command::Recorded { by, record, result } => self.on_recorded(by, record, result, now),
            Command::Stored {
                requester,
                id,
                result,
            } => self.on_stored(requester, id, result, now),
            Command::Changed {
                connection,
                change,
                outcome,
            } => self.on_changed(connection, change, outcome),
            Command::Deleted(seqs) => {
                self.history.remove(&seqs);
                Vec::new()
            }
            Command::Operator(command) => self.handle_operator(command, now),
            Command::ForgetAway => self.forget_away(),
            Command::Media(event) => self.on_media_event(event, now),
            Command::Tick => self.tick(now),
        }
    }

    /// When the next [`Command::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.iter();
        let unconnected = members
            .clone()
            .filter_map(|member| match member.connection_state {
                ConnectionState::Lost(until) | ConnectionState::MediaOnly(until) => Some(until),
                ConnectionState::Connected(_) => None,
            });
        let subscriptions = members.filter_map(|member| member.due_subscription.as_ref());
        let subscriptions = subscriptions.map(|(at, _)| *at);
        let away = self.away.iter().map(|away| away.until);
        let deadlines = unconnected.chain(away).chain(subscriptions);
        let deadlines = deadlines.chain(self.p2p_at);
        let deadlines = deadlines.chain(self.acting_host_at());
        let deadlines = deadlines.chain(self.lobby.next_deadline());
        deadlines.chain(self.window.due()).min()
    }

    /// Whether the room has no members and no away people, and no pending answer of the store.
    pub fn is_idle(&self) -> bool {
        let is_empty = self.members.is_empty() && self.away.is_empty() && self.lobby.is_empty();
        is_empty && self.pending == 0
    }

    /// The counts that the welcome page shows.
    pub fn summary(&self) -> RoomSummary {
        RoomSummary {
            name: self.name.clone(),
            people: self.count(),
            in_call: u32::try_from(self.call().len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether the list of open rooms may show the room.
    pub fn is_listed(&self) -> bool {
        !self.authority.is_hidden()
    }

    /// Whether this participant has entered.
    pub fn is_here(&self, id: &ParticipantId) -> bool {
        self.index_of(id).is_some()
    }

    /// The hash of the room's password.
    pub fn password(&self) -> Option<PasswordHash> {
        self.authority.password().cloned()
    }

    /// Who may see the room, for requests that do not wait for its actor.
    pub fn visibility(&self) -> Visibility {
        match self.authority.is_hidden() {
            true => Visibility::Inside(self.people().into_iter().map(|one| one.id).collect()),
            false => Visibility::Everybody,
        }
    }

    /// The room as its page shows it before the page has a socket.
    pub fn snapshot(&self) -> RoomSnapshot {
        let (messages, more) = self.history.newest(MAX_FRAME_BYTES);
        RoomSnapshot {
            name: self.name.clone(),
            people: self.people(),
            messages,
            pins: self.history.pins().to_vec(),
            more,
            epoch: self.epoch.clone(),
            seq: self.history.seq(),
            call: self.call(),
            full: self.members.len() >= self.capacity(),
        }
    }

    /// Most people in the room.
    pub(super) fn capacity(&self) -> usize {
        let of_room = self.authority.settings().capacity;
        let of_room = of_room.map_or(usize::MAX, |capacity| capacity as usize);
        of_room.min(self.rules.capacity)
    }

    /// Whether a socket belongs to somebody who waits to enter.
    fn is_outside(&self, connection: ConnectionId) -> bool {
        let enters = |entering: &Entering| entering.socket.connection == connection;
        self.lobby.is_at(connection) || self.entering.iter().any(enters)
    }

    /// Everybody here, in order of arrival.
    pub(super) fn people(&self) -> Vec<Person> {
        self.members.iter().map(|m| m.person.clone()).collect()
    }

    /// The number of people here.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// The member reached by this socket.
    pub(super) fn member_by_connection(&mut self, connection: ConnectionId) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.is_at(connection))
    }

    /// The id of the member reached by this socket.
    pub fn participant_of(&self, connection: ConnectionId) -> Option<&ParticipantId> {
        let member = self.members.iter().find(|m| m.is_at(connection));
        member.map(|member| &member.person.id)
    }

    /// The index of a person in `members`.
    pub(super) fn index_of(&self, id: &ParticipantId) -> Option<usize> {
        self.members.iter().position(|m| m.person.id == *id)
    }

    /// Dispatches a request. A replaced socket belongs to no member, so its requests are dropped.
    fn handle_request(
        &mut self,
        connection: ConnectionId,
        request: RoomRequest,
        now: Now,
    ) -> Vec<Effect> {
        let Some(index) = self.members.iter().position(|m| m.is_at(connection)) else {
            return match self.is_outside(connection) {
                true => vec![refuse_request(connection, &request, ErrorCode::NotJoined)],
                false => Vec::new(),
            };
        };
        if let Err(code) = self.authorize(index, &request) {
            return vec![refuse_request(connection, &request, code)];
        }
        match request {
            RoomRequest::Chat(request) => self.handle_chat(index, connection, request, now),
            RoomRequest::Rename(nickname) => self.rename(index, connection, nickname, now),
            RoomRequest::Call(request) => self.handle_call(index, connection, request, now),
            RoomRequest::Direct(request) => self.handle_direct(index, connection, request, now),
            RoomRequest::Moderate(request) => self.moderate(index, connection, request, now),
        }
    }
}

/// Sends an error that refers to no chat message.
pub(super) fn refuse(connection: ConnectionId, code: ErrorCode) -> Vec<Effect> {
    let message = refusal(code, None);
    vec![Effect::Send {
        connection,
        message,
    }]
}

/// Refuses a request, by the id of its chat message if it is about one.
fn refuse_request(connection: ConnectionId, request: &RoomRequest, code: ErrorCode) -> Effect {
    let id = match request {
        RoomRequest::Chat(ChatRequest::Send(draft)) => Some(draft.id),
        RoomRequest::Chat(ChatRequest::Change { id, .. }) => Some(*id),
        RoomRequest::Chat(ChatRequest::Typing)
        | RoomRequest::Rename(_)
        | RoomRequest::Call(_)
        | RoomRequest::Direct(_)
        | RoomRequest::Moderate(_) => None,
    };
    Effect::Send {
        connection,
        message: refusal(code, id),
    }
}

/// Sends a message to everybody.
pub(super) fn broadcast(message: ServerMessage) -> Effect {
    Effect::Broadcast {
        message,
        except: None,
    }
}

/// Sends a message to everybody but one.
pub(super) fn broadcast_except(connection: ConnectionId, message: ServerMessage) -> Effect {
    Effect::Broadcast {
        message,
        except: Some(connection),
    }
}
