//! The codec of a shared screen: VP9 while every receiver accepts it, because text stays sharp
//! at half the bitrate; else VP8.

use super::core::Core;
use crate::protocol::{Codec as WireCodec, Source};
use crate::server::sfu::{
    codec::{Codec, PayloadTypes},
    command::Event,
    keys::RoomKey,
    peer::Peer,
};
impl Core {
    /// Requests a codec from every sender of a screen, where it changes.
    pub(super) fn choose_screen_codecs(&mut self, key: RoomKey) {
        let Self { peers, rooms, .. } = self;
        let Some(room) = rooms.get_mut(&key) else {
            return;
        };
        let others = |owner| room.peers.iter().filter(move |index| **index != owner);
        let taken = |owner| {
            others(owner).all(|index| peers[*index].downstream.accepts_video_codec(Codec::Vp9))
        };
        let mut requests = Vec::new();
        let screens = room.tracks.iter_mut().map(|(_, track)| track);
        for track in screens.filter(|track| track.source == Source::Screen) {
            let Some(owner) = peers.get(track.owner).filter(|owner| owner.connected) else {
                continue;
            };
            let sends = PayloadTypes::negotiated(&owner.rtc, track.mid);
            let vp9 = sends.of(Codec::Vp9).is_some() && taken(track.owner);
            let codec = if vp9 { WireCodec::Vp9 } else { WireCodec::Vp8 };
            if track.requested_codec.unwrap_or_default() != codec {
                track.requested_codec = Some(codec);
                requests.push(codec_event(owner, track.source, codec));
            }
        }
        requests
            .into_iter()
            .for_each(|event| room.send_event(event));
    }

    /// Requests the codec of a screen from its sender again.
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

/// The request to a sender.
fn codec_event(owner: &Peer, source: Source, codec: WireCodec) -> Event {
    Event::Codec {
        peer: owner.key,
        source,
        codec,
    }
}
