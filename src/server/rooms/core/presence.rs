//! Coming into a room, going, and coming back.
//!
//! Whoever's line breaks keeps their place for the grace time, in which nobody hears of
//! it; then they are away, and expected back for a while, in which their return is no
//! news; then they are gone. Whose media still reaches the SFU after the grace is seen and
//! heard, so they stay in the lists until it ends (trust P7: removed is who is silent on both).

use super::{
    budget::Budget,
    command::{Departure, Effect, Join, LinkId, Now},
    history::Missed,
    room::{Line, Member, Room, everybody, others},
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
pub(super) struct Away {
    /// Who.
    pub person: Person,
    /// Until when they are expected back.
    pub until: Instant,
}

impl Room {
    /// Somebody comes in, or comes back to the place they kept.
    pub(super) fn join(&mut self, join: Join, now: Now) -> Vec<Effect> {
        match self.place(&join.id) {
            Some(place) => self.take_over(place, join, now),
            None if self.members.len() >= self.rules.capacity => vec![Effect::Refuse {
                link: join.link,
                code: ErrorCode::RoomFull,
            }],
            None => self.come_in(join, now),
        }
    }

    /// Somebody comes in: the others are told, and whether it is news.
    fn come_in(&mut self, join: Join, now: Now) -> Vec<Effect> {
        let back = self.is_back(&join, now);
        self.away.retain(|away| away.person.id != join.id);
        let person = Person::new(join.id.clone(), join.nickname.clone());
        self.members.push(Member {
            person: person.clone(),
            line: Line::Up(join.link),
            call: None,
            typing_told: None,
            budget: Budget::new(self.rules.p2p_max),
            view: None,
        });
        let entered = ServerMessage::Entered {
            person,
            count: self.count(),
            back,
        };
        vec![
            self.welcome(&join),
            others(join.link, entered),
            Effect::SummaryChanged,
        ]
    }

    /// Whether somebody was here a moment ago: away, or before the server restarted.
    fn is_back(&self, join: &Join, now: Now) -> bool {
        let away = self.away.iter().any(|away| away.person.id == join.id);
        let restarted = now.instant < self.rules.started + self.rules.away;
        let seen = join.seen.as_ref();
        away || (restarted && seen.is_some_and(|(epoch, _)| *epoch == self.epoch))
    }

    /// The same session again: it takes its place over, and the others hear nothing of it
    /// but a new nickname.
    fn take_over(&mut self, place: usize, join: Join, now: Now) -> Vec<Effect> {
        let former = std::mem::replace(&mut self.members[place].line, Line::Up(join.link));
        // Whoever comes in by one socket after the other has only so many names told.
        let is_same = self.members[place].person.nickname == join.nickname;
        let may = is_same
            || self.members[place]
                .budget
                .announce(&mut self.fanout, now.instant);
        let renamed = may.then(|| self.rename(place, join.nickname.clone()));
        let renamed = renamed.flatten();
        let mut effects = Vec::new();
        if let Line::Up(link) = former {
            effects.push(Effect::Close {
                link,
                code: CloseCode::Replaced,
            });
        }
        effects.push(self.welcome(&join));
        effects.extend(renamed.map(|message| others(join.link, message)));
        effects
    }

    /// The answer to `join`.
    fn welcome(&self, join: &Join) -> Effect {
        let (people, call) = (self.people(), self.call());
        let bytes = history_bytes(&people, call.len());
        let missed = self.missed(join, bytes);
        let resumed = missed.is_some();
        let (history, changed, more) = match missed {
            Some(Missed { said, changed }) => (said, changed, false),
            None => {
                let (newest, more) = self.recent.newest(bytes);
                (newest, Vec::new(), more)
            }
        };
        let joined = Joined {
            me: join.id.clone(),
            session: join.session.clone(),
            epoch: self.epoch.clone(),
            seq: self.recent.seq(),
            resumed,
            people,
            history,
            changed,
            more,
            call,
        };
        Effect::Send {
            link: join.link,
            message: ServerMessage::Joined(joined),
        }
    }

    /// What was said since, where that can be told whole.
    fn missed(&self, join: &Join, bytes: usize) -> Option<Missed> {
        let (epoch, seen): &(Epoch, Seq) = join.seen.as_ref()?;
        let known = *epoch == self.epoch;
        known.then(|| self.recent.since(*seen, bytes)).flatten()
    }

    /// A socket ended. One that was taken over is nobody's any more.
    pub(super) fn gone(&mut self, link: LinkId, how: Departure, now: Now) -> Vec<Effect> {
        let lost_until = now.instant + self.rules.grace;
        let Some(member) = self.by_link(link) else {
            return Vec::new();
        };
        if how == Departure::Lost {
            member.line = Line::Lost(lost_until);
            return Vec::new();
        }
        let id = member.person.id.clone();
        let Some(place) = self.place(&id) else {
            return Vec::new();
        };
        match how == Departure::Dead {
            true => self.give_up(place, now),
            false => self.leave(place, false, now),
        }
    }

    /// Nobody expects somebody's socket any more: they are away, unless their media comes.
    fn give_up(&mut self, place: usize, now: Now) -> Vec<Effect> {
        let member = &mut self.members[place];
        if member.call.and_then(|stay| stay.connection).is_none() {
            return self.leave(place, true, now);
        }
        member.line = Line::MediaOnly(now.instant + self.rules.away);
        Vec::new()
    }

    /// Lets go of everybody whose grace is over, and of whoever did not come back.
    pub(super) fn tick(&mut self, now: Now) -> Vec<Effect> {
        let silent = |m: &Member| matches!(m.line, Line::Lost(until) if until <= now.instant);
        let mut effects = Vec::new();
        while let Some(place) = self.members.iter().position(silent) {
            effects.extend(self.give_up(place, now));
        }
        let over = |m: &Member| matches!(m.line, Line::MediaOnly(until) if until <= now.instant);
        while let Some(place) = self.members.iter().position(over) {
            effects.extend(self.leave(place, false, now));
        }
        let expected = |away: &Away| away.until > now.instant;
        effects.extend(self.forget(expected));
        effects.extend(self.view_waiting(now));
        effects.extend(self.review_mode(now));
        effects
    }

    /// Somebody is gone: from the call first, then from the room. Whoever is only `away`
    /// is expected back for a while.
    pub(super) fn leave(&mut self, place: usize, away: bool, now: Now) -> Vec<Effect> {
        // Only what runs browser to browser goes on without the server.
        let goes_on = away && self.mode == Mode::P2p;
        let mut effects = self.hang_up(place, goes_on);
        effects.extend(self.review_mode(now));
        let person = self.members.remove(place).person;
        for member in &mut self.members {
            member.budget.forget(&person.id);
        }
        if away {
            let until = now.instant + self.rules.away;
            let person = person.clone();
            self.away.push(Away { person, until });
        }
        let count = self.count();
        effects.push(everybody(ServerMessage::Left {
            person,
            count,
            away,
        }));
        effects.push(Effect::SummaryChanged);
        if self.away.len() > self.rules.capacity {
            let longest = self.away[0].person.id.clone();
            effects.extend(self.forget(|away| away.person.id != longest));
        }
        effects
    }

    /// Stops expecting anybody back, where nobody is here.
    pub(super) fn give_up_away(&mut self) -> Vec<Effect> {
        match self.members.is_empty() {
            true => self.forget(|_| false),
            false => Vec::new(),
        }
    }

    /// Stops expecting whoever is not `expected`; the others are told.
    fn forget(&mut self, expected: impl Fn(&Away) -> bool) -> Vec<Effect> {
        let (stay, gone) = std::mem::take(&mut self.away)
            .into_iter()
            .partition(expected);
        self.away = stay;
        let gone: Vec<Away> = gone;
        let told = gone.into_iter().map(|away| {
            everybody(ServerMessage::Gone {
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
