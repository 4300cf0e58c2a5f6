//! Tests of single cases of the negotiation.

use super::*;

fn candidate(text: &str) -> Candidate {
    Candidate {
        candidate: text.into(),
        mid: Some("0".into()),
        mline_index: Some(0),
    }
}

fn heard_candidate(connection: u32) -> Event {
    Event::RemoteSignal(Signal::Candidate {
        connection,
        candidate: candidate("early"),
    })
}

fn heard_offer(connection: u32) -> Event {
    Event::RemoteSignal(Signal::Offer {
        connection,
        sdp: "offer".into(),
    })
}

fn heard_answer(connection: u32) -> Event {
    Event::RemoteSignal(Signal::Answer {
        connection,
        sdp: "answer".into(),
    })
}

fn described(connection: u32, offer: bool) -> Event {
    Event::LocalDescription(Description {
        connection,
        offer,
        sdp: "made".into(),
    })
}

/// One side of a connected pair.
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
fn a_candidate_that_arrives_before_its_description_is_kept() {
    let mut negotiation = Negotiation::new(false);
    assert_eq!(negotiation.handle(heard_candidate(1), 0.0), []);
    let actions = negotiation.handle(heard_offer(1), 0.0);
    let answered = actions
        .iter()
        .position(|action| matches!(action, Action::CreateAnswer { .. }));
    let added = actions
        .iter()
        .position(|action| matches!(action, Action::AddCandidate(_)));
    assert!(answered.is_some() && answered < added);
    assert!(matches!(
        negotiation.handle(heard_candidate(1), 0.0)[..],
        [Action::AddCandidate(_)]
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
        .filter(|action| matches!(action, Action::AddCandidate(_)));
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
    assert!(matches!(actions[..], [Action::CreateAnswer { .. }]));
}

#[test]
fn crossed_new_connections_leave_the_polite_end_with_a_new_one() {
    let mut polite = Negotiation::new(true);
    polite.handle(Event::Start, 0.0);
    let actions = polite.handle(heard_offer(1), 0.0);
    assert_eq!(opens(&actions), Some(1));
    assert!(matches!(actions.last(), Some(Action::CreateAnswer { .. })));
}

#[test]
fn a_disconnection_recovers_by_itself_or_is_repaired_in_steps() {
    let mut negotiation = connected(true);
    assert_eq!(
        negotiation.handle(Event::Disconnected, 0.0),
        [Action::SetTimer(2_000.0)]
    );
    negotiation.handle(Event::Connected, 1_000.0);
    assert_eq!(
        negotiation.handle(Event::TimerFired, 2_000.0),
        [],
        "it recovered by itself"
    );

    negotiation.handle(Event::Disconnected, 3_000.0);
    let restart = negotiation.handle(Event::TimerFired, 5_000.0);
    assert_eq!(
        restart,
        [
            Action::CreateOffer { restart_ice: true },
            Action::SetTimer(9_000.0)
        ]
    );
    assert_eq!(
        opens(&negotiation.handle(Event::TimerFired, 9_000.0)),
        Some(2)
    );
    assert_eq!(
        opens(&negotiation.handle(Event::TimerFired, 999_000.0)),
        Some(3)
    );
}

#[test]
fn a_failed_transport_is_restarted_at_once_and_the_impolite_side_replaces_it_later() {
    let mut negotiation = connected(false);
    let restart = negotiation.handle(Event::Failed, 0.0);
    assert_eq!(
        restart,
        [
            Action::CreateOffer { restart_ice: true },
            Action::SetTimer(9_000.0)
        ]
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
    assert!(!again.contains(&Action::CreateOffer { restart_ice: true }));
    let answered = negotiation.handle(heard_answer(1), 20.0);
    assert_eq!(
        answered.last(),
        Some(&Action::CreateOffer { restart_ice: true })
    );
}

#[test]
fn an_ice_restart_on_a_working_path_replaces_nothing() {
    let mut negotiation = connected(true);
    negotiation.handle(Event::NetworkChanged, 0.0);
    negotiation.handle(described(1, true), 1.0);
    negotiation.handle(heard_answer(1), 100.0);
    assert_eq!(negotiation.handle(Event::TimerFired, 60_000.0), []);
    assert_eq!(negotiation.connection(), 1);
}

#[test]
fn a_failed_negotiation_step_leads_to_a_new_connection_soon() {
    let mut negotiation = Negotiation::new(true);
    negotiation.handle(Event::Start, 0.0);
    let actions = negotiation.handle(Event::StepFailed { connection: 1 }, 0.0);
    assert_eq!(actions, [Action::SetTimer(1_000.0)]);
    assert_eq!(
        opens(&negotiation.handle(Event::TimerFired, 1_000.0)),
        Some(2)
    );
    assert_eq!(
        negotiation.handle(Event::StepFailed { connection: 1 }, 2_000.0),
        []
    );
}

#[test]
fn a_connection_closed_by_the_remote_end_is_replaced_at_once_and_later_with_backoff() {
    let mut negotiation = connected(true);
    let lost = negotiation.handle(Event::RemoteClosed { connection: 1 }, 0.0);
    assert_eq!(opens(&lost), Some(2));
    assert_eq!(
        negotiation.handle(Event::RemoteClosed { connection: 1 }, 5.0),
        []
    );
    let again = negotiation.handle(Event::RemoteClosed { connection: 2 }, 10.0);
    assert_eq!(again, [Action::SetTimer(1_010.0)]);
    assert_eq!(
        opens(&negotiation.handle(Event::TimerFired, 1_010.0)),
        Some(3)
    );
}

#[test]
fn another_offer_follows_the_answer_to_a_pending_one() {
    let mut negotiation = Negotiation::new(true);
    assert_eq!(negotiation.handle(Event::NegotiationNeeded, 0.0), []);
    negotiation.handle(Event::Start, 0.0);
    assert_eq!(negotiation.handle(Event::NegotiationNeeded, 1.0), []);
    negotiation.handle(described(1, true), 1.0);
    let answered = negotiation.handle(heard_answer(1), 2.0);
    assert_eq!(
        answered.last(),
        Some(&Action::CreateOffer { restart_ice: false })
    );
    assert_eq!(negotiation.handle(Event::NegotiationNeeded, 3.0), []);
    negotiation.handle(described(1, true), 3.0);
    negotiation.handle(heard_answer(1), 4.0);
    negotiation.handle(described(1, true), 4.0);
    let quiet = negotiation.handle(heard_answer(1), 5.0);
    let offers = quiet
        .iter()
        .any(|action| matches!(action, Action::CreateOffer { .. }));
    assert!(!offers, "no further offer is pending");
}

/// One side of a connected pair with an ICE restart in flight.
fn restarting(polite: bool) -> Negotiation {
    let mut negotiation = connected(polite);
    negotiation.handle(Event::NetworkChanged, 0.0);
    assert!(sends(&negotiation.handle(described(1, true), 10.0)));
    negotiation
}

#[test]
fn an_unanswered_offer_is_repeated_after_a_reconnect() {
    let mut negotiation = restarting(true);
    let resumed = negotiation.handle(Event::SignalingResumed, 1_000.0);
    assert_eq!(resumed, [Action::ResendOffer]);
    // Media still works, so nothing else triggers the offer again.
    negotiation.handle(Event::Connected, 2_000.0);
    assert_eq!(negotiation.handle(Event::NegotiationNeeded, 3_000.0), []);
    let resumed = negotiation.handle(Event::SignalingResumed, 4_000.0);
    assert_eq!(resumed, [Action::ResendOffer]);
    let answered = negotiation.handle(heard_answer(1), 5_000.0);
    assert_eq!(
        answered.last(),
        Some(&Action::CreateOffer { restart_ice: false })
    );
    assert!(sends(&negotiation.handle(described(1, true), 5_010.0)));
    negotiation.handle(heard_answer(1), 5_020.0);
    assert_eq!(negotiation.handle(Event::SignalingResumed, 6_000.0), []);
}

#[test]
fn an_offer_in_creation_is_not_repeated() {
    let mut negotiation = Negotiation::new(true);
    assert_eq!(negotiation.handle(Event::SignalingResumed, 0.0), []);
    negotiation.handle(Event::Start, 0.0);
    assert_eq!(negotiation.handle(Event::SignalingResumed, 1.0), []);
    assert!(sends(&negotiation.handle(described(1, true), 2.0)));
    let resumed = negotiation.handle(Event::SignalingResumed, 3.0);
    assert_eq!(resumed, [Action::ResendOffer]);
}

#[test]
fn an_offer_rolled_back_for_a_remote_offer_is_not_repeated() {
    let mut polite = restarting(true);
    polite.handle(heard_offer(1), 20.0);
    assert_eq!(polite.handle(Event::SignalingResumed, 30.0), []);
}

#[test]
fn the_second_answer_to_a_repeated_offer_is_ignored() {
    let mut negotiation = restarting(true);
    negotiation.handle(Event::SignalingResumed, 20.0);
    negotiation.handle(heard_answer(1), 30.0);
    negotiation.handle(Event::NegotiationNeeded, 40.0);
    assert_eq!(negotiation.handle(heard_answer(1), 50.0), []);
    assert!(sends(&negotiation.handle(described(1, true), 60.0)));
    let answered = negotiation.handle(heard_answer(1), 70.0);
    assert!(matches!(answered[..], [Action::SetAnswer { .. }]));
}

#[test]
fn a_side_that_counts_from_a_number_replaces_the_connection_of_its_former_page() {
    let mut before = Negotiation::new(false).numbered_from(1_000);
    assert_eq!(opens(&before.handle(Event::Start, 0.0)), Some(1_000));
    let mut other = Negotiation::new(true).numbered_from(1_003);
    assert_eq!(opens(&other.handle(heard_offer(1_000), 0.0)), Some(1_000));
    // The page is reloaded some seconds later.
    let mut after = Negotiation::new(false).numbered_from(1_009);
    assert_eq!(opens(&after.handle(Event::Start, 0.0)), Some(1_009));
    assert_eq!(opens(&other.handle(heard_offer(1_009), 0.0)), Some(1_009));
    // What the other side opens next counts on from there, up to the last number.
    let mut last = Negotiation::new(true);
    assert_eq!(
        opens(&last.handle(heard_offer(u32::MAX), 0.0)),
        Some(u32::MAX)
    );
    last.handle(
        Event::RemoteClosed {
            connection: u32::MAX,
        },
        1.0,
    );
    assert_eq!(last.connection(), u32::MAX);
}
