//! A host's mute: the packets of a muted source reach nobody, whatever the page sends.
//!
//! str0m has decrypted a packet, and its feedback has counted it, before [`super::forward`] drops
//! it; so the sender's estimate of its bandwidth stays right. A muted track has no subscription:
//! its down tracks are free for others, and the sender gets no keyframe request.

use super::core::Core;
use crate::server::sfu::publish::muted::MutedSources;

impl Core {
    /// Replaces the muted sources of a peer. A mute ends the subscriptions to its track at once.
    /// The next tick assigns the freed down tracks, and subscribes to unmuted tracks again: one
    /// update of the room, however many people a host mutes together.
    pub(super) fn set_muted(&mut self, index: usize, sources: MutedSources) {
        let peer = &mut self.peers[index];
        peer.upstream.muted = sources;
        let Some(room) = self.rooms.get_mut(&peer.room) else {
            return;
        };
        let mut ended = Vec::new();
        for (key, track) in &mut room.tracks {
            let muted = sources.contains(track.source);
            if track.owner != index || !track.set_muted(muted) {
                continue;
            }
            room.mutes_changed = true;
            ended.append(&mut track.subscriptions);
            // Neither loud nor dominant, until a packet says so again.
            room.speakers.remove(key as u32);
            room.loudest.remove(key as u32);
            if track.has_voice() {
                room.loudest.add(key as u32);
            }
        }
        self.unbind(ended);
    }
}

#[cfg(test)]
#[path = "mute_tests.rs"]
mod tests;
