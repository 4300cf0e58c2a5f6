//! What runs a room in the browser: one connection, kept alive, feeding the state.
//!
//! The policy is elsewhere and pure: when to try again in [`crate::state::line`],
//! which way in [`crate::state::ways`], what to send in [`crate::state::outbox`], what
//! messages mean in [`crate::state::apply_to_store`]. This only owns the timers and the
//! connection, which is looked after in [`line`].

mod line;

use super::call::{CallDriver, Media};
use super::clock::steady_ms;
use super::js::Listener;
use super::link::Link;
use super::storage::{self, Identity};
use crate::protocol::{
    ChatText, ClientMessage, Devices, Emoji, ErrorCode, Joined, MessageId, Nickname, ParticipantId,
    RoomName, Seq, ServerMessage, SessionToken, TYPING_EVERY_MS, TYPING_LASTS_MS,
};
use crate::state::call::CallState;
use crate::state::line::{PING_EVERY, Stage};
use crate::state::outbox::Outbox;
use crate::state::ways::Ways;
use crate::state::{Position, RoomState, RoomStateStoreFields, apply_to_store};
use gloo_timers::callback::{Interval, Timeout};
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Older messages asked for at once.
const OLDER_PAGE: u32 = 50;
/// How long to wait before handing over more of a flood of messages.
const OUTBOX_PAUSE: Duration = Duration::from_millis(300);

/// Runs one room for one tab.
pub struct Driver {
    me: Weak<Self>,
    state: Store<RoomState>,
    call: Rc<CallDriver>,
    room: RoomName,
    nickname: RefCell<Nickname>,
    session: RefCell<Option<SessionToken>>,
    link: RefCell<Option<Link>>,
    /// Which way the line goes.
    ways: RefCell<Ways>,
    /// A WebSocket that is tried beside the polling.
    trial: RefCell<Option<line::Trial>>,
    outbox: RefCell<Outbox>,
    /// When anything was last heard, or the connection was opened.
    heard_at_ms: Cell<f64>,
    /// When the others were last told that one is typing.
    typing_told: Cell<f64>,
    /// The page of older messages that was asked for last: asked for once.
    asked_before: Cell<Option<Seq>>,
    timers: RefCell<Timers>,
    listeners: RefCell<Vec<Listener>>,
}

/// Timers, each stopped by being dropped.
#[derive(Default)]
struct Timers {
    retry: Option<Timeout>,
    banner: Option<Timeout>,
    outbox: Option<Timeout>,
    probe: Option<Timeout>,
    trial: Option<Timeout>,
    moving: Option<Timeout>,
    heartbeat: Option<Interval>,
    /// Who is typing, until they are forgotten.
    typing: HashMap<ParticipantId, Timeout>,
}

fn millis(duration: Duration) -> u32 {
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
        self.call.leave();
        self.listeners.borrow_mut().clear();
        *self.timers.borrow_mut() = Timers::default();
        storage::set_identity(&self.room, None);
        self.trial.borrow_mut().take();
        if let Some(link) = self.link.borrow_mut().take() {
            link.leave();
        }
    }

    /// Says something.
    pub fn say(&self, text: ChatText, reply_to: Option<MessageId>) {
        let id = MessageId(uuid::Uuid::now_v7());
        self.state.log().update(|log| log.say(id, text, reply_to));
        self.state.reading().update(|reading| reading.mark = None);
        self.typing_told.set(f64::NEG_INFINITY);
        self.pending_changed();
    }

    /// Changes what a message of one's own says.
    pub fn edit(&self, id: MessageId, text: ChatText) {
        let text = text.to_string();
        self.send(&ClientMessage::Edit { id, text });
    }

    /// Takes a message of one's own back.
    pub fn delete(&self, id: MessageId) {
        self.send(&ClientMessage::Delete { id });
    }

    /// Gives a message an emoji, or takes it back.
    pub fn react(&self, id: MessageId, emoji: Emoji, on: bool) {
        let emoji = emoji.into();
        self.send(&ClientMessage::React { id, emoji, on });
    }

    /// Tells the others that one is typing, unless they were told a moment ago.
    pub fn typing(&self) {
        let now = steady_ms();
        if now - self.typing_told.get() >= f64::from(TYPING_EVERY_MS) && self.stage() == Stage::Live
        {
            self.typing_told.set(now);
            self.send(&ClientMessage::Typing);
        }
    }

    /// Sends a refused message again.
    pub fn retry(&self, id: MessageId) {
        self.outbox.borrow_mut().hand_back(id);
        self.state.log().update(|log| log.retry(id));
        self.pending_changed();
    }

    /// Gives a refused message up.
    pub fn discard(&self, id: MessageId) {
        self.state.log().update(|log| log.discard(id));
        self.pending_changed();
    }

    /// Asks to be called something else; remembered for the next room, too.
    pub fn rename(&self, nickname: Nickname) {
        storage::set_cookie(crate::api::NICKNAME_COOKIE, nickname.as_str());
        self.send(&ClientMessage::Nickname {
            nickname: nickname.to_string(),
        });
        *self.nickname.borrow_mut() = nickname;
        self.remember_identity();
    }

    /// Asks for older messages.
    pub fn load_older(&self) {
        let oldest = self.state.log().read_untracked().oldest();
        if let Some(before) = oldest.filter(|oldest| self.asked_before.get() != Some(*oldest)) {
            let asked = self.send(&ClientMessage::History {
                before,
                limit: Some(OLDER_PAGE),
            });
            self.asked_before.set(asked.then_some(before));
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
        self.call.enter(wanted);
    }

    /// Leaves the call and frees its devices and connections.
    pub fn leave_call(&self) {
        self.call.leave();
    }

    fn stage(&self) -> Stage {
        self.state.line().read_untracked().stage
    }

    fn send(&self, message: &ClientMessage) -> bool {
        let Ok(frame) = serde_json::to_string(message) else {
            return false;
        };
        self.link
            .borrow()
            .as_ref()
            .is_some_and(|link| link.send(&frame))
    }

    fn take_in(&self, message: &ServerMessage) {
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

    /// Whoever does not go on typing has stopped.
    fn forget_typing_later(&self, id: &ParticipantId) {
        let (me, who) = (self.me.clone(), id.clone());
        let stop = Timeout::new(TYPING_LASTS_MS, move || {
            if let Some(driver) = me.upgrade() {
                driver
                    .state
                    .typing()
                    .maybe_update(|typing| typing.stop(&who));
                let over = driver.timers.borrow_mut().typing.remove(&who);
                drop(over);
            }
        });
        let former = self.timers.borrow_mut().typing.insert(id.clone(), stop);
        drop(former);
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

    /// Hands over what the outbox allows; comes back for the rest.
    fn pending_changed(&self) {
        let pending = self.state.log().read_untracked().pending.clone();
        storage::set_pending(&self.room, &pending);
        if self.stage() != Stage::Live {
            return;
        }
        let (due, more) = self.outbox.borrow_mut().due(&pending, steady_ms());
        for message in &due {
            self.send(message);
        }
        let me = self.me.clone();
        self.timers.borrow_mut().outbox = more.then(|| {
            Timeout::new(millis(OUTBOX_PAUSE), move || {
                if let Some(driver) = me.upgrade() {
                    driver.pending_changed();
                }
            })
        });
    }

    fn restore_pending(&self) {
        let pending = storage::pending(&self.room);
        if !pending.is_empty() {
            self.state.log().update(|log| log.pending = pending);
        }
    }

    fn remember_identity(&self) {
        if let Some(session) = self.session.borrow().clone() {
            let nickname = self.nickname.borrow().clone();
            storage::set_identity(&self.room, Some(&Identity { session, nickname }));
        }
    }

    /// One looks here, or elsewhere.
    fn looks(&self, here: bool) {
        let newest = self.state.log().read_untracked().newest();
        let reading = self.state.reading();
        match here {
            true => {
                reading.maybe_update(|reading| reading.look_back(newest));
                self.probe();
            }
            false => {
                reading.maybe_update(|reading| reading.look_away(newest));
                self.remember_read();
            }
        }
    }

    /// Remembers how far one has read.
    fn remember_read(&self) {
        let log = self.state.log();
        let log = log.read_untracked();
        if let (Some(position), Some(seq)) = (&log.position, log.newest()) {
            let epoch = position.epoch.clone();
            storage::set_read(&self.room, &Position { epoch, seq });
        }
    }

    /// Goes on reading where one stopped on a former visit.
    fn restore_read(&self) {
        let log = self.state.log();
        let log = log.read_untracked();
        let epoch = log.position.as_ref().map(|position| &position.epoch);
        if let Some(read) = storage::read(&self.room).filter(|read| Some(&read.epoch) == epoch) {
            let newest = log.newest();
            self.state
                .reading()
                .update(|reading| reading.resume(read.seq, newest));
        }
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
