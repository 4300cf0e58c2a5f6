//! Calls: packets per second of CPU time that each server forwards, their latency, and the cost of
//! a connection.
//!
//! Each scenario runs on every server in turn, freshly started, several times, so that other load
//! of the machine affects all of them. The result is a ratio of medians.
//!
//! * [`net`] the network: a namespace, the clients' sockets, and impairments.
//! * [`traffic`] the packets of publishers.
//! * [`client`] the clients and the thread they share.
//! * [`scenario`] the scenarios; [`servers`] the servers under test.
//! * [`run`] one run; [`stress`] layer switches, visitors and memory; [`report`] results.
//! * [`background_call`] a call that runs during an attack.

mod background_call;
mod client;
pub mod net;
mod report;
mod run;
mod scenario;
pub mod servers;
mod stress;
mod traffic;

pub use background_call::BackgroundCall;

use crate::{Arguments, results};
use anyhow::Result;
use clap::Args;
use report::table;
use run::Timing;
use scenario::{
    catalogue::{ALL, QUICK},
    model::{Scenario, Stress},
};
use servers::Sfu;
use std::time::Duration;

/// Runs of a scenario that has a target.
const REPEATS: usize = 5;
/// Window of a soak, in seconds.
const SOAK_SECONDS: f64 = 1_800.0;

/// Options of `noom-bench media`.
#[derive(Debug, Args)]
pub struct Options {
    /// Only servers whose name starts with this.
    #[arg(long)]
    only: Vec<String>,
    /// Only scenarios whose name starts with this: B1, "B2 10".
    #[arg(long)]
    scenario: Option<String>,
    /// Runs of each scenario on each server.
    #[arg(long)]
    repeats: Option<usize>,
    /// Measurement window, in seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Packets of a frame that are sent back to back.
    #[arg(long, default_value_t = 1)]
    burst: u32,
    /// Continue after a failed run.
    #[arg(long)]
    lenient: bool,
    /// Set when this program has restarted itself inside its network namespace.
    #[arg(long, hide = true)]
    pub inside: bool,
}

impl Options {
    /// The durations of a run.
    fn timing(&self, quick: bool, scenario: Scenario) -> Timing {
        let is_soak = scenario.stress == Stress::Soak;
        let (settle, window) = match (quick, is_soak) {
            (true, _) => (1.0, 5.0),
            (false, true) => (3.0, SOAK_SECONDS),
            (false, false) => (3.0, 20.0),
        };
        Timing {
            settle: Duration::from_secs_f64(settle),
            window: Duration::from_secs_f64(self.seconds.unwrap_or(window)),
        }
    }

    /// Whether a server is selected.
    fn includes(&self, sfu: Sfu) -> bool {
        let starts = |only: &String| sfu.name().starts_with(only.as_str());
        self.only.is_empty() || self.only.iter().any(starts)
    }

    /// The selected scenarios.
    fn scenarios(&self, quick: bool) -> Vec<Scenario> {
        let all = if quick { QUICK } else { ALL };
        let Some(wanted) = &self.scenario else {
            // A soak runs on request only.
            let short = all
                .iter()
                .filter(|scenario| scenario.stress != Stress::Soak);
            return short.copied().collect();
        };
        let scenarios = ALL
            .iter()
            .filter(|scenario| scenario.title().starts_with(wanted.as_str()));
        scenarios.copied().collect()
    }
}

/// Runs all selected scenarios and reports them.
///
/// # Errors
/// A run fails, unless `--lenient` is set.
pub async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let mut outcomes = Vec::new();
    for scenario in options.scenarios(arguments.quick) {
        let usual = if scenario.is_headline() && !arguments.quick {
            REPEATS
        } else {
            1
        };
        for _ in 0..options.repeats.unwrap_or(usual) {
            let all = Sfu::ALL.into_iter().filter(|sfu| options.includes(*sfu));
            for sfu in all.filter(|sfu| sfu.supports(&scenario)) {
                match run::run(arguments, options, sfu, scenario).await {
                    Ok(outcome) => {
                        table::print_run(&outcome);
                        outcomes.push(outcome);
                    }
                    Err(error) if options.lenient => {
                        println!("{:<16} {:<20} {error:#}", scenario.title(), sfu.name());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    table::compare(&outcomes);
    results::write(&arguments.out, "media.json", &outcomes)
}
