//! Printing the results of page runs.

use super::{LighthouseResult, PageResult, PageTimings};
use crate::results::median;

/// Prints the medians of all servers, and Noom relative to Express with Pug.
pub fn print_pages(results: &[PageResult]) {
    println!("\nPages (medians)");
    for page in ["welcome", "room"] {
        let of = |server: &str, figure: fn(&PageTimings) -> f64| {
            let found = results
                .iter()
                .filter(|one| one.server == server && one.page == page);
            median(found.map(|one| figure(&one.timings)).collect())
        };
        for server in ["noom", "express + pug"] {
            println!(
                "{page:<8} {server:<14} {:>7.0} per CPU-s  {:>7.0}/s  p50 {:>5.2} p99 {:>5.2} ms  {:>7.0} bytes",
                of(server, |timings| timings.per_cpu_second),
                of(server, |timings| timings.pages),
                of(server, |timings| timings.p50),
                of(server, |timings| timings.p99),
                of(server, |timings| timings.bytes as f64),
            );
        }
        let ratio = |figure| of("noom", figure) / of("express + pug", figure);
        println!(
            "{page:<8} noom relative to express + pug: {:.2} times the pages per CPU-second, {:.2} times the p99",
            ratio(|timings| timings.per_cpu_second),
            ratio(|timings| timings.p99),
        );
    }
}

/// Prints the scores of Lighthouse.
pub fn print_lighthouse(results: &[LighthouseResult]) {
    println!("\nLighthouse: performance, accessibility, best practices");
    for result in results {
        for (device, scores) in [
            ("phone", &result.audits.phone),
            ("desktop", &result.audits.desktop),
        ] {
            println!(
                "{:<8} {:<14} {device:<8} {:>3} {:>3} {:>3}  first paint {:>5} ms, largest {:>5} ms, \
                 blocked {:>4} ms, {:>7} bytes  {}",
                result.page,
                result.server,
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
