//! How a pair agrees, whatever crosses whatever.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

fn candidate(text: &str) -> Candidate {
    Candidate {
        candidate: text.into(),
        mid: Some("0".into()),
        line: Some(0),
    }
}

fn heard_candidate(connection: u32) -> Event {
    Event::Heard(Signal::Candidate {
        connection,
        candidate: candidate("early"),
    })
}

fn heard_offer(connection: u32) -> Event {
    Event::Heard(Signal::Offer {
        connection,
        sdp: "offer".into(),
    })
}

fn heard_answer(connection: u32) -> Event {
    Event::Heard(Signal::Answer {
        connection,
        sdp: "answer".into(),
    })
}

/// A pair that is connected, seen from one side.
fn connected(polite: bool) -> Negotiation {
    let mut negotiation = Negotiation::new(polite);
    negotiation.handle(Event::Start, 0.0);
    negotiation.handle(heard_answer(1), 0.0);
    negotiation.handle(Event::Connected, 0.0);
    negotiation
}

fn opens(actions: &[Action]) -> Option<u32> {
    actions.iter().find_map(|action| match action {
        Action::Open { connection } => Some(*connection),
        _ => None,
    })
}

#[test]
fn a_candidate_that_comes_before_its_description_is_not_lost() {
    let mut negotiation = Negotiation::new(false);
    assert_eq!(negotiation.handle(heard_candidate(1), 0.0), []);
    let actions = negotiation.handle(heard_offer(1), 0.0);
    let answered = actions
        .iter()
        .position(|action| matches!(action, Action::Answer { .. }));
    let added = actions
        .iter()
        .position(|action| matches!(action, Action::Add(_)));
    assert!(answered.is_some() && answered < added);
    assert!(matches!(
        negotiation.handle(heard_candidate(1), 0.0)[..],
        [Action::Add(_)]
    ));
}

#[test]
fn early_candidates_are_kept_within_bounds() {
    let mut negotiation = Negotiation::new(false);
    for _ in 0..10_000 {
        negotiation.handle(heard_candidate(1), 0.0);
    }
    let actions = negotiation.handle(heard_offer(1), 0.0);
    let added = actions
        .iter()
        .filter(|action| matches!(action, Action::Add(_)));
    assert_eq!(added.count(), MAX_EARLY_CANDIDATES);
}

#[test]
fn what_belongs_to_a_replaced_connection_is_ignored() {
    let mut negotiation = connected(true);
    assert_eq!(opens(&negotiation.handle(heard_offer(2), 0.0)), Some(2));
    assert_eq!(negotiation.handle(heard_candidate(1), 0.0), []);
    assert_eq!(negotiation.handle(heard_offer(1), 0.0), []);
    assert_eq!(negotiation.handle(heard_answer(1), 0.0), []);
}

#[test]
fn the_impolite_side_keeps_its_offer_and_the_polite_side_gives_way() {
    let mut impolite = connected(false);
    impolite.handle(Event::NetworkChanged, 0.0);
    assert_eq!(impolite.handle(heard_offer(1), 0.0), []);
    let mut polite = connected(true);
    polite.handle(Event::NetworkChanged, 0.0);
    let actions = polite.handle(heard_offer(1), 0.0);
    assert_eq!(
        opens(&actions),
        None,
        "the connection stays; the browser rolls back"
    );
    assert!(matches!(actions[..], [Action::Answer { .. }]));
}

#[test]
fn crossed_fresh_connections_leave_the_polite_side_with_a_new_one() {
    let mut polite = Negotiation::new(true);
    polite.handle(Event::Start, 0.0);
    let actions = polite.handle(heard_offer(1), 0.0);
    assert_eq!(opens(&actions), Some(1));
    assert!(matches!(actions.last(), Some(Action::Answer { .. })));
}

#[test]
fn a_gap_heals_by_itself_or_is_mended_in_steps() {
    let mut negotiation = connected(true);
    assert_eq!(
        negotiation.handle(Event::Disconnected, 0.0),
        [Action::WakeAt(2_000.0)]
    );
    negotiation.handle(Event::Connected, 1_000.0);
    assert_eq!(negotiation.handle(Event::Woken, 2_000.0), [], "it healed");

    negotiation.handle(Event::Disconnected, 3_000.0);
    let restart = negotiation.handle(Event::Woken, 5_000.0);
    assert_eq!(
        restart,
        [Action::Offer { restart_ice: true }, Action::WakeAt(9_000.0)]
    );
    assert_eq!(opens(&negotiation.handle(Event::Woken, 9_000.0)), Some(2));
    assert_eq!(opens(&negotiation.handle(Event::Woken, 999_000.0)), Some(3));
}

#[test]
fn a_failed_transport_is_restarted_at_once_and_the_impolite_side_replaces_it_later() {
    let mut negotiation = connected(false);
    let restart = negotiation.handle(Event::Failed, 0.0);
    assert_eq!(
        restart,
        [Action::Offer { restart_ice: true }, Action::WakeAt(9_000.0)]
    );
}

/// Two sides over a channel that keeps order but delays at will. A connection is up
/// when both have the same number and each has the other's description.
struct Pair {
    sides: [Negotiation; 2],
    wires: [VecDeque<Signal>; 2],
    now_ms: f64,
}

impl Pair {
    fn new() -> Self {
        Self {
            sides: [Negotiation::new(false), Negotiation::new(true)],
            wires: Default::default(),
            now_ms: 0.0,
        }
    }

    fn tell(&mut self, side: usize, event: Event) {
        for action in self.sides[side].handle(event, self.now_ms) {
            match action {
                Action::Offer { .. } => self.described(side, true),
                Action::Answer { .. } => self.described(side, false),
                Action::Send(signal) => self.wires[1 - side].push_back(signal),
                _ => {}
            }
        }
    }

    fn described(&mut self, side: usize, offer: bool) {
        let description = Description {
            offer,
            sdp: String::new(),
        };
        self.tell(side, Event::Described(description));
    }

    fn deliver(&mut self, side: usize) {
        if let Some(signal) = self.wires[side].pop_front() {
            self.tell(side, Event::Heard(signal));
        }
    }

    fn settled(&self) -> bool {
        let [a, b] = &self.sides;
        a.connection == b.connection && a.described && b.described && !a.offering && !b.offering
    }
}

proptest! {
    #[test]
    fn any_order_of_troubles_ends_in_one_connection(
        steps in prop::collection::vec((0_usize..2, 0_u8..6), 0..60),
    ) {
        let mut pair = Pair::new();
        pair.tell(1, Event::Start);
        for (side, step) in steps {
            match step {
                0 | 1 => pair.deliver(side),
                2 => pair.tell(side, Event::Start),
                3 => pair.tell(side, Event::NetworkChanged),
                4 => pair.tell(side, Event::Failed),
                _ => {
                    pair.now_ms += 10_000.0;
                    pair.tell(side, Event::Woken);
                }
            }
        }
        // Calm: everything is delivered, and whoever still waits is woken in time.
        for _ in 0..20 {
            while !pair.wires.iter().all(VecDeque::is_empty) {
                pair.deliver(0);
                pair.deliver(1);
            }
            if pair.settled() {
                return Ok(());
            }
            pair.now_ms += 30_000.0;
            pair.tell(1, Event::Woken);
            pair.tell(0, Event::Woken);
        }
        prop_assert!(pair.settled(), "{:?}", pair.sides);
    }
}
