//! Chat: deliveries per second of CPU time, their latency, and the cost of an idle connection.
//!
//! Each scenario (a number of people in rooms of one size) runs on every server in turn, freshly
//! started. The load rises until the 99th percentile of latency exceeds 100 ms, the generator is at
//! its limit, or all clients send at the highest allowed rate.
//!
//! * [`clients`] the connections; [`user`] a single one.
//! * [`open_loop`] sending at a fixed rate; [`counters`] of received messages; [`report`] tables.

mod clients;
mod counters;
mod open_loop;
mod report;
mod user;

pub use clients::{ClientPool, Scenario};
pub use counters::new_histogram;
pub use open_loop::{LoadStep, run_step};
pub use user::ChatUser;

use crate::{
    Arguments,
    implementation::{Implementation, RunningServer},
};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Latency at the 99th percentile at which a server counts as overloaded, in ms.
const MAX_P99_MS: f64 = 100.0;
/// Largest rate of a sender, in messages per second; Noom allows 5.
const MAX_RATE_PER_PERSON: f64 = 4.5;
/// First load, in deliveries per second.
const FIRST_LOAD: f64 = 5_000.0;
/// Last load, in deliveries per second.
const LAST_LOAD: f64 = 640_000.0;

/// The result of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Name of the server.
    pub server: &'static str,
    /// Number of connections.
    pub people: usize,
    /// People per room.
    pub room: usize,
    /// Joined connections per second.
    pub connects: f64,
    /// Time to join at the 99th percentile, 64 at a time, in ms.
    pub join_p99: f64,
    /// Resident memory per idle connection, in KiB.
    pub memory: f64,
    /// CPU time without messages, in ms per second and 1,000 connections.
    pub idle: f64,
    /// The loads, in order.
    pub steps: Vec<LoadStep>,
}

impl Outcome {
    /// The valid steps that the server sustained.
    pub fn sustained(&self) -> impl Iterator<Item = &LoadStep> {
        self.steps
            .iter()
            .filter(|step| step.is_sustained(MAX_P99_MS))
    }

    /// The highest sustained load.
    pub fn best(&self) -> Option<&LoadStep> {
        self.sustained()
            .max_by(|one, other| one.deliveries.total_cmp(&other.deliveries))
    }

    /// The reason that ended the run.
    pub fn stopped_by(&self) -> &'static str {
        match self.steps.last() {
            Some(step) if step.is_void() => "generator",
            Some(step) if !step.is_clean() => "loss",
            Some(step) if step.p99 > MAX_P99_MS => "p99",
            _ => "rate",
        }
    }
}

/// Options of `noom-bench chat`.
#[derive(Debug, Args)]
pub struct Options {
    /// Only this server.
    #[arg(long)]
    only: Option<String>,
    /// Only this number of clients.
    #[arg(long)]
    people: Option<usize>,
    /// Only rooms of this size.
    #[arg(long)]
    room: Option<usize>,
    /// Only this load, in deliveries per second.
    #[arg(long)]
    load: Option<f64>,
    /// Duration of a load, in seconds.
    #[arg(long)]
    seconds: Option<f64>,
}

/// The selected scenarios and the settings of their runs.
struct Plan {
    scenarios: Vec<Scenario>,
    /// The only server, if one is selected.
    only: Option<String>,
    /// The only load, if one is selected, in deliveries per second.
    load: Option<f64>,
    /// Duration of a load, in seconds.
    seconds: f64,
    /// Duration without messages, for memory and idle CPU time.
    quiet: Duration,
    /// Runs of the scenario that has a target.
    repeats: usize,
}

/// The scenario that has a target.
const HEADLINE: Scenario = Scenario {
    people: 1_000,
    room: 100,
};

impl Plan {
    /// All scenarios, the headline only, or the selected ones.
    fn new(quick: bool, options: &Options) -> Self {
        let rooms = [2, 10, 100, 1_000];
        let scenarios = [1_000, 5_000, 10_000].into_iter();
        let scenarios = scenarios.flat_map(|people| rooms.map(|room| Scenario { people, room }));
        let is_chosen = |scenario: &Scenario| {
            options
                .people
                .is_none_or(|people| people == scenario.people)
                && options.room.is_none_or(|room| room == scenario.room)
        };
        let has_choice = options.people.or(options.room).is_some();
        let is_included = |scenario: &Scenario| {
            is_chosen(scenario) && (has_choice || !quick || *scenario == HEADLINE)
        };
        Self {
            scenarios: scenarios.filter(is_included).collect(),
            only: options.only.clone(),
            load: options.load,
            seconds: options.seconds.unwrap_or(if quick { 1.0 } else { 2.0 }),
            quiet: Duration::from_secs(if quick { 2 } else { 4 }),
            repeats: if quick { 1 } else { 3 },
        }
    }

    /// Whether a server is selected.
    fn includes(&self, implementation: Implementation) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| only == implementation.name())
    }
}

/// Runs all selected scenarios and reports them.
pub async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let plan = Plan::new(arguments.quick, options);
    let mut outcomes = Vec::new();
    for scenario in &plan.scenarios {
        let repeats = if *scenario == HEADLINE {
            plan.repeats
        } else {
            1
        };
        for _ in 0..repeats {
            let all = implementations(*scenario).into_iter();
            for implementation in all.filter(|one| plan.includes(*one)) {
                let outcome = run_scenario(arguments, &plan, implementation, *scenario).await?;
                report::print_run(&outcome);
                outcomes.push(outcome);
            }
        }
    }
    report::finish(&arguments.out, &outcomes)
}

/// The servers of a scenario. The scenarios of the smallest number of people also run Noom in
/// memory, which shows the cost of the disk.
fn implementations(scenario: Scenario) -> Vec<Implementation> {
    let mut implementations = vec![Implementation::Noom];
    if scenario.people == HEADLINE.people {
        implementations.push(Implementation::NoomInMemory);
    }
    implementations.extend([
        Implementation::SocketIo,
        Implementation::Ws,
        Implementation::Socketioxide,
    ]);
    implementations
}

/// Runs one scenario on one server.
async fn run_scenario(
    arguments: &Arguments,
    plan: &Plan,
    implementation: Implementation,
    scenario: Scenario,
) -> Result<Outcome> {
    let running = implementation.start(&arguments.noom).await?;
    let server = &running.server;
    let empty = server.memory()?;
    let start = Instant::now();
    let mut clients =
        ClientPool::connect(server, implementation.protocol(), scenario, start).await?;
    let people = scenario.people as f64;
    // Pending work of the joins is not idle time.
    sleep(plan.quiet).await;
    let before = server.cpu_time()?;
    sleep(plan.quiet).await;
    let idle = server.cpu_time()?.since(before).all;
    let memory = (server.memory()? - empty) / people;
    let steps = raise_load(&running, &mut clients, plan, scenario, start).await?;
    let outcome = Outcome {
        server: implementation.name(),
        people: scenario.people,
        room: scenario.room,
        connects: people / clients.took.as_secs_f64(),
        join_p99: clients.join_times.value_at_quantile(0.99) as f64 / 1_000.0,
        memory,
        idle: idle * 1_000.0 / plan.quiet.as_secs_f64() / (people / 1_000.0),
        steps,
    };
    running.server.stop().await?;
    Ok(outcome)
}

/// Doubles the load until the server does not sustain it, then ends with three quarters of that
/// load. A load that fails is tried once more, because the machine may have been busy.
async fn raise_load(
    running: &RunningServer,
    clients: &mut ClientPool,
    plan: &Plan,
    scenario: Scenario,
    start: Instant,
) -> Result<Vec<LoadStep>> {
    let max_load = MAX_RATE_PER_PERSON * scenario.people as f64 * (scenario.room - 1) as f64;
    let mut turn = 0;
    let mut steps: Vec<LoadStep> = Vec::new();
    let mut offered = plan.load.unwrap_or(FIRST_LOAD).min(max_load);
    let (mut is_retry, mut is_last) = (false, plan.load.is_some());
    loop {
        let server = &running.server;
        let step = open_loop::run_step(
            clients,
            server,
            scenario,
            offered,
            plan.seconds,
            &mut turn,
            start,
        );
        let step = step.await?;
        let (is_overload, is_first) = (!step.is_sustained(MAX_P99_MS), steps.is_empty());
        steps.push(step);
        if is_overload && !is_retry {
            is_retry = true;
            continue;
        }
        is_retry = false;
        let is_at_end = !is_overload && offered >= max_load.min(LAST_LOAD);
        if is_last || (is_overload && is_first) || is_at_end {
            return Ok(steps);
        }
        is_last = is_overload;
        offered = match is_overload {
            true => offered * 0.75,
            false => (offered * 2.0).min(max_load),
        };
    }
}
