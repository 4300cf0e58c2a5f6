//! Two negotiations and the browsers under them, through any order of troubles.
//!
//! The channel keeps order and delays at will; making a description takes as long as it
//! likes, too. Nothing is lost but while a side's line is, and what was on its way just
//! then; the other side is not told of it. A path is up when both browsers are on the same
//! connection and hold the same offer with the same answer, as real ones must.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// How long a message takes in calm times.
const DELAY_MS: f64 = 200.0;

/// What a browser's peer connection holds.
#[derive(Debug, Default)]
struct Pc {
    number: u32,
    /// Our offer that has no answer yet.
    offered: Option<String>,
    /// Offer and answer in force.
    agreed: Option<(String, String)>,
}

/// One side: the negotiation, the browser, and what is on its way to them.
#[derive(Debug)]
struct Side {
    negotiation: Negotiation,
    pc: Pc,
    to_do: VecDeque<Action>,
    inbox: VecDeque<Signal>,
    wake_at_ms: Option<f64>,
    connected: bool,
    /// The line to the server is lost.
    cut: bool,
}

impl Side {
    fn new(polite: bool, spread_ms: f64) -> Self {
        Self {
            negotiation: Negotiation::new(polite).spread_by(spread_ms),
            pc: Pc::default(),
            to_do: VecDeque::new(),
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

    fn tell(&mut self, side: usize, event: Event) {
        for action in self.sides[side].negotiation.handle(event, self.now_ms) {
            match action {
                Action::Send(signal) => self.say(side, signal),
                Action::Repeat => self.repeat(side),
                Action::WakeAt(at_ms) => self.sides[side].wake_at_ms = Some(at_ms),
                action => self.sides[side].to_do.push_back(action),
            }
        }
    }

    fn say(&mut self, side: usize, signal: Signal) {
        if self.sides.iter().all(|side| !side.cut) {
            self.sides[1 - side].inbox.push_back(signal);
        }
    }

    fn repeat(&mut self, side: usize) {
        let pc = &self.sides[side].pc;
        let sdp = pc.offered.clone().expect("set before it was said");
        let connection = pc.number;
        self.say(side, Signal::Offer { connection, sdp });
    }

    /// A side's line is lost, with what was on its way to it, and perhaps from it.
    fn cut(&mut self, side: usize, both_ways: bool) {
        self.sides[side].cut = true;
        self.sides[side].inbox.clear();
        if both_ways {
            self.sides[1 - side].inbox.clear();
        }
    }

    fn resume(&mut self, side: usize) {
        if std::mem::take(&mut self.sides[side].cut) {
            self.tell(side, Event::Resumed);
        }
    }

    fn deliver(&mut self, side: usize) {
        if let Some(signal) = self.sides[side].inbox.pop_front() {
            self.tell(side, Event::Heard(signal));
        }
    }

    /// The browser finishes one step.
    fn perform(&mut self, side: usize) {
        let Some(action) = self.sides[side].to_do.pop_front() else {
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
            Action::Offer { .. } => {
                pc.offered = Some(id.clone());
                (true, id)
            }
            Action::Answer { sdp } => {
                pc.offered = None;
                let answer = match pc.agreed.take() {
                    // The same offer again: nothing has changed.
                    Some((offer, answer)) if offer == sdp => answer,
                    _ => id,
                };
                pc.agreed = Some((sdp, answer.clone()));
                (false, answer)
            }
            Action::Accept { sdp } => {
                match pc.offered.take() {
                    Some(offer) => pc.agreed = Some((offer, sdp)),
                    None => self.tell(side, Event::StepFailed { connection }),
                }
                return;
            }
            Action::Add(_) | Action::Send(_) | Action::Repeat | Action::WakeAt(_) => return,
        };
        let description = Description {
            connection,
            offer,
            sdp,
        };
        self.tell(side, Event::Described(description));
    }

    fn is_up(&self) -> bool {
        let [a, b] = &self.sides;
        a.pc.number == b.pc.number && a.pc.agreed.is_some() && a.pc.agreed == b.pc.agreed
    }

    /// Lines are back, everything on its way arrives, and the transports say how they are.
    fn calm_down(&mut self) {
        for side in [0, 1] {
            self.resume(side);
        }
        while self
            .sides
            .iter()
            .any(|side| !side.inbox.is_empty() || !side.to_do.is_empty())
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
                (_, true) => self.tell(side, Event::Connected),
                (true, false) => self.tell(side, Event::Disconnected),
                (false, false) => {}
            }
        }
    }

    /// The next alarm goes off, and with it the other side's if that comes before
    /// anything could be heard of this one. False where nobody waits for one.
    fn next_alarm(&mut self) -> bool {
        let waits = |pair: &Self| pair.sides.each_ref().map(|side| side.wake_at_ms);
        let Some(soonest) = waits(self).into_iter().flatten().reduce(f64::min) else {
            return false;
        };
        self.now_ms = self.now_ms.max(soonest + DELAY_MS);
        for (side, at_ms) in waits(self).into_iter().enumerate() {
            if at_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
                self.sides[side].wake_at_ms = None;
                self.tell(side, Event::Woken);
            }
        }
        true
    }

    fn trouble(&mut self, side: usize, step: u8) {
        match step {
            0..=2 => self.deliver(side),
            3..=5 => self.perform(side),
            6 => self.tell(side, Event::NetworkChanged),
            7 => self.tell(side, Event::Failed),
            8 => self.tell(side, Event::Disconnected),
            9 => self.cut(side, false),
            10 => self.cut(side, true),
            11 => self.resume(side),
            _ => {
                self.now_ms += 10_000.0;
                self.tell(side, Event::Woken);
            }
        }
    }
}

/// More alarms than any recovery needs.
const MANY: usize = 40;

fn ends_connected(polite: [bool; 2], troubles: Vec<(usize, u8)>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(polite);
    pair.tell(1, Event::Start);
    for (side, step) in troubles {
        pair.trouble(side, step);
    }
    for _ in 0..MANY {
        pair.calm_down();
        if !pair.next_alarm() {
            break;
        }
    }
    pair.calm_down();
    prop_assert!(pair.is_up(), "{:#?}", pair);
    Ok(())
}

fn troubles() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0_usize..2, 0_u8..13), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_order_of_troubles_ends_in_one_connection(troubles in troubles()) {
        ends_connected([false, true], troubles)?;
    }

    /// A restarted server can leave two people who each think the other came later, or
    /// earlier; their alarms are spread, so that one of them is first.
    #[test]
    fn even_two_with_the_same_manners_connect(manners in any::<bool>(), troubles in troubles()) {
        ends_connected([manners, manners], troubles)?;
    }
}
