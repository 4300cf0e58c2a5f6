//! Negotiation and repair of one peer connection.
//!
//! A pure state machine for one pair of endpoints: events in, actions out. It implements
//! perfect negotiation (W3C WebRTC 10.7): the participant who entered the call later is polite
//! and makes the first offer; if two offers collide, the polite side rolls back. A broken
//! connection is repaired in steps: wait, ICE restart, a new connection with the next number,
//! then further ones at longer intervals. Times are milliseconds of a steady clock.

use crate::protocol::{Candidate, Signal};

/// Delay from `disconnected` to an ICE restart, in milliseconds. Most gaps end by themselves.
pub const RESTART_AFTER_MS: f64 = 2_000.0;
/// Longest ICE restart before the connection is replaced, in milliseconds.
pub const RESTART_WITHIN_MS: f64 = 4_000.0;
/// Longest time to establish the first connection, in milliseconds; grows with each failure.
pub const CONNECT_WITHIN_MS: f64 = 8_000.0;
/// Upper bound of the time to establish a connection, in milliseconds.
const CONNECT_WITHIN_MAX_MS: f64 = 20_000.0;
/// Extra delay of the impolite side before it replaces the connection, in milliseconds.
const IMPOLITE_PATIENCE_MS: f64 = 5_000.0;
/// Delay before a connection is replaced after a failed step, in milliseconds.
const REPLACE_BROKEN_AFTER_MS: f64 = 1_000.0;
/// Most candidates kept until their description arrives; more than any browser sends.
const MAX_EARLY_CANDIDATES: usize = 64;

/// Input of the negotiation.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Open the first connection: both participants are in the call.
    Start,
    /// A signal of the remote side arrived.
    RemoteSignal(Signal),
    /// The browser has created and set a local description, which is ready to be sent.
    LocalDescription(Description),
    /// `connectionState` is `connected`.
    Connected,
    /// `connectionState` is `disconnected`.
    Disconnected,
    /// `connectionState` is `failed`.
    Failed,
    /// This device has changed networks.
    NetworkChanged,
    /// The browser rejected an action on this connection.
    StepFailed {
        /// Number of the connection.
        connection: u32,
    },
    /// The remote side has closed this connection.
    RemoteClosed {
        /// Number of the connection.
        connection: u32,
    },
    /// A participant reconnected to the server. Signals sent during the outage, and possibly
    /// just before it, are lost.
    SignalingResumed,
    /// The connection needs transceivers that its last offer did not contain.
    NegotiationNeeded,
    /// The timer of [`Action::SetTimer`] fired.
    TimerFired,
}

/// A local session description.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Number of the connection it was created for, which may have been replaced since.
    pub connection: u32,
    /// Whether it is an offer; otherwise an answer.
    pub offer: bool,
    /// The SDP (RFC 8866).
    pub sdp: String,
}

/// Output of the negotiation, to be performed in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Close the current peer connection and open a new one.
    Open {
        /// Number of the new connection.
        connection: u32,
    },
    /// Create an offer and set it; then report [`Event::LocalDescription`].
    CreateOffer {
        /// Whether to restart ICE (RFC 8445 9).
        restart_ice: bool,
    },
    /// Set the remote offer, create an answer and set it; then report
    /// [`Event::LocalDescription`].
    CreateAnswer {
        /// The remote offer.
        sdp: String,
    },
    /// Set the remote answer.
    SetAnswer {
        /// The remote answer.
        sdp: String,
    },
    /// Add a remote candidate.
    AddCandidate(Candidate),
    /// Send a signal to the remote side.
    Send(Signal),
    /// Send the current local offer again, with the candidates gathered so far.
    ResendOffer,
    /// Report [`Event::TimerFired`] at this time, in milliseconds; replaces an earlier timer.
    SetTimer(f64),
}

/// The next repair step, unless the transport is connected by then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RecoveryStep {
    Restart,
    Replace,
}

/// Numbers of descriptions that the browser is creating for the current connection. It creates
/// them in sequence, and only the last of each kind is sent.
#[derive(Debug, Default)]
struct InCreation {
    offers: u32,
    answers: u32,
}

/// The negotiation with one remote side: another participant or the SFU.
#[derive(Debug)]
pub struct Negotiation {
    polite: bool,
    /// Number of the current connection; 0 before the first.
    connection: u32,
    /// Number of the first connection that this side opens.
    first: u32,
    /// Whether a local offer is being created or awaits its answer.
    offering: bool,
    /// Descriptions that the browser is creating.
    in_creation: InCreation,
    /// Whether to restart ICE once the current offer is answered. A second offer before that
    /// would be matched with the answer to the first.
    ice_restart_pending: bool,
    /// Whether to make another offer once the current one is answered.
    offer_pending: bool,
    /// Whether the transport is connected.
    connected: bool,
    /// Whether the current connection has had a remote description.
    has_remote_description: bool,
    /// Candidates that arrived before their description, with the number of their connection.
    early_candidates: Vec<(u32, Candidate)>,
    /// The next repair step and its time, in milliseconds.
    next: Option<(f64, RecoveryStep)>,
    /// Consecutive connections that were not established.
    failures: u32,
    /// Added to each delay before a replacement, in milliseconds; see
    /// [`Negotiation::spread_by`].
    spread_ms: f64,
}

impl Negotiation {
    /// A negotiation that has not started. The participant who entered the call later is `polite`.
    pub fn new(polite: bool) -> Self {
        Self {
            polite,
            connection: 0,
            first: 1,
            offering: false,
            in_creation: InCreation::default(),
            ice_restart_pending: false,
            offer_pending: false,
            connected: false,
            has_remote_description: false,
            early_candidates: Vec::new(),
            next: None,
            failures: 0,
            spread_ms: 0.0,
        }
    }

    /// Adds `spread_ms` to the delay before each replacement. With a different spread on each
    /// side, two sides that both believe to be polite, or both impolite, do not replace their
    /// connections at the same time again and again.
    pub fn spread_by(self, spread_ms: f64) -> Self {
        Self { spread_ms, ..self }
    }

    /// Counts the connections from this number on, instead of from 1. For sides without legs, where
    /// a page that was reloaded has to begin above its former numbers.
    pub fn numbered_from(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// Number of the current connection; 0 before the first.
    pub fn connection(&self) -> u32 {
        self.connection
    }

    /// Handles an event at `now_ms` and returns the actions.
    pub fn handle(&mut self, event: Event, now_ms: f64) -> Vec<Action> {
        match event {
            Event::Start if self.connection == 0 => self.replace_connection(now_ms),
            Event::Start => vec![],
            Event::RemoteSignal(signal) => self.on_signal(signal, now_ms),
            Event::LocalDescription(description) => self.on_local_description(description),
            Event::Connected => {
                self.connected = true;
                self.on_connected()
            }
            Event::Disconnected => {
                self.connected = false;
                self.on_disconnected(now_ms)
            }
            Event::Failed => {
                self.connected = false;
                self.restart_ice(now_ms)
            }
            Event::NetworkChanged => self.restart_ice(now_ms),
            Event::StepFailed { connection } => self.on_step_failed(connection, now_ms),
            Event::RemoteClosed { connection } => self.on_remote_closed(connection, now_ms),
            Event::SignalingResumed => self.resend_offer(),
            Event::NegotiationNeeded => self.on_negotiation_needed(),
            Event::TimerFired => self.on_timer(now_ms),
        }
    }

    fn on_signal(&mut self, signal: Signal, now_ms: f64) -> Vec<Action> {
        if signal.connection() < self.connection {
            return vec![];
        }
        match signal {
            Signal::Offer { connection, sdp } => self.on_offer(connection, sdp, now_ms),
            Signal::Answer { connection, sdp } => self.on_answer(connection, sdp),
            Signal::Candidate {
                connection,
                candidate,
            } => self.on_candidate(connection, candidate),
        }
    }

    fn on_offer(&mut self, connection: u32, sdp: String, now_ms: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        let newer = connection > self.connection;
        if !newer && self.offering && !self.polite {
            return actions;
        }
        // Two first offers collided: discard the local connection and answer the remote offer,
        // because the transceivers of an unanswered offer cannot be reused.
        if newer || (self.offering && !self.has_remote_description) {
            actions.extend(self.open(connection, now_ms));
        }
        self.offering = false;
        // The remote offer restarts ICE for both sides.
        self.ice_restart_pending = false;
        self.has_remote_description = true;
        self.in_creation.answers += 1;
        actions.push(Action::CreateAnswer { sdp });
        actions.extend(self.take_early_candidates());
        actions
    }

    fn on_answer(&mut self, connection: u32, sdp: String) -> Vec<Action> {
        if connection != self.connection || !self.is_awaiting_answer() {
            return vec![];
        }
        self.offering = false;
        self.has_remote_description = true;
        let mut actions = vec![Action::SetAnswer { sdp }];
        actions.extend(self.take_early_candidates());
        let more = std::mem::take(&mut self.offer_pending);
        if std::mem::take(&mut self.ice_restart_pending) {
            actions.push(self.offer(true));
        } else if more {
            actions.push(self.offer(false));
        }
        actions
    }

    fn on_candidate(&mut self, connection: u32, candidate: Candidate) -> Vec<Action> {
        if connection == self.connection && self.has_remote_description {
            return vec![Action::AddCandidate(candidate)];
        }
        if self.early_candidates.len() < MAX_EARLY_CANDIDATES {
            self.early_candidates.push((connection, candidate));
        }
        vec![]
    }

    /// Takes the candidates that waited for the remote description.
    fn take_early_candidates(&mut self) -> Vec<Action> {
        let present = self.connection;
        let early = std::mem::take(&mut self.early_candidates);
        let (ready, later): (Vec<_>, Vec<_>) = early
            .into_iter()
            .partition(|(connection, _)| *connection == present);
        self.early_candidates = later
            .into_iter()
            .filter(|(connection, _)| *connection > present)
            .collect();
        ready
            .into_iter()
            .map(|(_, candidate)| Action::AddCandidate(candidate))
            .collect()
    }

    fn on_local_description(&mut self, description: Description) -> Vec<Action> {
        let Description {
            connection,
            offer,
            sdp,
        } = description;
        if connection != self.connection {
            return vec![];
        }
        let making = match offer {
            true => &mut self.in_creation.offers,
            false => &mut self.in_creation.answers,
        };
        *making = making.saturating_sub(1);
        let wanted = *making == 0 && (self.offering || !offer);
        let signal = match offer {
            true => Signal::Offer { connection, sdp },
            false => Signal::Answer { connection, sdp },
        };
        wanted.then_some(Action::Send(signal)).into_iter().collect()
    }

    fn offer(&mut self, restart_ice: bool) -> Action {
        self.offering = true;
        self.in_creation.offers += 1;
        Action::CreateOffer { restart_ice }
    }

    /// Whether a sent offer awaits its answer.
    fn is_awaiting_answer(&self) -> bool {
        self.offering && self.in_creation.offers == 0
    }

    /// Sends the same offer again instead of a new one: if only the answer was lost, the remote
    /// side repeats it, and a second ICE restart would undo the first.
    fn resend_offer(&self) -> Vec<Action> {
        let again = self.is_awaiting_answer().then_some(Action::ResendOffer);
        again.into_iter().collect()
    }

    fn on_connected(&mut self) -> Vec<Action> {
        self.next = None;
        self.failures = 0;
        vec![]
    }

    fn on_disconnected(&mut self, now_ms: f64) -> Vec<Action> {
        match self.next {
            Some(_) => vec![],
            None => self.schedule(now_ms + RESTART_AFTER_MS, RecoveryStep::Restart),
        }
    }

    /// Restarts ICE on the current connection, unless its replacement is scheduled.
    fn restart_ice(&mut self, now_ms: f64) -> Vec<Action> {
        if self.connection == 0
            || !self.has_remote_description
            || matches!(self.next, Some((_, RecoveryStep::Replace)))
        {
            return vec![];
        }
        let mut actions = Vec::new();
        match self.offering {
            true => self.ice_restart_pending = true,
            false => actions.push(self.offer(true)),
        }
        actions.extend(self.schedule(
            now_ms + self.with_patience(RESTART_WITHIN_MS),
            RecoveryStep::Replace,
        ));
        actions
    }

    /// A connection with a failed step will not be established, so it is replaced soon.
    fn on_step_failed(&mut self, connection: u32, now_ms: f64) -> Vec<Action> {
        if connection != self.connection {
            return vec![];
        }
        let wait = REPLACE_BROKEN_AFTER_MS * f64::from(self.failures + 1);
        let at_ms = now_ms + self.with_patience(wait.min(CONNECT_WITHIN_MAX_MS));
        match self.next {
            Some((planned, RecoveryStep::Replace)) if planned <= at_ms => vec![],
            _ => self.schedule(at_ms, RecoveryStep::Replace),
        }
    }

    /// Replaces the connection at once, or after a delay if earlier replacements failed.
    fn on_remote_closed(&mut self, connection: u32, now_ms: f64) -> Vec<Action> {
        if connection != self.connection {
            return vec![];
        }
        self.connected = false;
        self.failures += 1;
        let wait = REPLACE_BROKEN_AFTER_MS * f64::from(self.failures - 1);
        match self.failures {
            1 => self.replace_connection(now_ms),
            _ => self.schedule(
                now_ms + wait.min(CONNECT_WITHIN_MAX_MS),
                RecoveryStep::Replace,
            ),
        }
    }

    /// Makes an offer on the current connection, after the answer to a pending one.
    fn on_negotiation_needed(&mut self) -> Vec<Action> {
        match (self.connection, self.offering) {
            (0, _) => vec![],
            (_, true) => {
                self.offer_pending = true;
                vec![]
            }
            (_, false) => vec![self.offer(false)],
        }
    }

    /// Opens a new connection with an offer.
    fn replace_connection(&mut self, now_ms: f64) -> Vec<Action> {
        let next = self.connection.saturating_add(1);
        let number = match self.connection {
            0 => self.first,
            _ => next,
        };
        let mut actions = self.open(number, now_ms);
        actions.push(self.offer(false));
        actions
    }

    fn open(&mut self, connection: u32, now_ms: f64) -> Vec<Action> {
        self.connection = connection;
        self.offering = false;
        self.in_creation = InCreation::default();
        self.ice_restart_pending = false;
        self.offer_pending = false;
        self.connected = false;
        self.has_remote_description = false;
        let within = CONNECT_WITHIN_MS * f64::from(self.failures + 1);
        let within = self.with_patience(within.min(CONNECT_WITHIN_MAX_MS));
        let mut actions = vec![Action::Open { connection }];
        actions.extend(self.schedule(now_ms + within, RecoveryStep::Replace));
        actions
    }

    fn on_timer(&mut self, now_ms: f64) -> Vec<Action> {
        match self.next {
            Some((at, _)) if now_ms < at => vec![Action::SetTimer(at)],
            Some((_, RecoveryStep::Restart)) => {
                self.next = None;
                self.restart_ice(now_ms)
            }
            // The path never broke during the ICE restart.
            Some((_, RecoveryStep::Replace)) if self.connected => self.on_connected(),
            Some((_, RecoveryStep::Replace)) => {
                self.failures += 1;
                self.replace_connection(now_ms)
            }
            None => vec![],
        }
    }

    fn schedule(&mut self, at_ms: f64, step: RecoveryStep) -> Vec<Action> {
        self.next = Some((at_ms, step));
        vec![Action::SetTimer(at_ms)]
    }

    fn with_patience(&self, within_ms: f64) -> f64 {
        let patience_ms = match self.polite {
            true => 0.0,
            false => IMPOLITE_PATIENCE_MS,
        };
        within_ms + patience_ms + self.spread_ms
    }
}

#[cfg(test)]
#[path = "negotiation_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "negotiation_simulation.rs"]
mod simulation;
