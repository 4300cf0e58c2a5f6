//! Printing the results of chat runs.

use super::{LoadStep, Outcome};
use crate::results::{self, median};
use anyhow::Result;
use std::{collections::BTreeMap, path::Path};

/// Prints one run.
pub fn print_run(outcome: &Outcome) {
    let best = outcome.best();
    let of = |figure: fn(&LoadStep) -> f64| best.map_or(f64::NAN, figure);
    println!(
        "{:>6} in rooms of {:<4} {:<16} {:>8.0} per CPU-s  {:>8.0}/s until {:<9} \
         p50 {:>6.1} p99 {:>6.1} p99.9 {:>6.1} ms  {:>5.1} KiB  {:>6.0} connects/s  idle {:>5.1} ms/s/1000",
        outcome.people,
        outcome.room,
        outcome.server,
        of(|step| step.per_cpu_second),
        of(|step| step.deliveries),
        outcome.stopped_by(),
        of(|step| step.p50),
        of(|step| step.p99),
        of(|step| step.p999),
        outcome.memory,
        outcome.connects,
        outcome.idle,
    );
}

/// Prints Noom relative to Socket.IO for each scenario, and writes all runs.
pub fn finish(out: &Path, outcomes: &[Outcome]) -> Result<()> {
    println!("\nNoom relative to Socket.IO (medians of repeated runs)");
    let mut scenarios: BTreeMap<(usize, usize), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        let scenario = (outcome.people, outcome.room);
        scenarios.entry(scenario).or_default().push(outcome);
    }
    for ((people, room), played) in scenarios {
        compare(people, room, &played);
    }
    results::write(out, "chat.json", &outcomes)
}

/// Prints the ratios of medians of one scenario.
fn compare(people: usize, room: usize, played: &[&Outcome]) {
    let of = |server: &str| -> Vec<&Outcome> {
        let found = played.iter().filter(|outcome| outcome.server == server);
        found.copied().collect()
    };
    let (ours, theirs) = (of("noom"), of("socket.io"));
    if ours.is_empty() || theirs.is_empty() {
        return;
    }
    let efficiency = |outcomes: &[&Outcome]| {
        let best = outcomes.iter().filter_map(|outcome| outcome.best());
        median(best.map(|step| step.per_cpu_second).collect())
    };
    let memory =
        |outcomes: &[&Outcome]| median(outcomes.iter().map(|outcome| outcome.memory).collect());
    let (our_p99, their_p99, load) = at_equal_load(&ours, &theirs);
    println!(
        "{people:>6} in rooms of {room:<4} deliveries per CPU-second {:>5.2} times, \
         memory {:>4.2} times, p99 at {load:.0}/s: {our_p99:.1} ms vs. {their_p99:.1} ms",
        efficiency(&ours) / efficiency(&theirs),
        memory(&ours) / memory(&theirs),
    );
}

/// The 99th percentiles of both at the highest load that both sustained, and that load.
fn at_equal_load(ours: &[&Outcome], theirs: &[&Outcome]) -> (f64, f64, f64) {
    let loads = |outcomes: &[&Outcome]| -> Vec<f64> {
        let steps = outcomes.iter().flat_map(|outcome| outcome.sustained());
        steps.map(|step| step.offered).collect()
    };
    let ours_at = loads(ours);
    let both = loads(theirs)
        .into_iter()
        .filter(|load| ours_at.contains(load));
    let load = both.fold(0.0, f64::max);
    let p99 = |outcomes: &[&Outcome]| {
        let steps = outcomes.iter().flat_map(|outcome| outcome.sustained());
        let same = steps.filter(|step| step.offered == load);
        median(same.map(|step| step.p99).collect())
    };
    (p99(ours), p99(theirs), load)
}
