//! Coming into a room, going, and coming back.
//!
//! Whoever's line breaks keeps their place for the grace time, in which nobody hears of
//! it; then they are away, and expected back for a while, in which their return is no
//! news; then they are gone. Whose media still reaches the SFU after the grace is seen and
//! heard, so they stay in the lists until it ends (trust P7: removed is who is silent on both).

use super::{
    budget::MemberBudget,
    command::{ConnectionId, Departure, Effect, Join, Now},
    history::MissedEvents,
    room::{ConnectionState, Member, Room, broadcast, broadcast_except},
};
use crate::protocol::{
    CloseCode, Epoch, ErrorCode, Joined, MAX_FRAME_BYTES, Mode, Person, Seq, ServerMessage,
};
use std::time::Instant;

/// Bytes of a `joined` frame beside people, call and history.
const JOINED_FRAME_BYTES: usize = 512;
/// Bytes that history may always take, however many people there are: one message of
/// 4000 characters of four bytes and its envelope.
const MIN_HISTORY_BYTES: usize = 20 * 1024;

/// Somebody whose line has been down for longer than the grace.
#[derive(Debug)]
pub(super) struct AwayMember {
    /// Who.
    pub person: Person,
    /// Until when they are expected back.
    pub until: Instant,
}

impl Room {
    /// Somebody comes in, or comes back to the place they kept.
    pub(super) fn join(&mut self, join: Join, now: Now) -> Vec<Effect> {
        match self.index_of(&join.id) {
            Some(index) => self.replace_connection(index, join, now),
            None if self.members.len() >= self.rules.capacity => vec![Effect::Refuse {
                connection: join.connection,
                code: ErrorCode::RoomFull,
            }],
            None => self.admit(join, now),
        }
    }

    /// Somebody comes in: the others are told, and whether it is news.
    fn admit(&mut self, join: Join, now: Now) -> Vec<Effect> {
        let back = self.is_returning(&join, now);
        self.away.retain(|away| away.person.id != join.id);
        let person = Person::new(join.id.clone(), join.nickname.clone());
        self.members.push(Member {
            person: person.clone(),
            connection_state: ConnectionState::Connected(join.connection),
            call: None,
            typing_sent_at: None,
            budget: MemberBudget::new(self.rules.p2p_max),
            view: None,
        });
        let entered = ServerMessage::Entered {
            person,
            count: self.count(),
            back,
        };
        vec![
            self.join_answer(&join),
            broadcast_except(join.connection, entered),
            Effect::SummaryChanged,
        ]
    }

    /// Whether somebody was here a moment ago: away, or before the server restarted.
    fn is_returning(&self, join: &Join, now: Now) -> bool {
        let away = self.away.iter().any(|away| away.person.id == join.id);
        let restarted = now.instant < self.rules.started + self.rules.away;
        let seen = join.seen.as_ref();
        away || (restarted && seen.is_some_and(|(epoch, _)| *epoch == self.epoch))
    }

    /// The same session again: it takes its place over, and the others hear nothing of it
    /// but a new nickname.
    fn replace_connection(&mut self, index: usize, join: Join, now: Now) -> Vec<Effect> {
        let former = std::mem::replace(
            &mut self.members[index].connection_state,
            ConnectionState::Connected(join.connection),
        );
        // Whoever comes in by one socket after the other has only so many names told.
        let is_same = self.members[index].person.nickname == join.nickname;
        let may = is_same
            || self.members[index]
                .budget
                .try_announce(&mut self.broadcast_budget, now.instant);
        let renamed = may.then(|| self.rename(index, join.nickname.clone()));
        let renamed = renamed.flatten();
        let mut effects = Vec::new();
        if let ConnectionState::Connected(connection) = former {
            effects.push(Effect::Close {
                connection,
                code: CloseCode::Replaced,
            });
        }
        effects.push(self.join_answer(&join));
        effects.extend(renamed.map(|message| broadcast_except(join.connection, message)));
        effects
    }

    /// The answer to `join`.
    fn join_answer(&self, join: &Join) -> Effect {
        let (people, call) = (self.people(), self.call());
        let bytes = history_bytes(&people, call.len());
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
        };
        Effect::Send {
            connection: join.connection,
            message: ServerMessage::Joined(joined),
        }
    }

    /// What was said since, where that can be told whole.
    fn missed(&self, join: &Join, bytes: usize) -> Option<MissedEvents> {
        let (epoch, seen): &(Epoch, Seq) = join.seen.as_ref()?;
        let known = *epoch == self.epoch;
        known.then(|| self.history.since(*seen, bytes)).flatten()
    }

    /// A socket ended. One that was taken over is nobody's any more.
    pub(super) fn on_disconnected(
        &mut self,
        connection: ConnectionId,
        departure: Departure,
        now: Now,
    ) -> Vec<Effect> {
        let lost_until = now.instant + self.rules.grace;
        let Some(member) = self.member_by_connection(connection) else {
            return Vec::new();
        };
        if departure == Departure::Lost {
            member.connection_state = ConnectionState::Lost(lost_until);
            return Vec::new();
        }
        let id = member.person.id.clone();
        let Some(index) = self.index_of(&id) else {
            return Vec::new();
        };
        match departure == Departure::TimedOut {
            true => self.expire_connection(index, now),
            false => self.remove_member(index, false, now),
        }
    }

    /// Nobody expects somebody's socket any more: they are away, unless their media comes.
    fn expire_connection(&mut self, index: usize, now: Now) -> Vec<Effect> {
        let member = &mut self.members[index];
        if member.call.and_then(|session| session.media).is_none() {
            return self.remove_member(index, true, now);
        }
        member.connection_state = ConnectionState::MediaOnly(now.instant + self.rules.away);
        Vec::new()
    }

    /// Lets go of everybody whose grace is over, and of whoever did not come back.
    pub(super) fn tick(&mut self, now: Now) -> Vec<Effect> {
        let silent = |m: &Member| matches!(m.connection_state, ConnectionState::Lost(until) if until <= now.instant);
        let mut effects = Vec::new();
        while let Some(index) = self.members.iter().position(silent) {
            effects.extend(self.expire_connection(index, now));
        }
        let over = |m: &Member| matches!(m.connection_state, ConnectionState::MediaOnly(until) if until <= now.instant);
        while let Some(index) = self.members.iter().position(over) {
            effects.extend(self.remove_member(index, false, now));
        }
        let expected = |away: &AwayMember| away.until > now.instant;
        effects.extend(self.expire_away(expected));
        effects.extend(self.send_due_subscriptions(now));
        effects.extend(self.update_mode(now));
        effects
    }

    /// Somebody is gone: from the call first, then from the room. Whoever is only `away`
    /// is expected back for a while.
    pub(super) fn remove_member(&mut self, index: usize, away: bool, now: Now) -> Vec<Effect> {
        // Only what runs browser to browser goes on without the server.
        let goes_on = away && self.mode == Mode::P2p;
        let mut effects = self.end_session(index, goes_on);
        effects.extend(self.update_mode(now));
        let person = self.members.remove(index).person;
        for member in &mut self.members {
            member.budget.remove_peer(&person.id);
        }
        if away {
            let until = now.instant + self.rules.away;
            let person = person.clone();
            self.away.push(AwayMember { person, until });
        }
        let count = self.count();
        effects.push(broadcast(ServerMessage::Left {
            person,
            count,
            away,
        }));
        effects.push(Effect::SummaryChanged);
        if self.away.len() > self.rules.capacity {
            let longest = self.away[0].person.id.clone();
            effects.extend(self.expire_away(|away| away.person.id != longest));
        }
        effects
    }

    /// Stops expecting anybody back, where nobody is here.
    pub(super) fn forget_away(&mut self) -> Vec<Effect> {
        match self.members.is_empty() {
            true => self.expire_away(|_| false),
            false => Vec::new(),
        }
    }

    /// Stops expecting whoever is not `expected`; the others are told.
    fn expire_away(&mut self, expected: impl Fn(&AwayMember) -> bool) -> Vec<Effect> {
        let (expected, gone) = std::mem::take(&mut self.away)
            .into_iter()
            .partition(expected);
        self.away = expected;
        let gone: Vec<AwayMember> = gone;
        let told = gone.into_iter().map(|away| {
            broadcast(ServerMessage::Gone {
                person: away.person,
            })
        });
        told.collect()
    }
}

/// What is left of a frame for history.
fn history_bytes(people: &[Person], in_call: usize) -> usize {
    /// Bytes of a person's entry beside the nickname (which may double by escaping) and
    /// its look.
    const PERSON_BYTES: usize = 70;
    /// Bytes of an entry of the call.
    const CALL_BYTES: usize = 124;
    let names: usize = people
        .iter()
        .map(|p| {
            let look = p.look.as_ref().map_or(0, String::len);
            PERSON_BYTES + 2 * (p.nickname.as_str().len() + look)
        })
        .sum();
    let taken = JOINED_FRAME_BYTES + names + CALL_BYTES * in_call;
    MAX_FRAME_BYTES.saturating_sub(taken).max(MIN_HISTORY_BYTES)
}
