//! How media goes in a room's call: browser to browser for a few, through the SFU for more.
//!
//! The room passes on what its people say to the SFU and what the SFU says to them, and
//! stamps whom it is from. It decides which way media goes. More people than the operator
//! allows browser to browser move over at once, and so does a call in which anybody hides
//! their address. Fewer move back after a while, so that somebody who comes and goes does
//! not make everybody move.

use super::{
    call::refuse,
    command::{ConnectionId, Effect, Now},
    room::{ConnectionState, Room, broadcast},
};
use crate::{
    protocol::{ErrorCode, Mode, ServerMessage, Wanted},
    server::sfu::{Command as Media, Event, Offer, PeerKey},
};

/// Somebody's connection to the SFU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MediaConnection {
    /// Its place there.
    pub key: PeerKey,
    /// The number the person gave it.
    pub number: u32,
}

impl MediaConnection {
    /// Ends it.
    pub(super) fn close(self) -> Effect {
        Effect::Media(Media::Close { peer: self.key })
    }

    /// Has everything told again that it may have missed.
    pub(super) fn resync(self) -> Effect {
        Effect::Media(Media::Resync { peer: self.key })
    }
}

impl Room {
    /// Passes an offer on to the SFU. A higher number replaces the connection before it.
    /// Whoever offers faster than anybody needs to is refused, and so is everybody in a room that
    /// offers faster than one shard should answer.
    pub(super) fn offer(
        &mut self,
        index: usize,
        connection: ConnectionId,
        offer: Offer,
        now: Now,
    ) -> Vec<Effect> {
        let Some(session) = self.members[index].call else {
            return refuse(connection, ErrorCode::NotInCall);
        };
        if !offer.is_within_limits() {
            return refuse(connection, ErrorCode::SignalTooLong);
        }
        let person = &mut self.members[index].budget;
        if !(person.try_offer(now.instant) && self.offers.try_take(1, now.instant)) {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        if self.mode == Mode::P2p && session.media.is_none() {
            let message = ServerMessage::MediaClosed {
                connection: offer.connection,
            };
            return vec![Effect::Send {
                connection,
                message,
            }];
        }
        let mut effects = Vec::new();
        let media = match session.media {
            Some(known) if known.number == offer.connection => known,
            Some(known) if known.number > offer.connection => {
                return refuse(connection, ErrorCode::BadOffer);
            }
            former => {
                effects.extend(former.map(MediaConnection::close));
                self.peers += 1;
                MediaConnection {
                    key: PeerKey(self.peers),
                    number: offer.connection,
                }
            }
        };
        self.set_media(index, Some(media));
        effects.push(Effect::Media(Media::Offer {
            peer: media.key,
            person: self.members[index].person.id.clone(),
            offer,
        }));
        effects
    }

    /// Ends somebody's connection; they stay in the call.
    pub(super) fn close_media(&mut self, index: usize, number: u32) -> Vec<Effect> {
        let session = self.members[index].call;
        let media = session.and_then(|session| session.media);
        let Some(media) = media.filter(|known| known.number == number) else {
            return Vec::new();
        };
        self.set_media(index, None);
        vec![media.close()]
    }

    /// Passes on what somebody has on their screen; what comes faster than the SFU is told, once
    /// it may be.
    pub(super) fn view(&mut self, index: usize, wanted: Vec<Wanted>, now: Now) -> Vec<Effect> {
        let member = &mut self.members[index];
        match member.budget.try_subscribe(now.instant) {
            Ok(()) => {
                member.view = None;
                self.send_subscription(index, wanted)
            }
            Err(at) => {
                member.view = Some((at, wanted));
                Vec::new()
            }
        }
    }

    /// Passes on what had to wait.
    pub(super) fn send_due_subscriptions(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
            let view = &mut self.members[index].view;
            let due = view.take_if(|(at, _)| *at <= now.instant);
            if let Some((_, wanted)) = due {
                effects.extend(self.view(index, wanted, now));
            }
        }
        effects
    }

    /// Tells the SFU what somebody has on their screen.
    fn send_subscription(&self, index: usize, wanted: Vec<Wanted>) -> Vec<Effect> {
        let media = self.members[index].call.and_then(|session| session.media);
        let view = media.map(|media| {
            Effect::Media(Media::Subscribe {
                peer: media.key,
                wanted,
            })
        });
        view.into_iter().collect()
    }

    /// Takes in what the SFU says.
    pub(super) fn on_media_event(&mut self, event: Event, now: Now) -> Vec<Effect> {
        match event {
            Event::Answer {
                peer,
                connection,
                offer_id,
                sdp,
            } => self.forward_to(
                peer,
                ServerMessage::Answer {
                    connection,
                    offer_id,
                    sdp,
                },
            ),
            Event::Slots { peer, slots } => self.forward_to(peer, ServerMessage::Slots { slots }),
            Event::Layers { peer, source, rids } => {
                self.forward_to(peer, ServerMessage::Layers { source, rids })
            }
            Event::Codec {
                peer,
                source,
                codec,
            } => self.forward_to(peer, ServerMessage::Codec { source, codec }),
            Event::Refused { peer } => {
                let refusal = crate::server::error::refusal(ErrorCode::BadOffer, None);
                let mut effects = self.forward_to(peer, refusal);
                effects.extend(self.media_closed(peer, now));
                effects
            }
            Event::Closed { peer } => self.media_closed(peer, now),
            Event::Speakers { loudest, dominant } => {
                vec![broadcast(ServerMessage::Speakers { loudest, dominant })]
            }
            Event::Qualities { people } => vec![broadcast(ServerMessage::Qualities { people })],
        }
    }

    /// Decides which way media goes, now that somebody came, went, or time went on.
    pub(super) fn update_mode(&mut self, now: Now) -> Vec<Effect> {
        let people = self.members.iter().filter(|m| m.call.is_some()).count();
        let few = people <= self.rules.p2p_max && !self.hides_addresses();
        match (self.mode, few) {
            (Mode::P2p, false) => self.switch_mode(Mode::Sfu),
            (Mode::Sfu, false) => {
                self.p2p_at = None;
                Vec::new()
            }
            // Nobody would notice.
            (Mode::Sfu, true) if people == 0 && self.rules.p2p_max > 0 => {
                self.mode = Mode::P2p;
                self.p2p_at = None;
                Vec::new()
            }
            (Mode::Sfu, true) if self.rules.p2p_max > 0 => {
                let soon = now.instant + self.rules.move_back_after;
                match *self.p2p_at.get_or_insert(soon) <= now.instant {
                    true => self.switch_mode(Mode::P2p),
                    false => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// Whether the call runs through the SFU however few people are in it, so that no
    /// client learns the address of another.
    fn hides_addresses(&self) -> bool {
        let mut sessions = self.members.iter().filter_map(|member| member.call);
        self.rules.hide_addresses || sessions.any(|session| session.hide_address)
    }

    /// Everybody moves over.
    fn switch_mode(&mut self, mode: Mode) -> Vec<Effect> {
        self.mode = mode;
        self.p2p_at = None;
        vec![broadcast(ServerMessage::MediaMode { mode })]
    }

    /// A connection is over: its person makes another. Whoever was in the room by their media
    /// alone is away now.
    fn media_closed(&mut self, peer: PeerKey, now: Now) -> Vec<Effect> {
        let Some(index) = self.index_of_peer(peer) else {
            return Vec::new();
        };
        let media = self.members[index].call.and_then(|session| session.media);
        let number = media.map_or(0, |media| media.number);
        let mut effects = self.forward_to(peer, ServerMessage::MediaClosed { connection: number });
        self.set_media(index, None);
        if let ConnectionState::MediaOnly(_) = self.members[index].connection_state {
            effects.extend(self.remove_member(index, true, now));
        }
        effects
    }

    /// Tells whoever has this place at the SFU. One whose line is down misses it, and is
    /// reminded when they are back.
    fn forward_to(&self, peer: PeerKey, message: ServerMessage) -> Vec<Effect> {
        let member = self.index_of_peer(peer).map(|index| &self.members[index]);
        match member.map(|member| member.connection_state) {
            Some(ConnectionState::Connected(connection)) => vec![Effect::Send {
                connection,
                message,
            }],
            _ => Vec::new(),
        }
    }

    /// Who has this place at the SFU.
    fn index_of_peer(&self, peer: PeerKey) -> Option<usize> {
        self.members.iter().position(|member| {
            let media = member.call.and_then(|session| session.media);
            media.is_some_and(|media| media.key == peer)
        })
    }

    /// Remembers somebody's connection.
    fn set_media(&mut self, index: usize, media: Option<MediaConnection>) {
        if let Some(session) = &mut self.members[index].call {
            session.media = media;
        }
    }
}
