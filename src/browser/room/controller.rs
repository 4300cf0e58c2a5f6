//! What runs a room in the browser: one connection, kept alive, feeding the state.
//!
//! The policy is elsewhere and pure: when to try again in [`crate::state::connection`],
//! which way in [`crate::state::transport`], what to send in [`crate::state::outbox`], what
//! messages mean in [`crate::state::apply_to_store`]. This only owns the timers and the
//! connection, which is looked after in [`line`].

use super::connection::Trial;
use crate::browser::call::{CallDriver, Media};
use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::js::Listener;
use crate::browser::dom::storage;
use crate::browser::net::transport::Link;
use crate::protocol::{
    ClientMessage, Devices, ErrorCode, Joined, Nickname, ParticipantId, RoomName, Seq,
    ServerMessage, SessionToken,
};
use crate::state::call::CallState;
use crate::state::connection::{PING_EVERY, Refused, Stage};
use crate::state::outbox::Outbox;
use crate::state::transport::Ways;
use crate::state::{RoomState, RoomStateStoreFields, apply_to_store};
use gloo_timers::callback::{Interval, Timeout};
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Runs one room for one tab.
pub struct Driver {
    pub(super) me: Weak<Self>,
    pub(super) state: Store<RoomState>,
    pub(super) call: Rc<CallDriver>,
    pub(super) room: RoomName,
    pub(super) nickname: RefCell<Nickname>,
    pub(super) session: RefCell<Option<SessionToken>>,
    pub(super) link: RefCell<Option<Link>>,
    /// Which way the line goes.
    pub(super) ways: RefCell<Ways>,
    /// A WebSocket that is tried beside the polling.
    pub(super) trial: RefCell<Option<Trial>>,
    pub(super) outbox: RefCell<Outbox>,
    /// When anything was last heard, or the connection was opened.
    pub(super) heard_at_ms: Cell<f64>,
    /// When the others were last told that one is typing.
    pub(super) typing_told: Cell<f64>,
    /// The page of older messages that was asked for last: asked for once.
    pub(super) asked_before: Cell<Option<Seq>>,
    pub(super) timers: RefCell<Timers>,
    pub(super) listeners: RefCell<Vec<Listener>>,
}

/// Timers, each stopped by being dropped.
#[derive(Default)]
pub(super) struct Timers {
    pub(super) retry: Option<Timeout>,
    pub(super) banner: Option<Timeout>,
    pub(super) outbox: Option<Timeout>,
    pub(super) probe: Option<Timeout>,
    pub(super) trial: Option<Timeout>,
    pub(super) moving: Option<Timeout>,
    pub(super) heartbeat: Option<Interval>,
    /// Who is typing, until they are forgotten.
    pub(super) typing: HashMap<ParticipantId, Timeout>,
}

pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl Driver {
    /// Starts connecting to `room`, as who this tab was there before, if it was.
    pub fn start(
        state: Store<RoomState>,
        call: Store<CallState>,
        room: RoomName,
        nickname: Nickname,
    ) -> Rc<Self> {
        let identity = storage::identity(&room);
        let nickname = identity
            .as_ref()
            .map_or(nickname, |known| known.nickname.clone());
        let driver = Rc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            state,
            call: CallDriver::new(call, sender(me.clone())),
            nickname: RefCell::new(nickname),
            session: RefCell::new(identity.map(|known| known.session)),
            room,
            link: RefCell::new(None),
            ways: RefCell::default(),
            trial: RefCell::default(),
            outbox: RefCell::new(Outbox::new(steady_ms())),
            heard_at_ms: Cell::new(steady_ms()),
            typing_told: Cell::new(f64::NEG_INFINITY),
            asked_before: Cell::new(None),
            timers: RefCell::default(),
            listeners: RefCell::default(),
        });
        driver.restore_pending();
        driver.restore_read();
        driver.listen();
        driver.connect();
        driver
    }

    /// The call's own driver.
    pub fn call(&self) -> &Rc<CallDriver> {
        &self.call
    }

    /// One's own devices.
    pub fn media(&self) -> &Rc<Media> {
        self.call.media()
    }

    /// Leaves the room for good and frees everything.
    pub fn stop(&self) {
        self.remember_read();
        self.leave_call();
        self.listeners.borrow_mut().clear();
        *self.timers.borrow_mut() = Timers::default();
        storage::set_identity(&self.room, None);
        self.trial.borrow_mut().take();
        if let Some(link) = self.link.borrow_mut().take() {
            link.leave();
        }
    }

    /// Tries to connect at once.
    pub fn retry_now(&self) {
        if matches!(self.stage(), Stage::Waiting | Stage::Full) {
            self.connect();
        }
    }

    /// Enters the call as soon as the line is live.
    pub fn enter_call(&self, wanted: Devices) {
        storage::set_in_call(&self.room, true);
        self.call.enter(wanted);
    }

    /// Leaves the call and frees its devices and connections.
    pub fn leave_call(&self) {
        storage::set_in_call(&self.room, false);
        self.call.leave();
    }

    pub(super) fn stage(&self) -> Stage {
        self.state.line().read_untracked().stage
    }

    pub(super) fn send(&self, message: &ClientMessage) -> bool {
        let Ok(frame) = serde_json::to_string(message) else {
            return false;
        };
        self.link
            .borrow()
            .as_ref()
            .is_some_and(|link| link.send(&frame))
    }

    pub(super) fn take_in(&self, message: &ServerMessage) {
        apply_to_store(self.state, message);
        self.call.on_message(message);
        match message {
            ServerMessage::Joined(joined) => self.joined(joined),
            ServerMessage::Error {
                code: ErrorCode::RoomFull,
                ..
            } => {
                self.timers.borrow_mut().banner = None;
                self.link.borrow_mut().take();
            }
            ServerMessage::Error { code, id: None, .. }
                if self.stage() == Stage::Connecting && Refused::of_join(*code).is_some() =>
            {
                Refused::of_join(*code)
                    .into_iter()
                    .for_each(|refused| self.refused(refused));
            }
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages,
                id: Some(id),
                ..
            } => {
                self.outbox.borrow_mut().hand_back(*id);
                self.pending_changed();
            }
            // A page of older messages, most likely: it may be asked for again.
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages,
                id: None,
                ..
            } => self.asked_before.set(None),
            ServerMessage::Typing { id } => self.forget_typing_later(id),
            ServerMessage::Chat(_) | ServerMessage::Error { id: Some(_), .. } => {
                self.pending_changed();
            }
            _ => {}
        }
    }

    fn joined(&self, joined: &Joined) {
        self.asked_before.set(None);
        self.line_is_live();
        *self.session.borrow_mut() = Some(joined.session.clone());
        self.remember_identity();
        *self.outbox.borrow_mut() = Outbox::new(steady_ms());
        self.pending_changed();
        self.call.on_live();
    }

    fn listen(&self) {
        let Some(window) = web_sys::window() else {
            return;
        };
        let mut listeners = self.listeners.borrow_mut();
        for event in ["online", "offline", "pageshow", "focus"] {
            let me = self.me.clone();
            listeners.push(Listener::new(&window, event, move |_| {
                if let Some(driver) = me.upgrade() {
                    driver.probe();
                    if event == "online" {
                        driver.online();
                    }
                }
            }));
        }
        if let Some(document) = window.document() {
            let me = self.me.clone();
            listeners.push(Listener::new(
                &document.clone(),
                "visibilitychange",
                move |_| {
                    if let Some(driver) = me.upgrade() {
                        driver.looks(!document.hidden());
                    }
                },
            ));
        }
        let me = self.me.clone();
        self.timers.borrow_mut().heartbeat = Some(Interval::new(millis(PING_EVERY), move || {
            if let Some(driver) = me.upgrade() {
                driver.beat();
            }
        }));
    }
}

/// How the call sends: through whatever connection there is.
fn sender(me: Weak<Driver>) -> Rc<dyn Fn(ClientMessage)> {
    Rc::new(move |message| {
        if let Some(driver) = me.upgrade() {
            driver.send(&message);
        }
    })
}
