//! Presence: members who join, leave, lose their connection and return.
//!
//! A member whose connection breaks stays in the room for the grace period, and nobody is notified.
//! After it they are away: they have left, but are expected back for some time. If they join in
//! that time, `entered` has `back` set. After that time they are gone. A member whose media still
//! reaches the SFU after the grace period stays in the room until the media ends, because the
//! others see and hear them.

use super::{
    budget::MemberBudget,
    command::{ConnectionId, Departure, Effect, Join, Now, Visitor},
    history::MissedEvents,
    lobby::Socket,
    moderation::{Moderated, Told},
    room::{ConnectionState, Member, Room, broadcast, broadcast_except, refuse},
};
use crate::{
    protocol::{
        Action, CloseCode, Epoch, ErrorCode, HostKey, Joined, MAX_FRAME_BYTES, Mode, Nickname,
        ParticipantId, Person, Seq, ServerMessage, SessionToken,
    },
    server::authority::{AuthorityEvent, HostKeyHash},
};
use std::time::Instant;

/// Bytes of a `joined` frame besides people, call, roles and history.
const JOINED_FRAME_BYTES: usize = 1024;
/// Places beyond the capacity of a room for its hosts and co-hosts, who are needed most where
/// strangers fill the room. 4: a host's devices and some co-hosts.
pub(super) const HOST_RESERVE: usize = 4;
/// Minimum number of bytes for history in a `joined` frame: one message of 4000 characters of four
/// bytes, and its envelope.
const MIN_HISTORY_BYTES: usize = 20 * 1024;

/// A person whose connection has been down for longer than the grace period.
#[derive(Debug)]
pub(super) struct AwayMember {
    /// Id and last nickname.
    pub person: Person,
    /// Until when they are expected back.
    pub until: Instant,
    /// Whether they have shown the host key.
    pub holds_key: bool,
    /// What hosts have done to them.
    pub moderated: Moderated,
}

impl Room {
    /// Lets a person in or wait, refuses them, or gives a member a new socket.
    pub(super) fn join(&mut self, join: Join, now: Now) -> Vec<Effect> {
        match self.index_of(&join.visitor.id) {
            Some(index) => self.replace_connection(index, join, now),
            None => self.join_from_outside(join, now),
        }
    }

    /// Gives a new room its host key: the one that the first person presents, or a fresh one.
    /// Returns the key, and the effects that store its hash.
    pub(super) fn claim(&mut self, join: &Join, now: Now) -> Option<(HostKey, Vec<Effect>)> {
        if !std::mem::take(&mut self.is_unclaimed) {
            return None;
        }
        let key = join.visitor.host_key.as_ref().unwrap_or(&join.fresh_key);
        let (host_key, opening) = (HostKeyHash::of(key), join.opening);
        // The person is a host at once; the store makes it last.
        let event = AuthorityEvent::Claim {
            host_key: host_key.clone(),
            opening,
        };
        let _ = self.authority.apply(&event, now.unix_ms);
        self.unstored_claim = Some((host_key, opening));
        let stored = self.store_claim(now);
        Some((key.clone(), stored.into_iter().collect()))
    }

    /// Adds a member and sends `entered` to the others. `key` is the host key that the member gets.
    pub(super) fn admit(
        &mut self,
        visitor: Visitor,
        socket: Socket,
        key: Option<HostKey>,
        now: Now,
    ) -> Vec<Effect> {
        let back = self.is_returning(&visitor.id, socket.seen.as_ref(), now);
        let holds_key = key.is_some() || self.holds_key(&visitor);
        let back_from = self.away.iter().find(|away| away.person.id == visitor.id);
        let moderated = back_from.map(|away| away.moderated).unwrap_or_default();
        self.away.retain(|away| away.person.id != visitor.id);
        let person = Person::new(visitor.id, visitor.nickname);
        let connection = socket.connection;
        self.members.push(Member {
            holds_key,
            moderated,
            told: Told::default(),
            network: visitor.network,
            invite: visitor.invite,
            person: person.clone(),
            connection_state: ConnectionState::Connected(connection),
            call: None,
            typing_sent_at: None,
            budget: MemberBudget::new(self.rules.p2p_max),
            due_subscription: None,
        });
        let index = self.members.len() - 1;
        let presence = self.update_host_presence(now);
        let entered = ServerMessage::Entered {
            person,
            count: self.count(),
            back,
            role: self.role(index),
        };
        let mut effects = vec![
            self.join_answer(index, visitor.session, &socket, key),
            broadcast_except(connection, entered),
            Effect::SummaryChanged,
        ];
        effects.extend(presence);
        effects.extend(self.update_window(now));
        effects.extend(self.show_lobby(index));
        effects.extend(self.show_hosts(index, now));
        effects.extend(self.tell_host_presence(now));
        effects
    }

    /// Whether a person is away, or was here before the server restarted.
    fn is_returning(&self, id: &ParticipantId, seen: Option<&(Epoch, Seq)>, now: Now) -> bool {
        let restarted = now.instant < self.rules.started + self.rules.away;
        self.is_away(id) || (restarted && seen.is_some_and(|(epoch, _)| *epoch == self.epoch))
    }

    /// Gives a member a new socket and closes the former one. The others are notified of a new
    /// nickname only.
    fn replace_connection(&mut self, index: usize, join: Join, now: Now) -> Vec<Effect> {
        let Join {
            connection,
            visitor,
            seen,
            ..
        } = join;
        let connected = ConnectionState::Connected(connection);
        let former = std::mem::replace(&mut self.members[index].connection_state, connected);
        // A new nickname counts against the same rate limit as `nickname`, so that a client cannot
        // bypass it by reconnecting.
        let is_same = self.members[index].person.nickname == visitor.nickname;
        let may_rename = is_same
            || (self.may(index, Action::ChangeNickname, None) && self.try_announce(index, now));
        let renamed = may_rename.then(|| self.set_nickname(index, visitor.nickname.clone()));
        let mut effects = Vec::new();
        if let ConnectionState::Connected(connection) = former {
            effects.push(Effect::Close {
                connection,
                code: CloseCode::Replaced,
            });
        }
        let shows_key = self.holds_key(&visitor) && !self.members[index].holds_key;
        self.members[index].holds_key |= shows_key;
        self.members[index].network = visitor.network;
        let socket = Socket { connection, seen };
        effects.push(self.join_answer(index, visitor.session, &socket, None));
        effects.extend(self.show_lobby(index));
        effects.extend(self.show_hosts(index, now));
        if shows_key {
            effects.push(self.role_changed(index));
            effects.extend(self.update_host_presence(now));
            effects.extend(self.enforce_mutes(None, now));
        }
        let renamed = renamed.flatten();
        effects.extend(renamed.map(|message| broadcast_except(connection, message)));
        effects.extend(self.tell_host_presence(now));
        effects
    }

    /// The answer to `join`.
    fn join_answer(
        &mut self,
        index: usize,
        session: SessionToken,
        socket: &Socket,
        host_key: Option<HostKey>,
    ) -> Effect {
        let (people, call) = (self.people(), self.call());
        let roles = self.roles();
        let told = self.to_tell(index);
        self.members[index].told = told;
        let pins = self.history.pins().to_vec();
        let bytes = history_bytes(&people, call.len(), roles.len());
        let bytes = bytes.saturating_sub(serde_json::to_string(&pins).map_or(0, |json| json.len()));
        let missed = self.missed(socket.seen.as_ref(), bytes);
        let resumed = missed.is_some();
        let (history, changed, more) = match missed {
            Some(MissedEvents { messages, changed }) => (messages, changed, false),
            None => {
                let (newest, more) = self.history.newest(bytes);
                (newest, Vec::new(), more)
            }
        };
        let joined = Joined {
            me: self.members[index].person.id.clone(),
            session,
            epoch: self.epoch.clone(),
            seq: self.history.seq(),
            resumed,
            people,
            history,
            changed,
            pins,
            more,
            call,
            role: self.role(index),
            roles,
            room: self.authority.settings(),
            muted: told.muted.devices(),
            may_unmute: told.may_unmute,
            host_key,
        };
        Effect::Send {
            connection: socket.connection,
            message: ServerMessage::Joined(joined),
        }
    }

    /// The events since the last one that the client has seen, if all of them are known and fit
    /// into the frame.
    fn missed(&self, seen: Option<&(Epoch, Seq)>, bytes: usize) -> Option<MissedEvents> {
        let (epoch, seen) = seen?;
        let known = *epoch == self.epoch;
        known.then(|| self.history.since(*seen, bytes)).flatten()
    }

    /// Handles `nickname`: sends a new nickname to everybody.
    pub(super) fn rename(
        &mut self,
        index: usize,
        connection: ConnectionId,
        nickname: Nickname,
        now: Now,
    ) -> Vec<Effect> {
        if !self.try_announce(index, now) {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        let renamed = self.set_nickname(index, nickname);
        renamed.map(broadcast).into_iter().collect()
    }

    /// Gives a member a nickname. Returns `renamed`, unless the nickname is the same.
    pub(super) fn set_nickname(
        &mut self,
        index: usize,
        nickname: Nickname,
    ) -> Option<ServerMessage> {
        let person = &mut self.members[index].person;
        if person.nickname == nickname {
            return None;
        }
        let renamed = Person::new(person.id.clone(), nickname);
        let was = std::mem::replace(person, renamed.clone()).nickname;
        Some(ServerMessage::Renamed {
            person: renamed,
            was,
        })
    }

    /// Takes one announcement from a member's budget: a change of nickname, devices or call.
    pub(super) fn try_announce(&mut self, index: usize, now: Now) -> bool {
        let budget = &mut self.members[index].budget;
        budget.try_announce(&mut self.broadcast_budget, now.instant)
    }

    /// Handles the end of a socket. A replaced socket belongs to no member any more.
    pub(super) fn on_disconnected(
        &mut self,
        connection: ConnectionId,
        departure: Departure,
        now: Now,
    ) -> Vec<Effect> {
        let Some(index) = self.members.iter().position(|m| m.is_at(connection)) else {
            let left = departure == Departure::Left;
            return self.on_lobby_disconnected(connection, left, now);
        };
        match departure {
            Departure::Left => self.remove_member(index, false, now),
            Departure::Lost => {
                let until = now.instant + self.rules.grace;
                self.members[index].connection_state = ConnectionState::Lost(until);
                Vec::new()
            }
            Departure::TimedOut => self.expire_connection(index, now),
        }
    }

    /// Ends the wait for a member's socket: they become away, unless the SFU receives their media.
    fn expire_connection(&mut self, index: usize, now: Now) -> Vec<Effect> {
        if self.media_of(index).is_none() {
            return self.remove_member(index, true, now);
        }
        let until = now.instant + self.rules.away;
        self.members[index].connection_state = ConnectionState::MediaOnly(until);
        Vec::new()
    }

    /// Handles every deadline that has passed.
    pub(super) fn tick(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_silent = |member: &Member| match member.connection_state {
            ConnectionState::Lost(until) => until <= now.instant,
            ConnectionState::Connected(_) | ConnectionState::MediaOnly(_) => false,
        };
        while let Some(index) = self.members.iter().position(is_silent) {
            effects.extend(self.expire_connection(index, now));
        }
        let is_overdue = |member: &Member| match member.connection_state {
            ConnectionState::MediaOnly(until) => until <= now.instant,
            ConnectionState::Connected(_) | ConnectionState::Lost(_) => false,
        };
        while let Some(index) = self.members.iter().position(is_overdue) {
            effects.extend(self.remove_member(index, false, now));
        }
        effects.extend(self.retain_away(|away| away.until > now.instant));
        effects.extend(self.tick_lobby(now));
        if self.window.due().is_some_and(|due| due <= now.instant) {
            effects.extend(self.update_window(now));
        }
        effects.extend(self.send_due_subscriptions(now));
        let presence = self.update_host_presence(now);
        if !presence.is_empty() {
            effects.extend(presence);
            effects.extend(self.enforce_mutes(None, now));
        }
        effects.extend(self.update_mode(now));
        effects
    }

    /// Removes a member, from the call first. An `away` member is expected back for some time.
    pub(super) fn remove_member(&mut self, index: usize, away: bool, now: Now) -> Vec<Effect> {
        // Only browser-to-browser connections continue without the server.
        let keeps_media = away && self.mode == Mode::P2p;
        let mut effects = self.end_session(index, keeps_media);
        effects.extend(self.update_mode(now));
        let Member {
            person,
            holds_key,
            moderated,
            ..
        } = self.members.remove(index);
        for member in &mut self.members {
            member.budget.remove_peer(&person.id);
        }
        if away {
            let until = now.instant + self.rules.away;
            let person = person.clone();
            self.away.push(AwayMember {
                person,
                until,
                holds_key,
                moderated,
            });
        }
        let count = self.count();
        effects.push(broadcast(ServerMessage::Left {
            person,
            count,
            away,
        }));
        effects.push(Effect::SummaryChanged);
        effects.extend(self.update_host_presence(now));
        effects.extend(self.tell_host_presence(now));
        if self.away.len() > self.rules.capacity {
            let longest = self.away[0].person.id.clone();
            effects.extend(self.retain_away(|away| away.person.id != longest));
        }
        effects
    }

    /// Removes all away people, if the room has no members.
    pub(super) fn forget_away(&mut self) -> Vec<Effect> {
        match self.members.is_empty() {
            true => {
                let mut effects = self.retain_away(|_| false);
                effects.extend(self.empty_lobby(CloseCode::Restarting));
                effects
            }
            false => Vec::new(),
        }
    }

    /// Keeps the away people that `is_expected` selects, and sends `gone` for the others.
    pub(super) fn retain_away(&mut self, is_expected: impl Fn(&AwayMember) -> bool) -> Vec<Effect> {
        let away = std::mem::take(&mut self.away).into_iter();
        let (expected, gone): (_, Vec<AwayMember>) = away.partition(is_expected);
        self.away = expected;
        let messages = gone
            .into_iter()
            .map(|AwayMember { person, .. }| broadcast(ServerMessage::Gone { person }));
        messages.collect()
    }
}

/// Bytes of a `joined` frame that are left for history.
fn history_bytes(people: &[Person], in_call: usize, roles: usize) -> usize {
    /// Bytes of a person's entry besides the nickname and its look, either of which escaping may
    /// double.
    const PERSON_BYTES: usize = 70;
    /// Bytes of an entry of the call.
    const CALL_BYTES: usize = 124;
    /// Bytes of an entry of the roles.
    const ROLE_BYTES: usize = 60;
    let names: usize = people
        .iter()
        .map(|p| {
            let look = p.look.as_ref().map_or(0, String::len);
            PERSON_BYTES + 2 * (p.nickname.as_str().len() + look)
        })
        .sum();
    let taken = JOINED_FRAME_BYTES + names + CALL_BYTES * in_call + ROLE_BYTES * roles;
    MAX_FRAME_BYTES.saturating_sub(taken).max(MIN_HISTORY_BYTES)
}
