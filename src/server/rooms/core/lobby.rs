//! The lobby: people who wait until a host admits them.
//!
//! Whoever waits is no member: broadcasts, people, history and the call are not for them. They learn
//! their place and whether anybody can admit them, and nothing else.

use super::{
    admission::Admission,
    command::{ConnectionId, Effect, Moderator, Now, Visitor},
    room::{ConnectionState, Room, refuse},
};
use crate::{
    protocol::{
        Action, ChatText, CloseCode, Epoch, ErrorCode, Knock, LOBBY_WINDOW, Nickname,
        ParticipantId, Person, Seq, ServerMessage,
    },
    server::{authority::AuthorityEvent, error::refusal},
};
use std::time::{Duration, Instant};

/// Most people in a lobby. 500: five rooms of the default size.
const MAX_WAITING: usize = 500;
/// Most people of one network in a lobby. 20: a class behind one address, and too few to fill it.
const MAX_OF_NETWORK: usize = 20;
/// How long somebody waits. 10 min.
const WAIT: Duration = Duration::from_secs(10 * 60);
/// How long somebody whose connection is lost, or whose page without script does not return, keeps
/// the place. 60 s.
const ABSENCE: Duration = Duration::from_secs(60);
/// How long somebody who was turned away cannot ask again. 60 s.
const TURNED_AWAY: Duration = Duration::from_secs(60);
/// Most people whom the room remembers to have turned away.
const MAX_TURNED_AWAY: usize = MAX_WAITING;
/// Minimum interval between two messages about the lobby to the same people. 500 ms.
const TELL_INTERVAL: Duration = Duration::from_millis(500);

/// A socket, and what its client has of the log.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    /// The socket of the client.
    pub connection: ConnectionId,
    /// Epoch and `seq` of the last event received.
    pub seen: Option<(Epoch, Seq)>,
}

/// How somebody who waits is reached.
#[derive(Debug, Clone)]
enum Reached {
    /// By this socket.
    By(Socket),
    /// Not at the moment; the place is kept until this time.
    Absent(Instant),
}

/// Somebody who waits.
#[derive(Debug)]
struct Waiting {
    /// The person who waits.
    visitor: Visitor,
    /// How they are reached.
    reached: Reached,
    /// Since when they wait, in milliseconds since the Unix epoch.
    since_ms: i64,
    /// When the wait ends.
    until: Instant,
    /// The place and the presence of a host that they know.
    told: Option<(usize, bool)>,
}

/// Somebody whom a host turned away.
#[derive(Debug)]
struct TurnedAway {
    /// Id of the person.
    id: ParticipantId,
    /// What the host wrote.
    reason: Option<ChatText>,
    /// Until when they cannot ask again.
    until: Instant,
}

/// The people who wait, longest first.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    /// The people who wait, longest first.
    waiting: Vec<Waiting>,
    /// Who was turned away, the last one at the end.
    turned_away: Vec<TurnedAway>,
    /// When news about the lobby is due.
    news_due: Option<Instant>,
    /// When news was sent last.
    news_sent: Option<Instant>,
}

/// What somebody with a page without script learns about their request to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisitStatus {
    /// They have not asked, or their wait has ended.
    Outside,
    /// They wait in the lobby.
    Waiting {
        /// The place, from 1.
        place: u32,
        /// Whether anybody is here who can admit them.
        host_here: bool,
    },
    /// A host turned them away.
    TurnedAway(Option<ChatText>),
    /// The room is not open at this time. Times are in milliseconds since the Unix epoch.
    NotOpen {
        /// When it opens.
        opens: Option<i64>,
        /// When it closes.
        closes: Option<i64>,
    },
    /// They may read and write. The nickname that an invite has just given them, if one has.
    Inside(Option<Nickname>),
}

impl Lobby {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether this socket belongs to somebody who waits.
    pub fn is_at(&self, connection: ConnectionId) -> bool {
        self.position_at(connection).is_some()
    }

    /// The position of somebody who is reached by this socket.
    fn position_at(&self, connection: ConnectionId) -> Option<usize> {
        self.waiting.iter().position(|waiting| {
            matches!(&waiting.reached, Reached::By(socket) if socket.connection == connection)
        })
    }

    /// The position of a person.
    fn position(&self, id: &ParticipantId) -> Option<usize> {
        let mut waiting = self.waiting.iter();
        waiting.position(|waiting| waiting.visitor.id == *id)
    }

    /// The next deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        let ends = self.waiting.iter().map(|waiting| match waiting.reached {
            Reached::By(_) => waiting.until,
            Reached::Absent(until) => until.min(waiting.until),
        });
        ends.chain(self.news_due).min()
    }

    /// Removes somebody, and returns them with their socket.
    fn take(&mut self, id: &ParticipantId) -> Option<(Visitor, Option<Socket>)> {
        let position = self.position(id)?;
        let Waiting {
            visitor, reached, ..
        } = self.waiting.remove(position);
        let socket = match reached {
            Reached::By(socket) => Some(socket),
            Reached::Absent(_) => None,
        };
        Some((visitor, socket))
    }
}

impl Room {
    /// Whether a host turned somebody away a moment ago.
    fn is_turned_away(&self, id: &ParticipantId, now: Now) -> bool {
        let mut turned_away = self.lobby.turned_away.iter();
        turned_away.any(|turned| turned.id == *id && turned.until > now.instant)
    }

    /// Whether somebody may join the lobby, or keep the place in it.
    ///
    /// # Errors
    /// Why not.
    fn may_wait(&self, visitor: &Visitor, now: Now) -> Result<(), ErrorCode> {
        let lobby = &self.lobby;
        if self.is_turned_away(&visitor.id, now) {
            return Err(ErrorCode::TurnedAway);
        }
        if lobby.position(&visitor.id).is_some() {
            return Ok(());
        }
        let is_near = |waiting: &&Waiting| waiting.visitor.network == visitor.network;
        let near = lobby.waiting.iter().filter(is_near).count();
        let is_crowded = visitor.network.is_some() && near >= MAX_OF_NETWORK;
        match is_crowded || lobby.waiting.len() >= MAX_WAITING {
            true => Err(ErrorCode::LobbyFull),
            false => Ok(()),
        }
    }

    /// Lets somebody with a socket wait, who keeps the place of an earlier socket.
    ///
    /// # Errors
    /// Why they may not wait.
    pub(super) fn wait(
        &mut self,
        visitor: Visitor,
        socket: Socket,
        now: Now,
    ) -> Result<Vec<Effect>, ErrorCode> {
        self.may_wait(&visitor, now)?;
        let connection = socket.connection;
        let mut effects = vec![Effect::Hold { connection }];
        effects.extend(self.put(visitor, Reached::By(socket), now));
        effects.extend(self.tell_lobby(now));
        effects.extend(self.watch_window(now));
        Ok(effects)
    }

    /// Lets somebody with a page without script wait.
    ///
    /// # Errors
    /// Why they may not wait.
    pub(super) fn wait_without_socket(
        &mut self,
        visitor: Visitor,
        now: Now,
    ) -> Result<Vec<Effect>, ErrorCode> {
        self.may_wait(&visitor, now)?;
        let mut effects = self.put(visitor, Reached::Absent(now.instant + ABSENCE), now);
        effects.extend(self.tell_lobby(now));
        effects.extend(self.watch_window(now));
        Ok(effects)
    }

    /// Adds somebody, or updates who they are and how they are reached.
    fn put(&mut self, visitor: Visitor, reached: Reached, now: Now) -> Vec<Effect> {
        let Some(position) = self.lobby.position(&visitor.id) else {
            self.lobby.waiting.push(Waiting {
                visitor,
                reached,
                since_ms: now.unix_ms,
                until: now.instant + WAIT,
                told: None,
            });
            // A room whose people all wait counts as vacant.
            return vec![Effect::SummaryChanged];
        };
        let waiting = &mut self.lobby.waiting[position];
        waiting.visitor = visitor;
        waiting.told = None;
        match std::mem::replace(&mut waiting.reached, reached) {
            Reached::By(Socket { connection, .. }) => vec![Effect::Close {
                connection,
                code: CloseCode::Replaced,
            }],
            Reached::Absent(_) => Vec::new(),
        }
    }

    /// What somebody with a page without script learns. Keeps their place.
    pub fn visit_status(&mut self, id: &ParticipantId, now: Now) -> VisitStatus {
        let is_banned = self
            .authority
            .bans(now.unix_ms)
            .any(|ban| ban.person.id == *id);
        let is_inside = self.index_of(id).is_some()
            || !self.authority.is_hidden()
            || self.authority.knows(id, None, now.unix_ms);
        if is_inside && !is_banned {
            return VisitStatus::Inside(None);
        }
        let host_here = self.has_someone_who_admits();
        if let Some(position) = self.lobby.position(id) {
            if let Reached::Absent(until) = &mut self.lobby.waiting[position].reached {
                *until = now.instant + ABSENCE;
            }
            return VisitStatus::Waiting {
                place: place(position),
                host_here,
            };
        }
        let turned_away = self.lobby.turned_away.iter();
        let mut turned_away = turned_away.filter(|turned| turned.until > now.instant);
        match turned_away.find(|turned| turned.id == *id) {
            Some(turned) => VisitStatus::TurnedAway(turned.reason.clone()),
            None => VisitStatus::Outside,
        }
    }

    /// Removes somebody from the lobby, because they enter in another way or are refused. Closes
    /// their socket.
    pub(super) fn leave_lobby(&mut self, id: &ParticipantId, now: Now) -> Vec<Effect> {
        let Some((_, socket)) = self.lobby.take(id) else {
            return Vec::new();
        };
        let mut effects: Vec<Effect> = socket
            .map(|Socket { connection, .. }| Effect::Close {
                connection,
                code: CloseCode::Replaced,
            })
            .into_iter()
            .collect();
        effects.extend(self.tell_lobby(now));
        effects
    }

    /// The socket of somebody who waits has ended. `left`: on purpose.
    pub(super) fn on_lobby_disconnected(
        &mut self,
        connection: ConnectionId,
        left: bool,
        now: Now,
    ) -> Vec<Effect> {
        self.entering
            .retain(|entering| entering.socket.connection != connection);
        let Some(position) = self.lobby.position_at(connection) else {
            return Vec::new();
        };
        if left {
            self.lobby.waiting.remove(position);
            let mut effects = self.tell_lobby(now);
            effects.push(Effect::SummaryChanged);
            return effects;
        }
        self.lobby.waiting[position].reached = Reached::Absent(now.instant + ABSENCE);
        Vec::new()
    }

    /// Ends the waits that have lasted too long, and sends news that is due.
    pub(super) fn tick_lobby(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.lobby
            .turned_away
            .retain(|turned| turned.until > now.instant);
        let is_over = |waiting: &Waiting| {
            let is_gone = matches!(waiting.reached, Reached::Absent(until) if until <= now.instant);
            is_gone || waiting.until <= now.instant
        };
        while let Some(position) = self.lobby.waiting.iter().position(is_over) {
            let id = self.lobby.waiting[position].visitor.id.clone();
            if let Some((_, Some(socket))) = self.lobby.take(&id) {
                effects.extend(end(socket.connection, ErrorCode::WaitedTooLong));
            }
            effects.push(Effect::SummaryChanged);
            self.lobby.news_due.get_or_insert(now.instant);
        }
        if self.lobby.news_due.is_some_and(|due| due <= now.instant) {
            effects.extend(self.send_news(now));
        }
        effects
    }

    /// Ends every wait: the room has to make space, or closes. Clients try again later.
    pub(super) fn empty_lobby(&mut self, code: CloseCode) -> Vec<Effect> {
        let waiting = std::mem::take(&mut self.lobby.waiting).into_iter();
        let sockets = waiting.filter_map(|waiting| match waiting.reached {
            Reached::By(socket) => Some(socket.connection),
            Reached::Absent(_) => None,
        });
        let closed = sockets.map(|connection| Effect::Close { connection, code });
        closed.collect()
    }

    /// A host admits somebody, or everybody for whom there is space.
    pub(super) fn admit_waiting(
        &mut self,
        by: Moderator,
        who: Option<ParticipantId>,
        now: Now,
    ) -> Vec<Effect> {
        let space = self.capacity().saturating_sub(self.members.len());
        let connection = by.connection;
        let ids: Vec<_> = match who {
            Some(who) if self.lobby.position(&who).is_none() => {
                return refuse(connection, ErrorCode::NoSuchPerson);
            }
            Some(who) => vec![who],
            None => {
                let waiting = self.lobby.waiting.iter().take(space);
                waiting.map(|waiting| waiting.visitor.id.clone()).collect()
            }
        };
        match (self.lobby.is_empty(), space) {
            (true, _) => Vec::new(),
            (false, 0) => refuse(connection, ErrorCode::RoomFull),
            (false, _) => self.record(by, AuthorityEvent::Admit(ids), now),
        }
    }

    /// A host has admitted these people: those who are here enter. Somebody who was turned away
    /// before that was durable stays outside.
    pub(super) fn on_admitted(
        &mut self,
        by: &Moderator,
        ids: &[ParticipantId],
        now: Now,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for id in ids {
            let Some((visitor, socket)) = self.lobby.take(id) else {
                if self.is_turned_away(id, now) {
                    let event = AuthorityEvent::Dismiss(id.clone());
                    effects.extend(self.record(by.clone(), event, now));
                }
                continue;
            };
            effects.push(Effect::SummaryChanged);
            if let Some(socket) = socket {
                effects.extend(self.enter_from_outside(visitor, socket, now));
            }
        }
        effects.extend(self.tell_lobby(now));
        effects
    }

    /// The room has changed: who need not wait any more enters, and who may not wait any more
    /// connects again and learns why.
    pub(super) fn review_lobby(&mut self, now: Now) -> Vec<Effect> {
        let (mut effects, mut let_in) = (Vec::new(), Vec::new());
        let mut position = 0;
        while let Some(waiting) = self.lobby.waiting.get(position) {
            let admission = self.admission(&waiting.visitor, now);
            if admission == Admission::Wait {
                position += 1;
                continue;
            }
            let Waiting {
                visitor, reached, ..
            } = self.lobby.waiting.remove(position);
            effects.push(Effect::SummaryChanged);
            match (reached, admission) {
                (Reached::By(socket), Admission::Refuse(_)) => effects.push(Effect::Close {
                    connection: socket.connection,
                    code: CloseCode::Restarting,
                }),
                (Reached::By(socket), _) => {
                    effects.extend(self.enter_from_outside(visitor, socket, now));
                }
                // The room remembers that they may enter, as if they had asked now.
                (Reached::Absent(_), Admission::Enter) if self.authority.is_hidden() => {
                    let_in.push(visitor.id);
                }
                (Reached::Absent(_), _) => {}
            }
        }
        if !let_in.is_empty() {
            effects.push(self.store(None, AuthorityEvent::Admit(let_in), now));
        }
        if !effects.is_empty() {
            effects.extend(self.tell_lobby(now));
        }
        effects
    }

    /// A host turns somebody away, or everybody.
    pub(super) fn deny(
        &mut self,
        connection: ConnectionId,
        who: Option<ParticipantId>,
        reason: Option<ChatText>,
        now: Now,
    ) -> Vec<Effect> {
        let ids: Vec<_> = match who {
            Some(who) if self.lobby.position(&who).is_none() => {
                return refuse(connection, ErrorCode::NoSuchPerson);
            }
            Some(who) => vec![who],
            None => {
                let waiting = self.lobby.waiting.iter();
                waiting.map(|waiting| waiting.visitor.id.clone()).collect()
            }
        };
        let mut effects = Vec::new();
        for id in ids {
            effects.extend(self.turn_away(id, reason.clone(), now));
        }
        effects.extend(self.tell_lobby(now));
        effects
    }

    /// Turns one person away.
    pub(super) fn turn_away(
        &mut self,
        id: ParticipantId,
        reason: Option<ChatText>,
        now: Now,
    ) -> Vec<Effect> {
        let Some((_, socket)) = self.lobby.take(&id) else {
            return Vec::new();
        };
        if self.lobby.turned_away.len() >= MAX_TURNED_AWAY {
            self.lobby.turned_away.remove(0);
        }
        self.lobby.turned_away.push(TurnedAway {
            id,
            reason: reason.clone(),
            until: now.instant + TURNED_AWAY,
        });
        let mut effects = vec![Effect::SummaryChanged];
        if let Some(Socket { connection, .. }) = socket {
            effects.push(Effect::Send {
                connection,
                message: ServerMessage::Denied { reason },
            });
            effects.push(Effect::Close {
                connection,
                code: CloseCode::NotAllowed,
            });
        }
        effects
    }

    /// Somebody in the lobby, whom a host bans.
    pub(super) fn person_in_lobby(&self, id: &ParticipantId) -> Option<&Visitor> {
        let position = self.lobby.position(id)?;
        Some(&self.lobby.waiting[position].visitor)
    }

    /// Whether anybody is here who may admit people.
    fn has_someone_who_admits(&self) -> bool {
        (0..self.members.len()).any(|index| self.admits_others(index))
    }

    /// Whether a member is reached and may admit people.
    fn admits_others(&self, index: usize) -> bool {
        let state = self.members[index].connection_state;
        matches!(state, ConnectionState::Connected(_)) && self.may(index, Action::Admit, None)
    }

    /// Sends those who wait whether a host is here, after somebody came or went.
    pub(super) fn tell_host_presence(&mut self, now: Now) -> Vec<Effect> {
        match self.lobby.is_empty() {
            true => Vec::new(),
            false => self.tell_lobby(now),
        }
    }

    /// Sends news about the lobby, at once or when the interval has passed.
    pub(super) fn tell_lobby(&mut self, now: Now) -> Vec<Effect> {
        let next = self.lobby.news_sent.map(|sent| sent + TELL_INTERVAL);
        match next.filter(|next| *next > now.instant) {
            Some(next) => {
                self.lobby.news_due.get_or_insert(next);
                // Whoever is new learns the place at once.
                self.tell_waiting(|waiting| waiting.told.is_none())
            }
            None => self.send_news(now),
        }
    }

    /// Sends those who wait their places where they have changed, and hosts who waits.
    fn send_news(&mut self, now: Now) -> Vec<Effect> {
        self.lobby.news_due = None;
        self.lobby.news_sent = Some(now.instant);
        let mut effects = self.tell_waiting(|_| true);
        let message = self.lobby_list();
        for index in 0..self.members.len() {
            if let ConnectionState::Connected(connection) = self.members[index].connection_state
                && self.may(index, Action::Admit, None)
            {
                let message = message.clone();
                effects.push(Effect::Send {
                    connection,
                    message,
                });
            }
        }
        effects
    }

    /// Sends a moderating member who waits, if anybody does.
    pub(super) fn show_lobby(&self, index: usize) -> Option<Effect> {
        let ConnectionState::Connected(connection) = self.members[index].connection_state else {
            return None;
        };
        let shows = !self.lobby.is_empty() && self.may(index, Action::Admit, None);
        shows.then(|| Effect::Send {
            connection,
            message: self.lobby_list(),
        })
    }

    /// Who waits, for hosts.
    fn lobby_list(&self) -> ServerMessage {
        let waiting = self.lobby.waiting.iter();
        let people = waiting.take(LOBBY_WINDOW).map(|waiting| Knock {
            person: Person::new(waiting.visitor.id.clone(), waiting.visitor.nickname.clone()),
            line: waiting.visitor.line.clone(),
            since: waiting.since_ms,
        });
        ServerMessage::Lobby {
            count: place(self.lobby.waiting.len()).saturating_sub(1),
            people: people.collect(),
        }
    }

    /// Sends some of those who wait what they do not know yet.
    fn tell_waiting(&mut self, is_meant: impl Fn(&Waiting) -> bool) -> Vec<Effect> {
        let host_here = self.has_someone_who_admits();
        let mut effects = Vec::new();
        for (position, waiting) in self.lobby.waiting.iter_mut().enumerate() {
            let news = (position, host_here);
            if waiting.told == Some(news) || !is_meant(waiting) {
                continue;
            }
            let Reached::By(Socket { connection, .. }) = &waiting.reached else {
                continue;
            };
            waiting.told = Some(news);
            let wait_ms = i64::try_from(WAIT.as_millis()).unwrap_or(i64::MAX);
            effects.push(Effect::Send {
                connection: *connection,
                message: ServerMessage::Waiting {
                    me: waiting.visitor.id.clone(),
                    session: waiting.visitor.session.clone(),
                    place: place(position),
                    host_here,
                    until: waiting.since_ms.saturating_add(wait_ms),
                },
            });
        }
        effects
    }
}

/// The place of a position, counted from 1.
fn place(position: usize) -> u32 {
    u32::try_from(position + 1).unwrap_or(u32::MAX)
}

/// Refuses somebody whose socket is held back, and closes it. After a failure of the server the
/// client tries again.
pub(super) fn end(connection: ConnectionId, code: ErrorCode) -> Vec<Effect> {
    let close_code = match code {
        ErrorCode::Unavailable => CloseCode::Restarting,
        _ => CloseCode::NotAllowed,
    };
    let message = refusal(code, None);
    vec![
        Effect::Send {
            connection,
            message,
        },
        Effect::Close {
            connection,
            code: close_code,
        },
    ]
}
