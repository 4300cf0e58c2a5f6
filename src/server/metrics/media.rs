//! What the SFU counts.

use super::kinds::{Counter, Gauge, Histogram};
use std::fmt::Write;

/// Connections there are.
pub static PEERS: Level = Level(Gauge::zero());
/// Connections that ended by themselves.
pub static PEERS_DISCONNECTED: Counter = Counter::zero();
/// Connections ended because of a bug in a step of theirs.
pub static PEERS_PANICKED: Counter = Counter::zero();
/// Datagrams that came in.
pub static DATAGRAMS_IN: Counter = Counter::zero();
/// Datagrams sent.
pub static DATAGRAMS_OUT: Counter = Counter::zero();
/// Datagrams of strangers, and those that make no sense.
pub static DATAGRAMS_DROPPED: Counter = Counter::zero();
/// Bytes that came in.
pub static BYTES_IN: Counter = Counter::zero();
/// Bytes sent.
pub static BYTES_OUT: Counter = Counter::zero();
/// Media packets that came in.
pub static PACKETS_IN: Counter = Counter::zero();
/// Media packets passed on: one a receiver.
pub static PACKETS_OUT: Counter = Counter::zero();
/// Media packets of streams no offer named.
pub static PACKETS_UNKNOWN_SSRC: Counter = Counter::zero();
/// Media packets that are too large to be passed on.
pub static PACKETS_TOO_LARGE: Counter = Counter::zero();
/// Packets of sound that were lost on the way here and taken from the one after.
pub static PACKETS_RED_RECOVERED: Counter = Counter::zero();
/// Keyframes receivers asked us for.
pub static KEYFRAMES_REQUESTED: Counter = Counter::zero();
/// Keyframes we asked senders for.
pub static KEYFRAMES_SENT: Counter = Counter::zero();
/// Events a room had no place for.
pub static EVENTS_LOST: Counter = Counter::zero();
/// From an offer to the first picture passed on to whoever made it.
pub static FIRST_FRAME_SECONDS: Histogram<9> =
    Histogram::new([0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0]);
/// Connections by their [`IcePath`], in its order.
static CONNECTED: [Counter; 4] = [const { Counter::zero() }; 4];
/// Slots of pictures by [`Carried`], in its order.
static SLOTS: [Gauge; 6] = [const { Gauge::zero() }; 6];

/// The way ICE found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcePath {
    /// UDP, to the media port.
    Udp,
    /// TCP, to the media port.
    Tcp,
    /// By our own TURN server.
    Relay,
    /// None in time.
    Failed,
}

/// What a slot of pictures carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The lowest layer of several, the middle one, the highest.
    Layer(usize),
    /// The only layer there is.
    Single,
    /// Nothing, because the line is too narrow.
    Paused,
    /// Nothing yet: a keyframe is waited for.
    Waiting,
}

/// How many slots carry what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Distribution([i64; 6]);

impl Distribution {
    /// One more slot.
    pub fn count(&mut self, carried: Carried) {
        let place = match carried {
            Carried::Layer(layer) => layer.min(2),
            Carried::Single => 3,
            Carried::Paused => 4,
            Carried::Waiting => 5,
        };
        self.0[place] += 1;
    }

    /// Counts these slots in place of those one had before.
    pub fn replace(&mut self, now: Self) {
        for ((gauge, before), now) in SLOTS.iter().zip(self.0).zip(now.0) {
            gauge.add(now - before);
        }
        *self = now;
    }
}

/// Names of [`IcePath`], in its order.
const PATHS: [&str; 4] = ["udp", "tcp", "relay", "failed"];
/// Names of [`Carried`], in its order.
const LAYERS: [&str; 6] = ["low", "middle", "high", "single", "paused", "waiting"];

/// Goes up and down by one.
pub struct Level(Gauge);

impl Level {
    /// One more.
    pub fn up(&self) {
        self.0.add(1);
    }

    /// One fewer.
    pub fn down(&self) {
        self.0.add(-1);
    }
}

/// Counts what ICE came to.
pub fn ice_result(path: IcePath) {
    CONNECTED[path as usize].add(1);
}

/// Writes everything counted here, and how busy each shard is.
pub fn write(text: &mut String, loads: impl Iterator<Item = f64>) {
    let counters: [(&Counter, &str, &str); 15] = [
        (
            &PEERS_DISCONNECTED,
            "connections_broken",
            "Media connections that ended by themselves.",
        ),
        (
            &PEERS_PANICKED,
            "connections_failed",
            "Media connections ended because of a bug.",
        ),
        (
            &DATAGRAMS_IN,
            "datagrams_in",
            "Media datagrams that came in.",
        ),
        (&DATAGRAMS_OUT, "datagrams_out", "Media datagrams sent."),
        (
            &DATAGRAMS_DROPPED,
            "datagrams_dropped",
            "Datagrams of strangers.",
        ),
        (&BYTES_IN, "bytes_in", "Media bytes that came in."),
        (&BYTES_OUT, "bytes_out", "Media bytes sent."),
        (&PACKETS_IN, "packets_in", "Media packets that came in."),
        (
            &PACKETS_OUT,
            "packets_out",
            "Media packets passed on, one a receiver.",
        ),
        (
            &PACKETS_UNKNOWN_SSRC,
            "packets_unknown_ssrc",
            "Media packets no offer named.",
        ),
        (
            &PACKETS_TOO_LARGE,
            "packets_too_large",
            "Media packets too large to be passed on.",
        ),
        (
            &PACKETS_RED_RECOVERED,
            "packets_red_recovered",
            "Lost packets of sound taken from the one after (RED).",
        ),
        (
            &KEYFRAMES_REQUESTED,
            "keyframes_asked",
            "Keyframes receivers asked for.",
        ),
        (
            &KEYFRAMES_SENT,
            "keyframes_sent",
            "Keyframes senders were asked for.",
        ),
        (
            &EVENTS_LOST,
            "events_lost",
            "Media events a room had no place for.",
        ),
    ];
    PEERS.0.write(
        text,
        "noom_media_connections",
        "Media connections to the SFU.",
    );
    for (counter, name, help) in counters {
        counter.write(text, &format!("noom_media_{name}_total"), help);
    }
    let help = "From an offer to the first picture passed on.";
    FIRST_FRAME_SECONDS.write(text, "noom_media_first_frame_seconds", help);
    let name = "noom_media_connected_total";
    super::describe(
        text,
        name,
        "counter",
        "Media connections, by the way ICE found.",
    );
    for (path, counter) in PATHS.into_iter().zip(&CONNECTED) {
        let _ = writeln!(text, "{name}{{path=\"{path}\"}} {}", counter.get());
    }
    let name = "noom_media_pictures";
    super::describe(text, name, "gauge", "Pictures receivers get, by layer.");
    for (layer, gauge) in LAYERS.into_iter().zip(&SLOTS) {
        let _ = writeln!(text, "{name}{{layer=\"{layer}\"}} {}", gauge.get());
    }
    let name = "noom_media_load";
    super::describe(
        text,
        name,
        "gauge",
        "Share of the time a media thread is busy.",
    );
    for (shard, load) in loads.enumerate() {
        let _ = writeln!(text, "{name}{{shard=\"{shard}\"}} {load}");
    }
}
