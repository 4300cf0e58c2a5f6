//! Counters of the SFU.

use super::{Counter, Labelled};
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use strum::VariantArray;

/// Upper bounds of the buckets of [`MediaMetrics::first_frame_seconds`].
const FIRST_FRAME_SECONDS: [f64; 9] = [0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0];

/// Counters of one SFU. Clones share the numbers; each shard has one.
#[derive(Debug, Clone)]
pub struct MediaMetrics {
    /// Media connections open in all shards.
    pub connections: Gauge,
    /// Connections that ended although the room did not close them.
    pub disconnects: Counter,
    /// Connections ended because their code panicked.
    pub connection_panics: Counter,
    /// Datagrams received by all shards.
    pub received_datagrams: Counter,
    /// Datagrams sent by all shards.
    pub sent_datagrams: Counter,
    /// Received datagrams that belong to no connection, are malformed or exceed a rate.
    pub dropped_datagrams: Counter,
    /// Bytes in the received datagrams.
    pub received_bytes: Counter,
    /// Bytes in the sent datagrams.
    pub sent_bytes: Counter,
    /// Media packets received.
    pub received_packets: Counter,
    /// Media packets forwarded, counted for each receiver.
    pub forwarded_packets: Counter,
    /// Media packets whose SSRC belongs to no track.
    pub unknown_ssrc_packets: Counter,
    /// Media packets that are too large to be forwarded.
    pub oversized_packets: Counter,
    /// Media packets dropped because a host muted their source.
    pub muted_packets: Counter,
    /// Lost audio packets recovered from RED (RFC 2198).
    pub red_recovered_packets: Counter,
    /// Keyframe requests from receivers.
    pub keyframe_requests_received: Counter,
    /// Keyframe requests to senders.
    pub keyframe_requests_sent: Counter,
    /// Events dropped because a room's queue was full.
    pub dropped_events: Counter,
    /// Time from an offer to the first video packet forwarded to its sender, in seconds.
    pub first_frame_seconds: Histogram,
    /// Connections that finished ICE, by `result` and `path`.
    ice_results: Family<[(&'static str, &'static str); 2], Counter>,
    /// Down tracks of video, by the forwarded `layer`.
    down_tracks: Labelled<Gauge>,
}

impl Default for MediaMetrics {
    fn default() -> Self {
        Self {
            connections: Gauge::default(),
            disconnects: Counter::default(),
            connection_panics: Counter::default(),
            received_datagrams: Counter::default(),
            sent_datagrams: Counter::default(),
            dropped_datagrams: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            received_packets: Counter::default(),
            forwarded_packets: Counter::default(),
            unknown_ssrc_packets: Counter::default(),
            oversized_packets: Counter::default(),
            muted_packets: Counter::default(),
            red_recovered_packets: Counter::default(),
            keyframe_requests_received: Counter::default(),
            keyframe_requests_sent: Counter::default(),
            dropped_events: Counter::default(),
            first_frame_seconds: Histogram::new(FIRST_FRAME_SECONDS),
            ice_results: Family::default(),
            down_tracks: Labelled::default(),
        }
    }
}

/// The path of the selected candidate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum IcePath {
    /// UDP to the media port.
    Udp,
    /// TCP to the media port.
    Tcp,
    /// The TURN server of this process.
    Relay,
    /// No pair was selected in time.
    Failed,
}

impl IcePath {
    /// The labels of its counter.
    fn labels(self) -> [(&'static str, &'static str); 2] {
        let (result, path) = match self {
            Self::Udp => ("connected", "udp"),
            Self::Tcp => ("connected", "tcp"),
            Self::Relay => ("connected", "relay"),
            Self::Failed => ("failed", "none"),
        };
        [("result", result), ("path", path)]
    }
}

/// The layer that a down track of video forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedLayer {
    /// A simulcast layer: 0 is the lowest.
    Layer(usize),
    /// The only layer of its track.
    Single,
    /// No layer, because the bandwidth does not suffice.
    Paused,
    /// No layer until the next keyframe.
    Waiting,
}

/// Values of the label `layer`, in the order of [`DownTrackCounts`].
const LAYERS: [&str; 6] = ["low", "middle", "high", "single", "paused", "waiting"];

/// The number of down tracks of one shard for each value of [`LAYERS`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DownTrackCounts([i64; LAYERS.len()]);

impl DownTrackCounts {
    /// Counts one down track.
    pub fn count(&mut self, layer: ForwardedLayer) {
        let index = match layer {
            ForwardedLayer::Layer(layer) => layer.min(2),
            ForwardedLayer::Single => 3,
            ForwardedLayer::Paused => 4,
            ForwardedLayer::Waiting => 5,
        };
        self.0[index] += 1;
    }
}

impl MediaMetrics {
    /// Counts the ICE result of a connection.
    pub fn ice_result(&self, path: IcePath) {
        self.ice_results.get_or_create(&path.labels()).inc();
    }

    /// The number of connections with this ICE result.
    #[cfg(test)]
    pub fn ice_results(&self, path: IcePath) -> u64 {
        self.ice_results.get_or_create(&path.labels()).get()
    }

    /// Replaces the previous counts of a shard by its current counts.
    pub fn update_down_tracks(&self, previous: &mut DownTrackCounts, current: DownTrackCounts) {
        for ((layer, before), now) in LAYERS.into_iter().zip(previous.0).zip(current.0) {
            if before != now {
                let gauge = self.down_tracks.get_or_create(&[("layer", layer.into())]);
                gauge.inc_by(now - before);
            }
        }
        *previous = current;
    }

    /// Adds the counters, and the load of each shard, to a registry.
    pub fn register(&self, registry: &mut Registry, loads: impl Iterator<Item = f64>) {
        let registry = registry.sub_registry_with_prefix("media");
        for (name, help, counter) in self.counters() {
            registry.register(name, help, counter.clone());
        }
        let help = "Media connections to the SFU";
        registry.register("connections", help, self.connections.clone());
        let help = "Time from an offer to the first video packet forwarded to its sender";
        let first_frame = self.first_frame_seconds.clone();
        registry.register_with_unit("first_frame", help, Unit::Seconds, first_frame);
        // Each result and layer has a series from the start, so that its first rate is defined.
        for path in IcePath::VARIANTS {
            drop(self.ice_results.get_or_create(&path.labels()));
        }
        let help = "Media connections that finished ICE, by result and path";
        registry.register("ice_results", help, self.ice_results.clone());
        for layer in LAYERS {
            drop(self.down_tracks.get_or_create(&[("layer", layer.into())]));
        }
        let help = "Down tracks of video, by the layer they carry";
        registry.register("down_tracks", help, self.down_tracks.clone());
        let shards =
            Family::<[(&str, usize); 1], Gauge<f64, std::sync::atomic::AtomicU64>>::default();
        for (shard, load) in loads.enumerate() {
            shards.get_or_create(&[("shard", shard)]).set(load);
        }
        let help = "Share of the time in which a media thread is busy, 0 to 1";
        registry.register("load_ratio", help, shards);
    }

    /// The counters without labels, each with its name and help.
    fn counters(&self) -> [(&'static str, &'static str, &Counter); 16] {
        [
            (
                "disconnects",
                "Media connections that ended without a request of the room",
                &self.disconnects,
            ),
            (
                "connection_panics",
                "Media connections ended because their code panicked",
                &self.connection_panics,
            ),
            (
                "received_datagrams",
                "Media datagrams received",
                &self.received_datagrams,
            ),
            (
                "sent_datagrams",
                "Media datagrams sent",
                &self.sent_datagrams,
            ),
            (
                "dropped_datagrams",
                "Datagrams that belong to no connection, or are malformed or too many",
                &self.dropped_datagrams,
            ),
            (
                "received_bytes",
                "Bytes of media datagrams received",
                &self.received_bytes,
            ),
            (
                "sent_bytes",
                "Bytes of media datagrams sent",
                &self.sent_bytes,
            ),
            (
                "received_packets",
                "Media packets received",
                &self.received_packets,
            ),
            (
                "forwarded_packets",
                "Media packets forwarded, one for each receiver",
                &self.forwarded_packets,
            ),
            (
                "unknown_ssrc_packets",
                "Media packets whose SSRC belongs to no track",
                &self.unknown_ssrc_packets,
            ),
            (
                "oversized_packets",
                "Media packets too large to be forwarded",
                &self.oversized_packets,
            ),
            (
                "muted_packets",
                "Media packets dropped because a host muted their source",
                &self.muted_packets,
            ),
            (
                "red_recovered_packets",
                "Lost audio packets recovered from RED",
                &self.red_recovered_packets,
            ),
            (
                "keyframe_requests_received",
                "Keyframe requests from receivers",
                &self.keyframe_requests_received,
            ),
            (
                "keyframe_requests_sent",
                "Keyframe requests to senders",
                &self.keyframe_requests_sent,
            ),
            (
                "dropped_events",
                "Media events dropped because a room's queue was full",
                &self.dropped_events,
            ),
        ]
    }
}
