//! What one server did in one scenario.

use crate::media::{
    client::counters::{Counters, new_histogram},
    scenario::model::{Scenario, Stress},
    stress::Found,
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The generator's share of its core above which a run says nothing about the server.
const BUSY: f64 = 0.90;
/// How late the generator may be at the 99th percentile, in ms.
const LATE_MS: f64 = 2.0;
/// Packets that may be lost.
const LOSS: f64 = 0.001;
/// How old 99 of 100 packets may be at most, in ms.
const LIMIT_MS: f64 = 5.0;

/// When a client began to come in, was connected, and got the first packet.
#[derive(Debug, Clone, Copy)]
pub struct JoinTimes {
    /// When its first cli_name was said.
    pub began: Instant,
    /// When ICE and DTLS were done.
    pub connected: Option<Instant>,
    /// When the first media packet came.
    pub heard: Option<Instant>,
}

/// Three points of a distribution, in ms.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    /// Half are below.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
}

impl Percentiles {
    /// Of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }

    /// Of durations.
    pub fn of_durations(durations: impl Iterator<Item = Duration>) -> Self {
        let mut histogram = new_histogram();
        for duration in durations {
            histogram.saturating_record(duration.as_micros() as u64);
        }
        Self::of(&histogram)
    }
}

/// CPU time and memory of a run.
#[derive(Debug, Clone, Copy)]
pub struct ResourceUsage {
    /// How long the window was open, in seconds.
    pub seconds: f64,
    /// The server's CPU time in it, in seconds.
    pub server: f64,
    /// The generator's.
    pub generator: f64,
    /// Resident memory of a client, in KiB.
    pub memory: f64,
    /// CPU time of the server for a client to come in, in ms.
    pub entry: f64,
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The scenario.
    pub scenario: Scenario,
    /// How it is called.
    pub title: String,
    /// The server.
    pub server: String,
    /// Packets a second that publishers sent.
    pub sent: f64,
    /// Packets a second that were forwarded.
    pub forwarded: f64,
    /// Packets forwarded in a second of the server's CPU time.
    pub per_cpu_second: f64,
    /// Megabits a second that were forwarded.
    pub megabits: f64,
    /// The server's CPU time, as a share of a core.
    pub cpu: f64,
    /// Of what should have come, how much did not.
    pub loss: f64,
    /// The share of sound in that.
    pub audio_share_of_loss: f64,
    /// Packets that came out of order.
    pub late: u64,
    /// Packets that came twice.
    pub again: u64,
    /// Packets that were sent again.
    pub resent: u64,
    /// DecryptedPacket packets that were not what was sent.
    pub broken: u64,
    /// DecryptedPacket packets.
    pub opened: u64,
    /// How old they were, in ms.
    pub latency: Percentiles,
    /// How long it took a client to be connected, in ms.
    pub connected: Percentiles,
    /// To get the first packet.
    pub heard: Percentiles,
    /// Clients that got none.
    pub deaf: usize,
    /// CPU time of the server for a client to come in, in ms.
    pub entry_cpu: f64,
    /// Memory of a client, in KiB.
    pub memory: f64,
    /// How late the generator was, in ms, at the 99th percentile.
    pub generator_late: f64,
    /// The generator's CPU time, as a share of a core.
    pub generator_cpu: f64,
    /// Keyframes that were asked for, a second.
    pub keyframes: f64,
    /// The longest time between two pictures, in ms, of those who open what they receive.
    pub longest_gap: f64,
    /// What happened besides.
    pub found: Found,
    /// What speaks against the run.
    pub verdict: &'static str,
}

impl Outcome {
    /// Puts everything together.
    pub fn new(
        scenario: Scenario,
        server: &str,
        counters: &Counters,
        cost: ResourceUsage,
        entries: &[JoinTimes],
        found: Found,
    ) -> Self {
        let receivers = entries.len();
        let since = |then: fn(&JoinTimes) -> Option<Instant>| {
            let took = move |entry: &JoinTimes| Some(then(entry)? - entry.began);
            Percentiles::of_durations(entries.iter().filter_map(took))
        };
        let heard = entries.iter().filter(|entry| entry.heard.is_some()).count();
        let second = |count: u64| count as f64 / cost.seconds;
        let mut outcome = Self {
            scenario,
            title: scenario.title(),
            server: server.to_owned(),
            sent: second(counters.sent),
            forwarded: second(counters.received),
            per_cpu_second: counters.received as f64 / cost.server,
            megabits: second(counters.bytes) * 8.0 / 1e6,
            cpu: cost.server / cost.seconds,
            loss: counters.lost as f64 / (counters.received + counters.lost).max(1) as f64,
            audio_share_of_loss: counters.lost_audio as f64 / counters.lost.max(1) as f64,
            late: counters.late,
            again: counters.again,
            resent: counters.resent,
            broken: counters.broken,
            opened: counters.latency.len(),
            latency: Percentiles::of(&counters.latency),
            connected: since(|entry| entry.connected),
            heard: since(|entry| entry.heard),
            deaf: receivers - heard,
            entry_cpu: cost.entry,
            memory: cost.memory,
            generator_late: Percentiles::of(&counters.lateness).p99,
            generator_cpu: cost.generator / cost.seconds,
            keyframes: second(counters.keyframes),
            longest_gap: counters.gaps.max() as f64 / 1_000.0,
            found,
            verdict: "",
        };
        outcome.verdict = outcome.judge();
        outcome
    }

    /// Whether generator and server met all conditions.
    pub fn is_clean(&self) -> bool {
        self.verdict == "ok"
    }

    /// What speaks against it: first of all the generator.
    fn judge(&self) -> &'static str {
        // A bad network loses and delays by itself.
        let is_far = matches!(self.scenario.extra, Stress::Impaired(_));
        match self {
            _ if self.generator_cpu > BUSY => "void: generator busy",
            _ if self.generator_late > LATE_MS => "void: generator late",
            _ if self.forwarded == 0.0 || self.broken > 0 => "broken",
            _ if self.deaf > 0 => "deaf",
            _ if self.loss > LOSS && !is_far => "loss",
            _ if self.latency.p99 > LIMIT_MS && !is_far => "late",
            _ => "ok",
        }
    }
}
