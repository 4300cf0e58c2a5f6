//! A room: who is here and what is said.
//!
//! Pure: time comes in as [`Now`], work goes out as [`Effect`]. Driven by
//! [`super::actor`], the only task that holds a `Room`. Coming and going is in
//! [`super::presence`], what is said in [`super::talk`], the call in [`super::call`].

use super::{
    RoomSnapshot,
    call::Stay,
    command::{Asker, Command, Effect, Intent, LinkId, Now},
    media::Kept,
    presence::Away,
    recent::Recent,
};
use crate::{
    protocol::{
        Epoch, IceServer, MAX_FRAME_BYTES, Mode, Nickname, ParticipantId, Person, RoomName,
        RoomSummary, ServerMessage,
    },
    server::store::{Change, NewMessage},
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
    pub call: Option<Stay>,
    /// When the others were last told that they type.
    pub typing_told: Option<Instant>,
}

/// The state of one room.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    name: RoomName,
    /// The log `seq` counts in.
    pub(super) epoch: Epoch,
    /// The end of the log.
    pub(super) recent: Recent,
    /// Everybody here, in order of arrival.
    pub(super) members: Vec<Member>,
    /// Whoever may come back without being news, longest away first.
    pub(super) away: Vec<Away>,
    /// Messages on their way to the disk.
    pub(super) pending: usize,
    /// What the operator set.
    pub(super) rules: RoomRules,
    /// How media goes.
    pub(super) mode: Mode,
    /// When it goes browser to browser again.
    pub(super) move_back_at: Option<Instant>,
    /// Media of people whose line is down.
    pub(super) kept: Vec<Kept>,
    /// Counts places at the SFU.
    pub(super) peers: u64,
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
            mode: match rules.p2p_max == 0 || rules.hide_addresses {
                true => Mode::Sfu,
                false => Mode::P2p,
            },
            move_back_at: None,
            kept: Vec::new(),
            peers: 0,
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
            Command::Forget(gone) => {
                self.recent.forget(&gone);
                Vec::new()
            }
            Command::Media(event) => self.media_said(event, now),
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
        lost.chain(away).chain(self.move_back_at).min()
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
    pub(super) fn people(&self) -> Vec<Person> {
        self.members.iter().map(|m| m.person.clone()).collect()
    }

    /// How many are here.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Whoever holds this socket.
    pub(super) fn by_link(&mut self, link: LinkId) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.line == Line::Up(link))
    }

    /// Who holds this socket.
    pub(super) fn who(&self, link: LinkId) -> Option<&ParticipantId> {
        let found = self.members.iter().find(|m| m.line == Line::Up(link));
        found.map(|member| &member.person.id)
    }

    /// The place of a person in the list.
    pub(super) fn place(&self, id: &ParticipantId) -> Option<usize> {
        self.members.iter().position(|m| m.person.id == *id)
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
            call => self.intend_in_call(place, link, call, now),
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
    pub(super) fn rename(&mut self, place: usize, nickname: Nickname) -> Option<ServerMessage> {
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
