//! A room: who is here and what is said.
//!
//! Pure: time comes in as [`Now`], work goes out as [`Effect`]. Driven by
//! [`crate::server::rooms::actor::task`], the only task that holds a `Room`. Coming and going is in
//! [`super::presence`], what is said in [`super::chat`], the call in [`super::call`].

use super::{
    budget::{Bucket, Budget, Fanout, json_len},
    call::{Stay, refuse},
    command::{Asker, Command, Effect, Intent, LinkId, Now},
    history::Recent,
    presence::Away,
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
        store::{Change, NewMessage, What},
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
pub(super) enum Line {
    /// By this socket.
    Up(LinkId),
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
    pub line: Line,
    /// Their stay in the call.
    pub call: Option<Stay>,
    /// When the others were last told that they type.
    pub typing_told: Option<Instant>,
    /// What they may cost the others.
    pub budget: Budget,
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
    pub(super) recent: Recent,
    /// Everybody here, in order of arrival.
    pub(super) members: Vec<Member>,
    /// Whoever may come back without being news, longest away first.
    pub(super) away: Vec<Away>,
    /// Messages on their way to the disk.
    pub(super) pending: usize,
    /// What everybody may be told.
    pub(super) fanout: Fanout,
    /// Offers to the SFU.
    pub(super) offers: Bucket,
    /// What the operator set.
    pub(super) rules: RoomRules,
    /// How media goes.
    pub(super) mode: Mode,
    /// When it goes browser to browser again.
    pub(super) move_back_at: Option<Instant>,
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
            fanout: Fanout::new(rules.capacity),
            offers: Bucket::for_people(ROOM_OFFERS, rules.call_capacity),
            mode: match rules.p2p_max == 0 || rules.hide_addresses {
                true => Mode::Sfu,
                false => Mode::P2p,
            },
            move_back_at: None,
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
                if !self.fanout.pay(cost(text.as_str()), now.instant) {
                    let answer = Err(RoomError::TooManyMessages);
                    return vec![Effect::Answer { ticket, answer }];
                }
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
            Command::Changed {
                link,
                change,
                answer,
            } => self.changed(link, change, answer),
            Command::Forget(gone) => {
                self.recent.forget(&gone);
                Vec::new()
            }
            Command::GiveUpAway => self.give_up_away(),
            Command::Media(event) => self.media_said(event, now),
            Command::Tick => self.tick(now),
        }
    }

    /// When the next [`Command::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let lost = self.members.iter().filter_map(|member| match member.line {
            Line::Lost(until) | Line::MediaOnly(until) => Some(until),
            Line::Up(_) => None,
        });
        let away = self.away.iter().map(|away| away.until);
        let views = self
            .members
            .iter()
            .filter_map(|member| member.view.as_ref());
        let views = views.map(|(at, _)| *at);
        lost.chain(away).chain(views).chain(self.move_back_at).min()
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
    pub fn who(&self, link: LinkId) -> Option<&ParticipantId> {
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
                if !self.afford(place, cost(text.as_str()), now) {
                    return refuse_message(link, id);
                }
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
                if !self.afford(place, change_cost(&what), now) {
                    return refuse_message(link, id);
                }
                let by = self.members[place].person.id.clone();
                let at = now.unix_ms;
                self.change(link, Change { id, by, at, what })
            }
            Intent::Typing => {
                let id = self.members[place].person.id.clone();
                self.type_on(place, link, id, now)
            }
            Intent::Rename(nickname) => {
                if !self.members[place]
                    .budget
                    .announce(&mut self.fanout, now.instant)
                {
                    return refuse(link, ErrorCode::TooManyMessages);
                }
                let renamed = self.rename(place, nickname);
                renamed.map(everybody).into_iter().collect()
            }
            call => self.intend_in_call(place, link, call, now),
        }
    }

    /// Whether everybody may be told this many bytes on behalf of somebody here; they are
    /// spent then.
    fn afford(&mut self, place: usize, cost: usize, now: Now) -> bool {
        let budget = &mut self.members[place].budget;
        budget.say(&mut self.fanout, cost, now.instant)
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
pub(super) fn change_cost(what: &What) -> usize {
    match what {
        What::Edit(text) => cost(text.as_str()) + REACTIONS_BYTES,
        What::Delete | What::React { .. } => ENVELOPE_BYTES,
    }
}

/// Refuses what is more than everybody can be told now.
fn refuse_message(link: LinkId, id: MessageId) -> Vec<Effect> {
    let message = refusal(ErrorCode::TooManyMessages, Some(id));
    vec![Effect::Send { link, message }]
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
