//! The load of the process, and the delay by which broadcasts coalesce under load.
//!
//! The runtime counts the busy time of each worker thread. [`watch`] samples the busy share ten
//! times a second and smooths it. [`coalescing_delay`] grows with the load.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep},
};

/// Interval between two samples. 100 ms: rush hours build up more slowly.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// The stored value of a load of 1.
const SCALE: f64 = 1_000_000.0;
/// Load above which [`coalescing_delay`] grows.
const CALM_LOAD: f64 = 0.45;
/// Load at which [`coalescing_delay`] reaches [`MAX_DELAY`].
const FULL_LOAD: f64 = 0.75;
/// Coalescing delay of a fully loaded process. 25 ms: imperceptible.
const MAX_DELAY: Duration = Duration::from_millis(25);

/// The load of this process, in units of 1 / [`SCALE`].
static LOAD: AtomicU32 = AtomicU32::new(0);

/// Samples the load until the server stops.
pub async fn watch(mut stopping: watch::Receiver<bool>) {
    let sampling = async {
        let (mut busy, mut sampled_at) = (total_busy_time(), Instant::now());
        loop {
            sleep(SAMPLE_INTERVAL).await;
            let (busy_now, now) = (total_busy_time(), Instant::now());
            let available =
                (now - sampled_at).mul_f64(Handle::current().metrics().num_workers() as f64);
            record(busy_now.saturating_sub(busy).div_duration_f64(available));
            (busy, sampled_at) = (busy_now, now);
        }
    };
    tokio::select! {
        () = sampling => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// The busy time of all worker threads since the start.
fn total_busy_time() -> Duration {
    let metrics = Handle::current().metrics();
    let workers = 0..metrics.num_workers();
    workers
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .sum()
}

/// Records a sample. The new load is the mean of the sample and the previous load.
fn record(share: f64) {
    let smooth = f64::midpoint(load(), share.clamp(0.0, 1.0));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and a million"
    )]
    LOAD.store((smooth * SCALE) as u32, Relaxed);
}

/// The share of time in which the worker threads are busy, 0 to 1.
pub fn load() -> f64 {
    f64::from(LOAD.load(Relaxed)) / SCALE
}

/// How long a broadcast may wait to coalesce with others.
pub fn coalescing_delay() -> Duration {
    coalescing_delay_at(load())
}

/// Whether background work may run.
pub fn is_calm() -> bool {
    load() < CALM_LOAD
}

/// The delay for a load. It grows linearly from [`CALM_LOAD`] to [`FULL_LOAD`].
fn coalescing_delay_at(load: f64) -> Duration {
    let share = ((load - CALM_LOAD) / (FULL_LOAD - CALM_LOAD)).clamp(0.0, 1.0);
    MAX_DELAY.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    #[test]
    fn coalescing_delay_grows_with_the_load_and_stays_within_bounds() {
        for (load, coalescing_delay) in [
            (0.0, NONE),
            (CALM_LOAD, NONE),
            (FULL_LOAD, MAX_DELAY),
            (1.0, MAX_DELAY),
        ] {
            assert_eq!(coalescing_delay_at(load), coalescing_delay, "{load}");
        }
        let between = coalescing_delay_at(f64::midpoint(CALM_LOAD, FULL_LOAD));
        assert!(NONE < between && between < MAX_DELAY);
    }
}
