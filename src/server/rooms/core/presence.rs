//! Presence: members who join, leave, lose their connection and return.
//!
//! A member whose connection breaks stays in the room for the grace period, and nobody is notified.
//! After it they are away: they have left, but are expected back for some time. If they join in
//! that time, `entered` has `back` set. After that time they are gone. A member whose media still
//! reaches the SFU after the grace period stays in the room until the media ends, because the
//! others see and hear them.

use super::{
    budget::MemberBudget,
    command::{ConnectionId, Departure, Effect, Join, Now},
    history::MissedEvents,
    moderation::{Moderated, Told},
    room::{ConnectionState, Member, Room, broadcast, broadcast_except, refuse},
};
use crate::{
    protocol::{
        Action, CloseCode, Epoch, ErrorCode, HostKey, Joined, MAX_FRAME_BYTES, Mode, Nickname,
        Person, Seq, ServerMessage,
    },
    server::authority::{AuthorityEvent, HostKeyHash},
};
use std::time::Instant;

/// Bytes of a `joined` frame besides people, call, roles and history.
const JOINED_FRAME_BYTES: usize = 1024;
/// Places beyond the capacity of a room for its hosts and co-hosts, who are needed most where
/// strangers fill the room. 4: a host's devices and some co-hosts.
const HOST_RESERVE: usize = 4;
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
    /// Admits a person, or gives a member a new socket.
    pub(super) fn join(&mut self, join: Join, now: Now) -> Vec<Effect> {
        match self.index_of(&join.id) {
            Some(index) => self.replace_connection(index, join, now),
            None => match self.refusal_of(&join, now) {
                Some(code) => vec![Effect::RefuseJoin {
                    connection: join.connection,
                    code,
                }],
                None => self.admit(join, now),
            },
        }
    }

    /// Why a person who is not here may not enter; nothing if they may. Neither a ban nor a lock
    /// keeps out who holds the key.
    fn refusal_of(&self, join: &Join, now: Now) -> Option<ErrorCode> {
        let holds_key = self.holds_key(join);
        let mut bans = self.authority.bans(now.unix_ms);
        if !holds_key && bans.any(|ban| ban.is_about(&join.id, join.network)) {
            return Some(ErrorCode::Banned);
        }
        if !holds_key && !self.is_away(join) && !self.authority.admits(&join.id) {
            return Some(ErrorCode::RoomLocked);
        }
        let moderates = holds_key || self.authority.role_of(&join.id).moderates();
        let reserve = if moderates { HOST_RESERVE } else { 0 };
        let is_full = self.members.len() >= self.rules.capacity + reserve;
        is_full.then_some(ErrorCode::RoomFull)
    }

    /// Whether the person is expected back.
    fn is_away(&self, join: &Join) -> bool {
        self.away.iter().any(|away| away.person.id == join.id)
    }

    /// Whether the person shows the host key of the room.
    fn holds_key(&self, join: &Join) -> bool {
        let hash = join.host_key.as_ref().map(HostKeyHash::of);
        hash.is_some_and(|hash| self.authority.is_host_key(&hash))
    }

    /// Gives a new room its host key: the one that the first person presents, or a fresh one.
    /// Returns the key, and the effects that store its hash.
    fn claim(&mut self, join: &Join, now: Now) -> Option<(HostKey, Vec<Effect>)> {
        if !std::mem::take(&mut self.is_unclaimed) {
            return None;
        }
        let key = join
            .host_key
            .clone()
            .unwrap_or_else(|| join.fresh_key.clone());
        let hash = HostKeyHash::of(&key);
        // The person is a host at once; the store makes it last.
        let event = AuthorityEvent::HostKey(hash.clone());
        let _ = self.authority.apply(&event, now.unix_ms);
        self.unstored_key = Some(hash);
        let stored = self.store_key(now);
        Some((key, stored.into_iter().collect()))
    }

    /// Adds a member and sends `entered` to the others.
    fn admit(&mut self, join: Join, now: Now) -> Vec<Effect> {
        let back = self.is_returning(&join, now);
        let claimed = self.claim(&join, now);
        let (key, stored) = claimed.unzip();
        let back_from = self.away.iter().find(|away| away.person.id == join.id);
        let moderated = back_from.map(|away| away.moderated).unwrap_or_default();
        self.away.retain(|away| away.person.id != join.id);
        let person = Person::new(join.id.clone(), join.nickname.clone());
        self.members.push(Member {
            holds_key: key.is_some() || self.holds_key(&join),
            moderated,
            told: Told::default(),
            network: join.network,
            person: person.clone(),
            connection_state: ConnectionState::Connected(join.connection),
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
            self.join_answer(index, &join, key),
            broadcast_except(join.connection, entered),
            Effect::SummaryChanged,
        ];
        effects.extend(presence);
        effects.extend(stored.into_iter().flatten());
        effects
    }

    /// Whether a person is away, or was here before the server restarted.
    fn is_returning(&self, join: &Join, now: Now) -> bool {
        let restarted = now.instant < self.rules.started + self.rules.away;
        let seen = join.seen.as_ref();
        self.is_away(join) || (restarted && seen.is_some_and(|(epoch, _)| *epoch == self.epoch))
    }

    /// Gives a member a new socket and closes the former one. The others are notified of a new
    /// nickname only.
    fn replace_connection(&mut self, index: usize, join: Join, now: Now) -> Vec<Effect> {
        let connected = ConnectionState::Connected(join.connection);
        let former = std::mem::replace(&mut self.members[index].connection_state, connected);
        // A new nickname counts against the same rate limit as `nickname`, so that a client cannot
        // bypass it by reconnecting.
        let is_same = self.members[index].person.nickname == join.nickname;
        let may_rename = is_same
            || (self.may(index, Action::ChangeNickname, None) && self.try_announce(index, now));
        let renamed = may_rename.then(|| self.set_nickname(index, join.nickname.clone()));
        let mut effects = Vec::new();
        if let ConnectionState::Connected(connection) = former {
            effects.push(Effect::Close {
                connection,
                code: CloseCode::Replaced,
            });
        }
        let shows_key = self.holds_key(&join) && !self.members[index].holds_key;
        self.members[index].holds_key |= shows_key;
        self.members[index].network = join.network;
        effects.push(self.join_answer(index, &join, None));
        if shows_key {
            effects.push(self.role_changed(index));
            effects.extend(self.update_host_presence(now));
            effects.extend(self.enforce_mutes(None, now));
        }
        let renamed = renamed.flatten();
        effects.extend(renamed.map(|message| broadcast_except(join.connection, message)));
        effects
    }

    /// The answer to `join`.
    fn join_answer(&mut self, index: usize, join: &Join, host_key: Option<HostKey>) -> Effect {
        let (people, call) = (self.people(), self.call());
        let roles = self.roles();
        let told = self.to_tell(index);
        self.members[index].told = told;
        let bytes = history_bytes(&people, call.len(), roles.len());
        let missed = self.missed(join, bytes);
        let resumed = missed.is_some();
        let (history, changed, more) = match missed {
            Some(MissedEvents { messages, changed }) => (messages, changed, false),
            None => {
                let (newest, more) = self.history.newest(bytes);
                (newest, Vec::new(), more)
            }
        };
        let joined = Joined {
            me: join.id.clone(),
            session: join.session.clone(),
            epoch: self.epoch.clone(),
            seq: self.history.seq(),
            resumed,
            people,
            history,
            changed,
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
            connection: join.connection,
            message: ServerMessage::Joined(joined),
        }
    }

    /// The events since the last one that the client has seen, if all of them are known and fit
    /// into the frame.
    fn missed(&self, join: &Join, bytes: usize) -> Option<MissedEvents> {
        let (epoch, seen): &(Epoch, Seq) = join.seen.as_ref()?;
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
            return Vec::new();
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
        if self.away.len() > self.rules.capacity {
            let longest = self.away[0].person.id.clone();
            effects.extend(self.retain_away(|away| away.person.id != longest));
        }
        effects
    }

    /// Removes all away people, if the room has no members.
    pub(super) fn forget_away(&mut self) -> Vec<Effect> {
        match self.members.is_empty() {
            true => self.retain_away(|_| false),
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
