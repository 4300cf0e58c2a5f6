//! Describes the connections of a room for the operator.

use super::core::Core;
use crate::server::sfu::{
    keys::RoomKey,
    report::{ConnectionReport, SentTrack},
};
use std::time::Instant;

/// Connections in one report, at most. 200: more fit on no screen, and the shard stays busy with
/// it for less than a millisecond.
const MAX_CONNECTIONS: usize = 200;

impl Core {
    /// A report of each connection of a room, [`MAX_CONNECTIONS`] at most.
    pub fn inspect(&self, key: RoomKey, now: Instant) -> Vec<ConnectionReport> {
        let Some(room) = self.rooms.get(&key) else {
            return Vec::new();
        };
        let peers = room.peers.iter().take(MAX_CONNECTIONS);
        let reports = peers.filter_map(|index| {
            let peer = self.peers.get(*index)?;
            let sample = peer.bandwidth.last_sample();
            let tracks = room.tracks.iter().map(|(_, track)| track);
            let sent = tracks.filter(|track| track.owner == *index).map(|track| {
                let live = track.layers.iter().filter(|layer| layer.meter.is_live(now));
                SentTrack {
                    source: track.source,
                    layers: live
                        .map(|layer| (layer.meter.bitrate_bps(now), layer.height))
                        .collect(),
                }
            });
            let received = peer.downstream.video().filter_map(|down_track| {
                let track = room.tracks.get(down_track.track?)?;
                Some(down_track.forwarded_layer(track.layers.len() == 1))
            });
            Some(ConnectionReport {
                person: peer.person.clone(),
                connected: peer.connected,
                path: peer.transport.ice_path(),
                rtt_ms: sample.rtt_ms,
                egress_loss: sample.egress_loss,
                ingress_loss: sample.ingress_loss,
                budget_bps: peer.bandwidth.budget(now),
                sent: sent.collect(),
                received: received.collect(),
            })
        });
        reports.collect()
    }
}
