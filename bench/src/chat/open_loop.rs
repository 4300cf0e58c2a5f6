//! An open-loop load: messages are due at fixed times.
//!
//! A slow server does not slow the generator down, and latency counts from the due time. The
//! lateness of the generator is measured too, because a late generator invalidates a step.

use super::{
    clients::{ClientPool, Scenario},
    counters::new_histogram,
};
use crate::server::{CpuTime, Server};
use anyhow::Result;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Shortest sleep between two checks for due messages: the resolution of Tokio's timers.
const TICK: Duration = Duration::from_millis(1);
/// Longest wait for the last messages.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest lateness of the generator at the 99th percentile for a valid step, in microseconds.
const MAX_LATENESS_US: u64 = 20_000;
/// Largest CPU share of the generator for a valid step.
const MAX_GENERATOR_CPU: f64 = 0.97;

/// The result of one load.
#[derive(Debug, Clone, Serialize)]
pub struct LoadStep {
    /// Offered load, in deliveries per second.
    pub offered: f64,
    /// Deliveries per second during the step.
    pub deliveries: f64,
    /// Deliveries per second of the server's CPU time.
    pub per_cpu_second: f64,
    /// CPU share of the server, of one core.
    pub cpu: f64,
    /// Share of the storing thread in the server's CPU time.
    pub store_share: f64,
    /// Median latency, in ms.
    pub p50: f64,
    /// Latency at the 99th percentile, in ms.
    pub p99: f64,
    /// Latency at the 99.9th percentile, in ms.
    pub p999: f64,
    /// Lateness of the generator at the 99th percentile, in ms.
    pub generator_p99: f64,
    /// CPU share of the generator, of one core.
    pub generator_cpu: f64,
    /// Deliveries missing 3 s after the end.
    pub lost: u64,
    /// Messages that arrived twice or out of order.
    pub disordered: u64,
    /// Messages that the server refused.
    pub refused: u64,
    /// Connections that ended, and failed sends on them.
    pub closed: u64,
}

impl LoadStep {
    /// Whether the generator was the limit, which makes the step invalid.
    pub fn is_void(&self) -> bool {
        self.generator_p99 * 1_000.0 > MAX_LATENESS_US as f64
            || self.generator_cpu > MAX_GENERATOR_CPU
    }

    /// Whether the step is valid and the server sustained it.
    pub fn is_sustained(&self, limit_ms: f64) -> bool {
        self.is_clean() && !self.is_void() && self.p99 <= limit_ms
    }

    /// Whether every message arrived once and in order.
    pub fn is_clean(&self) -> bool {
        self.lost + self.disordered + self.refused + self.closed == 0
    }
}

/// Lets the senders send in turn so that `offered` deliveries per second are due, for `seconds`.
pub async fn run_step(
    clients: &mut ClientPool,
    server: &Server,
    scenario: Scenario,
    offered: f64,
    seconds: f64,
    turn: &mut usize,
    start: Instant,
) -> Result<LoadStep> {
    let others = (scenario.room - 1) as f64;
    let gap = Duration::from_secs_f64(others / offered);
    let messages = (seconds / gap.as_secs_f64()).ceil() as u64;
    let mut lateness = new_histogram();
    clients.counters.borrow_mut().reset();
    let (cpu, own, began) = (server.cpu_time()?, own_cpu_time()?, Instant::now());
    let mut sent = 0;
    while sent < messages {
        let due = began + gap.mul_f64(sent as f64);
        let now = Instant::now();
        if due > now {
            sleep(TICK.max(due - now)).await;
            continue;
        }
        let late = u64::try_from((now - due).as_micros()).unwrap_or(u64::MAX);
        lateness.saturating_record(late);
        let due = u64::try_from((due - start).as_nanos())?;
        let senders = clients.senders.len();
        let sender = &mut clients.senders[*turn % senders];
        if sender.send(clients.protocol, due).await.is_err() {
            // The server has closed the connection; the message counts as lost.
            clients.counters.borrow_mut().closed += 1;
        }
        *turn += 1;
        sent += 1;
        // Many due messages must not starve the receiving tasks.
        tokio::task::yield_now().await;
    }
    let arrived = clients.counters.borrow().deliveries;
    let took = began.elapsed().as_secs_f64();
    let expected = messages * (scenario.room as u64 - 1);
    drain(clients, expected).await;
    let used = server.cpu_time()?.since(cpu);
    let own = own_cpu_time()?.since(own);
    let whole = began.elapsed().as_secs_f64();
    let counters = clients.counters.borrow();
    let at = |quantile| counters.latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(LoadStep {
        offered,
        deliveries: arrived as f64 / took,
        per_cpu_second: counters.deliveries as f64 / used.all.max(0.01),
        cpu: used.all / whole,
        store_share: used.store / used.all.max(0.01),
        p50: at(0.5),
        p99: at(0.99),
        p999: at(0.999),
        generator_p99: lateness.value_at_quantile(0.99) as f64 / 1_000.0,
        generator_cpu: own.all / whole,
        lost: expected.saturating_sub(counters.deliveries),
        disordered: counters.disordered,
        refused: counters.refused,
        closed: counters.closed,
    })
}

/// Waits for the last deliveries.
async fn drain(clients: &ClientPool, expected: u64) {
    let end = Instant::now() + DRAIN_TIMEOUT;
    while clients.counters.borrow().deliveries < expected && Instant::now() < end {
        sleep(TICK).await;
    }
}

/// CPU time of this process.
fn own_cpu_time() -> Result<CpuTime> {
    crate::server::cpu_time_of(std::process::id())
}
