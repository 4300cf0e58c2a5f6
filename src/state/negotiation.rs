//! How two browsers agree on a connection, and how they mend it.
//!
//! A pure state machine for one pair: events in, actions out.
//! Perfect negotiation (W3C WebRTC 10.7): the one who entered the call later is polite
//! and makes the first offer; when two offers cross, the polite side gives way. A
//! connection that breaks is mended in steps: wait, ICE restart, a fresh connection
//! under the next number, again with longer pauses. Time comes in as milliseconds
//! of a steady clock.

use crate::protocol::{Candidate, Signal};

/// A short gap usually heals by itself: how long to wait before an ICE restart.
pub const RESTART_AFTER_MS: f64 = 2_000.0;
/// How long an ICE restart may take before the connection is replaced.
pub const RESTART_WITHIN_MS: f64 = 4_000.0;
/// How long a fresh connection may take at first; longer with every failure.
pub const CONNECT_WITHIN_MS: f64 = 8_000.0;
/// The longest a fresh connection may take before the next is tried.
const CONNECT_WITHIN_MAX_MS: f64 = 20_000.0;
/// The impolite side leaves the polite one this long to replace the connection.
const IMPOLITE_PATIENCE_MS: f64 = 5_000.0;
/// How soon a connection is replaced when the browser refused a step of it.
const REPLACE_BROKEN_AFTER_MS: f64 = 1_000.0;
/// Candidates kept for a description that has not come; more than any browser sends.
const MAX_EARLY_CANDIDATES: usize = 64;

/// Input of the negotiation.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Both are in the call: connect.
    Start,
    /// The other side said something.
    Heard(Signal),
    /// A description of ours is ready to be sent.
    Described(Description),
    /// The transport works.
    Connected,
    /// The transport hears nothing at the moment.
    Disconnected,
    /// The transport has given up.
    Failed,
    /// This device has come to another network.
    NetworkChanged,
    /// The browser refused a step of this connection.
    StepFailed {
        /// Which of the pair it was.
        connection: u32,
    },
    /// The other side has no such connection any more.
    Lost {
        /// Which of the pair it was.
        connection: u32,
    },
    /// A line to the server was lost and is back, ours or the other side's: what was said
    /// meanwhile is lost, and perhaps what was said just before.
    Resumed,
    /// The connection is to carry more than its last offer named.
    MoreWanted,
    /// A moment asked for by [`Action::WakeAt`] has come.
    Woken,
}

/// A session description, and which side of the exchange it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The connection it was made for; another may have taken its place meanwhile.
    pub connection: u32,
    /// Whether it is an offer; otherwise an answer.
    pub offer: bool,
    /// The text (RFC 8866).
    pub sdp: String,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Close the peer connection there is and make a new one.
    Open {
        /// Which of the pair it is.
        connection: u32,
    },
    /// Make an offer and set it; tell [`Event::Described`].
    Offer {
        /// Restart ICE (RFC 8445 9).
        restart_ice: bool,
    },
    /// Set the other side's offer, answer it; tell [`Event::Described`].
    Answer {
        /// Session description of the offer.
        sdp: String,
    },
    /// Set the other side's answer.
    Accept {
        /// Session description of the answer.
        sdp: String,
    },
    /// Add the other side's candidate.
    Add(Candidate),
    /// Tell the other side.
    Send(Signal),
    /// Tell the other side the offer that was set last once more, with the candidates that
    /// were found meanwhile.
    Repeat,
    /// Tell [`Event::Woken`] at this moment; replaces an earlier wish.
    WakeAt(f64),
}

/// What comes next unless the transport works by then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Restart,
    Replace,
}

/// Descriptions the browser is making for the present connection. It makes one after
/// the other, so that only the last of a kind is still wanted when it comes.
#[derive(Debug, Default)]
struct Making {
    offers: u32,
    answers: u32,
}

/// The negotiation with one other person in the call.
#[derive(Debug)]
pub struct Negotiation {
    polite: bool,
    /// The number of the present connection; 0 before the first.
    connection: u32,
    /// An offer of ours is being made or waits for its answer.
    offering: bool,
    /// What the browser is at work on.
    making: Making,
    /// An ICE restart is wanted as soon as the present offer is answered: a second
    /// offer before that would take the answer to the first for its own.
    restart_due: bool,
    /// Another offer is wanted as soon as the present one is answered.
    more_due: bool,
    /// The transport works, as far as is known.
    connected: bool,
    /// The present connection has had a description of the other side.
    described: bool,
    /// Candidates that came before their description, with their connection.
    early: Vec<(u32, Candidate)>,
    /// What comes next, and when.
    next: Option<(f64, Step)>,
    /// Connections in a row that did not come up.
    failures: u32,
    /// Added to every wait before a replacement, see [`Negotiation::spread_by`].
    spread_ms: f64,
}

impl Negotiation {
    /// A negotiation that has not begun. `polite` is who entered the call later.
    pub fn new(polite: bool) -> Self {
        Self {
            polite,
            connection: 0,
            offering: false,
            making: Making::default(),
            restart_due: false,
            more_due: false,
            connected: false,
            described: false,
            early: Vec::new(),
            next: None,
            failures: 0,
            spread_ms: 0.0,
        }
    }

    /// Waits a little longer before each replacement. With a different spread on each
    /// side, two who both think they are polite (or both not) do not replace their
    /// connections at the same moment for ever.
    pub fn spread_by(self, spread_ms: f64) -> Self {
        Self { spread_ms, ..self }
    }

    /// The number of the present connection; 0 before the first.
    pub fn connection(&self) -> u32 {
        self.connection
    }

    /// Takes in what happened at `now_ms` and says what to do.
    pub fn handle(&mut self, event: Event, now_ms: f64) -> Vec<Action> {
        match event {
            Event::Start if self.connection == 0 => self.replace(now_ms),
            Event::Start => vec![],
            Event::Heard(signal) => self.hear(signal, now_ms),
            Event::Described(description) => self.describe(description),
            Event::Connected => {
                self.connected = true;
                self.settle()
            }
            Event::Disconnected => {
                self.connected = false;
                self.worry(now_ms)
            }
            Event::Failed => {
                self.connected = false;
                self.restart(now_ms)
            }
            Event::NetworkChanged => self.restart(now_ms),
            Event::StepFailed { connection } => self.stumble(connection, now_ms),
            Event::Lost { connection } => self.lose(connection, now_ms),
            Event::Resumed => self.repeat(),
            Event::MoreWanted => self.want_more(),
            Event::Woken => self.wake(now_ms),
        }
    }

    fn hear(&mut self, signal: Signal, now_ms: f64) -> Vec<Action> {
        if signal.connection() < self.connection {
            return vec![];
        }
        match signal {
            Signal::Offer { connection, sdp } => self.hear_offer(connection, sdp, now_ms),
            Signal::Answer { connection, sdp } => self.hear_answer(connection, sdp),
            Signal::Candidate {
                connection,
                candidate,
            } => self.hear_candidate(connection, candidate),
        }
    }

    fn hear_offer(&mut self, connection: u32, sdp: String, now_ms: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        let newer = connection > self.connection;
        if !newer && self.offering && !self.polite {
            return actions;
        }
        // Two fresh connections crossed: ours is thrown away and theirs answered,
        // because an unanswered offer's transceivers cannot be used for another.
        if newer || (self.offering && !self.described) {
            actions.extend(self.open(connection, now_ms));
        }
        self.offering = false;
        // Their ICE restart serves as well as ours.
        self.restart_due = false;
        self.described = true;
        self.making.answers += 1;
        actions.push(Action::Answer { sdp });
        actions.extend(self.release_early());
        actions
    }

    fn hear_answer(&mut self, connection: u32, sdp: String) -> Vec<Action> {
        if connection != self.connection || !self.awaits_answer() {
            return vec![];
        }
        self.offering = false;
        self.described = true;
        let mut actions = vec![Action::Accept { sdp }];
        actions.extend(self.release_early());
        let more = std::mem::take(&mut self.more_due);
        if std::mem::take(&mut self.restart_due) {
            actions.push(self.offer(true));
        } else if more {
            actions.push(self.offer(false));
        }
        actions
    }

    fn hear_candidate(&mut self, connection: u32, candidate: Candidate) -> Vec<Action> {
        if connection == self.connection && self.described {
            return vec![Action::Add(candidate)];
        }
        if self.early.len() < MAX_EARLY_CANDIDATES {
            self.early.push((connection, candidate));
        }
        vec![]
    }

    /// The candidates that waited for the description just set.
    fn release_early(&mut self) -> Vec<Action> {
        let present = self.connection;
        let early = std::mem::take(&mut self.early);
        let (ready, later): (Vec<_>, Vec<_>) = early
            .into_iter()
            .partition(|(connection, _)| *connection == present);
        self.early = later
            .into_iter()
            .filter(|(connection, _)| *connection > present)
            .collect();
        ready
            .into_iter()
            .map(|(_, candidate)| Action::Add(candidate))
            .collect()
    }

    fn describe(&mut self, description: Description) -> Vec<Action> {
        let Description {
            connection,
            offer,
            sdp,
        } = description;
        if connection != self.connection {
            return vec![];
        }
        let making = match offer {
            true => &mut self.making.offers,
            false => &mut self.making.answers,
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
        self.making.offers += 1;
        Action::Offer { restart_ice }
    }

    /// An offer of ours has been said and waits for its answer.
    fn awaits_answer(&self) -> bool {
        self.offering && self.making.offers == 0
    }

    /// The same offer again, not another one: where only its answer was lost, the other side
    /// answers as before, and a second ICE restart would undo the first.
    fn repeat(&self) -> Vec<Action> {
        let again = self.awaits_answer().then_some(Action::Repeat);
        again.into_iter().collect()
    }

    fn settle(&mut self) -> Vec<Action> {
        self.next = None;
        self.failures = 0;
        vec![]
    }

    fn worry(&mut self, now_ms: f64) -> Vec<Action> {
        match self.next {
            Some(_) => vec![],
            None => self.plan(now_ms + RESTART_AFTER_MS, Step::Restart),
        }
    }

    /// Restarts ICE on the present connection, unless a new one is planned.
    fn restart(&mut self, now_ms: f64) -> Vec<Action> {
        if self.connection == 0 || !self.described || matches!(self.next, Some((_, Step::Replace)))
        {
            return vec![];
        }
        let mut actions = Vec::new();
        match self.offering {
            true => self.restart_due = true,
            false => actions.push(self.offer(true)),
        }
        actions.extend(self.plan(now_ms + self.patient(RESTART_WITHIN_MS), Step::Replace));
        actions
    }

    /// A connection with a step missing will not come up: no use in waiting long.
    fn stumble(&mut self, connection: u32, now_ms: f64) -> Vec<Action> {
        if connection != self.connection {
            return vec![];
        }
        let wait = REPLACE_BROKEN_AFTER_MS * f64::from(self.failures + 1);
        let at_ms = now_ms + self.patient(wait.min(CONNECT_WITHIN_MAX_MS));
        match self.next {
            Some((planned, Step::Replace)) if planned <= at_ms => vec![],
            _ => self.plan(at_ms, Step::Replace),
        }
    }

    /// The other side has let go: at once a fresh one, unless that has failed before.
    fn lose(&mut self, connection: u32, now_ms: f64) -> Vec<Action> {
        if connection != self.connection {
            return vec![];
        }
        self.connected = false;
        self.failures += 1;
        let wait = REPLACE_BROKEN_AFTER_MS * f64::from(self.failures - 1);
        match self.failures {
            1 => self.replace(now_ms),
            _ => self.plan(now_ms + wait.min(CONNECT_WITHIN_MAX_MS), Step::Replace),
        }
    }

    /// An offer on the connection there is, once the one under way is answered.
    fn want_more(&mut self) -> Vec<Action> {
        match (self.connection, self.offering) {
            (0, _) => vec![],
            (_, true) => {
                self.more_due = true;
                vec![]
            }
            (_, false) => vec![self.offer(false)],
        }
    }

    /// A fresh connection, offered by us.
    fn replace(&mut self, now_ms: f64) -> Vec<Action> {
        let mut actions = self.open(self.connection + 1, now_ms);
        actions.push(self.offer(false));
        actions
    }

    fn open(&mut self, connection: u32, now_ms: f64) -> Vec<Action> {
        self.connection = connection;
        self.offering = false;
        self.making = Making::default();
        self.restart_due = false;
        self.more_due = false;
        self.connected = false;
        self.described = false;
        let within = CONNECT_WITHIN_MS * f64::from(self.failures + 1);
        let within = self.patient(within.min(CONNECT_WITHIN_MAX_MS));
        let mut actions = vec![Action::Open { connection }];
        actions.extend(self.plan(now_ms + within, Step::Replace));
        actions
    }

    fn wake(&mut self, now_ms: f64) -> Vec<Action> {
        match self.next {
            Some((at, _)) if now_ms < at => vec![Action::WakeAt(at)],
            Some((_, Step::Restart)) => {
                self.next = None;
                self.restart(now_ms)
            }
            // The restart went by unnoticed: the path never broke.
            Some((_, Step::Replace)) if self.connected => self.settle(),
            Some((_, Step::Replace)) => {
                self.failures += 1;
                self.replace(now_ms)
            }
            None => vec![],
        }
    }

    fn plan(&mut self, at_ms: f64, step: Step) -> Vec<Action> {
        self.next = Some((at_ms, step));
        vec![Action::WakeAt(at_ms)]
    }

    fn patient(&self, within_ms: f64) -> f64 {
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
