//! What happens while a window is open, besides packets: watchers switch layers, visitors come
//! and go, memory grows or does not.

use super::{
    Options,
    client::{
        counters::new_histogram,
        generator::{ClientEvent, EventKind, LoadGenerator},
    },
    report::outcome::Percentiles,
    scenario::model::{Scenario, Stress},
    servers::{self, Sfu, SignallingSockets},
};
use crate::server::Server;
use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Interval, MissedTickBehavior, interval, sleep, timeout_at},
};

/// How often each watcher switches.
const SWITCH_EVERY: Duration = Duration::from_secs(2);
/// How long they may take to have what they begin with: a keyframe comes by itself until then.
const BEGUN_WITHIN: Duration = Duration::from_millis(3_500);
/// The layers they switch between.
const LAYERS: [u8; 2] = [0, 2];
/// How often somebody comes in a soak.
const VISIT_EVERY: Duration = Duration::from_secs(1);
/// How many of them are there at a time.
const VISITORS: usize = 5;
/// The first visitor's number, above everybody's.
const FIRST_VISITOR: u32 = 10_000;
/// How many numbers they take turns at.
const VISITOR_NUMBERS: u32 = 10_000;

/// What it came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Found {
    /// From a wish to the first packet of the layer, in ms.
    pub switch: Option<Percentiles>,
    /// Switches.
    pub switches: u64,
    /// LayerRequests that were not granted before the next.
    pub ungranted: u64,
    /// Visitors who came and went.
    pub visitors: u32,
    /// Growth of memory over the second half of the window, in KiB a minute.
    pub growth: Option<f64>,
}

/// What has to be so before the window opens: who switches begins with the largest layer.
pub async fn before(scenario: Scenario, lines: &SignallingSockets) {
    if scenario.extra == Stress::LayerSwitching {
        lines
            .watchers()
            .iter()
            .for_each(|ear| lines.wish(*ear, true));
        sleep(BEGUN_WITHIN).await;
    }
}

/// Lets it happen for as long as the window is open.
#[expect(clippy::too_many_arguments, reason = "a run is all of these")]
pub async fn during(
    sfu: Sfu,
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    lines: &SignallingSockets,
    notes: &mut UnboundedReceiver<ClientEvent>,
    window: Duration,
) -> Result<Found> {
    let end = Instant::now() + window;
    match scenario.extra {
        Stress::LayerSwitching => Ok(switch(lines, notes, end).await),
        Stress::Soak => soak(sfu, server, generator, scenario, options, end).await,
        _ => {
            sleep(window).await;
            Ok(Found::default())
        }
    }
}

/// A beat that does not catch up.
fn beat(every: Duration) -> Interval {
    let mut beat = interval(every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

/// One watcher after the other switches, until then.
async fn switch(
    lines: &SignallingSockets,
    notes: &mut UnboundedReceiver<ClientEvent>,
    end: Instant,
) -> Found {
    let watchers = lines.watchers();
    let mut requests = LayerRequests::default();
    let mut beat = beat(SWITCH_EVERY / watchers.len().max(1) as u32);
    let mut turns = watchers.iter().copied().cycle();
    // What happened before is not an answer.
    while notes.try_recv().is_ok() {}
    while Instant::now() < end {
        tokio::select! {
            _ = beat.tick() => if let Some(ear) = turns.next() {
                lines.wish(ear, requests.ask(ear));
            },
            note = timeout_at(end.into(), notes.recv()) => match note {
                Ok(Some(note)) => requests.answer(note),
                _ => break,
            },
        }
    }
    requests.found()
}

/// Who wished for which layer when.
struct LayerRequests {
    /// The last wish of each, and whether it is open.
    open: BTreeMap<u32, (u8, Instant, bool)>,
    /// How long the granted ones took, in microseconds.
    took: Histogram<u64>,
    /// LayerRequests that came to nothing.
    ungranted: u64,
}

impl Default for LayerRequests {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            took: new_histogram(),
            ungranted: 0,
        }
    }
}

impl LayerRequests {
    /// LayerRequests for the other layer; everybody begins with the largest. Whether that is the
    /// large one.
    fn ask(&mut self, ear: u32) -> bool {
        let [small, large] = LAYERS;
        let last = self.open.get(&ear);
        self.ungranted += u64::from(last.is_some_and(|(_, _, open)| *open));
        let wanted = match last {
            Some((layer, ..)) if *layer == small => large,
            _ => small,
        };
        self.open.insert(ear, (wanted, Instant::now(), true));
        wanted == large
    }

    /// Something happened to somebody.
    fn answer(&mut self, note: ClientEvent) {
        let Some((wanted, since, open)) = self.open.get_mut(&note.index) else {
            return;
        };
        if *open && note.what == EventKind::LayerChanged(*wanted) {
            *open = false;
            let took = note.at.saturating_duration_since(*since);
            self.took.saturating_record(took.as_micros() as u64);
        }
    }

    /// What it came to.
    fn found(&self) -> Found {
        Found {
            switch: Some(Percentiles::of(&self.took)),
            switches: self.took.len(),
            ungranted: self.ungranted,
            ..Found::default()
        }
    }
}

/// Visitors come and go and memory is looked at, until then.
async fn soak(
    sfu: Sfu,
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    end: Instant,
) -> Result<Found> {
    let began = Instant::now();
    let (mut found, mut inside) = (Found::default(), VecDeque::new());
    let mut memory = Vec::new();
    let mut beat = beat(VISIT_EVERY);
    while Instant::now() < end {
        beat.tick().await;
        let number = FIRST_VISITOR + found.visitors % VISITOR_NUMBERS;
        inside.push_back((
            number,
            servers::visit(sfu, server, generator, scenario, options, number).await?,
        ));
        found.visitors += 1;
        if inside.len() > VISITORS
            && let Some((number, line)) = inside.pop_front()
        {
            generator.remove(number);
            drop(line);
        }
        memory.push((began.elapsed().as_secs_f64() / 60.0, server.memory()?));
    }
    for (number, _) in &inside {
        generator.remove(*number);
    }
    found.growth = Some(slope(&memory[memory.len() / 2..]));
    Ok(found)
}

/// The slope of the line that is nearest to all points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let square: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if square == 0.0 { 0.0 } else { both / square }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_granted_by_the_layer_it_was_for() {
        let mut requests = LayerRequests::default();
        assert!(!requests.ask(7));
        let note = |layer| ClientEvent {
            index: 7,
            what: EventKind::LayerChanged(layer),
            at: Instant::now(),
        };
        requests.answer(note(2));
        assert_eq!(requests.found().switches, 0);
        requests.answer(note(0));
        assert!(requests.ask(7) && !requests.ask(7));
        let found = requests.found();
        assert_eq!((found.switches, found.ungranted), (1, 1));
    }

    #[test]
    fn the_slope_is_what_is_added_a_step() {
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]), 2.0);
        assert_eq!(slope(&[(1.0, 1.0)]), 0.0);
    }
}
