//! Which codec a shared screen is sent in: VP9 while everybody takes it, because text stays
//! sharp at half the rate; VP8 as soon as somebody does not.

use super::core::Core;
use crate::protocol::{Codec as Told, Source};
use crate::server::sfu::{
    RoomKey,
    codec::{Codec, PayloadTypes},
    command::Event,
    peer::Peer,
};

impl Core {
    /// Tells whoever shares a screen in which codec, where that changes.
    pub(super) fn choose_screen_codecs(&mut self, key: RoomKey) {
        let Self { peers, rooms, .. } = self;
        let Some(room) = rooms.get_mut(&key) else {
            return;
        };
        let others = |owner| room.peers.iter().filter(move |index| **index != owner);
        let taken =
            |owner| others(owner).all(|index| peers[*index].accepts_video_codec(Codec::Vp9));
        let mut told = Vec::new();
        let screens = room.tracks.iter_mut().map(|(_, track)| track);
        for track in screens.filter(|track| track.source == Source::Screen) {
            let Some(owner) = peers.get(track.owner).filter(|owner| owner.connected) else {
                continue;
            };
            let sends = PayloadTypes::negotiated(&owner.rtc, track.mid);
            let vp9 = sends.of(Codec::Vp9).is_some() && taken(track.owner);
            let codec = if vp9 { Told::Vp9 } else { Told::Vp8 };
            if track.requested_codec.unwrap_or_default() != codec {
                track.requested_codec = Some(codec);
                told.push(codec_event(owner, track.source, codec));
            }
        }
        told.into_iter().for_each(|event| room.send_event(event));
    }

    /// Tells a peer again in which codec its screen is to be sent: it may have missed that.
    pub(super) fn resync_screen_codecs(&self, index: usize) {
        let peer = &self.peers[index];
        let Some(room) = self.rooms.get(&peer.room) else {
            return;
        };
        let own = room.tracks.iter().filter(|(_, track)| track.owner == index);
        for (_, track) in own {
            if let Some(codec) = track.requested_codec {
                room.send_event(codec_event(peer, track.source, codec));
            }
        }
    }
}

/// What a sender is told.
fn codec_event(owner: &Peer, source: Source, codec: Told) -> Event {
    Event::Codec {
        peer: owner.key,
        source,
        codec,
    }
}
