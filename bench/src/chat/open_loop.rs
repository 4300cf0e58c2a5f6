//! Speaking at a steady pace, whatever becomes of it.
//!
//! Messages are due at fixed times (an open loop): a server that falls behind does not slow
//! the sender down, and a message's latency counts from when it was due. How late the sender
//! itself was is measured too: a run it spoiled says nothing about the server.

use super::{
    clients::{ClientPool, Scenario},
    counters::new_histogram,
};
use crate::server::{CpuTime, Server};
use anyhow::Result;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Between two looks at what is due: the best the timer can do.
const TICK: Duration = Duration::from_millis(1);
/// How long the last messages may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How late the sender may be for a run to count, at the 99th percentile.
const MAX_LATENESS_US: u64 = 20_000;
/// The share of its core above which the generator counts as the limit.
const MAX_GENERATOR_CPU: f64 = 0.97;

/// What a step came to.
#[derive(Debug, Clone, Serialize)]
pub struct LoadStep {
    /// Deliveries a second that were asked for.
    pub offered: f64,
    /// Deliveries a second that arrived while it lasted.
    pub deliveries: f64,
    /// Deliveries a second of the server's CPU time.
    pub per_cpu_second: f64,
    /// The server's CPU time, as a share of a core.
    pub cpu: f64,
    /// Of that, the thread that stores, as a share of the server's.
    pub store_share: f64,
    /// Latency in ms: half are faster, 99 of 100, 999 of 1,000.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// How late the generator was, in ms, at the 99th percentile.
    pub generator_p99: f64,
    /// The generator's CPU time, as a share of a core.
    pub generator_cpu: f64,
    /// Messages not delivered to everybody within 3 s after the end.
    pub lost: u64,
    /// Messages that came twice or out of order.
    pub disordered: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Connections that broke, and attempts to speak on one that had.
    pub broken: u64,
}

impl LoadStep {
    /// Whether the generator, not the server, set the pace.
    pub fn is_void(&self) -> bool {
        self.generator_p99 * 1_000.0 > MAX_LATENESS_US as f64
            || self.generator_cpu > MAX_GENERATOR_CPU
    }

    /// Whether the server kept up, and so did the generator.
    pub fn keeps_up(&self, limit_ms: f64) -> bool {
        self.is_clean() && !self.is_void() && self.p99 <= limit_ms
    }

    /// Whether every message arrived once and in order.
    pub fn is_clean(&self) -> bool {
        self.lost + self.disordered + self.refused + self.broken == 0
    }
}

/// Takes turns at speaking so that `offered` deliveries a second are due, for `seconds`.
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
    clients.counters.borrow_mut().begin();
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
            // The server has closed the line; what is not said on it counts as lost.
            clients.counters.borrow_mut().broken += 1;
        }
        *turn += 1;
        sent += 1;
        // Many that are due at once must not keep the listeners from listening.
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
        broken: counters.broken,
    })
}

/// Waits for the last messages.
async fn drain(clients: &ClientPool, expected: u64) {
    let end = Instant::now() + DRAIN_TIMEOUT;
    while clients.counters.borrow().deliveries < expected && Instant::now() < end {
        sleep(TICK).await;
    }
}

/// What this program has used.
fn own_cpu_time() -> Result<CpuTime> {
    crate::server::cpu_time_of(std::process::id())
}
