//! How a pair agrees, whatever crosses whatever.

use super::*;

fn candidate(text: &str) -> Candidate {
    Candidate {
        candidate: text.into(),
        mid: Some("0".into()),
        mline_index: Some(0),
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

fn described(connection: u32, offer: bool) -> Event {
    Event::Described(Description {
        connection,
        offer,
        sdp: "made".into(),
    })
}

/// A pair that is connected, seen from one side.
fn connected(polite: bool) -> Negotiation {
    let mut negotiation = Negotiation::new(polite);
    negotiation.handle(Event::Start, 0.0);
    negotiation.handle(described(1, true), 0.0);
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
fn early_candidates_are_kept_up_to_a_limit() {
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
fn signals_of_a_replaced_connection_are_ignored() {
    let mut negotiation = connected(true);
    assert_eq!(opens(&negotiation.handle(heard_offer(2), 0.0)), Some(2));
    assert_eq!(negotiation.handle(heard_candidate(1), 0.0), []);
    assert_eq!(negotiation.handle(heard_offer(1), 0.0), []);
    assert_eq!(negotiation.handle(heard_answer(1), 0.0), []);
}

#[test]
fn the_impolite_end_keeps_its_offer_and_the_polite_end_rolls_back() {
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
fn crossed_new_connections_leave_the_polite_end_with_a_new_one() {
    let mut polite = Negotiation::new(true);
    polite.handle(Event::Start, 0.0);
    let actions = polite.handle(heard_offer(1), 0.0);
    assert_eq!(opens(&actions), Some(1));
    assert!(matches!(actions.last(), Some(Action::Answer { .. })));
}

#[test]
fn a_disconnection_recovers_by_itself_or_is_repaired_in_steps() {
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

fn sends(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Send(_)))
}

#[test]
fn a_description_of_a_connection_replaced_meanwhile_is_not_sent() {
    let mut negotiation = Negotiation::new(false);
    negotiation.handle(Event::Start, 0.0);
    negotiation.handle(heard_offer(2), 0.0);
    assert_eq!(negotiation.handle(described(1, true), 0.0), []);
    assert!(sends(&negotiation.handle(described(2, false), 0.0)));
}

#[test]
fn an_offer_rolled_back_during_creation_is_not_sent() {
    let mut polite = connected(true);
    polite.handle(Event::NetworkChanged, 0.0);
    polite.handle(heard_offer(1), 0.0);
    assert_eq!(polite.handle(described(1, true), 0.0), []);
    assert!(sends(&polite.handle(described(1, false), 0.0)));
}

#[test]
fn a_second_restart_waits_for_the_answer_to_the_first() {
    let mut negotiation = connected(true);
    negotiation.handle(Event::NetworkChanged, 0.0);
    negotiation.handle(described(1, true), 1.0);
    negotiation.handle(Event::Connected, 5.0);
    let again = negotiation.handle(Event::NetworkChanged, 10.0);
    assert!(!again.contains(&Action::Offer { restart_ice: true }));
    let answered = negotiation.handle(heard_answer(1), 20.0);
    assert_eq!(answered.last(), Some(&Action::Offer { restart_ice: true }));
}

#[test]
fn an_ice_restart_on_a_working_path_replaces_nothing() {
    let mut negotiation = connected(true);
    negotiation.handle(Event::NetworkChanged, 0.0);
    negotiation.handle(described(1, true), 1.0);
    negotiation.handle(heard_answer(1), 100.0);
    assert_eq!(negotiation.handle(Event::Woken, 60_000.0), []);
    assert_eq!(negotiation.connection(), 1);
}

#[test]
fn a_failed_negotiation_step_leads_to_a_new_connection_soon() {
    let mut negotiation = Negotiation::new(true);
    negotiation.handle(Event::Start, 0.0);
    let actions = negotiation.handle(Event::StepFailed { connection: 1 }, 0.0);
    assert_eq!(actions, [Action::WakeAt(1_000.0)]);
    assert_eq!(opens(&negotiation.handle(Event::Woken, 1_000.0)), Some(2));
    assert_eq!(
        negotiation.handle(Event::StepFailed { connection: 1 }, 2_000.0),
        []
    );
}

#[test]
fn a_connection_closed_by_the_remote_end_is_replaced_at_once_and_later_with_backoff() {
    let mut negotiation = connected(true);
    let lost = negotiation.handle(Event::Lost { connection: 1 }, 0.0);
    assert_eq!(opens(&lost), Some(2));
    assert_eq!(negotiation.handle(Event::Lost { connection: 1 }, 5.0), []);
    let again = negotiation.handle(Event::Lost { connection: 2 }, 10.0);
    assert_eq!(again, [Action::WakeAt(1_010.0)]);
    assert_eq!(opens(&negotiation.handle(Event::Woken, 1_010.0)), Some(3));
}

#[test]
fn more_is_offered_once_the_offer_under_way_is_answered() {
    let mut negotiation = Negotiation::new(true);
    assert_eq!(negotiation.handle(Event::MoreWanted, 0.0), []);
    negotiation.handle(Event::Start, 0.0);
    assert_eq!(negotiation.handle(Event::MoreWanted, 1.0), []);
    negotiation.handle(described(1, true), 1.0);
    let answered = negotiation.handle(heard_answer(1), 2.0);
    assert_eq!(answered.last(), Some(&Action::Offer { restart_ice: false }));
    assert_eq!(negotiation.handle(Event::MoreWanted, 3.0), []);
    negotiation.handle(described(1, true), 3.0);
    negotiation.handle(heard_answer(1), 4.0);
    negotiation.handle(described(1, true), 4.0);
    let quiet = negotiation.handle(heard_answer(1), 5.0);
    let offers = quiet
        .iter()
        .any(|action| matches!(action, Action::Offer { .. }));
    assert!(!offers, "nothing is offered that nobody wants");
}

/// A pair of which one side's restart is on its way to the other.
fn restarting(polite: bool) -> Negotiation {
    let mut negotiation = connected(polite);
    negotiation.handle(Event::NetworkChanged, 0.0);
    assert!(sends(&negotiation.handle(described(1, true), 10.0)));
    negotiation
}

#[test]
fn an_unanswered_offer_is_repeated_after_a_reconnect() {
    let mut negotiation = restarting(true);
    let resumed = negotiation.handle(Event::Resumed, 1_000.0);
    assert_eq!(resumed, [Action::Repeat]);
    // Media works all the same, so that nothing else brings the offer up again.
    negotiation.handle(Event::Connected, 2_000.0);
    assert_eq!(negotiation.handle(Event::MoreWanted, 3_000.0), []);
    let resumed = negotiation.handle(Event::Resumed, 4_000.0);
    assert_eq!(resumed, [Action::Repeat]);
    let answered = negotiation.handle(heard_answer(1), 5_000.0);
    assert_eq!(answered.last(), Some(&Action::Offer { restart_ice: false }));
    assert!(sends(&negotiation.handle(described(1, true), 5_010.0)));
    negotiation.handle(heard_answer(1), 5_020.0);
    assert_eq!(negotiation.handle(Event::Resumed, 6_000.0), []);
}

#[test]
fn an_offer_in_creation_is_not_repeated() {
    let mut negotiation = Negotiation::new(true);
    assert_eq!(negotiation.handle(Event::Resumed, 0.0), []);
    negotiation.handle(Event::Start, 0.0);
    assert_eq!(negotiation.handle(Event::Resumed, 1.0), []);
    assert!(sends(&negotiation.handle(described(1, true), 2.0)));
    let resumed = negotiation.handle(Event::Resumed, 3.0);
    assert_eq!(resumed, [Action::Repeat]);
}

#[test]
fn an_offer_rolled_back_for_theirs_is_not_repeated() {
    let mut polite = restarting(true);
    polite.handle(heard_offer(1), 20.0);
    assert_eq!(polite.handle(Event::Resumed, 30.0), []);
}

#[test]
fn the_second_answer_to_a_repeated_offer_is_ignored() {
    let mut negotiation = restarting(true);
    negotiation.handle(Event::Resumed, 20.0);
    negotiation.handle(heard_answer(1), 30.0);
    negotiation.handle(Event::MoreWanted, 40.0);
    assert_eq!(negotiation.handle(heard_answer(1), 50.0), []);
    assert!(sends(&negotiation.handle(described(1, true), 60.0)));
    let answered = negotiation.handle(heard_answer(1), 70.0);
    assert!(matches!(answered[..], [Action::Accept { .. }]));
}
