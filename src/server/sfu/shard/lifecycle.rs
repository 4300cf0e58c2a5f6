//! Coming and going: an offer makes a connection with its tracks and slots; its end takes
//! all of that away, and whoever had something of it is told.

use super::core::{Core, guarded};
use crate::protocol::{MediaOffer, ParticipantId, Source};
use crate::server::sfu::{
    PeerKey, RoomKey,
    command::Event,
    ingress::twcc_guard,
    peer::{Peer, sdp::offer::Offer},
    publish::track::{Track, order_layers},
};
use std::time::Instant;
use str0m::{Output, media::Rids};

impl Core {
    /// Answers an offer.
    pub(super) fn handle_offer(
        &mut self,
        room: RoomKey,
        key: PeerKey,
        person: ParticipantId,
        offer: Offer,
        now: Instant,
    ) {
        let known = self.keys.get(&(room, key)).copied();
        let same = known.filter(|index| self.peers[*index].connection == offer.connection);
        if let (Some(former), None) = (known, same) {
            self.remove_peer(former);
        }
        let index = match same {
            Some(index) => index,
            None => self.add_peer(room, key, person, &offer, now),
        };
        self.answer_offer(index, offer, now);
    }

    /// Makes the place for a connection.
    fn add_peer(
        &mut self,
        room: RoomKey,
        key: PeerKey,
        person: ParticipantId,
        offer: &MediaOffer,
        now: Instant,
    ) -> usize {
        let estimated = twcc_guard::is_offered(&offer.sdp);
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

    /// Answers an offer of a connection there is, and tells; a connection that cannot is over.
    fn answer_offer(&mut self, index: usize, offer: Offer, now: Instant) {
        let peer = &mut self.peers[index];
        let (key, room, connection) = (peer.key, peer.room, peer.connection);
        let offer_id = offer.offer_id;
        let answered = guarded(|| Ok(peer.accept_offer(offer)));
        let Some(Ok(sdp)) = answered else {
            self.send_event(room, Event::Refused { peer: key });
            return self.remove_peer(index);
        };
        peer.offer_id = offer_id;
        peer.register_ufrag(index, &mut self.demux);
        let answer = Event::Answer {
            peer: key,
            connection,
            offer_id,
            sdp,
        };
        self.send_event(room, answer);
        self.add_tracks(index);
        self.update_room_subscriptions(room, now);
        // Somebody new may lack what others send in.
        self.choose_screen_codecs(room);
        self.mark_dirty(index);
    }

    /// Makes tracks of what an offer names and the room does not have yet.
    fn add_tracks(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let Some(room) = self.rooms.get_mut(&peer.room) else {
            return;
        };
        for (mid, source) in &peer.offered_tracks {
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
            let track = Track::new(index, peer.person.clone(), *source, *mid, rids);
            let key = room.tracks.insert(track);
            if *source == Source::Microphone {
                room.loudest.add(key as u32);
            }
        }
    }

    /// A connection ended by itself.
    pub(super) fn on_disconnected(&mut self, index: usize) {
        let Some(peer) = self.peers.get(index) else {
            return;
        };
        let (room, key) = (peer.room, peer.key);
        self.metrics.disconnects.inc();
        self.send_event(room, Event::Closed { peer: key });
        self.remove_peer(index);
    }

    /// Takes a connection down, with its tracks and its places in others' slots.
    pub(super) fn remove_peer(&mut self, index: usize) {
        let Some(mut peer) = self.peers.try_remove(index) else {
            return;
        };
        self.metrics.connections.dec();
        self.timers.clear(index);
        self.demux
            .remove_peer(index, &peer.ufrags, &peer.verified_paths);
        self.keys.remove(&(peer.room, peer.key));
        // Says goodbye, so that the browser need not find out by silence.
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

    /// Takes a track out of the room; whoever had it is told.
    fn remove_track(&mut self, key: RoomKey, track: usize) {
        let Some(room) = self.rooms.get_mut(&key) else {
            return;
        };
        let gone = room.tracks.remove(track);
        room.speakers.remove(track as u32);
        room.loudest.remove(track as u32);
        for bound in gone.subscriptions {
            if let Some(peer) = self.peers.get_mut(bound.peer) {
                peer.down_tracks[bound.down_track].unbind();
                self.send_slots(bound.peer);
            }
        }
    }
}
