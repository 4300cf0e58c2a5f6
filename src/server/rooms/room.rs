//! A room: who is here and what is said.
//!
//! Pure: time comes in as [`Now`], work goes out as [`Effect`]. Driven by
//! [`super::actor`], the only task that holds a `Room`. What is said is
//! in [`super::talk`], the call in [`super::call`].

use super::{
    RoomSnapshot,
    command::{Asker, Command, Departure, Effect, Intent, Join, LinkId, Now},
    recent::{Missed, Recent},
};
use crate::protocol::{
    CloseCode, Devices, Epoch, ErrorCode, IceServer, Joined, Leg, MAX_FRAME_BYTES, Nickname,
    ParticipantId, Person, RoomName, RoomSummary, Seq, ServerMessage,
};
use crate::server::store::{Change, NewMessage};
use std::{sync::Arc, time::Duration, time::Instant};

/// Bytes of a `joined` frame beside people, call and history.
const JOINED_FRAME_BYTES: usize = 512;
/// Bytes that history may always take, however many people there are: one message of
/// 4000 characters of four bytes and its envelope.
const MIN_HISTORY_BYTES: usize = 20 * 1024;

/// Within which nobody is told twice that somebody types.
const TYPING_PAUSE: Duration = Duration::from_secs(1);

/// What the operator set, the same for every room.
#[derive(Debug, Clone)]
pub struct RoomRules {
    /// People a room holds. Default 100.
    pub capacity: usize,
    /// People a call holds. Default 8.
    pub call_capacity: usize,
    /// How long nobody hears that a person's line broke. Default 5 s.
    pub grace: Duration,
    /// How long after that a person who comes back is no news. Default 115 s.
    pub away: Duration,
    /// When the server started: whoever comes back soon after that is no news either.
    pub started: Instant,
    /// Handed to whoever enters the call.
    pub ice_servers: Arc<[IceServer]>,
}

/// How a person is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// By this socket.
    Up(LinkId),
    /// Not now; at this time they are gone.
    Lost(Instant),
}

/// Somebody here.
#[derive(Debug)]
pub(super) struct Member {
    /// Who.
    pub person: Person,
    /// How they are reached.
    pub line: Line,
    /// Their stay in the call.
    pub call: Option<(Leg, Devices)>,
    /// When the others were last told that they type.
    typing_told: Option<Instant>,
}

/// Somebody whose line has been down for longer than the grace.
#[derive(Debug)]
struct Away {
    /// Who.
    person: Person,
    /// Until when they are expected back.
    until: Instant,
}

/// The state of one room.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    name: RoomName,
    /// The log `seq` counts in.
    epoch: Epoch,
    /// The end of the log.
    pub(super) recent: Recent,
    /// Everybody here, in order of arrival.
    pub(super) members: Vec<Member>,
    /// Whoever may come back without being news, longest away first.
    away: Vec<Away>,
    /// Messages on their way to the disk.
    pub(super) pending: usize,
    /// What the operator set.
    pub(super) rules: RoomRules,
}

impl Room {
    /// An empty room whose log ends as the store says.
    pub fn new(name: RoomName, epoch: Epoch, recent: Recent, rules: RoomRules) -> Self {
        Self {
            name,
            epoch,
            recent,
            members: Vec::new(),
            away: Vec::new(),
            pending: 0,
            rules,
        }
    }

    /// Takes a command, changes the room and says what is to be done about it.
    pub fn handle(&mut self, command: Command, now: Now) -> Vec<Effect> {
        match command {
            Command::Join(join) => self.join(join, now),
            Command::Gone { link, how } => self.gone(link, how, now),
            Command::Member { link, intent } => self.intend(link, intent, now),
            Command::Post {
                ticket,
                from,
                id,
                text,
            } => {
                let message = NewMessage {
                    id,
                    from,
                    text,
                    at: now.unix_ms,
                    reply_to: None,
                };
                self.say(Asker::Post(ticket), message)
            }
            Command::Stored { asker, id, answer } => self.stored(asker, id, answer),
            Command::Changed { link, id, answer } => self.changed(link, id, answer),
            Command::Tick => self.tick(now),
        }
    }

    /// When the next [`Command::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let lost = self.members.iter().filter_map(|member| match member.line {
            Line::Lost(until) => Some(until),
            Line::Up(_) => None,
        });
        let away = self.away.iter().map(|away| away.until);
        lost.chain(away).min()
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
        let (messages, more) = self.recent.newest(MAX_FRAME_BYTES);
        RoomSnapshot {
            name: self.name.clone(),
            people: self.people(),
            messages,
            more,
            epoch: self.epoch.clone(),
            seq: self.recent.seq(),
            call: self.call(),
            full: self.members.len() >= self.rules.capacity,
        }
    }

    /// Everybody here, in order of arrival.
    fn people(&self) -> Vec<Person> {
        self.members.iter().map(|m| m.person.clone()).collect()
    }

    /// How many are here.
    fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Whoever holds this socket.
    pub(super) fn by_link(&mut self, link: LinkId) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.line == Line::Up(link))
    }

    /// The place of a person in the list.
    fn place(&self, id: &ParticipantId) -> Option<usize> {
        self.members.iter().position(|m| m.person.id == *id)
    }

    /// Somebody comes in, or comes back to the place they kept.
    fn join(&mut self, join: Join, now: Now) -> Vec<Effect> {
        match self.place(&join.id) {
            Some(place) => self.take_over(place, join),
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
        let person = Person {
            id: join.id.clone(),
            nickname: join.nickname.clone(),
        };
        self.members.push(Member {
            person: person.clone(),
            line: Line::Up(join.link),
            call: None,
            typing_told: None,
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
    fn take_over(&mut self, place: usize, join: Join) -> Vec<Effect> {
        let former = std::mem::replace(&mut self.members[place].line, Line::Up(join.link));
        let renamed = self.rename(place, join.nickname.clone());
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
    fn gone(&mut self, link: LinkId, how: Departure, now: Now) -> Vec<Effect> {
        let lost_until = now.instant + self.rules.grace;
        let Some(member) = self.by_link(link) else {
            return Vec::new();
        };
        if how == Departure::Lost {
            member.line = Line::Lost(lost_until);
            return Vec::new();
        }
        let id = member.person.id.clone();
        let away = how == Departure::Dead;
        self.place(&id)
            .map_or_else(Vec::new, |place| self.leave(place, away, now))
    }

    /// Lets go of everybody whose grace is over, and of whoever did not come back.
    fn tick(&mut self, now: Now) -> Vec<Effect> {
        let over = |m: &Member| matches!(m.line, Line::Lost(until) if until <= now.instant);
        let mut effects = Vec::new();
        while let Some(place) = self.members.iter().position(over) {
            effects.extend(self.leave(place, true, now));
        }
        let expected = |away: &Away| away.until > now.instant;
        effects.extend(self.forget(expected));
        effects
    }

    /// Somebody is gone: from the call first, then from the room. Whoever is only `away`
    /// is expected back for a while.
    fn leave(&mut self, place: usize, away: bool, now: Now) -> Vec<Effect> {
        let mut effects: Vec<_> = self.hang_up(place, away).into_iter().collect();
        let person = self.members.remove(place).person;
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

    /// Stops expecting whoever is not `expected`; the others are told.
    fn forget(&mut self, expected: impl Fn(&Away) -> bool) -> Vec<Effect> {
        let (stay, gone) = std::mem::take(&mut self.away)
            .into_iter()
            .partition(expected);
        self.away = stay;
        let gone: Vec<Away> = gone;
        let person = gone.into_iter().map(|away| away.person);
        person
            .map(|person| everybody(ServerMessage::Gone { person }))
            .collect()
    }

    /// Somebody here wants something.
    fn intend(&mut self, link: LinkId, intent: Intent, now: Now) -> Vec<Effect> {
        let at_link = |m: &Member| m.line == Line::Up(link);
        let Some(place) = self.members.iter().position(at_link) else {
            return Vec::new();
        };
        match intent {
            Intent::Chat { id, text, reply_to } => {
                let from = self.members[place].person.clone();
                let message = NewMessage {
                    id,
                    from,
                    text,
                    at: now.unix_ms,
                    reply_to,
                };
                self.say(Asker::Link(link), message)
            }
            Intent::Change { id, what } => {
                let by = self.members[place].person.id.clone();
                let at = now.unix_ms;
                self.change(link, Change { id, by, at, what })
            }
            Intent::Typing => {
                let id = self.members[place].person.id.clone();
                self.type_on(place, link, id, now)
            }
            Intent::Rename(nickname) => {
                let renamed = self.rename(place, nickname);
                renamed.map(everybody).into_iter().collect()
            }
            call => self.intend_in_call(place, link, call),
        }
    }

    /// Somebody types: told to the others now and then.
    fn type_on(&mut self, place: usize, link: LinkId, id: ParticipantId, now: Now) -> Vec<Effect> {
        let told = &mut self.members[place].typing_told;
        if told.is_some_and(|told| now.instant < told + TYPING_PAUSE) {
            return Vec::new();
        }
        *told = Some(now.instant);
        vec![Effect::Whisper {
            message: ServerMessage::Typing { id },
            except: link,
        }]
    }

    /// Gives somebody a new nickname; nothing where it is the old one.
    fn rename(&mut self, place: usize, nickname: Nickname) -> Option<ServerMessage> {
        let person = &mut self.members[place].person;
        if person.nickname == nickname {
            return None;
        }
        let was = std::mem::replace(&mut person.nickname, nickname);
        let person = person.clone();
        Some(ServerMessage::Renamed { person, was })
    }
}

/// Tells everybody.
pub(super) fn everybody(message: ServerMessage) -> Effect {
    Effect::Broadcast {
        message,
        except: None,
    }
}

/// Tells everybody but one.
pub(super) fn others(link: LinkId, message: ServerMessage) -> Effect {
    Effect::Broadcast {
        message,
        except: Some(link),
    }
}

/// What is left of a frame for history.
fn history_bytes(people: &[Person], in_call: usize) -> usize {
    /// Bytes of a person's entry beside the nickname (which may double by escaping).
    const PERSON_BYTES: usize = 48;
    /// Bytes of an entry of the call.
    const CALL_BYTES: usize = 112;
    let names: usize = people
        .iter()
        .map(|p| PERSON_BYTES + 2 * p.nickname.as_str().len())
        .sum();
    let taken = JOINED_FRAME_BYTES + names + CALL_BYTES * in_call;
    MAX_FRAME_BYTES.saturating_sub(taken).max(MIN_HISTORY_BYTES)
}
