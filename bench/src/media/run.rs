//! One run: a server, its clients, a measurement window.

use super::{
    Options,
    client::{
        context::{ClientEvent, EventKind, Joins},
        generator::LoadGenerator,
    },
    report::outcome::{Outcome, ResourceUsage},
    scenario::model::Scenario,
    servers::{Load, Sfu},
    stress,
};
use crate::{
    Arguments,
    server::{TempDir, cpu_time_of},
};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{sleep, timeout},
};

/// Longest wait for the first packet of every client, once all have joined.
const FIRST_MEDIA_TIMEOUT: Duration = Duration::from_secs(15);

/// The durations of a run.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between the joins and the window.
    pub settle: Duration,
    /// The measurement window.
    pub window: Duration,
}

/// Runs one scenario on one server.
///
/// # Errors
/// The server or a client fails.
pub async fn run(
    arguments: &Arguments,
    options: &Options,
    sfu: Sfu,
    scenario: Scenario,
) -> Result<Outcome> {
    let timing = options.timing(arguments.quick, scenario);
    let (generator, mut events) = LoadGenerator::start(scenario.impairment())?;
    let load = Load {
        generator: &generator,
        scenario,
        burst: options.burst,
    };
    let temp_dir = TempDir::new("media");
    let server = sfu.start(arguments, load, &temp_dir).await?;
    let pid = server.pid;
    let (empty, at_start) = (server.memory()?, cpu_time_of(pid)?);
    let mut joins = Joins::new();
    let sockets = sfu.join_all(&server, load, &mut joins).await?;
    let receivers = sfu.receivers(scenario);
    // An overloaded server leaves clients without media, which is a result.
    let all = record_joins(&mut events, &mut joins, &receivers);
    let _ = timeout(FIRST_MEDIA_TIMEOUT, all).await;
    let join_cpu = cpu_time_of(pid)?.since(at_start).all;
    sleep(timing.settle).await;
    stress::prepare(scenario, &sockets).await;
    generator.reset_counters();
    let (began, me) = (Instant::now(), std::process::id());
    let before = (cpu_time_of(pid)?, cpu_time_of(me)?);
    let during = stress::Window {
        sfu,
        server: &server,
        load,
        sockets: &sockets,
        length: timing.window,
    };
    let result = during.run(&mut events).await?;
    let counters = generator.report().await?;
    let (spent, own) = (cpu_time_of(pid)?, cpu_time_of(me)?);
    let people = f64::from(scenario.everybody());
    let cost = ResourceUsage {
        seconds: began.elapsed().as_secs_f64(),
        server: spent.since(before.0).all,
        generator: own.since(before.1).all,
        memory: (server.memory()? - empty) / people,
        join: join_cpu * 1_000.0 / people,
    };
    let joins: Vec<_> = receivers
        .iter()
        .filter_map(|index| joins.get(index).copied())
        .collect();
    drop((sockets, generator));
    server.stop().await.context("ending the server")?;
    Ok(Outcome::new(
        scenario,
        sfu.name(),
        &counters,
        cost,
        &joins,
        result,
    ))
}

/// Records join times until every receiver has media.
async fn record_joins(
    events: &mut UnboundedReceiver<ClientEvent>,
    joins: &mut Joins,
    receivers: &[u32],
) {
    let mut missing = receivers.len();
    while missing > 0 {
        let Some(event) = events.recv().await else {
            return;
        };
        let Some(join) = joins.get_mut(&event.index) else {
            continue;
        };
        match event.kind {
            EventKind::Connected => join.connected = join.connected.or(Some(event.at)),
            EventKind::FirstMedia => {
                join.first_media = Some(event.at);
                missing -= usize::from(receivers.binary_search(&event.index).is_ok());
            }
            EventKind::Closed | EventKind::LayerChanged(_) => {}
        }
    }
}
