//! One run: a server, its clients, a window.

use super::{
    Options,
    client::generator::{ClientEvent, EventKind, LoadGenerator},
    report::outcome::{JoinTimes, Outcome, ResourceUsage},
    scenario::model::Scenario,
    servers::{self, Sfu},
    stress,
};
use crate::{Arguments, server::cpu_time_of};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{sleep, timeout},
};

/// How long it may take until everybody has got a packet, once all words are said.
const FIRST_MEDIA_TIMEOUT: Duration = Duration::from_secs(15);

/// Who came in when.
pub type Joins = BTreeMap<u32, JoinTimes>;

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between coming in and the window.
    pub settle: Duration,
    /// The window.
    pub window: Duration,
}

/// Plays one scenario on one server.
pub async fn play(
    arguments: &Arguments,
    options: &Options,
    sfu: Sfu,
    scenario: Scenario,
) -> Result<Outcome> {
    let times = options.times(arguments.quick, scenario);
    let (generator, mut notes) = LoadGenerator::start(scenario.impairment())?;
    let temp_dir = servers::TempDir::new();
    let server = sfu
        .start(arguments, scenario, &generator, &temp_dir)
        .await?;
    let pid = server.pid;
    let (empty, fresh) = (server.memory()?, cpu_time_of(pid)?);
    let mut entries = Joins::new();
    let lines = servers::connect(sfu, &server, &generator, scenario, options, &mut entries).await?;
    let expected = servers::listeners(sfu, scenario);
    // Some hear nothing if the server cannot cope: that is a finding.
    let all = follow(&mut notes, &mut entries, &expected);
    let _ = timeout(FIRST_MEDIA_TIMEOUT, all).await;
    let entry = cpu_time_of(pid)?.since(fresh).all;
    sleep(times.settle).await;
    stress::before(scenario, &lines).await;
    generator.mark();
    let (began, me) = (Instant::now(), std::process::id());
    let before = (cpu_time_of(pid)?, cpu_time_of(me)?);
    let found = stress::during(
        sfu,
        &server,
        &generator,
        scenario,
        options,
        &lines,
        &mut notes,
        times.window,
    )
    .await?;
    let counters = generator.report().await?;
    let (spent, own) = (cpu_time_of(pid)?, cpu_time_of(me)?);
    let people = f64::from(scenario.everybody());
    let cost = ResourceUsage {
        seconds: began.elapsed().as_secs_f64(),
        server: spent.since(before.0).all,
        generator: own.since(before.1).all,
        memory: (server.memory()? - empty) / people,
        entry: entry * 1_000.0 / people,
    };
    let entries: Vec<_> = expected
        .iter()
        .filter_map(|index| entries.get(index).copied())
        .collect();
    drop((lines, generator));
    server.stop().await.context("ending the server")?;
    Ok(Outcome::new(
        scenario,
        sfu.name(),
        &counters,
        cost,
        &entries,
        found,
    ))
}

/// Notes what happens until everybody who should has heard something.
async fn follow(notes: &mut UnboundedReceiver<ClientEvent>, entries: &mut Joins, expected: &[u32]) {
    let mut missing = expected.len();
    while missing > 0 {
        let Some(note) = notes.recv().await else {
            return;
        };
        let Some(entry) = entries.get_mut(&note.index) else {
            continue;
        };
        match note.what {
            EventKind::Connected => entry.connected = entry.connected.or(Some(note.at)),
            EventKind::FirstMedia => {
                entry.heard = Some(note.at);
                missing -= usize::from(expected.binary_search(&note.index).is_ok());
            }
            EventKind::Closed | EventKind::LayerChanged(_) => {}
        }
    }
}
