//! Simulation of two negotiations and their browsers under arbitrary faults.
//!
//! The signalling channel keeps order and delays arbitrarily, and so does the creation of
//! descriptions. Signals are lost only while a side is disconnected from the server, with those
//! in flight; the other side is not notified. The pair is connected when both browsers have the
//! same connection number, offer and answer.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Delay of a signal without faults, in milliseconds.
const DELAY_MS: f64 = 200.0;

/// The state of a browser's peer connection.
#[derive(Debug, Default)]
struct Pc {
    number: u32,
    /// The local offer without an answer.
    offered: Option<String>,
    /// The current offer and answer.
    agreed: Option<(String, String)>,
}

/// One side: the negotiation, the browser, and their queues.
#[derive(Debug)]
struct Side {
    negotiation: Negotiation,
    pc: Pc,
    actions: VecDeque<Action>,
    inbox: VecDeque<Signal>,
    wake_at_ms: Option<f64>,
    connected: bool,
    /// Whether the connection to the server is lost.
    cut: bool,
}

impl Side {
    fn new(polite: bool, spread_ms: f64) -> Self {
        Self {
            negotiation: Negotiation::new(polite).spread_by(spread_ms),
            pc: Pc::default(),
            actions: VecDeque::new(),
            inbox: VecDeque::new(),
            wake_at_ms: None,
            connected: false,
            cut: false,
        }
    }
}

/// Both sides and the clock.
#[derive(Debug)]
struct Pair {
    sides: [Side; 2],
    now_ms: f64,
    made: u32,
}

impl Pair {
    fn new(polite: [bool; 2]) -> Self {
        Self {
            sides: [Side::new(polite[0], 0.0), Side::new(polite[1], 700.0)],
            now_ms: 0.0,
            made: 0,
        }
    }

    fn handle(&mut self, side: usize, event: Event) {
        for action in self.sides[side].negotiation.handle(event, self.now_ms) {
            match action {
                Action::Send(signal) => self.send(side, signal),
                Action::ResendOffer => self.repeat(side),
                Action::SetTimer(at_ms) => self.sides[side].wake_at_ms = Some(at_ms),
                action => self.sides[side].actions.push_back(action),
            }
        }
    }

    fn send(&mut self, side: usize, signal: Signal) {
        if self.sides.iter().all(|side| !side.cut) {
            self.sides[1 - side].inbox.push_back(signal);
        }
    }

    fn repeat(&mut self, side: usize) {
        let pc = &self.sides[side].pc;
        let sdp = pc
            .offered
            .clone()
            .expect("an offer is set before it is sent");
        let connection = pc.number;
        self.send(side, Signal::Offer { connection, sdp });
    }

    /// Disconnects a side from the server. Signals in flight to it are lost, and with `both_ways`
    /// those from it.
    fn cut(&mut self, side: usize, both_ways: bool) {
        self.sides[side].cut = true;
        self.sides[side].inbox.clear();
        if both_ways {
            self.sides[1 - side].inbox.clear();
        }
    }

    fn resume(&mut self, side: usize) {
        if std::mem::take(&mut self.sides[side].cut) {
            self.handle(side, Event::SignalingResumed);
        }
    }

    fn deliver(&mut self, side: usize) {
        if let Some(signal) = self.sides[side].inbox.pop_front() {
            self.handle(side, Event::RemoteSignal(signal));
        }
    }

    /// The browser completes one action.
    fn perform(&mut self, side: usize) {
        let Some(action) = self.sides[side].actions.pop_front() else {
            return;
        };
        self.made += 1;
        let id = format!("{side}.{}", self.made);
        let pc = &mut self.sides[side].pc;
        let connection = pc.number;
        let (offer, sdp) = match action {
            Action::Open { connection } => {
                *pc = Pc {
                    number: connection,
                    ..Pc::default()
                };
                return;
            }
            Action::CreateOffer { .. } => {
                pc.offered = Some(id.clone());
                (true, id)
            }
            Action::CreateAnswer { sdp } => {
                pc.offered = None;
                let answer = match pc.agreed.take() {
                    // The same offer again yields the same answer.
                    Some((offer, answer)) if offer == sdp => answer,
                    _ => id,
                };
                pc.agreed = Some((sdp, answer.clone()));
                (false, answer)
            }
            Action::SetAnswer { sdp } => {
                match pc.offered.take() {
                    Some(offer) => pc.agreed = Some((offer, sdp)),
                    None => self.handle(side, Event::StepFailed { connection }),
                }
                return;
            }
            Action::AddCandidate(_)
            | Action::Send(_)
            | Action::ResendOffer
            | Action::SetTimer(_) => return,
        };
        let description = Description {
            connection,
            offer,
            sdp,
        };
        self.handle(side, Event::LocalDescription(description));
    }

    fn is_up(&self) -> bool {
        let [a, b] = &self.sides;
        a.pc.number == b.pc.number && a.pc.agreed.is_some() && a.pc.agreed == b.pc.agreed
    }

    /// Ends all faults: reconnects both sides, delivers every signal and reports the transports'
    /// states.
    fn end_faults(&mut self) {
        for side in [0, 1] {
            self.resume(side);
        }
        while self
            .sides
            .iter()
            .any(|side| !side.inbox.is_empty() || !side.actions.is_empty())
        {
            for side in [0, 1] {
                self.perform(side);
                self.deliver(side);
            }
        }
        for side in [0, 1] {
            let (was, is) = (self.sides[side].connected, self.is_up());
            self.sides[side].connected = is;
            match (was, is) {
                (_, true) => self.handle(side, Event::Connected),
                (true, false) => self.handle(side, Event::Disconnected),
                (false, false) => {}
            }
        }
    }

    /// Fires the next timer, and the other side's if it is due before a signal of this one can
    /// arrive. Returns false if no timer is set.
    fn fire_next_timer(&mut self) -> bool {
        let waits = |pair: &Self| pair.sides.each_ref().map(|side| side.wake_at_ms);
        let Some(soonest) = waits(self).into_iter().flatten().reduce(f64::min) else {
            return false;
        };
        self.now_ms = self.now_ms.max(soonest + DELAY_MS);
        for (side, at_ms) in waits(self).into_iter().enumerate() {
            if at_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
                self.sides[side].wake_at_ms = None;
                self.handle(side, Event::TimerFired);
            }
        }
        true
    }

    fn inject_fault(&mut self, side: usize, step: u8) {
        match step {
            0..=2 => self.deliver(side),
            3..=5 => self.perform(side),
            6 => self.handle(side, Event::NetworkChanged),
            7 => self.handle(side, Event::Failed),
            8 => self.handle(side, Event::Disconnected),
            9 => self.cut(side, false),
            10 => self.cut(side, true),
            11 => self.resume(side),
            _ => {
                self.now_ms += 10_000.0;
                self.handle(side, Event::TimerFired);
            }
        }
    }
}

/// More timers than any recovery needs.
const MANY: usize = 40;

fn ends_connected(polite: [bool; 2], faults: Vec<(usize, u8)>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(polite);
    pair.handle(1, Event::Start);
    for (side, step) in faults {
        pair.inject_fault(side, step);
    }
    for _ in 0..MANY {
        pair.end_faults();
        if !pair.fire_next_timer() {
            break;
        }
    }
    pair.end_faults();
    prop_assert!(pair.is_up(), "{:#?}", pair);
    Ok(())
}

fn faults() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0_usize..2, 0_u8..13), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_order_of_faults_ends_in_one_connection(faults in faults()) {
        ends_connected([false, true], faults)?;
    }

    /// A restarted server can leave two sides that are both polite or both impolite. Their
    /// timers are spread, so one of them is first.
    #[test]
    fn two_sides_with_the_same_politeness_connect(polite in any::<bool>(), faults in faults()) {
        ends_connected([polite, polite], faults)?;
    }
}
