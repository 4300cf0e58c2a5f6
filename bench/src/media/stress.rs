//! Stress during a window in addition to the traffic: layer switches, visitors, and memory
//! samples.

use super::{
    client::{
        context::{ClientEvent, EventKind},
        counters::new_histogram,
    },
    report::outcome::{Percentiles, StressResult},
    scenario::model::{Scenario, Stress},
    servers::{Load, Sfu, SignallingSockets},
};
use crate::server::Server;
use anyhow::Result;
use hdrhistogram::Histogram;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Interval, MissedTickBehavior, interval, sleep, timeout_at},
};

/// Interval of the layer switches of one receiver.
const SWITCH_INTERVAL: Duration = Duration::from_secs(2);
/// Time to receive the first layer: a keyframe is sent without a request in that time.
const FIRST_LAYER_TIME: Duration = Duration::from_millis(3_500);
/// The layers that receivers switch between.
const LAYERS: [u8; 2] = [0, 2];
/// Interval between visitors in a soak.
const VISIT_INTERVAL: Duration = Duration::from_secs(1);
/// Visitors at a time.
const VISITORS: usize = 5;
/// Index of the first visitor, above every client.
const FIRST_VISITOR: u32 = 10_000;
/// Number of visitor indices, which are reused in turn.
const VISITOR_INDICES: u32 = 10_000;

/// Prepares a window: receivers that will switch request the largest layer.
pub async fn prepare(scenario: Scenario, sockets: &SignallingSockets) {
    if scenario.stress == Stress::LayerSwitching {
        let receivers = sockets.layer_receivers();
        receivers
            .iter()
            .for_each(|receiver| sockets.request_layer(*receiver, true));
        sleep(FIRST_LAYER_TIME).await;
    }
}

/// A measurement window of a run.
pub struct Window<'a> {
    /// The kind of server.
    pub sfu: Sfu,
    /// The process that is measured.
    pub server: &'a Server,
    /// Clients and scenario.
    pub load: Load<'a>,
    /// The signalling of the clients.
    pub sockets: &'a SignallingSockets,
    /// Duration of the window.
    pub length: Duration,
}

impl Window<'_> {
    /// Runs the scenario's stress until the window ends.
    ///
    /// # Errors
    /// A visitor cannot join, or the server has ended.
    pub async fn run(&self, events: &mut UnboundedReceiver<ClientEvent>) -> Result<StressResult> {
        let end = Instant::now() + self.length;
        match self.load.scenario.stress {
            Stress::LayerSwitching => Ok(switch_layers(self.sockets, events, end).await),
            Stress::Soak => self.soak(end).await,
            Stress::None | Stress::JoinStorm(_) | Stress::Impaired(_) => {
                sleep(self.length).await;
                Ok(StressResult::default())
            }
        }
    }

    /// Lets visitors join and leave, and samples memory.
    async fn soak(&self, end: Instant) -> Result<StressResult> {
        let began = Instant::now();
        let (mut result, mut inside) = (StressResult::default(), VecDeque::new());
        let mut memory = Vec::new();
        let mut ticks = ticker(VISIT_INTERVAL);
        while Instant::now() < end {
            ticks.tick().await;
            let index = FIRST_VISITOR + result.visitors % VISITOR_INDICES;
            let sockets = self.sfu.join_visitor(self.server, self.load, index).await?;
            inside.push_back((index, sockets));
            result.visitors += 1;
            if inside.len() > VISITORS
                && let Some((index, sockets)) = inside.pop_front()
            {
                self.load.generator.remove(index);
                drop(sockets);
            }
            memory.push((began.elapsed().as_secs_f64() / 60.0, self.server.memory()?));
        }
        for (index, _) in &inside {
            self.load.generator.remove(*index);
        }
        result.growth = Some(slope(&memory[memory.len() / 2..]));
        Ok(result)
    }
}

/// An interval that does not catch up after a delay.
fn ticker(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// One receiver after the other switches its layer, until `end`.
async fn switch_layers(
    sockets: &SignallingSockets,
    events: &mut UnboundedReceiver<ClientEvent>,
    end: Instant,
) -> StressResult {
    let receivers = sockets.layer_receivers();
    let mut requests = LayerRequests::default();
    let mut ticks = ticker(SWITCH_INTERVAL / receivers.len().max(1) as u32);
    let mut turns = receivers.iter().copied().cycle();
    // Earlier events answer no request.
    while events.try_recv().is_ok() {}
    while Instant::now() < end {
        tokio::select! {
            _ = ticks.tick() => if let Some(receiver) = turns.next() {
                sockets.request_layer(receiver, requests.next_is_largest(receiver));
            },
            event = timeout_at(end.into(), events.recv()) => match event {
                Ok(Some(event)) => requests.on_event(event),
                _ => break,
            },
        }
    }
    requests.result()
}

/// The layer requests of all receivers.
struct LayerRequests {
    /// The last request of each receiver, and whether it is unanswered.
    last: BTreeMap<u32, (u8, Instant, bool)>,
    /// Time to the first packet of the requested layer, in microseconds.
    took: Histogram<u64>,
    /// Requests without an answer before the next request.
    unanswered: u64,
}

impl Default for LayerRequests {
    fn default() -> Self {
        Self {
            last: BTreeMap::new(),
            took: new_histogram(),
            unanswered: 0,
        }
    }
}

impl LayerRequests {
    /// Records a request for the other layer; a receiver without a request has the largest.
    /// Returns whether the new request is for the largest.
    fn next_is_largest(&mut self, receiver: u32) -> bool {
        let [smallest, largest] = LAYERS;
        let last = self.last.get(&receiver);
        self.unanswered += u64::from(last.is_some_and(|(_, _, unanswered)| *unanswered));
        let requested = match last {
            Some((layer, ..)) if *layer == smallest => largest,
            _ => smallest,
        };
        self.last
            .insert(receiver, (requested, Instant::now(), true));
        requested == largest
    }

    /// Completes a request when its layer arrives.
    fn on_event(&mut self, event: ClientEvent) {
        let Some((requested, since, unanswered)) = self.last.get_mut(&event.index) else {
            return;
        };
        if *unanswered && event.kind == EventKind::LayerChanged(*requested) {
            *unanswered = false;
            let took = event.at.saturating_duration_since(*since);
            self.took.saturating_record(took.as_micros() as u64);
        }
    }

    /// The figures of all requests.
    fn result(&self) -> StressResult {
        StressResult {
            switch: Some(Percentiles::of(&self.took)),
            switches: self.took.len(),
            unanswered: self.unanswered,
            ..StressResult::default()
        }
    }
}

/// The slope of the least-squares line through all points.
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
    fn a_request_is_answered_by_its_own_layer() {
        let mut requests = LayerRequests::default();
        assert!(!requests.next_is_largest(7));
        let event = |layer| ClientEvent {
            index: 7,
            kind: EventKind::LayerChanged(layer),
            at: Instant::now(),
        };
        requests.on_event(event(2));
        assert_eq!(requests.result().switches, 0);
        requests.on_event(event(0));
        assert!(requests.next_is_largest(7) && !requests.next_is_largest(7));
        let result = requests.result();
        assert_eq!((result.switches, result.unanswered), (1, 1));
    }

    #[test]
    fn the_slope_of_a_line_is_its_increment() {
        assert_eq!(slope(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]), 2.0);
        assert_eq!(slope(&[(1.0, 1.0)]), 0.0);
    }
}
