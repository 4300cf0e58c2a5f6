//! The controller of one room: owns its connection, timers and listeners.

use super::connection::UpgradeAttempt;
use super::entry::Credentials;
use super::uploads::UploadBytes;
use crate::browser::call::{CallController, Media};
use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::js::Listener;
use crate::browser::dom::share::PageFile;
use crate::browser::dom::{address, host_link, notification, storage};
use crate::browser::net::transport::Transport;
use crate::browser::peers::{Parts, PeersEntry};
use crate::protocol::{
    ClientMessage, Devices, ErrorCode, HostKey, Joined, Nickname, PRIVATE_FRAGMENT, ParticipantId,
    RoomName, Seq, ServerMessage, SessionToken,
};
use crate::state::alert::Alerts;
use crate::state::call::CallState;
use crate::state::connection::{PING_INTERVAL, Phase, Refused};
use crate::state::entry::Barrier;
use crate::state::outbox::Outbox;
use crate::state::standing::without;
use crate::state::transfers::Transfers;
use crate::state::transport::TransportChoice;
use crate::state::uploads::Uploads;
use crate::state::{RoomState, RoomStateStoreFields, apply_to_store};
use gloo_timers::callback::{Interval, Timeout};
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// Runs one room for one tab.
pub struct RoomController {
    pub(super) me: Weak<Self>,
    pub(super) state: Store<RoomState>,
    pub(super) call: Rc<CallController>,
    pub(super) peers: Rc<PeersEntry>,
    /// The files of the message in the composer. Not in `state`: a store is locked as a whole.
    pub(super) uploads: RwSignal<Uploads>,
    pub(super) upload_bytes: UploadBytes,
    /// What the page shows of the files that go from browser to browser.
    pub(super) transfers: RwSignal<Transfers>,
    pub(super) room: RoomName,
    pub(super) nickname: RefCell<Nickname>,
    pub(super) session: RefCell<Option<SessionToken>>,
    /// The host key of a link, until the server has said whether it is right.
    pub(super) host_key: RefCell<Option<HostKey>>,
    /// Whether the room is to be unlisted, if this participant opens it. False once it is joined.
    pub(super) opens_private: Cell<bool>,
    /// What admits this participant to a private room.
    pub(super) credentials: RefCell<Credentials>,
    pub(super) transport: RefCell<Option<Transport>>,
    /// The transport of the next attempt.
    pub(super) transport_choice: RefCell<TransportChoice>,
    /// A WebSocket that is tried while polling.
    pub(super) upgrade: RefCell<Option<UpgradeAttempt>>,
    pub(super) outbox: RefCell<Outbox>,
    /// Time of the last event or of opening the connection, in milliseconds of the steady
    /// clock.
    pub(super) last_event_ms: Cell<f64>,
    /// When `typing` was sent last, in milliseconds of the steady clock.
    pub(super) typing_sent_ms: Cell<f64>,
    /// `before` of the last requested page of older messages, which is requested once.
    pub(super) requested_before: Cell<Option<Seq>>,
    /// Which messages have been seen, and when the last notification and the last sound were.
    pub(super) alerts: RefCell<Alerts>,
    /// The last export, which the browser may still read.
    pub(super) exported: RefCell<Option<PageFile>>,
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
    pub(super) upgrade: Option<Timeout>,
    pub(super) promotion: Option<Timeout>,
    pub(super) heartbeat: Option<Interval>,
    /// The timeout of each typing participant.
    pub(super) typing: HashMap<ParticipantId, Timeout>,
}

pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl RoomController {
    /// Starts connecting to `room`; resumes the stored session of this tab, if any. `private`:
    /// whether the room is to be unlisted, if this participant opens it.
    pub fn start(
        (state, call): (Store<RoomState>, Store<CallState>),
        (uploads, transfers): (RwSignal<Uploads>, RwSignal<Transfers>),
        room: RoomName,
        nickname: Nickname,
        private: bool,
    ) -> Rc<Self> {
        let identity = storage::identity(&room);
        let nickname = identity
            .as_ref()
            .map_or(nickname, |known| known.nickname.clone());
        let controller = Rc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            state,
            call: CallController::new(call, sender(me.clone())),
            peers: PeersEntry::new(Parts {
                room: state,
                call,
                shown: transfers,
                send: sender(me.clone()),
            }),
            uploads,
            upload_bytes: UploadBytes::default(),
            transfers,
            nickname: RefCell::new(nickname),
            session: RefCell::new(identity.map(|known| known.session)),
            host_key: RefCell::new(host_link::taken(&room)),
            opens_private: Cell::new(private),
            credentials: RefCell::new(Credentials::of(&room)),
            room,
            transport: RefCell::new(None),
            transport_choice: RefCell::default(),
            upgrade: RefCell::default(),
            outbox: RefCell::new(Outbox::new(steady_ms())),
            last_event_ms: Cell::new(steady_ms()),
            typing_sent_ms: Cell::new(f64::NEG_INFINITY),
            requested_before: Cell::new(None),
            alerts: RefCell::default(),
            exported: RefCell::default(),
            timers: RefCell::default(),
            listeners: RefCell::default(),
        });
        controller.restore_pending();
        controller.restore_uploads();
        controller.restore_read();
        controller.listen();
        controller.connect();
        controller
    }

    /// The controller of the call.
    pub fn call(&self) -> &Rc<CallController> {
        &self.call
    }

    /// The files that go from browser to browser.
    pub fn peers(&self) -> &Rc<PeersEntry> {
        &self.peers
    }

    /// The local devices.
    pub fn media(&self) -> &Rc<Media> {
        self.call.media()
    }

    /// Leaves the room for good and frees everything.
    pub fn stop(&self) {
        self.remember_read();
        notification::close();
        self.leave_call();
        self.peers.stop();
        self.drop_uploads();
        self.listeners.borrow_mut().clear();
        *self.timers.borrow_mut() = Timers::default();
        // Only the session that has used an invite may use it again.
        if self.credentials.borrow().invite.is_none() {
            storage::set_identity(&self.room, None);
        }
        storage::set_password(&self.room, None);
        self.upgrade.borrow_mut().take();
        if let Some(transport) = self.transport.borrow_mut().take() {
            transport.leave();
        }
    }

    /// Tries to connect at once.
    pub fn retry_now(&self) {
        if matches!(self.phase(), Phase::Waiting | Phase::Out) {
            self.connect();
        }
    }

    /// Enters the call as soon as the connection is live.
    pub fn enter_call(&self, wanted: Devices) {
        storage::set_in_call(&self.room, true);
        self.state
            .standing()
            .maybe_update(|standing| standing.switched_off.take().is_some());
        self.hold_off();
        let held = self.state.standing().read_untracked().held_off();
        self.call.enter(without(wanted, held));
    }

    /// Leaves the call and frees its devices and connections.
    pub fn leave_call(&self) {
        storage::set_in_call(&self.room, false);
        self.call.leave();
    }

    pub(super) fn phase(&self) -> Phase {
        self.state.connection().read_untracked().phase
    }

    pub(super) fn send(&self, message: &ClientMessage) -> bool {
        let Ok(frame) = serde_json::to_string(message) else {
            return false;
        };
        self.transport
            .borrow()
            .as_ref()
            .is_some_and(|transport| transport.send(&frame))
    }

    pub(super) fn on_message(&self, message: &ServerMessage) {
        apply_to_store(self.state, message);
        self.call.on_message(message);
        self.peers.on_message(message);
        match message {
            ServerMessage::Joined(joined) => self.on_joined(joined),
            ServerMessage::Waiting { session, .. } => self.on_waiting(session),
            ServerMessage::Denied { .. } => self.on_outside(),
            ServerMessage::Window { .. } if self.phase() == Phase::Out => self.wait_for_opening(),
            ServerMessage::Error { code, id: None, .. }
                if self.phase() == Phase::Out && Barrier::of_error(*code).is_some() =>
            {
                self.on_outside();
            }
            ServerMessage::Error { code, id: None, .. }
                if self.phase() == Phase::Connecting && self.on_line_refused(*code) => {}
            ServerMessage::Error { code, id: None, .. }
                if self.phase() == Phase::Connecting && Refused::of_join(*code).is_some() =>
            {
                Refused::of_join(*code)
                    .into_iter()
                    .for_each(|refused| self.on_refused(refused));
            }
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages,
                id: Some(id),
                ..
            } => {
                self.outbox.borrow_mut().on_rate_limited(*id);
                self.pending_changed();
            }
            // The refused message may be a `history` request: allow it again.
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages,
                id: None,
                ..
            } => self.requested_before.set(None),
            ServerMessage::Error {
                code: ErrorCode::NotAllowed,
                id: None,
                ..
            } => self.on_not_allowed(),
            ServerMessage::Muted { sources, by, .. } => self.on_muted(sources, by.as_ref()),
            ServerMessage::Typing { id } => self.forget_typing_later(id),
            ServerMessage::Chat(message) => {
                self.alert(message);
                self.pending_changed();
            }
            ServerMessage::Error { id: Some(_), .. } => self.pending_changed(),
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Entered { .. }
            | ServerMessage::Renamed { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::Announcement { .. }
            | ServerMessage::RoleChanged { .. }
            | ServerMessage::RoomChanged { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Hosts { .. }
            | ServerMessage::Invites { .. }
            | ServerMessage::History { .. }
            | ServerMessage::Call { .. }
            | ServerMessage::MediaMode { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::MediaClosed { .. }
            | ServerMessage::Slots { .. }
            | ServerMessage::Layers { .. }
            | ServerMessage::Codec { .. }
            | ServerMessage::Speakers { .. }
            | ServerMessage::Qualities { .. }
            | ServerMessage::CallEntered { .. }
            | ServerMessage::CallLeft { .. }
            | ServerMessage::Devices { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => {}
        }
    }

    fn on_joined(&self, joined: &Joined) {
        self.requested_before.set(None);
        self.alerts.borrow_mut().on_joined(joined);
        self.on_live();
        *self.session.borrow_mut() = Some(joined.session.clone());
        self.on_admitted(joined);
        self.remember_identity();
        *self.outbox.borrow_mut() = Outbox::new(steady_ms());
        self.pending_changed();
        self.run_uploads();
        self.hold_off();
        self.call.on_live();
        self.on_role_known(joined);
        // Not earlier: a page that is reloaded before it has joined has to know it again.
        if self.opens_private.take() && address::fragment().as_deref() == Some(PRIVATE_FRAGMENT) {
            let _ = address::remove_fragment();
        }
    }

    fn listen(&self) {
        let Some(window) = web_sys::window() else {
            return;
        };
        let mut listeners = self.listeners.borrow_mut();
        self.listen_for_drops(&mut listeners);
        for event in ["online", "offline", "pageshow", "focus"] {
            let me = self.me.clone();
            listeners.push(Listener::new(&window, event, move |_| {
                if let Some(controller) = me.upgrade() {
                    controller.probe();
                    if event == "online" {
                        controller.on_online();
                    }
                }
            }));
        }
        let me = self.me.clone();
        listeners.push(Listener::new(&window, "hashchange", move |_| {
            if let Some(controller) = me.upgrade() {
                controller.on_host_link();
                controller.on_invite_link();
            }
        }));
        if let Some(document) = window.document() {
            let me = self.me.clone();
            listeners.push(Listener::new(
                &document.clone(),
                "visibilitychange",
                move |_| {
                    if let Some(controller) = me.upgrade() {
                        controller.on_visibility(!document.hidden());
                    }
                },
            ));
        }
        let me = self.me.clone();
        self.timers.borrow_mut().heartbeat =
            Some(Interval::new(millis(PING_INTERVAL), move || {
                if let Some(controller) = me.upgrade() {
                    controller.on_heartbeat();
                }
            }));
    }
}

/// The send function of the call, which uses the current connection.
fn sender(me: Weak<RoomController>) -> Rc<dyn Fn(ClientMessage)> {
    Rc::new(move |message| {
        if let Some(controller) = me.upgrade() {
            controller.send(&message);
        }
    })
}
