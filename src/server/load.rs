//! How busy the process is, and what it does about it.
//!
//! The runtime counts how long each of its threads had something to do. A share of that is
//! the load, looked up ten times a second and smoothed; whatever can be cheaper at the
//! price of a little coalescing_delay asks [`coalescing_delay`] how much.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep},
};

/// Between two looks. 100 ms: a rush hour builds up more slowly.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is counted as one.
const WHOLE: f64 = 1_000_000.0;
/// The share of the time above which coalescing_delay grows.
const CALM: f64 = 0.45;
/// The share at which it has grown to the most.
const FULL: f64 = 0.75;
/// Patience of a full process; a calm one has none. 25 ms: still too short to be seen.
const MOST: Duration = Duration::from_millis(25);

/// The load, in millionths; one process, one number.
static LOAD: AtomicU32 = AtomicU32::new(0);

/// Looks at the load until the server stops.
pub async fn watch(mut stopping: watch::Receiver<bool>) {
    let looking = async {
        let (mut busy, mut at) = (busy_time(), Instant::now());
        loop {
            sleep(LOOK_EVERY).await;
            let (later_busy, later) = (busy_time(), Instant::now());
            let all = (later - at).mul_f64(Handle::current().metrics().num_workers() as f64);
            note(later_busy.saturating_sub(busy).div_duration_f64(all));
            (busy, at) = (later_busy, later);
        }
    };
    tokio::select! {
        () = looking => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// How long the threads of the runtime have had something to do, all together.
fn busy_time() -> Duration {
    let metrics = Handle::current().metrics();
    let workers = 0..metrics.num_workers();
    workers
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .sum()
}

/// Takes a look in: half of what is known is what was known before.
fn note(share: f64) {
    let smooth = f64::midpoint(load(), share.clamp(0.0, 1.0));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and a million"
    )]
    LOAD.store((smooth * WHOLE) as u32, Relaxed);
}

/// The share of its time in which the process has something to do, 0 to 1.
pub fn load() -> f64 {
    f64::from(LOAD.load(Relaxed)) / WHOLE
}

/// How long what is told to many may wait for more of it.
pub fn coalescing_delay() -> Duration {
    coalescing_delay_at(load())
}

/// Whether there is time for what can wait.
pub fn is_calm() -> bool {
    load() < CALM
}

/// From none to the most as the load grows.
fn coalescing_delay_at(load: f64) -> Duration {
    let share = ((load - CALM) / (FULL - CALM)).clamp(0.0, 1.0);
    MOST.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    #[test]
    fn coalescing_delay_grows_with_the_load_and_stays_within_bounds() {
        for (load, coalescing_delay) in [(0.0, NONE), (CALM, NONE), (FULL, MOST), (1.0, MOST)] {
            assert_eq!(coalescing_delay_at(load), coalescing_delay, "{load}");
        }
        let between = coalescing_delay_at(f64::midpoint(CALM, FULL));
        assert!(NONE < between && between < MOST);
    }
}
