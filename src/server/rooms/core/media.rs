//! Media of a room's call: browser to browser for a few, through the SFU for more.
//!
//! The room forwards commands to the SFU and events from it, and decides the [`Mode`]. A call with
//! more people than the operator allows browser to browser moves to the SFU at once, and so does
//! a call with a member who hides their address or whom a host has muted. A small call moves back after a delay, so that
//! one person who enters and leaves does not make everybody renegotiate.

use super::{
    command::{ConnectionId, Effect, Now},
    moderation::MutedDevices,
    room::{ConnectionState, Room, broadcast, refuse},
};
use crate::{
    protocol::{ErrorCode, Mode, ServerMessage, Wanted},
    server::{
        error::refusal,
        sfu::{Command as Media, Event, Offer, PeerKey},
    },
};

/// A member's connection to the SFU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MediaConnection {
    /// The peer at the SFU.
    pub key: PeerKey,
    /// The client's number of the connection.
    pub number: u32,
}

impl MediaConnection {
    /// Closes the connection.
    pub(super) fn close(self) -> Effect {
        Effect::Media(Media::Close { peer: self.key })
    }

    /// Replaces the sources that the SFU forwards to nobody.
    pub(super) fn set_muted(self, muted: MutedDevices) -> Effect {
        Effect::Media(Media::SetMuted {
            peer: self.key,
            sources: muted.sources().into_iter().collect(),
        })
    }

    /// Makes the SFU send its state again: the client may have missed some of it.
    pub(super) fn resync(self) -> Effect {
        Effect::Media(Media::Resync { peer: self.key })
    }
}

impl Room {
    /// Forwards an offer to the SFU. A higher number replaces the former connection. Both the
    /// member and the room have a rate limit, because one shard answers all offers of a room.
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
        let member = &mut self.members[index].budget;
        if !(member.try_offer(now.instant) && self.offers.try_take(1, now.instant)) {
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
            Some(media) if media.number == offer.connection => media,
            Some(media) if media.number > offer.connection => {
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
        let is_new = session.media.map(|media| media.key) != Some(media.key);
        if is_new && !session.muted.is_empty() {
            effects.push(media.set_muted(session.muted));
        }
        effects
    }

    /// Closes a member's connection to the SFU; the member stays in the call.
    pub(super) fn close_media(&mut self, index: usize, number: u32) -> Vec<Effect> {
        let media = self.media_of(index);
        let Some(media) = media.filter(|media| media.number == number) else {
            return Vec::new();
        };
        self.set_media(index, None);
        vec![media.close()]
    }

    /// Forwards a subscription to the SFU. One that comes too soon after the one before is
    /// delayed; the newest replaces the one that waits.
    pub(super) fn subscribe(&mut self, index: usize, wanted: Vec<Wanted>, now: Now) -> Vec<Effect> {
        let member = &mut self.members[index];
        match member.budget.try_subscribe(now.instant) {
            Ok(()) => {
                member.due_subscription = None;
                self.send_subscription(index, wanted)
            }
            Err(at) => {
                member.due_subscription = Some((at, wanted));
                Vec::new()
            }
        }
    }

    /// Forwards the delayed subscriptions that are due.
    pub(super) fn send_due_subscriptions(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
            let due = &mut self.members[index].due_subscription;
            if let Some((_, wanted)) = due.take_if(|(at, _)| *at <= now.instant) {
                effects.extend(self.subscribe(index, wanted, now));
            }
        }
        effects
    }

    /// Sends a member's subscription to the SFU, if they have a connection there.
    fn send_subscription(&self, index: usize, wanted: Vec<Wanted>) -> Vec<Effect> {
        let peer = self.media_of(index).map(|media| media.key);
        let command = peer.map(|peer| Effect::Media(Media::Subscribe { peer, wanted }));
        command.into_iter().collect()
    }

    /// Forwards an event of the SFU to the member it is for, or to everybody.
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
                let mut effects = self.forward_to(peer, refusal(ErrorCode::BadOffer, None));
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

    /// Decides the mode of the call after a member entered or left it, or a delay ended.
    pub(super) fn update_mode(&mut self, now: Now) -> Vec<Effect> {
        let people = self.members.iter().filter(|m| m.call.is_some()).count();
        let p2p_max = self.rules.p2p_max;
        let needs_sfu = self.hides_addresses() || self.has_muted();
        let fits_p2p = p2p_max > 0 && people <= p2p_max && !needs_sfu;
        match self.mode {
            Mode::P2p if people > p2p_max || needs_sfu => self.switch_mode(Mode::Sfu),
            Mode::P2p => Vec::new(),
            Mode::Sfu if !fits_p2p => {
                self.p2p_at = None;
                Vec::new()
            }
            // The call is empty, so there is no one to notify.
            Mode::Sfu if people == 0 => {
                self.mode = Mode::P2p;
                self.p2p_at = None;
                Vec::new()
            }
            Mode::Sfu => {
                let soon = now.instant + self.rules.move_back_after;
                match *self.p2p_at.get_or_insert(soon) <= now.instant {
                    true => self.switch_mode(Mode::P2p),
                    false => Vec::new(),
                }
            }
        }
    }

    /// Whether the operator or any member in the call hides addresses: such a call always runs
    /// through the SFU.
    fn hides_addresses(&self) -> bool {
        let mut sessions = self.members.iter().filter_map(|member| member.call);
        self.rules.hide_addresses || sessions.any(|session| session.hide_address)
    }

    /// Switches the mode and announces it.
    fn switch_mode(&mut self, mode: Mode) -> Vec<Effect> {
        self.mode = mode;
        self.p2p_at = None;
        vec![broadcast(ServerMessage::MediaMode { mode })]
    }

    /// Removes a closed connection and notifies its client, which opens another one. A member in
    /// the state [`ConnectionState::MediaOnly`] becomes away.
    fn media_closed(&mut self, peer: PeerKey, now: Now) -> Vec<Effect> {
        let Some(index) = self.index_of_peer(peer) else {
            return Vec::new();
        };
        let connection = self.media_of(index).map_or(0, |media| media.number);
        let mut effects = self.forward_to(peer, ServerMessage::MediaClosed { connection });
        self.set_media(index, None);
        match self.members[index].connection_state {
            ConnectionState::MediaOnly(_) => effects.extend(self.remove_member(index, true, now)),
            ConnectionState::Connected(_) | ConnectionState::Lost(_) => {}
        }
        effects
    }

    /// Sends a message to the member who has this peer. A member without a socket misses it;
    /// [`MediaConnection::resync`] makes up for that after the reconnect.
    fn forward_to(&self, peer: PeerKey, message: ServerMessage) -> Vec<Effect> {
        let member = self.index_of_peer(peer).map(|index| &self.members[index]);
        match member.map(|member| member.connection_state) {
            Some(ConnectionState::Connected(connection)) => vec![Effect::Send {
                connection,
                message,
            }],
            Some(ConnectionState::Lost(_) | ConnectionState::MediaOnly(_)) | None => Vec::new(),
        }
    }

    /// The index of the member who has this peer.
    fn index_of_peer(&self, peer: PeerKey) -> Option<usize> {
        (0..self.members.len())
            .find(|index| self.media_of(*index).is_some_and(|media| media.key == peer))
    }

    /// A member's connection to the SFU.
    pub(super) fn media_of(&self, index: usize) -> Option<MediaConnection> {
        self.members[index].call.and_then(|session| session.media)
    }

    /// Stores a member's connection to the SFU.
    fn set_media(&mut self, index: usize, media: Option<MediaConnection>) {
        if let Some(session) = &mut self.members[index].call {
            session.media = media;
        }
    }
}
