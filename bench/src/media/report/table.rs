//! Prints runs as lines, and their medians as ratios.

use super::outcome::Outcome;
use crate::{media::scenario::model::Stress, results::median};

/// Prints one run.
pub fn print_run(outcome: &Outcome) {
    let Outcome {
        latency,
        connected,
        first_media,
        ..
    } = outcome;
    println!(
        "{:<16} {:<20} {:>8.0} per CPU-s {:>8.0}/s {:>5.0} Mbit/s cpu {:>4.0} %  loss {:>6.3} % ({:>3.0} % audio)  \
         p50 {:>5.2} p99 {:>6.2} p99.9 {:>6.2} ms  {:>5.0} KiB  join p50 {:>4.0} p99 {:>5.0}, \
         first media p99 {:>5.0} ms, {:>4.1} ms CPU  generator {:>3.0} % {:>4.2} ms  {}",
        outcome.title,
        outcome.server,
        outcome.per_cpu_second,
        outcome.forwarded,
        outcome.megabits,
        outcome.cpu * 100.0,
        outcome.loss * 100.0,
        outcome.audio_share_of_loss * 100.0,
        latency.p50,
        latency.p99,
        latency.p999,
        outcome.memory,
        connected.p50,
        connected.p99,
        first_media.p99,
        outcome.join_cpu,
        outcome.generator_cpu * 100.0,
        outcome.generator_late,
        outcome.status,
    );
    print_stress(outcome);
}

/// Prints the results of the stress in addition to the traffic.
fn print_stress(outcome: &Outcome) {
    let result = &outcome.stress;
    match outcome.scenario.stress {
        Stress::None | Stress::JoinStorm(_) => {}
        Stress::LayerSwitching => {
            let Some(switch) = result.switch else { return };
            println!(
                "    {} switches, p50 {:.0} p99 {:.0} ms, {} unanswered, largest gap {:.0} ms, \
                 {:.1} keyframes/s",
                result.switches,
                switch.p50,
                switch.p99,
                result.unanswered,
                outcome.longest_gap,
                outcome.keyframes,
            );
        }
        Stress::Impaired(impairment) => println!(
            "    {impairment:?}: {:.3} % lost in the end, {:.0} retransmitted, largest gap {:.0} ms, \
             {:.0} kbit/s per receiver",
            outcome.loss * 100.0,
            outcome.retransmitted,
            outcome.longest_gap,
            outcome.megabits * 1_000.0 / f64::from(outcome.scenario.everybody() - 1),
        ),
        Stress::Soak => println!(
            "    {} visitors, memory grows by {:.1} KiB per minute",
            result.visitors,
            result.growth.unwrap_or(f64::NAN),
        ),
    }
}

/// Prints for each scenario the medians of all servers, and Noom relative to each.
pub fn compare(outcomes: &[Outcome]) {
    println!("\nMedians, and Noom relative to each");
    let mut titles: Vec<&str> = outcomes.iter().map(|one| one.title.as_str()).collect();
    titles.dedup();
    for title in titles {
        let played: Vec<_> = outcomes.iter().filter(|one| one.title == title).collect();
        let mut servers: Vec<&str> = played.iter().map(|one| one.server.as_str()).collect();
        servers.sort_unstable();
        servers.dedup();
        let of = |server: &str, figure: fn(&Outcome) -> f64| {
            let runs = played.iter().filter(|one| one.server == server);
            // Invalid runs count only where there are no valid ones.
            let (good, rest): (Vec<_>, Vec<_>) = runs.partition(|one| one.is_clean());
            let runs = if good.is_empty() { rest } else { good };
            median(runs.into_iter().map(figure).collect())
        };
        for server in servers {
            let efficiency = of(server, |one| one.per_cpu_second);
            let clean = |name: &str| {
                played
                    .iter()
                    .any(|one| one.server == name && one.is_clean())
            };
            // A ratio with an invalid run is no result.
            let remark = match clean(server) && clean("noom") {
                true => "",
                false => "  (invalid run: no result)",
            };
            println!(
                "{title:<16} {server:<20} {efficiency:>8.0} per CPU-s  p99 {:>6.2} ms  {:>5.0} KiB  \
                 join p99 {:>5.0} ms  noom forwards {:>5.2} times as much{remark}",
                of(server, |one| one.latency.p99),
                of(server, |one| one.memory),
                of(server, |one| one.connected.p99),
                of("noom", |one| one.per_cpu_second) / efficiency,
            );
        }
    }
}
