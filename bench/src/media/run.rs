//! One run: a server, its clients, a window.

use super::{
    Choice,
    client::generator::{Engine, Note, What},
    report::outcome::{Cost, Entry, Outcome},
    scenario::model::Shape,
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
const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// Who came in when.
pub type Entries = BTreeMap<u32, Entry>;

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Between coming in and the window.
    pub settle: Duration,
    /// The window.
    pub window: Duration,
}

/// Plays one shape on one server.
pub async fn play(
    arguments: &Arguments,
    choice: &Choice,
    sfu: Sfu,
    shape: Shape,
) -> Result<Outcome> {
    let times = choice.times(arguments.quick, shape);
    let (engine, mut notes) = Engine::start(shape.weather())?;
    let scratch = servers::Scratch::new();
    let server = sfu.start(arguments, shape, &engine, &scratch).await?;
    let pid = server.pid;
    let (empty, fresh) = (server.memory()?, cpu_time_of(pid)?);
    let mut entries = Entries::new();
    let lines = servers::connect(sfu, &server, &engine, shape, choice, &mut entries).await?;
    let expected = servers::listeners(sfu, shape);
    // Some hear nothing if the server cannot cope: that is a finding.
    let all = follow(&mut notes, &mut entries, &expected);
    let _ = timeout(HEARD_WITHIN, all).await;
    let entry = cpu_time_of(pid)?.since(fresh).all;
    sleep(times.settle).await;
    stress::before(shape, &lines).await;
    engine.mark();
    let (began, me) = (Instant::now(), std::process::id());
    let before = (cpu_time_of(pid)?, cpu_time_of(me)?);
    let found = stress::during(
        sfu,
        &server,
        &engine,
        shape,
        choice,
        &lines,
        &mut notes,
        times.window,
    )
    .await?;
    let tally = engine.report().await?;
    let (spent, own) = (cpu_time_of(pid)?, cpu_time_of(me)?);
    let people = f64::from(shape.everybody());
    let cost = Cost {
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
    drop((lines, engine));
    server.stop().await.context("ending the server")?;
    Ok(Outcome::new(
        shape,
        sfu.name(),
        &tally,
        cost,
        &entries,
        found,
    ))
}

/// Notes what happens until everybody who should has heard something.
async fn follow(notes: &mut UnboundedReceiver<Note>, entries: &mut Entries, expected: &[u32]) {
    let mut missing = expected.len();
    while missing > 0 {
        let Some(note) = notes.recv().await else {
            return;
        };
        let Some(entry) = entries.get_mut(&note.index) else {
            continue;
        };
        match note.what {
            What::Connected => entry.connected = entry.connected.or(Some(note.at)),
            What::Heard => {
                entry.heard = Some(note.at);
                missing -= usize::from(expected.binary_search(&note.index).is_ok());
            }
            What::Ended | What::Layer(_) => {}
        }
    }
}
