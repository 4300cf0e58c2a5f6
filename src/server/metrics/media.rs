//! What the SFU counts.

use super::kinds::{Counter, Gauge, Histogram};
use std::fmt::Write;
use str0m::net::Protocol;

/// Connections there are.
pub static PEERS: Level = Level(Gauge::zero());
/// Connections that ended by themselves.
pub static PEERS_BROKEN: Counter = Counter::zero();
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
pub static PACKETS_HOMELESS: Counter = Counter::zero();
/// Keyframes receivers asked us for.
pub static KEYFRAMES_ASKED: Counter = Counter::zero();
/// Keyframes we asked senders for.
pub static KEYFRAMES_SENT: Counter = Counter::zero();
/// Events a room had no place for.
pub static EVENTS_LOST: Counter = Counter::zero();
/// From an offer to the first picture passed on to whoever made it.
pub static FIRST_FRAME_SECONDS: Histogram<9> =
    Histogram::new([0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0]);
/// Connections that came up over UDP, TCP, anything else.
static CONNECTED: [Counter; 3] = [const { Counter::zero() }; 3];

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

/// Counts a connection that came up.
pub fn connected(proto: Option<Protocol>) {
    let place = match proto {
        Some(Protocol::Udp) => 0,
        Some(Protocol::Tcp) => 1,
        _ => 2,
    };
    CONNECTED[place].add(1);
}

/// Writes everything counted here, and how busy each shard is.
pub fn write(text: &mut String, loads: impl Iterator<Item = f64>) {
    let counters: [(&Counter, &str, &str); 13] = [
        (
            &PEERS_BROKEN,
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
            &PACKETS_HOMELESS,
            "packets_homeless",
            "Media packets no offer named.",
        ),
        (
            &KEYFRAMES_ASKED,
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
    super::describe(text, name, "counter", "Media connections that came up.");
    for (path, counter) in ["udp", "tcp", "other"].into_iter().zip(&CONNECTED) {
        let _ = writeln!(text, "{name}{{path=\"{path}\"}} {}", counter.get());
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
