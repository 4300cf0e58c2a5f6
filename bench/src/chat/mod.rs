//! Conversations: how many deliveries a second of CPU time each server gives, how late they
//! are, and what an idle connection costs.
//!
//! Each shape (so many people in rooms of such a size) is played on every server, one after
//! the other, each freshly started. The load goes up until 99 of 100 messages need more than
//! 100 ms, or the generator cannot follow, or nobody may say more.

mod clients;
mod counters;
mod open_loop;
mod user;

pub use clients::{Fleet, Shape};
pub use counters::new_histogram;
pub use open_loop::{Step, step};
pub use user::Guest;

use crate::{
    Arguments,
    implementation::{Contender, Running},
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
const PER_PERSON: f64 = 4.5;
/// The first load, in deliveries a second.
const FIRST: f64 = 5_000.0;
/// The last.
const LAST: f64 = 640_000.0;

/// What one server did in one shape.
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
    pub entry_p99: f64,
    /// Resident memory of an idle connection, in KiB.
    pub memory: f64,
    /// CPU time without a message, in ms a second for 1,000 connections.
    pub idle: f64,
    /// The load, from low to high.
    pub steps: Vec<Step>,
}

impl Outcome {
    /// The steps that count: the server kept up, and so did the generator.
    pub fn kept_up(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.keeps_up(LIMIT_MS))
    }

    /// The highest load it kept up with.
    pub fn best(&self) -> Option<&Step> {
        self.kept_up()
            .max_by(|one, other| one.deliveries.total_cmp(&other.deliveries))
    }

    /// What stopped it.
    pub fn end(&self) -> &'static str {
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
pub struct Choice {
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
    shapes: Vec<Shape>,
    /// The only server, if there is to be but one.
    only: Option<String>,
    /// The only load, likewise, in deliveries a second.
    load: Option<f64>,
    /// How long a load lasts, in seconds.
    seconds: f64,
    /// How long nobody says anything, for memory and idle CPU time.
    quiet: Duration,
    /// How often the shape that the targets name is played: the figures are medians.
    repeats: usize,
}

/// The shape that the targets name.
const HEADLINE: Shape = Shape {
    people: 1_000,
    room: 100,
};

impl Plan {
    /// All of it, just enough to see that it works, or what was chosen.
    fn new(quick: bool, choice: &Choice) -> Self {
        let rooms = [2, 10, 100, 1_000];
        let shapes = [1_000, 5_000, 10_000].into_iter();
        let shapes = shapes.flat_map(|people| rooms.map(|room| Shape { people, room }));
        let chosen = |shape: &Shape| {
            choice.people.is_none_or(|people| people == shape.people)
                && choice.room.is_none_or(|room| room == shape.room)
        };
        let narrow = choice.people.or(choice.room).is_some();
        let kept = |shape: &Shape| chosen(shape) && (narrow || !quick || *shape == HEADLINE);
        Self {
            shapes: shapes.filter(kept).collect(),
            only: choice.only.clone(),
            load: choice.load,
            seconds: choice.seconds.unwrap_or(if quick { 1.0 } else { 2.0 }),
            quiet: Duration::from_secs(if quick { 2 } else { 4 }),
            repeats: if quick { 1 } else { 3 },
        }
    }

    /// Whether a server is played.
    fn plays(&self, contender: Contender) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| only == contender.name())
    }
}

/// Plays everything and reports it.
pub async fn run(arguments: &Arguments, choice: &Choice) -> Result<()> {
    let plan = Plan::new(arguments.quick, choice);
    let mut outcomes = Vec::new();
    for shape in &plan.shapes {
        let repeats = if *shape == HEADLINE { plan.repeats } else { 1 };
        for _ in 0..repeats {
            let all = contenders(*shape).into_iter();
            for contender in all.filter(|one| plan.plays(*one)) {
                let outcome = play(arguments, &plan, contender, *shape).await?;
                report::chat_line(&outcome);
                outcomes.push(outcome);
            }
        }
    }
    report::chat(&arguments.out, &outcomes)
}

/// Who plays a shape. What the disk costs is seen in the smallest number of people.
fn contenders(shape: Shape) -> Vec<Contender> {
    let mut contenders = vec![Contender::Noom];
    if shape.people == HEADLINE.people {
        contenders.push(Contender::NoomInMemory);
    }
    contenders.extend([Contender::SocketIo, Contender::Ws, Contender::Socketioxide]);
    contenders
}

/// Plays one shape on one server.
async fn play(
    arguments: &Arguments,
    plan: &Plan,
    contender: Contender,
    shape: Shape,
) -> Result<Outcome> {
    let running = contender.start(&arguments.noom).await?;
    let server = &running.server;
    let empty = server.memory()?;
    let start = Instant::now();
    let mut fleet = Fleet::connect(server, contender.dialect(), shape, start).await?;
    let people = shape.people as f64;
    // What coming in left to do is not idleness.
    sleep(plan.quiet).await;
    let before = server.cpu_time()?;
    sleep(plan.quiet).await;
    let idle = server.cpu_time()?.since(before).all;
    let memory = (server.memory()? - empty) / people;
    let steps = climb(&running, &mut fleet, plan, shape, start).await?;
    let outcome = Outcome {
        server: contender.name(),
        people: shape.people,
        room: shape.room,
        connects: people / fleet.took.as_secs_f64(),
        entry_p99: fleet.entries.value_at_quantile(0.99) as f64 / 1_000.0,
        memory,
        idle: idle * 1_000.0 / plan.quiet.as_secs_f64() / (people / 1_000.0),
        steps,
    };
    running.server.stop().await?;
    Ok(outcome)
}

/// Doubles the load until it is too much, then tries three quarters of that. A load that was
/// too much is tried once more before it counts: the machine may have been busy elsewhere.
async fn climb(
    running: &Running,
    fleet: &mut Fleet,
    plan: &Plan,
    shape: Shape,
    start: Instant,
) -> Result<Vec<Step>> {
    let most = PER_PERSON * shape.people as f64 * (shape.room - 1) as f64;
    let mut turn = 0;
    let mut steps: Vec<Step> = Vec::new();
    let mut offered = plan.load.unwrap_or(FIRST).min(most);
    let (mut again, mut last) = (false, plan.load.is_some());
    loop {
        let server = &running.server;
        let step = open_loop::step(
            fleet,
            server,
            shape,
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
        if last || (too_much && is_bottom) || (!too_much && offered >= most.min(LAST)) {
            return Ok(steps);
        }
        last = too_much;
        offered = match too_much {
            true => offered * 0.75,
            false => (offered * 2.0).min(most),
        };
    }
}
