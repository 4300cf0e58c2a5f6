//! Calls: how many packets a second of CPU time each server forwards, how late, and what a
//! connection costs.
//!
//! Each scenario is played on every server in turn, freshly started, and that several times, so
//! that what else a machine does falls on all of them. EventKind counts is the ratio of medians.
//!
//! * [`net`] the network: a namespace of its own, the sockets of the clients, and impairments.
//! * [`traffic`] what is sent, and how it is recognised.
//! * [`client`] the clients and the thread they share.
//! * [`scenario`] what is played; [`servers`] on which servers.
//! * [`run`] one run; [`stress`] what some of them do besides; [`report`] what came of it.
//! * [`background_call`] a call that goes on while others attack.

mod background_call;
mod client;
pub mod net;
mod report;
mod run;
mod scenario;
pub mod servers;
mod stress;
mod traffic;

pub use background_call::Call;
pub use servers::TempDir;

use crate::Arguments;
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

/// A part of it, for looking into one thing.
#[derive(Debug, Args)]
pub struct Options {
    /// Only servers whose name begins so.
    #[arg(long)]
    only: Vec<String>,
    /// Only scenarios whose title begins so: B1, "B2 10".
    #[arg(long)]
    scenario: Option<String>,
    /// How often each is played.
    #[arg(long)]
    repeats: Option<usize>,
    /// How long a window is open, in seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Packets of a frame that leave together.
    #[arg(long, default_value_t = 1)]
    burst: u32,
    /// Go on although a server cannot be played.
    #[arg(long)]
    lenient: bool,
    /// This is the start inside the network of its own.
    #[arg(long, hide = true)]
    pub inside: bool,
}

impl Default for Options {
    /// Everything, as often as usual, each packet alone.
    fn default() -> Self {
        Self {
            only: Vec::new(),
            scenario: None,
            repeats: None,
            seconds: None,
            burst: 1,
            lenient: false,
            inside: false,
        }
    }
}

impl Options {
    /// How long things last.
    fn times(&self, quick: bool, scenario: Scenario) -> Timing {
        let (settle, window) = match (quick, scenario.extra) {
            (true, _) => (1.0, 5.0),
            (false, Stress::Soak) => (3.0, SOAK_SECONDS),
            (false, _) => (3.0, 20.0),
        };
        Timing {
            settle: Duration::from_secs_f64(settle),
            window: Duration::from_secs_f64(self.seconds.unwrap_or(window)),
        }
    }

    /// Whether a server is played.
    fn includes(&self, sfu: Sfu) -> bool {
        let begins = |only: &String| sfu.name().starts_with(only.as_str());
        self.only.is_empty() || self.only.iter().any(begins)
    }

    /// The scenarios that are played.
    fn scenarios(&self, quick: bool) -> Vec<Scenario> {
        let all = if quick { QUICK } else { ALL };
        let Some(wanted) = &self.scenario else {
            // A soak is played by who asks for it.
            let short = all.iter().filter(|scenario| scenario.extra != Stress::Soak);
            return short.copied().collect();
        };
        let scenarios = ALL
            .iter()
            .filter(|scenario| scenario.title().starts_with(wanted.as_str()));
        scenarios.copied().collect()
    }
}

/// How often the scenarios that the targets name are played.
const REPEATS: usize = 5;
/// How long a soak takes, in seconds.
const SOAK_SECONDS: f64 = 1_800.0;

/// Plays everything and reports it.
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
            for sfu in all.filter(|sfu| scenario.suits(*sfu)) {
                match run::play(arguments, options, sfu, scenario).await {
                    Ok(outcome) => {
                        table::line(&outcome);
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
    crate::report::write(&arguments.out, "media.json", &outcomes)
}
