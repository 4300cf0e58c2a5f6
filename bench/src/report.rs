//! Tables for people and JSON for programs.

use crate::{
    chat::{LoadStep, Outcome},
    pages::{Figures, Look, Rendered},
};
use anyhow::Result;
use serde::Serialize;
use std::{collections::BTreeMap, fs, path::Path};

/// Writes results beside each other.
pub fn write(out: &Path, name: &str, results: &impl Serialize) -> Result<()> {
    let file = out.join(name);
    fs::write(&file, serde_json::to_string_pretty(results)?)?;
    println!("\nwritten: {}", file.display());
    Ok(())
}

/// One server in one scenario, as soon as it is known.
pub fn chat_line(outcome: &Outcome) {
    let best = outcome.best();
    let of = |figure: fn(&LoadStep) -> f64| best.map_or(f64::NAN, figure);
    println!(
        "{:>6} in rooms of {:<4} {:<16} {:>8.0} a CPU-s  {:>8.0}/s until {:<9} \
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

/// What everything comes to: each server beside Socket.IO, scenario by scenario.
pub fn chat(out: &Path, outcomes: &[Outcome]) -> Result<()> {
    println!("\nNoom beside socket.io (medians where a scenario was played more than once)");
    let mut scenarios: BTreeMap<(usize, usize), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        let scenario = (outcome.people, outcome.room);
        scenarios.entry(scenario).or_default().push(outcome);
    }
    for ((people, room), played) in scenarios {
        compare(people, room, &played);
    }
    write(out, "chat.json", &outcomes)
}

/// One scenario: ratios of medians.
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
        "{people:>6} in rooms of {room:<4} deliveries a CPU-second {:>5.2} times, \
         memory {:>4.2} times, p99 at {load:.0}/s: {our_p99:.1} ms beside {their_p99:.1} ms",
        efficiency(&ours) / efficiency(&theirs),
        memory(&ours) / memory(&theirs),
    );
}

/// Latency of both at the highest load that both kept up with, and that load.
fn at_equal_load(ours: &[&Outcome], theirs: &[&Outcome]) -> (f64, f64, f64) {
    let loads = |outcomes: &[&Outcome]| -> Vec<f64> {
        let steps = outcomes.iter().flat_map(|outcome| outcome.kept_up());
        steps.map(|step| step.offered).collect()
    };
    let ours_at = loads(ours);
    let both = loads(theirs)
        .into_iter()
        .filter(|load| ours_at.contains(load));
    let load = both.fold(0.0, f64::max);
    let p99 = |outcomes: &[&Outcome]| {
        let steps = outcomes.iter().flat_map(|outcome| outcome.kept_up());
        let same = steps.filter(|step| step.offered == load);
        median(same.map(|step| step.p99).collect())
    };
    (p99(ours), p99(theirs), load)
}

/// Pages of every server, and what ours come to beside the peer's.
pub fn pages(rendered: &[Rendered]) {
    println!("\nPages (medians)");
    for page in ["welcome", "room"] {
        let of = |server: &str, figure: fn(&Figures) -> f64| {
            let found = rendered.iter();
            let found = found.filter(|one| one.server == server && one.page == page);
            median(found.map(|one| figure(&one.figures)).collect())
        };
        for server in ["noom", "express + pug"] {
            println!(
                "{page:<8} {server:<14} {:>7.0} a CPU-s  {:>7.0}/s  p50 {:>5.2} p99 {:>5.2} ms  {:>7.0} bytes",
                of(server, |figures| figures.per_cpu_second),
                of(server, |figures| figures.pages),
                of(server, |figures| figures.p50),
                of(server, |figures| figures.p99),
                of(server, |figures| figures.bytes as f64),
            );
        }
        let ratio = |figure| of("noom", figure) / of("express + pug", figure);
        println!(
            "{page:<8} noom beside express + pug: {:.2} times the pages a CPU-second, {:.2} times the p99",
            ratio(|figures| figures.per_cpu_second),
            ratio(|figures| figures.p99),
        );
    }
}

/// What Lighthouse says.
pub fn lighthouse(looks: &[Look]) {
    println!("\nLighthouse: performance, accessibility, best practices");
    for look in looks {
        for (device, scores) in [
            ("phone", &look.found.phone),
            ("desktop", &look.found.desktop),
        ] {
            println!(
                "{:<8} {:<14} {device:<8} {:>3} {:>3} {:>3}  first paint {:>5} ms, largest {:>5} ms, \
                 blocked {:>4} ms, {:>7} bytes  {}",
                look.page,
                look.server,
                scores.performance,
                scores.accessibility,
                scores.best_practices,
                scores.first_paint_ms,
                scores.largest_paint_ms,
                scores.blocked_ms,
                scores.bytes,
                scores.failed.join(" "),
            );
        }
    }
}

/// The middle one; not a number where there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}
