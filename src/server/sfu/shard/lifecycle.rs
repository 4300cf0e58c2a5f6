//! Peers come and go: an offer adds a peer with its tracks and down tracks; its end removes them
//! and updates the subscribers.

use super::core::Core;
use crate::protocol::{MediaOffer, ParticipantId};
use crate::server::sfu::{
    command::Event,
    keys::{PeerKey, RoomKey},
    peer::{
        Peer,
        guard::guarded,
        sdp::{offer::Offer, twcc},
    },
    publish::track::{Subscription, Track, order_layers},
};
use std::time::Instant;
use str0m::{Output, media::Rids};

impl Core {
    /// Handles an offer: adds the peer, or renegotiates, or replaces a former connection.
    pub(super) fn handle_offer(
        &mut self,
        room: RoomKey,
        key: PeerKey,
        person: ParticipantId,
        offer: Offer,
        now: Instant,
    ) {
        if !self.rooms.contains_key(&room) {
            return;
        }
        let known = self.keys.get(&(room, key)).copied();
        let same = known.filter(|index| self.peers[*index].connection == offer.connection);
        // A new connection inherits them: no offer ends a mute.
        let muted = known.map(|index| self.peers[index].upstream.muted);
        if let (Some(former), None) = (known, same) {
            self.remove_peer(former);
        }
        let index = match same {
            Some(index) => index,
            None => self.add_peer(room, key, person, &offer, now),
        };
        self.peers[index].upstream.muted = muted.unwrap_or_default();
        self.answer_offer(index, offer, now);
    }

    /// Adds a peer and returns its index.
    fn add_peer(
        &mut self,
        room: RoomKey,
        key: PeerKey,
        person: ParticipantId,
        offer: &MediaOffer,
        now: Instant,
    ) -> usize {
        let estimated = twcc::is_offered(&offer.sdp);
        let peer = Peer::new(
            key,
            room,
            person,
            offer.connection,
            estimated,
            &self.rtc_config,
            now,
        );
        let index = self.peers.insert(peer);
        self.keys.insert((room, key), index);
        if let Some(room) = self.rooms.get_mut(&room) {
            room.peers.push(index);
        }
        self.metrics.connections.inc();
        index
    }

    /// Answers an offer of a peer. A peer whose offer cannot be answered is removed.
    fn answer_offer(&mut self, index: usize, offer: Offer, now: Instant) {
        let peer = &mut self.peers[index];
        let (key, room, connection) = (peer.key, peer.room, peer.connection);
        let offer_id = offer.offer_id;
        let answered = guarded(|| Ok(peer.accept_offer(offer)));
        let Some(Ok(sdp)) = answered else {
            self.send_event(room, Event::Refused { peer: key });
            return self.remove_peer(index);
        };
        peer.transport
            .register_ufrag(&mut peer.rtc, index, &mut self.demux);
        let answer = Event::Answer {
            peer: key,
            connection,
            offer_id,
            sdp,
        };
        self.send_event(room, answer);
        self.add_tracks(index);
        self.update_room_subscriptions(room, now);
        // The new peer may not accept the codec of a screen.
        self.choose_screen_codecs(room);
        self.mark_dirty(index);
    }

    /// Adds the tracks of an offer that the room does not have.
    fn add_tracks(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let Some(room) = self.rooms.get_mut(&peer.room) else {
            return;
        };
        for (mid, source) in &peer.upstream.offered_tracks {
            let ours = |track: &Track| track.owner == index && track.mid == *mid;
            let double = room.tracks.iter().any(|(_, track)| {
                ours(track) || (track.person == peer.person && track.source == *source)
            });
            if double {
                continue;
            }
            let rids = match peer.rtc.media(*mid).map(|media| media.rids_rx()) {
                Some(Rids::Specific(rids)) => order_layers(rids.clone()),
                _ => vec![None],
            };
            let mut track = Track::new(index, peer.person.clone(), *source, *mid, rids);
            track.set_muted(peer.upstream.muted.contains(*source));
            let is_voice = track.has_voice();
            let key = room.tracks.insert(track);
            if is_voice {
                room.loudest.add(key as u32);
            }
        }
    }

    /// Removes a peer whose connection ended, and reports it.
    pub(super) fn on_disconnected(&mut self, index: usize) {
        let Some(peer) = self.peers.get(index) else {
            return;
        };
        let (room, key) = (peer.room, peer.key);
        self.metrics.disconnects.inc();
        self.send_event(room, Event::Closed { peer: key });
        self.remove_peer(index);
    }

    /// Removes a peer, its tracks and its subscriptions.
    pub(super) fn remove_peer(&mut self, index: usize) {
        let Some(mut peer) = self.peers.try_remove(index) else {
            return;
        };
        self.metrics.connections.dec();
        self.timers.clear(index);
        peer.transport.unregister(index, &mut self.demux);
        self.keys.remove(&(peer.room, peer.key));
        // A DTLS alert, so that the browser need not wait for a timeout.
        let _ = guarded(|| peer.rtc.close());
        while let Some(Output::Transmit(last)) = guarded(|| peer.rtc.poll_output()) {
            self.outgoing.push(peer.address(last));
        }
        let Some(room) = self.rooms.get_mut(&peer.room) else {
            return;
        };
        room.peers.retain(|other| *other != index);
        let own = room.tracks.iter().filter(|(_, track)| track.owner == index);
        let own: Vec<usize> = own.map(|(key, _)| key).collect();
        for (_, track) in &mut room.tracks {
            track.subscriptions.retain(|bound| bound.peer != index);
        }
        for track in own {
            self.remove_track(peer.room, track);
        }
    }

    /// Removes a track and updates its subscribers.
    fn remove_track(&mut self, key: RoomKey, track: usize) {
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        let gone = room.tracks.remove(track);
        room.speakers.remove(track as u32);
        room.loudest.remove(track as u32);
        self.unbind(gone.subscriptions);
    }

    /// Frees the down tracks of a track that is sent no more.
    pub(super) fn unbind(&mut self, subscriptions: Vec<Subscription>) {
        for bound in subscriptions {
            if let Some(peer) = self.peers.get_mut(bound.peer) {
                peer.downstream.down_tracks[bound.down_track].unbind(&mut peer.rtc);
                self.send_slots(bound.peer);
            }
        }
    }
}
