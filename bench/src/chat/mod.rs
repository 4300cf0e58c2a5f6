//! Conversations: how many deliveries a second of CPU time each server gives, how late they
//! are, and what an idle connection costs.
//!
//! Each scenario (so many people in rooms of such a size) is played on every server, one after
//! the other, each freshly started. The load goes up until 99 of 100 messages need more than
//! 100 ms, or the generator cannot follow, or nobody may say more.

mod clients;
mod counters;
mod open_loop;
mod user;

pub use clients::{ClientPool, Scenario};
pub use counters::new_histogram;
pub use open_loop::{LoadStep, run_step};
pub use user::ChatUser;

use crate::{
    Arguments,
    implementation::{Implementation, RunningServer},
    report,
};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Latency at the 99th percentile at which a server counts as overloaded, in ms.
const LIMIT_MS: f64 = 100.0;
/// Messages a second which each person may offer; Noom allows 5.
const MAX_RATE_PER_PERSON: f64 = 4.5;
/// The first load, in deliveries a second.
const FIRST_LOAD: f64 = 5_000.0;
/// The last.
const LAST_LOAD: f64 = 640_000.0;

/// What one server did in one scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The server.
    pub server: &'static str,
    /// Connections.
    pub people: usize,
    /// People a room.
    pub room: usize,
    /// Connections a second, join included.
    pub connects: f64,
    /// How long 99 of 100 took to be in, in ms, 64 at a time.
    pub join_p99: f64,
    /// Resident memory of an idle connection, in KiB.
    pub memory: f64,
    /// CPU time without a message, in ms a second for 1,000 connections.
    pub idle: f64,
    /// The load, from low to high.
    pub steps: Vec<LoadStep>,
}

impl Outcome {
    /// The steps that count: the server kept up, and so did the generator.
    pub fn kept_up(&self) -> impl Iterator<Item = &LoadStep> {
        self.steps.iter().filter(|step| step.keeps_up(LIMIT_MS))
    }

    /// The highest load it kept up with.
    pub fn best(&self) -> Option<&LoadStep> {
        self.kept_up()
            .max_by(|one, other| one.deliveries.total_cmp(&other.deliveries))
    }

    /// What stopped it.
    pub fn stopped_by(&self) -> &'static str {
        match self.steps.last() {
            Some(step) if step.is_void() => "generator",
            Some(step) if !step.is_clean() => "loss",
            Some(step) if step.p99 > LIMIT_MS => "p99",
            _ => "rate",
        }
    }
}

/// A part of it, for looking into one thing.
#[derive(Debug, Args)]
pub struct Options {
    /// Only this server.
    #[arg(long)]
    only: Option<String>,
    /// Only this many people.
    #[arg(long)]
    people: Option<usize>,
    /// Only rooms of this size.
    #[arg(long)]
    room: Option<usize>,
    /// Only this load, in deliveries a second.
    #[arg(long)]
    load: Option<f64>,
    /// How long a load lasts, in seconds.
    #[arg(long)]
    seconds: Option<f64>,
}

/// How thoroughly.
struct Plan {
    /// What is played.
    scenarios: Vec<Scenario>,
    /// The only server, if there is to be but one.
    only: Option<String>,
    /// The only load, likewise, in deliveries a second.
    load: Option<f64>,
    /// How long a load lasts, in seconds.
    seconds: f64,
    /// How long nobody says anything, for memory and idle CPU time.
    quiet: Duration,
    /// How often the scenario that the targets name is played: the figures are medians.
    repeats: usize,
}

/// The scenario that the targets name.
const HEADLINE: Scenario = Scenario {
    people: 1_000,
    room: 100,
};

impl Plan {
    /// All of it, just enough to see that it works, or what was chosen.
    fn new(quick: bool, options: &Options) -> Self {
        let rooms = [2, 10, 100, 1_000];
        let scenarios = [1_000, 5_000, 10_000].into_iter();
        let scenarios = scenarios.flat_map(|people| rooms.map(|room| Scenario { people, room }));
        let chosen = |scenario: &Scenario| {
            options
                .people
                .is_none_or(|people| people == scenario.people)
                && options.room.is_none_or(|room| room == scenario.room)
        };
        let narrow = options.people.or(options.room).is_some();
        let kept =
            |scenario: &Scenario| chosen(scenario) && (narrow || !quick || *scenario == HEADLINE);
        Self {
            scenarios: scenarios.filter(kept).collect(),
            only: options.only.clone(),
            load: options.load,
            seconds: options.seconds.unwrap_or(if quick { 1.0 } else { 2.0 }),
            quiet: Duration::from_secs(if quick { 2 } else { 4 }),
            repeats: if quick { 1 } else { 3 },
        }
    }

    /// Whether a server is played.
    fn includes(&self, implementation: Implementation) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| only == implementation.name())
    }
}

/// Plays everything and reports it.
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
                report::chat_line(&outcome);
                outcomes.push(outcome);
            }
        }
    }
    report::chat(&arguments.out, &outcomes)
}

/// Who plays a scenario. What the disk costs is seen in the smallest number of people.
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

/// Plays one scenario on one server.
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
    // What coming in left to do is not idleness.
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

/// Doubles the load until it is too much, then tries three quarters of that. A load that was
/// too much is tried once more before it counts: the machine may have been busy elsewhere.
async fn raise_load(
    running: &RunningServer,
    clients: &mut ClientPool,
    plan: &Plan,
    scenario: Scenario,
    start: Instant,
) -> Result<Vec<LoadStep>> {
    let most = MAX_RATE_PER_PERSON * scenario.people as f64 * (scenario.room - 1) as f64;
    let mut turn = 0;
    let mut steps: Vec<LoadStep> = Vec::new();
    let mut offered = plan.load.unwrap_or(FIRST_LOAD).min(most);
    let (mut again, mut last) = (false, plan.load.is_some());
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
        let (too_much, is_bottom) = (!step.keeps_up(LIMIT_MS), steps.is_empty());
        steps.push(step);
        if too_much && !again {
            again = true;
            continue;
        }
        again = false;
        if last || (too_much && is_bottom) || (!too_much && offered >= most.min(LAST_LOAD)) {
            return Ok(steps);
        }
        last = too_much;
        offered = match too_much {
            true => offered * 0.75,
            false => (offered * 2.0).min(most),
        };
    }
}
