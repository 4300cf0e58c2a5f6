//! The driver's line to the server: opening it, noticing its loss, coming back, and the
//! move from polling to a WebSocket once that gets through.

use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::storage;
use crate::browser::net::fetch;
use crate::browser::net::transport::Link;
use crate::browser::net::websocket::{Heard, Socket};
use crate::browser::room::controller::{Driver, millis};
use crate::protocol::{ClientMessage, Resume};
use crate::state::RoomStateStoreFields;
use crate::state::connection::{
    DEAD_AFTER, JOIN_WITHIN, Next, QUIET_AFTER_LOSS, Reason, Refused, Stage,
};
use crate::state::transport::Way;
use gloo_timers::callback::Timeout;
use leptos::prelude::*;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long a line that may be dead has to answer, after the network came or went
/// or the tab woke up.
const PROBE_WITHIN: Duration = Duration::from_secs(5);
/// How long to let a request under way come to its end before moving over.
const LET_FINISH: Duration = Duration::from_millis(200);
/// What a lost line is reported as (RFC 6455 7.4.1).
const LOST: u16 = 1006;

/// A WebSocket that is tried beside the polling.
pub(super) struct Trial {
    socket: Socket,
    /// It got through: it is the line now.
    moved: Rc<Cell<bool>>,
}

fn millis_f64(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

impl Driver {
    /// Opens a connection in place of whatever there was.
    pub(super) fn connect(&self) {
        self.timers.borrow_mut().retry = None;
        self.state.line().update(|line| line.connecting());
        self.heard_at_ms.set(steady_ms());
        self.arm_banner();
        let me = self.me.clone();
        let hear = move |heard| {
            if let Some(driver) = me.upgrade() {
                driver.hear(heard);
            }
        };
        // The former connection goes first: one tab holds one.
        self.link.borrow_mut().take();
        let way = self.ways.borrow().way();
        let link = Link::open(way, hear);
        let refused = link.is_none();
        *self.link.borrow_mut() = link;
        if refused {
            self.lost(LOST);
        }
    }

    fn hear(&self, heard: Heard) {
        self.heard_at_ms.set(steady_ms());
        match heard {
            Heard::Open => self.join(),
            Heard::Life => {}
            // What this page does not understand comes from a newer server.
            Heard::Frame(frame) => {
                if let Ok(message) = serde_json::from_str(&frame) {
                    self.take_in(&message);
                }
            }
            Heard::Closed(code) => self.lost(code),
            Heard::Refused(refused) => {
                self.ways.borrow_mut().failed(LOST);
                self.refused(refused);
            }
        }
    }

    fn join(&self) {
        let position = self.state.log().read_untracked().position.clone();
        let session = self.session.borrow().clone();
        let resume = session.zip(position).map(|(session, at)| Resume {
            session,
            epoch: at.epoch,
            seq: at.seq,
        });
        let (room, nickname) = (self.room.to_string(), self.nickname.borrow().to_string());
        self.send(&ClientMessage::Join {
            room,
            nickname,
            resume,
        });
    }

    /// The line is live.
    pub(super) fn line_is_live(&self) {
        self.timers.borrow_mut().banner = None;
        self.ways.borrow_mut().live();
        self.plan_trial();
    }

    /// The connection is gone: plan what comes next.
    pub(super) fn lost(&self, code: u16) {
        self.link.borrow_mut().take();
        self.call.on_lost();
        self.give_trial_up();
        let failed = self.stage() == Stage::Connecting;
        let by_socket = self.ways.borrow().way() == Way::Socket;
        let at_once = failed && self.ways.borrow_mut().failed(code);
        if failed && by_socket && code == LOST && !at_once {
            self.ask_why();
        }
        let mut next = Next::Stay;
        self.state
            .line()
            .update(|line| next = line.lost(code, js_sys::Math::random()));
        self.arm_banner();
        match next {
            Next::Stay => {}
            Next::StartOver => {
                *self.session.borrow_mut() = None;
                storage::set_identity(&self.room, None);
                self.connect_in(Duration::ZERO);
            }
            Next::Retry(_) if at_once => self.connect_in(Duration::ZERO),
            Next::Retry(wait) => self.connect_in(wait),
        }
    }

    /// An attempt was refused: says so, and plans the next one.
    pub(super) fn refused(&self, refused: Refused) {
        self.link.borrow_mut().take();
        self.call.on_lost();
        self.give_trial_up();
        self.timers.borrow_mut().banner = None;
        let mut wait = Duration::ZERO;
        let jitter = js_sys::Math::random();
        self.state
            .line()
            .update(|line| wait = line.refused(refused, jitter));
        self.connect_in(wait);
    }

    /// A WebSocket was not opened: asks whether the server refuses it. The next attempt does
    /// not wait for the answer; a refusal puts it off.
    fn ask_why(&self) {
        let me = self.me.clone();
        leptos::task::spawn_local(async move {
            let refused = fetch::ask_why().await;
            let Some(driver) = me.upgrade() else { return };
            let mut wait = None;
            driver.state.line().maybe_update(|line| {
                let before = *line;
                wait = line.explained(refused, js_sys::Math::random());
                *line != before
            });
            if let Some(wait) = wait {
                driver.connect_in(wait);
            }
        });
    }

    fn connect_in(&self, wait: Duration) {
        let me = self.me.clone();
        let retry = Timeout::new(millis(wait), move || {
            if let Some(driver) = me.upgrade() {
                driver.connect();
            }
        });
        self.timers.borrow_mut().retry = Some(retry);
    }

    /// Says so after a while, if the line is still down then.
    fn arm_banner(&self) {
        let mut timers = self.timers.borrow_mut();
        if timers.banner.is_some() {
            return;
        }
        let me = self.me.clone();
        timers.banner = Some(Timeout::new(millis(QUIET_AFTER_LOSS), move || {
            if let Some(driver) = me.upgrade() {
                driver.state.line().maybe_update(|line| line.still_lost());
            }
        }));
    }

    /// Every [`PING_EVERY`](crate::state::connection::PING_EVERY): asks for a sign of life, or
    /// gives the connection up.
    pub(super) fn beat(&self) {
        let silent_ms = steady_ms() - self.heard_at_ms.get();
        let limit = match self.stage() {
            Stage::Live => DEAD_AFTER,
            Stage::Connecting => JOIN_WITHIN,
            _ => return,
        };
        if silent_ms > millis_f64(limit) {
            self.lost(LOST);
        } else if self.stage() == Stage::Live && self.ways.borrow().way() == Way::Socket {
            // Who polls is answered every few seconds anyway.
            self.send(&ClientMessage::Ping);
        }
    }

    /// Something changed outside: connect now, or find out whether the line is alive.
    pub(super) fn probe(&self) {
        match self.stage() {
            // Whoever was refused asks again when that is allowed.
            Stage::Waiting if self.state.line().read_untracked().reason.is_some() => {}
            Stage::Waiting => self.connect(),
            Stage::Live => {
                self.send(&ClientMessage::Ping);
                let (me, asked_at) = (self.me.clone(), steady_ms());
                let probe = Timeout::new(millis(PROBE_WITHIN), move || {
                    if let Some(driver) = me.upgrade()
                        && driver.stage() == Stage::Live
                        && driver.heard_at_ms.get() < asked_at
                    {
                        driver.lost(LOST);
                    }
                });
                self.timers.borrow_mut().probe = Some(probe);
            }
            _ => {}
        }
    }

    /// The device is on a network again, perhaps on one that lets WebSockets through.
    pub(super) fn online(&self) {
        self.ways.borrow_mut().online();
        // What stood before the server on the other network may not on this one.
        let reason = self.state.line().read_untracked().reason;
        if self.stage() == Stage::Waiting && matches!(reason, Some(Reason::Status(_))) {
            self.connect();
        }
        self.try_socket();
    }

    /// While polling: tries a WebSocket after a while.
    fn plan_trial(&self) {
        let wait = self.ways.borrow_mut().trial_in(js_sys::Math::random());
        let me = self.me.clone();
        self.timers.borrow_mut().trial = wait.map(|wait| {
            Timeout::new(millis(wait), move || {
                if let Some(driver) = me.upgrade() {
                    driver.try_socket();
                }
            })
        });
    }

    /// While polling: tries a WebSocket beside it, in place of a trial that hangs.
    fn try_socket(&self) {
        if self.stage() != Stage::Live || self.ways.borrow().way() == Way::Socket {
            return;
        }
        let (me, moved) = (self.me.clone(), Rc::new(Cell::new(false)));
        let is_line = moved.clone();
        let hear = move |heard| match me.upgrade() {
            Some(driver) if is_line.get() => driver.hear(heard),
            Some(driver) => driver.hear_trial(&heard),
            None => {}
        };
        let socket = Socket::open(hear);
        *self.trial.borrow_mut() = socket.map(|socket| Trial { socket, moved });
        self.plan_trial();
    }

    /// A trial counts when something came back: there are networks that let the upgrade
    /// through and nothing else.
    fn hear_trial(&self, heard: &Heard) {
        match heard {
            Heard::Open => {
                let ping = serde_json::to_string(&ClientMessage::Ping).unwrap_or_default();
                if let Some(trial) = self.trial.borrow().as_ref() {
                    trial.socket.send(&ping);
                }
            }
            Heard::Frame(_) | Heard::Life => self.move_over(),
            Heard::Closed(_) | Heard::Refused(_) => drop(self.trial.borrow_mut().take()),
        }
    }

    /// Goes on by the WebSocket that was tried: the room sees the same session resumed,
    /// and what is not acknowledged is sent again.
    fn move_over(&self) {
        if self.link.borrow().as_ref().is_some_and(Link::is_busy) {
            return self.move_over_soon();
        }
        let Some(trial) = self.trial.borrow_mut().take() else {
            return;
        };
        trial.moved.set(true);
        self.timers.borrow_mut().trial = None;
        self.ways.borrow_mut().moved();
        self.state.line().update(|line| line.connecting());
        self.heard_at_ms.set(steady_ms());
        self.arm_banner();
        *self.link.borrow_mut() = Some(Link::Socket(trial.socket));
        self.join();
    }

    /// Something is on its way to the server, and would be given up with the request.
    fn move_over_soon(&self) {
        let me = self.me.clone();
        let soon = Timeout::new(millis(LET_FINISH), move || {
            if let Some(driver) = me.upgrade() {
                driver.move_over();
            }
        });
        self.timers.borrow_mut().moving = Some(soon);
    }

    fn give_trial_up(&self) {
        self.timers.borrow_mut().trial = None;
        self.trial.borrow_mut().take();
    }
}
