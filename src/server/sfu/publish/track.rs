//! A track: one source of a participant, with its simulcast layers and its subscriptions.

use super::{capture_clock::SenderReport, keyframes::KeyframeRequester, layer_meter::LayerMeter};
use crate::protocol::{self, ParticipantId, Source};
use crate::server::sfu::{
    codec::{Codec, VIDEO_CLOCK, red::RedRecovery},
    forward::packet::{MediaPacket, PacketOrigin},
};
use std::time::{Duration, Instant};
use str0m::{
    media::{Mid, Rid},
    rtp::Ssrc,
};

/// How long a layer stays on after the last subscription to it. 2 s: a short look away should not
/// cost a keyframe.
const UNWATCHED_TIMEOUT: Duration = Duration::from_secs(2);

/// A track of a room.
pub struct Track {
    /// The index of the sending peer.
    pub owner: usize,
    /// The participant that publishes the track.
    pub person: ParticipantId,
    /// Camera, microphone, screen, or screen audio.
    pub source: Source,
    /// The media section of the sender.
    pub mid: Mid,
    /// The simulcast layers, lowest first; one layer without simulcast.
    pub layers: Vec<Layer>,
    /// The codec of the last packet.
    pub codec: Option<Codec>,
    /// The codec that the sender was asked for.
    pub requested_codec: Option<protocol::Codec>,
    /// Recovers lost packets from redundant audio.
    pub red_recovery: RedRecovery,
    /// The down tracks that carry it.
    pub subscriptions: Vec<Subscription>,
    /// The watched layers as announced to the sender.
    layer_demand: LayerDemand,
    /// Whether a host muted the source.
    muted: bool,
}

/// A down track that carries a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The index of the receiving peer.
    pub peer: usize,
    /// The index of the down track.
    pub down_track: usize,
}

/// A simulcast layer of a track.
pub struct Layer {
    /// The RID (RFC 8852); none without simulcast.
    pub rid: Option<Rid>,
    /// Measures the bitrate.
    pub meter: LayerMeter,
    /// Schedules keyframe requests.
    pub keyframes: KeyframeRequester,
    /// The frame height in px; 0 before the first keyframe.
    pub height: u32,
    /// The last sender report.
    pub sender_report: Option<SenderReport>,
    /// The SSRC and the highest extended sequence number of the packets dropped while muted.
    last_muted: Option<(Ssrc, u64)>,
}

/// The watched layers of a track.
#[derive(Debug)]
struct LayerDemand {
    /// One bit per layer, all set at first; none for audio, which always flows.
    announced: Option<u8>,
    /// A smaller set, and since when it would be enough.
    pending_decrease: Option<(u8, Instant)>,
}

impl Track {
    /// A track without subscriptions.
    pub fn new(
        owner: usize,
        person: ParticipantId,
        source: Source,
        mid: Mid,
        rids: Vec<Option<Rid>>,
    ) -> Self {
        let low = rids.len() > 1;
        let all = (1_u8 << rids.len().min(3)) - 1;
        let layer = |(place, rid)| Layer {
            rid,
            meter: LayerMeter::default(),
            keyframes: KeyframeRequester::new(low && place == 0),
            height: 0,
            sender_report: None,
            last_muted: None,
        };
        Self {
            owner,
            person,
            source,
            mid,
            layers: rids.into_iter().enumerate().map(layer).collect(),
            codec: None,
            requested_codec: None,
            red_recovery: RedRecovery::default(),
            subscriptions: Vec::new(),
            layer_demand: LayerDemand {
                announced: source.is_video().then_some(all),
                pending_decrease: None,
            },
            muted: false,
        }
    }

    /// Whether a host muted the source: no receiver subscribes to it.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    /// Mutes or unmutes the source. Returns whether that is a change. The caller ends the
    /// subscriptions of a muted track.
    pub fn set_muted(&mut self, muted: bool) -> bool {
        if std::mem::replace(&mut self.muted, muted) == muted {
            return false;
        }
        // The first packet after a mute may repeat the payload of a muted one (RED, RFC 2198). A
        // recovery that has seen no packet does not take that for a lost one.
        self.red_recovery = RedRecovery::default();
        self.layers
            .iter_mut()
            .for_each(|layer| layer.keyframes.cancel());
        true
    }

    /// Whether to drop a packet of a layer: the source is muted, or was when the packet was sent,
    /// and the packet is late or a retransmission.
    pub fn drops(&mut self, layer: usize, ssrc: Ssrc, seq: u64) -> bool {
        let last_muted = &mut self.layers[layer].last_muted;
        let highest = last_muted.filter(|(known, _)| *known == ssrc);
        let highest = highest.map(|(_, highest)| highest);
        if self.muted {
            *last_muted = Some((ssrc, highest.map_or(seq, |highest| highest.max(seq))));
        }
        self.muted || highest.is_some_and(|highest| seq <= highest)
    }

    /// Whether the track has audio: a microphone unless muted, screen audio while packets arrive.
    pub fn has_audio(&self, now: Instant) -> bool {
        match self.source {
            _ if self.muted => false,
            Source::Microphone => true,
            Source::ScreenAudio => self.layers.iter().any(|layer| layer.meter.is_live(now)),
            Source::Camera | Source::Screen => false,
        }
    }

    /// Whether the track competes for the forwarded voices.
    pub fn has_voice(&self) -> bool {
        self.source == Source::Microphone && !self.muted
    }

    /// Whether packets of a layer arrive, and lower layers do not go on without it.
    pub fn is_layer_live(&self, layer: usize, now: Instant) -> bool {
        let (smaller, meter) = (&self.layers[..layer], &self.layers[layer].meter);
        meter.is_live(now) && !smaller.iter().any(|s| meter.is_suspended_beside(&s.meter))
    }

    /// The layer with this RID.
    pub fn layer_by_rid(&self, rid: Option<Rid>) -> Option<usize> {
        self.layers.iter().position(|layer| layer.rid == rid)
    }

    /// Records a packet of a layer, with the sender report before it.
    pub fn on_packet(
        &mut self,
        origin: PacketOrigin,
        packet: &mut MediaPacket,
        report: Option<SenderReport>,
    ) {
        self.codec = Some(packet.codec);
        // The packet traces of the tests were recorded from this event.
        tracing::trace!(
            track = origin.track,
            layer = origin.layer,
            seq = packet.seq,
            time = packet.time,
            marker = packet.marker,
            starts = packet.is_decodable_start,
            picture_id = ?packet.descriptor.picture_id(),
            tl0 = ?packet.descriptor.tl0(),
            "packet"
        );
        let layer = &mut self.layers[origin.layer];
        layer
            .meter
            .on_packet(packet.payload.len(), packet.received_at);
        if let Some(height) = packet.keyframe_height() {
            layer.height = height;
        }
        if packet.is_decodable_start && self.source.is_video() {
            layer.keyframes.on_keyframe(packet.received_at);
        }
        layer.sender_report = report.or(layer.sender_report);
        if packet.is_decodable_start && self.layers.len() > 1 {
            packet.layer_time_offsets = self.layer_time_offsets(origin.layer);
        }
    }

    /// What to add to the RTP timestamps of a layer to get those of each layer, by the sender
    /// reports (RFC 3550 6.4.1).
    fn layer_time_offsets(&self, layer: usize) -> [Option<u32>; 3] {
        let mut offsets = [None; 3];
        if let Some(SenderReport {
            rtp_time: time,
            ntp_time: at,
        }) = self.layers[layer].sender_report
        {
            for (offset, other) in offsets.iter_mut().zip(&self.layers) {
                let there = other
                    .sender_report
                    .map(|report| report.rtp_time_at(at, VIDEO_CLOCK));
                *offset = there.map(|there| there.wrapping_sub(time));
            }
        }
        offsets
    }

    /// Updates the layers that have subscriptions, one bit each. Returns the RIDs for the sender
    /// where its set changes: a larger set at once, a smaller one after [`UNWATCHED_TIMEOUT`].
    pub fn update_watched_layers(&mut self, wanted: u8, now: Instant) -> Option<Vec<String>> {
        let announced = self.layer_demand.announced?;
        if wanted & !announced != 0 {
            return Some(self.announce(wanted | announced));
        }
        if wanted == announced {
            self.layer_demand.pending_decrease = None;
            return None;
        }
        let since = match self.layer_demand.pending_decrease {
            Some((before, since)) if before == wanted => since,
            _ => now,
        };
        self.layer_demand.pending_decrease = Some((wanted, since));
        (now >= since + UNWATCHED_TIMEOUT).then(|| self.announce(wanted))
    }

    /// The RIDs as announced to the sender; none for audio.
    pub fn watched_rids(&self) -> Option<Vec<String>> {
        self.layer_demand
            .announced
            .map(|layers| self.rids_of(layers))
    }

    /// Announces a set of layers. Returns its RIDs.
    fn announce(&mut self, layers: u8) -> Vec<String> {
        self.layer_demand = LayerDemand {
            announced: Some(layers),
            pending_decrease: None,
        };
        self.rids_of(layers)
    }

    /// The RIDs of a set of layers; an empty string for a layer without RID.
    fn rids_of(&self, layers: u8) -> Vec<String> {
        let named = self.layers.iter().enumerate();
        named
            .filter(|(place, _)| layers & (1 << place) != 0)
            .map(|(_, layer)| layer.rid.map_or_else(String::new, |rid| rid.to_string()))
            .collect()
    }
}

/// Orders layers by size: `q`, `h`, `f` by their RIDs, others as offered; three at most.
pub fn order_layers(mut rids: Vec<Rid>) -> Vec<Option<Rid>> {
    let rank = |rid: &Rid| "qhf".find(&**rid).unwrap_or(3);
    rids.sort_by_key(rank);
    rids.truncate(3);
    match rids.is_empty() {
        true => vec![None],
        false => rids.into_iter().map(Some).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> Track {
        let id = ParticipantId::parse("p_a").expect("valid");
        let rids = order_layers(vec!["f".into(), "q".into(), "h".into()]);
        Track::new(0, id, Source::Camera, "1".into(), rids)
    }

    #[test]
    fn layers_are_ordered_by_size() {
        let track = track();
        let names: Vec<_> = track.layers.iter().filter_map(|l| l.rid).collect();
        assert_eq!(names, ["q".into(), "h".into(), "f".into()]);
        assert_eq!(order_layers(vec![]), [None]);
    }

    #[test]
    fn a_packet_that_was_sent_while_muted_is_dropped_after_it_too() {
        let (mut track, ssrc) = (track(), Ssrc::from(7));
        assert!(!track.drops(0, ssrc, 10));
        assert!(track.set_muted(true) && !track.set_muted(true));
        assert!(track.drops(0, ssrc, 13) && track.drops(0, ssrc, 11));
        assert!(track.set_muted(false));
        assert!(track.drops(0, ssrc, 12), "late");
        assert!(!track.drops(0, ssrc, 14));
        assert!(!track.drops(1, ssrc, 12), "another layer");
        assert!(!track.drops(0, Ssrc::from(8), 1), "another stream");
    }

    #[test]
    fn the_redundant_block_after_a_mute_recovers_nothing() {
        let mut track = track();
        assert!(track.red_recovery.accepts(1));
        track.set_muted(true);
        track.set_muted(false);
        assert!(!track.red_recovery.recovers_previous(9));
        assert!(track.red_recovery.accepts(9));
        assert!(track.red_recovery.recovers_previous(11), "lost after it");
    }

    #[test]
    fn sender_reports_map_layers_to_one_clock() {
        let (mut track, at) = (track(), std::time::SystemTime::UNIX_EPOCH);
        let report = |time, at| {
            Some(SenderReport {
                rtp_time: time,
                ntp_time: at,
            })
        };
        track.layers[0].sender_report = report(1_000, at);
        track.layers[2].sender_report = report(50, at + Duration::from_secs(1));
        assert_eq!(
            track.layer_time_offsets(0),
            [Some(0), None, Some(50_u32.wrapping_sub(91_000))]
        );
        assert_eq!(track.layer_time_offsets(2), [Some(90_950), None, Some(0)]);
        assert_eq!(track.layer_time_offsets(1), [None; 3]);
    }

    #[test]
    fn added_layers_are_announced_at_once_and_removed_ones_after_a_timeout() {
        let (mut track, start) = (track(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(track.update_watched_layers(0b111, at(0)), None);
        assert_eq!(track.update_watched_layers(0b001, at(100)), None);
        assert_eq!(
            track.update_watched_layers(0b011, at(1_000)),
            None,
            "another wish, another wait"
        );
        assert_eq!(track.update_watched_layers(0b011, at(2_900)), None);
        assert_eq!(
            track
                .update_watched_layers(0b011, at(3_000))
                .expect("a change"),
            ["q", "h"]
        );
        assert_eq!(
            track
                .update_watched_layers(0b100, at(3_100))
                .expect("a change"),
            ["q", "h", "f"]
        );
        assert_eq!(track.update_watched_layers(0, at(4_000)), None);
        assert_eq!(
            track.update_watched_layers(0, at(6_000)).expect("a change"),
            [""; 0]
        );
    }

    #[test]
    fn an_unwatched_screen_is_switched_off_and_a_microphone_never_is() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let id = || ParticipantId::parse("p_a").expect("valid");
        let mut screen = Track::new(0, id(), Source::Screen, "1".into(), order_layers(vec![]));
        assert_eq!(
            screen.update_watched_layers(1, at(0)),
            None,
            "it runs from the beginning"
        );
        assert_eq!(screen.update_watched_layers(0, at(1_000)), None);
        assert_eq!(
            screen
                .update_watched_layers(0, at(3_000))
                .expect("a change"),
            [""; 0]
        );
        assert_eq!(
            screen
                .update_watched_layers(1, at(3_100))
                .expect("a change"),
            [""]
        );
        let mut voice = Track::new(
            0,
            id(),
            Source::Microphone,
            "2".into(),
            order_layers(vec![]),
        );
        assert_eq!(voice.update_watched_layers(0, at(0)), None);
        assert_eq!(voice.update_watched_layers(0, at(9_000)), None);
    }
}
