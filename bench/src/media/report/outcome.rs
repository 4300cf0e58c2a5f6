//! The result of one run.

use crate::media::{
    client::{
        context::JoinTimes,
        counters::{Counters, new_histogram},
    },
    scenario::model::{Scenario, Stress},
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Largest CPU share of the generator for a valid run.
const MAX_GENERATOR_CPU: f64 = 0.90;
/// Largest lateness of the generator at the 99th percentile for a valid run, in ms.
const MAX_LATENESS_MS: f64 = 2.0;
/// Largest share of lost packets.
const MAX_LOSS: f64 = 0.001;
/// Largest latency at the 99th percentile, in ms.
const MAX_LATENCY_MS: f64 = 5.0;

/// Percentiles of a distribution, in ms.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    /// The median, in ms.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
}

impl Percentiles {
    /// The percentiles of a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }

    /// The percentiles of durations.
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
    /// Duration of the window, in seconds.
    pub seconds: f64,
    /// CPU time of the server in the window, in seconds.
    pub server: f64,
    /// CPU time of the generator in the window, in seconds.
    pub generator: f64,
    /// Resident memory of the server per client, in KiB.
    pub memory: f64,
    /// CPU time of the server per join, in ms.
    pub join: f64,
}

/// The results of the stress in addition to the traffic.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StressResult {
    /// From the request of a layer to its first packet, in ms.
    pub switch: Option<Percentiles>,
    /// Number of completed layer switches.
    pub switches: u64,
    /// Layer requests without an effect before the next request.
    pub unanswered: u64,
    /// Visitors who joined and left.
    pub visitors: u32,
    /// Growth of resident memory over the second half of the window, in KiB per minute.
    pub growth: Option<f64>,
}

/// The result of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The scenario that ran.
    pub scenario: Scenario,
    /// The name of the scenario.
    pub title: String,
    /// Name of the server under test.
    pub server: String,
    /// Packets per second sent by publishers.
    pub sent: f64,
    /// Packets per second forwarded by the server.
    pub forwarded: f64,
    /// Packets forwarded per second of the server's CPU time.
    pub per_cpu_second: f64,
    /// Megabits per second forwarded.
    pub megabits: f64,
    /// CPU share of the server, of one core.
    pub cpu: f64,
    /// Share of expected packets that were lost.
    pub loss: f64,
    /// Share of audio among the lost packets.
    pub audio_share_of_loss: f64,
    /// Packets received out of order.
    pub reordered: u64,
    /// Packets received more than once.
    pub duplicates: u64,
    /// Retransmitted packets that clients received.
    pub retransmitted: u64,
    /// Decrypted packets with a wrong payload.
    pub corrupt: u64,
    /// Packets that clients decrypted.
    pub decrypted: u64,
    /// Latency of decrypted packets, in ms.
    pub latency: Percentiles,
    /// Time from the start of a join to the connection, in ms.
    pub connected: Percentiles,
    /// Time from the start of a join to the first media packet, in ms.
    pub first_media: Percentiles,
    /// Clients without any media.
    pub without_media: usize,
    /// CPU time of the server per join, in ms.
    pub join_cpu: f64,
    /// Resident memory of the server per client, in KiB.
    pub memory: f64,
    /// Lateness of the generator at the 99th percentile, in ms.
    pub generator_late: f64,
    /// CPU share of the generator, of one core.
    pub generator_cpu: f64,
    /// Keyframe requests per second.
    pub keyframes: f64,
    /// Largest gap between video frames at decrypting clients, in ms.
    pub longest_gap: f64,
    /// The results of the stress.
    pub stress: StressResult,
    /// "ok", or why the run does not count.
    pub status: &'static str,
}

impl Outcome {
    /// Combines the figures of a run.
    pub fn new(
        scenario: Scenario,
        server: &str,
        counters: &Counters,
        cost: ResourceUsage,
        joins: &[JoinTimes],
        stress: StressResult,
    ) -> Self {
        let receivers = joins.len();
        let since = |then: fn(&JoinTimes) -> Option<Instant>| {
            let took = move |join: &JoinTimes| Some(then(join)? - join.started);
            Percentiles::of_durations(joins.iter().filter_map(took))
        };
        let with_media = joins
            .iter()
            .filter(|join| join.first_media.is_some())
            .count();
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
            reordered: counters.reordered,
            duplicates: counters.duplicates,
            retransmitted: counters.retransmitted,
            corrupt: counters.corrupt,
            decrypted: counters.latency.len(),
            latency: Percentiles::of(&counters.latency),
            connected: since(|join| join.connected),
            first_media: since(|join| join.first_media),
            without_media: receivers - with_media,
            join_cpu: cost.join,
            memory: cost.memory,
            generator_late: Percentiles::of(&counters.lateness).p99,
            generator_cpu: cost.generator / cost.seconds,
            keyframes: second(counters.keyframes),
            longest_gap: counters.frame_gaps.max() as f64 / 1_000.0,
            stress,
            status: "",
        };
        outcome.status = outcome.verify();
        outcome
    }

    /// Whether the run counts.
    pub fn is_clean(&self) -> bool {
        self.status == "ok"
    }

    /// Checks the conditions of a valid run, those of the generator first.
    fn verify(&self) -> &'static str {
        // An impaired network loses and delays by itself.
        let is_impaired = matches!(self.scenario.stress, Stress::Impaired(_));
        match self {
            _ if self.generator_cpu > MAX_GENERATOR_CPU => "void: generator busy",
            _ if self.generator_late > MAX_LATENESS_MS => "void: generator late",
            _ if self.forwarded == 0.0 || self.corrupt > 0 => "corrupt",
            _ if self.without_media > 0 => "no media",
            _ if self.loss > MAX_LOSS && !is_impaired => "loss",
            _ if self.latency.p99 > MAX_LATENCY_MS && !is_impaired => "latency",
            _ => "ok",
        }
    }
}
