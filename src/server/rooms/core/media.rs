//! How media goes in a room's call: browser to browser for a few, through the SFU for more.
//!
//! The room passes on what its people say to the SFU and what the SFU says to them, and
//! stamps whom it is from. It decides which way media goes. More people than the operator
//! allows browser to browser move over at once, and so does a call in which anybody hides
//! their address. Fewer move back after a while, so that somebody who comes and goes does
//! not make everybody move.

use super::{
    call::refuse,
    command::{Effect, LinkId, Now},
    room::{Line, Room, everybody},
};
use crate::{
    protocol::{ErrorCode, Mode, ServerMessage, Wanted},
    server::sfu::{Command as Media, Event, Offer, PeerKey},
};

/// Somebody's connection to the SFU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connection {
    /// Its place there.
    pub key: PeerKey,
    /// The number the person gave it.
    pub number: u32,
}

impl Connection {
    /// Ends it.
    pub(super) fn close(self) -> Effect {
        Effect::Media(Media::Close { peer: self.key })
    }

    /// Has everything told again that it may have missed.
    pub(super) fn remind(self) -> Effect {
        Effect::Media(Media::Remind { peer: self.key })
    }
}

impl Room {
    /// Passes an offer on to the SFU. A higher number replaces the connection before it.
    /// Whoever offers faster than anybody needs to is refused, and so is everybody in a room that
    /// offers faster than one shard should answer.
    pub(super) fn offer(
        &mut self,
        place: usize,
        link: LinkId,
        offer: Offer,
        now: Now,
    ) -> Vec<Effect> {
        let Some(stay) = self.members[place].call else {
            return refuse(link, ErrorCode::NotInCall);
        };
        if !offer.is_within_limits() {
            return refuse(link, ErrorCode::SignalTooLong);
        }
        let person = &mut self.members[place].budget;
        if !(person.offer(now.instant) && self.offers.pay(1, now.instant)) {
            return refuse(link, ErrorCode::TooManyMessages);
        }
        if self.mode == Mode::P2p && stay.connection.is_none() {
            let connection = offer.connection;
            let message = ServerMessage::MediaClosed { connection };
            return vec![Effect::Send { link, message }];
        }
        let mut effects = Vec::new();
        let connection = match stay.connection {
            Some(known) if known.number == offer.connection => known,
            Some(known) if known.number > offer.connection => {
                return refuse(link, ErrorCode::BadOffer);
            }
            former => {
                effects.extend(former.map(Connection::close));
                self.peers += 1;
                Connection {
                    key: PeerKey(self.peers),
                    number: offer.connection,
                }
            }
        };
        self.set_connection(place, Some(connection));
        effects.push(Effect::Media(Media::Offer {
            peer: connection.key,
            person: self.members[place].person.id.clone(),
            offer,
        }));
        effects
    }

    /// Ends somebody's connection; they stay in the call.
    pub(super) fn close_connection(&mut self, place: usize, number: u32) -> Vec<Effect> {
        let stay = self.members[place].call;
        let connection = stay.and_then(|stay| stay.connection);
        let Some(connection) = connection.filter(|known| known.number == number) else {
            return Vec::new();
        };
        self.set_connection(place, None);
        vec![connection.close()]
    }

    /// Passes on what somebody has on their screen; what comes faster than the SFU is told, once
    /// it may be.
    pub(super) fn view(&mut self, place: usize, wanted: Vec<Wanted>, now: Now) -> Vec<Effect> {
        let member = &mut self.members[place];
        match member.budget.view(now.instant) {
            Ok(()) => {
                member.view = None;
                self.tell_view(place, wanted)
            }
            Err(at) => {
                member.view = Some((at, wanted));
                Vec::new()
            }
        }
    }

    /// Passes on what had to wait.
    pub(super) fn view_waiting(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for place in 0..self.members.len() {
            let view = &mut self.members[place].view;
            let due = view.take_if(|(at, _)| *at <= now.instant);
            if let Some((_, wanted)) = due {
                effects.extend(self.view(place, wanted, now));
            }
        }
        effects
    }

    /// Tells the SFU what somebody has on their screen.
    fn tell_view(&self, place: usize, wanted: Vec<Wanted>) -> Vec<Effect> {
        let connection = self.members[place].call.and_then(|stay| stay.connection);
        let view = connection.map(|connection| {
            Effect::Media(Media::Subscribe {
                peer: connection.key,
                wanted,
            })
        });
        view.into_iter().collect()
    }

    /// Takes in what the SFU says.
    pub(super) fn media_said(&mut self, event: Event, now: Now) -> Vec<Effect> {
        match event {
            Event::Answer {
                peer,
                connection,
                offer_id,
                sdp,
            } => self.pass_on(
                peer,
                ServerMessage::Answer {
                    connection,
                    offer_id,
                    sdp,
                },
            ),
            Event::Slots { peer, slots } => self.pass_on(peer, ServerMessage::Slots { slots }),
            Event::Layers { peer, source, rids } => {
                self.pass_on(peer, ServerMessage::Layers { source, rids })
            }
            Event::Codec {
                peer,
                source,
                codec,
            } => self.pass_on(peer, ServerMessage::Codec { source, codec }),
            Event::Refused { peer } => {
                let refusal = crate::server::error::refusal(ErrorCode::BadOffer, None);
                let mut effects = self.pass_on(peer, refusal);
                effects.extend(self.media_closed(peer, now));
                effects
            }
            Event::Closed { peer } => self.media_closed(peer, now),
            Event::Speakers { loudest, dominant } => {
                vec![everybody(ServerMessage::Speakers { loudest, dominant })]
            }
            Event::Qualities { people } => vec![everybody(ServerMessage::Qualities { people })],
        }
    }

    /// Decides which way media goes, now that somebody came, went, or time went on.
    pub(super) fn review_mode(&mut self, now: Now) -> Vec<Effect> {
        let people = self.members.iter().filter(|m| m.call.is_some()).count();
        let few = people <= self.rules.p2p_max && !self.hides_addresses();
        match (self.mode, few) {
            (Mode::P2p, false) => self.move_to(Mode::Sfu),
            (Mode::Sfu, false) => {
                self.move_back_at = None;
                Vec::new()
            }
            // Nobody would notice.
            (Mode::Sfu, true) if people == 0 && self.rules.p2p_max > 0 => {
                self.mode = Mode::P2p;
                self.move_back_at = None;
                Vec::new()
            }
            (Mode::Sfu, true) if self.rules.p2p_max > 0 => {
                let soon = now.instant + self.rules.move_back_after;
                match *self.move_back_at.get_or_insert(soon) <= now.instant {
                    true => self.move_to(Mode::P2p),
                    false => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// Whether the call runs through the SFU however few people are in it, so that no
    /// client learns the address of another.
    fn hides_addresses(&self) -> bool {
        let mut stays = self.members.iter().filter_map(|member| member.call);
        self.rules.hide_addresses || stays.any(|stay| stay.hide_address)
    }

    /// Everybody moves over.
    fn move_to(&mut self, mode: Mode) -> Vec<Effect> {
        self.mode = mode;
        self.move_back_at = None;
        vec![everybody(ServerMessage::MediaMode { mode })]
    }

    /// A connection is over: its person makes another. Whoever was in the room by their media
    /// alone is away now.
    fn media_closed(&mut self, peer: PeerKey, now: Now) -> Vec<Effect> {
        let Some(place) = self.place_of(peer) else {
            return Vec::new();
        };
        let connection = self.members[place].call.and_then(|stay| stay.connection);
        let connection = connection.map_or(0, |connection| connection.number);
        let mut effects = self.pass_on(peer, ServerMessage::MediaClosed { connection });
        self.set_connection(place, None);
        if let Line::MediaOnly(_) = self.members[place].line {
            effects.extend(self.leave(place, true, now));
        }
        effects
    }

    /// Tells whoever has this place at the SFU. One whose line is down misses it, and is
    /// reminded when they are back.
    fn pass_on(&self, peer: PeerKey, message: ServerMessage) -> Vec<Effect> {
        let member = self.place_of(peer).map(|place| &self.members[place]);
        match member.map(|member| member.line) {
            Some(Line::Up(link)) => vec![Effect::Send { link, message }],
            _ => Vec::new(),
        }
    }

    /// Who has this place at the SFU.
    fn place_of(&self, peer: PeerKey) -> Option<usize> {
        self.members.iter().position(|member| {
            let connection = member.call.and_then(|stay| stay.connection);
            connection.is_some_and(|connection| connection.key == peer)
        })
    }

    /// Remembers somebody's connection.
    fn set_connection(&mut self, place: usize, connection: Option<Connection>) {
        if let Some(stay) = &mut self.members[place].call {
            stay.connection = connection;
        }
    }
}
