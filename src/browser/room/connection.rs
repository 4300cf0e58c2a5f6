//! The connection to the server: opening, heartbeats, reconnecting, and the upgrade from
//! long-polling to a WebSocket.

use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::{host_link, storage};
use crate::browser::net::fetch;
use crate::browser::net::transport::Transport;
use crate::browser::net::websocket::{Socket, TransportEvent};
use crate::browser::room::controller::{RoomController, millis};
use crate::protocol::{Access, ClientMessage, Epoch, HostKey, JoinRequest, Resume, SettingsChange};
use crate::state::connection::{
    BANNER_DELAY, JOIN_TIMEOUT, Phase, Reason, ReconnectPlan, Refused, SILENCE_TIMEOUT,
};
use crate::state::transport::TransportKind;
use crate::state::{Position, RoomStateStoreFields};
use gloo_timers::callback::Timeout;
use leptos::prelude::*;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Deadline of the `pong` that shows whether a connection survived a network change or sleep.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay of an upgrade while a request is in flight.
const IN_FLIGHT_WAIT: Duration = Duration::from_millis(200);
/// Close code of a lost connection (RFC 6455 7.4.1).
const LOST: u16 = 1006;

/// A WebSocket that is tried while polling.
pub(super) struct UpgradeAttempt {
    socket: Socket,
    /// Whether it has replaced the long-polling.
    promoted: Rc<Cell<bool>>,
}

fn millis_f64(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

impl RoomController {
    /// Opens a connection and closes the previous one.
    pub(super) fn connect(&self) {
        self.timers.borrow_mut().retry = None;
        self.state
            .connection()
            .update(|connection| connection.on_connecting());
        self.last_event_ms.set(steady_ms());
        self.arm_banner();
        let me = self.me.clone();
        let on_event = move |event| {
            if let Some(controller) = me.upgrade() {
                controller.on_event(event);
            }
        };
        // Close the previous connection first: a tab has one connection.
        self.transport.borrow_mut().take();
        let kind = self.transport_choice.borrow().kind();
        let transport = Transport::open(kind, on_event);
        let refused = transport.is_none();
        *self.transport.borrow_mut() = transport;
        if refused {
            self.on_lost(LOST);
        }
    }

    fn on_event(&self, event: TransportEvent) {
        self.last_event_ms.set(steady_ms());
        match event {
            TransportEvent::Open => self.join(),
            TransportEvent::Alive => {}
            // A frame that does not decode comes from a newer server and is ignored.
            TransportEvent::Frame(frame) => {
                if let Ok(message) = serde_json::from_str(&frame) {
                    self.on_message(&message);
                }
            }
            TransportEvent::Closed(code) => self.on_lost(code),
            TransportEvent::Refused(refused) => {
                self.transport_choice.borrow_mut().on_failed(LOST);
                self.on_refused(refused);
            }
        }
    }

    fn join(&self) {
        let position = self.state.log().read_untracked().position.clone();
        let session = self.session.borrow().clone();
        // The page of an unknown or hidden room has no position; the session alone lets this
        // participant return.
        let at = position.unwrap_or_else(|| Position {
            epoch: Epoch::none(),
            seq: 0,
        });
        let resume = session.map(|session| Resume {
            session,
            epoch: at.epoch,
            seq: at.seq,
        });
        let nickname = self.nickname.borrow().clone();
        let host_key = self.host_key(resume.is_none());
        let opening = self.opens_private.get().then(|| SettingsChange {
            access: Some(Access::Unlisted),
            ..SettingsChange::default()
        });
        self.state
            .entry()
            .update(|entry| entry.nickname = Some(nickname.clone()));
        let credentials = self.credentials.borrow();
        self.send(&ClientMessage::Join(JoinRequest {
            room: self.room.to_string(),
            nickname: nickname.to_string(),
            resume,
            host_key,
            opening,
            invite: credentials.invite.clone(),
            password: credentials.password.clone(),
            line: credentials.line.clone(),
        }));
    }

    /// The host key to show: that of the link, the one that this device keeps, or, at the first join,
    /// one drawn for a room that has none. Every attempt shows the same one, so that an answer that
    /// gets lost loses no key.
    fn host_key(&self, is_first: bool) -> Option<HostKey> {
        let of_link = self.host_key.borrow().clone();
        let known = of_link.or_else(|| storage::host_key(&self.room));
        if known.is_none() && is_first {
            *self.host_key.borrow_mut() = host_link::draw();
            return self.host_key.borrow().clone();
        }
        known
    }

    /// The room is joined, or this participant waits in its lobby.
    pub(super) fn on_live(&self) {
        self.timers.borrow_mut().banner = None;
        self.transport_choice.borrow_mut().on_live();
        self.plan_upgrade();
    }

    /// The connection is lost: plans the next attempt.
    pub(super) fn on_lost(&self, code: u16) {
        self.transport.borrow_mut().take();
        self.call.on_lost();
        self.cancel_upgrade();
        let failed = self.phase() == Phase::Connecting;
        let by_socket = self.transport_choice.borrow().kind() == TransportKind::WebSocket;
        let at_once = failed && self.transport_choice.borrow_mut().on_failed(code);
        if failed && by_socket && code == LOST && !at_once {
            self.ask_refusal();
        }
        let mut next = ReconnectPlan::Stay;
        self.state
            .connection()
            .update(|connection| next = connection.on_lost(code, js_sys::Math::random()));
        self.arm_banner();
        match next {
            ReconnectPlan::Stay => {}
            ReconnectPlan::Leave => self.leave_call(),
            ReconnectPlan::StartOver => {
                *self.session.borrow_mut() = None;
                storage::set_identity(&self.room, None);
                self.connect_in(Duration::ZERO);
            }
            ReconnectPlan::Retry(_) if at_once => self.connect_in(Duration::ZERO),
            ReconnectPlan::Retry(wait) => self.connect_in(wait),
        }
    }

    /// An attempt was refused: shows the reason and plans the next attempt.
    pub(super) fn on_refused(&self, refused: Refused) {
        self.transport.borrow_mut().take();
        self.call.on_lost();
        self.cancel_upgrade();
        self.timers.borrow_mut().banner = None;
        let mut wait = Duration::ZERO;
        let jitter = js_sys::Math::random();
        self.state
            .connection()
            .update(|connection| wait = connection.on_refused(refused, jitter));
        self.connect_in(wait);
    }

    /// A WebSocket did not open: asks whether the server refuses it. The next attempt does not
    /// wait for the reply; a refusal postpones it.
    fn ask_refusal(&self) {
        let me = self.me.clone();
        leptos::task::spawn_local(async move {
            let refused = fetch::ask_refusal().await;
            let Some(controller) = me.upgrade() else {
                return;
            };
            let mut wait = None;
            controller.state.connection().maybe_update(|connection| {
                let before = *connection;
                wait = connection.on_explanation(refused, js_sys::Math::random());
                *connection != before
            });
            if let Some(wait) = wait {
                controller.connect_in(wait);
            }
        });
    }

    pub(super) fn connect_in(&self, wait: Duration) {
        let me = self.me.clone();
        let retry = Timeout::new(millis(wait), move || {
            if let Some(controller) = me.upgrade() {
                controller.connect();
            }
        });
        self.timers.borrow_mut().retry = Some(retry);
    }

    /// Shows the banner after a delay, if the connection is still down.
    fn arm_banner(&self) {
        let mut timers = self.timers.borrow_mut();
        if timers.banner.is_some() {
            return;
        }
        let me = self.me.clone();
        timers.banner = Some(Timeout::new(millis(BANNER_DELAY), move || {
            if let Some(controller) = me.upgrade() {
                controller
                    .state
                    .connection()
                    .maybe_update(|connection| connection.show_banner());
            }
        }));
    }

    /// Every [`PING_INTERVAL`](crate::state::connection::PING_INTERVAL): sends a ping, or closes
    /// a silent connection.
    pub(super) fn on_heartbeat(&self) {
        let silent_ms = steady_ms() - self.last_event_ms.get();
        let limit = match self.phase() {
            Phase::Live | Phase::Lobby => SILENCE_TIMEOUT,
            Phase::Connecting => JOIN_TIMEOUT,
            Phase::Idle | Phase::Waiting | Phase::Out => return,
        };
        if silent_ms > millis_f64(limit) {
            self.on_lost(LOST);
        } else if self.phase().is_connected()
            && self.transport_choice.borrow().kind() == TransportKind::WebSocket
        {
            // Long-polling receives a response every few seconds without a ping.
            self.send(&ClientMessage::Ping);
        }
    }

    /// The network or the page's visibility changed: connects now, or pings the server.
    pub(super) fn probe(&self) {
        match self.phase() {
            // A refusal determines the time of the next attempt.
            Phase::Waiting if self.state.connection().read_untracked().reason.is_some() => {}
            Phase::Waiting => self.connect(),
            Phase::Live | Phase::Lobby => {
                self.send(&ClientMessage::Ping);
                let (me, asked_at) = (self.me.clone(), steady_ms());
                let probe = Timeout::new(millis(PROBE_TIMEOUT), move || {
                    if let Some(controller) = me.upgrade()
                        && controller.phase().is_connected()
                        && controller.last_event_ms.get() < asked_at
                    {
                        controller.on_lost(LOST);
                    }
                });
                self.timers.borrow_mut().probe = Some(probe);
            }
            Phase::Idle | Phase::Connecting | Phase::Out => {}
        }
    }

    /// The device is online again, possibly on a network that allows WebSocket.
    pub(super) fn on_online(&self) {
        self.transport_choice.borrow_mut().on_online();
        // A proxy of the previous network may not be on this one.
        let reason = self.state.connection().read_untracked().reason;
        if self.phase() == Phase::Waiting && matches!(reason, Some(Reason::Status(_))) {
            self.connect();
        }
        self.try_upgrade();
    }

    /// While polling: schedules an upgrade attempt.
    fn plan_upgrade(&self) {
        let wait = self
            .transport_choice
            .borrow_mut()
            .next_upgrade_in(js_sys::Math::random());
        let me = self.me.clone();
        self.timers.borrow_mut().upgrade = wait.map(|wait| {
            Timeout::new(millis(wait), move || {
                if let Some(controller) = me.upgrade() {
                    controller.try_upgrade();
                }
            })
        });
    }

    /// While polling: tries a WebSocket; replaces an attempt that hangs.
    fn try_upgrade(&self) {
        if self.phase() != Phase::Live
            || self.transport_choice.borrow().kind() == TransportKind::WebSocket
        {
            return;
        }
        let (me, promoted) = (self.me.clone(), Rc::new(Cell::new(false)));
        let is_line = promoted.clone();
        let on_event = move |event| match me.upgrade() {
            Some(controller) if is_line.get() => controller.on_event(event),
            Some(controller) => controller.on_upgrade_event(&event),
            None => {}
        };
        let socket = Socket::open(on_event);
        *self.upgrade.borrow_mut() = socket.map(|socket| UpgradeAttempt { socket, promoted });
        self.plan_upgrade();
    }

    /// An upgrade attempt succeeds at its first frame, because some networks allow the upgrade
    /// and block the frames.
    fn on_upgrade_event(&self, event: &TransportEvent) {
        match event {
            TransportEvent::Open => {
                let ping = serde_json::to_string(&ClientMessage::Ping).unwrap_or_default();
                if let Some(upgrade) = self.upgrade.borrow().as_ref() {
                    upgrade.socket.send(&ping);
                }
            }
            TransportEvent::Frame(_) | TransportEvent::Alive => self.promote_upgrade(),
            TransportEvent::Closed(_) | TransportEvent::Refused(_) => {
                drop(self.upgrade.borrow_mut().take())
            }
        }
    }

    /// Switches to the tested WebSocket: the session resumes, and unacknowledged messages are
    /// sent again.
    fn promote_upgrade(&self) {
        if self
            .transport
            .borrow()
            .as_ref()
            .is_some_and(Transport::is_busy)
        {
            return self.promote_upgrade_soon();
        }
        let Some(upgrade) = self.upgrade.borrow_mut().take() else {
            return;
        };
        upgrade.promoted.set(true);
        self.timers.borrow_mut().upgrade = None;
        self.transport_choice.borrow_mut().on_upgraded();
        self.state
            .connection()
            .update(|connection| connection.on_connecting());
        self.last_event_ms.set(steady_ms());
        self.arm_banner();
        *self.transport.borrow_mut() = Some(Transport::WebSocket(upgrade.socket));
        self.join();
    }

    /// A request is in flight and would be aborted: switches later.
    fn promote_upgrade_soon(&self) {
        let me = self.me.clone();
        let soon = Timeout::new(millis(IN_FLIGHT_WAIT), move || {
            if let Some(controller) = me.upgrade() {
                controller.promote_upgrade();
            }
        });
        self.timers.borrow_mut().promotion = Some(soon);
    }

    pub(super) fn cancel_upgrade(&self) {
        self.timers.borrow_mut().upgrade = None;
        self.upgrade.borrow_mut().take();
    }
}
