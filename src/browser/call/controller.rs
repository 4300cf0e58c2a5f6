//! The controller of the call: enters it, keeps its connections and leaves it.

use crate::browser::call::connections::Connections;
use crate::browser::call::context::Context;
use crate::browser::call::media::Media;
use crate::browser::call::media::devices::watch_devices;
use crate::browser::call::migration::MediaMigration;
use crate::browser::call::quality::QualityMonitor;
use crate::browser::call::reachability::ReachabilityMonitor;
use crate::browser::call::statistics::StatsPoller;
use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::js::Listener;
use crate::browser::dom::storage;
use crate::browser::dom::wake_lock::WakeLock;
use crate::protocol::{
    CallPerson, ClientMessage, Devices, ErrorCode, IceServer, Leg, Mode, ParticipantId,
    ServerMessage, Signal, Source,
};
use crate::state::call::{CallStage, CallState, CallStateStoreFields};
use crate::state::negotiation::Event;
use gloo_timers::callback::Interval;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use web_sys::HtmlMediaElement;

/// How long a participant is kept who is not in the server's list but whose media still
/// arrives, in milliseconds. The server may have restarted, or lost its connection to them.
const UNLISTED_TIMEOUT_MS: f64 = 120_000.0;
/// Delay before an offer is repeated that the server refused for its rate, in milliseconds.
/// The limits refill within a second.
const OFFER_RETRY_MS: u32 = 1_500;
/// Period of the call's timer, in milliseconds: subscription, speakers, arrivals.
const POLL_INTERVAL_MS: u32 = 200;
/// Shortest time between two checks of quality and reachability, in milliseconds. Less than
/// five periods of the timer, so that every fifth period checks.
const CHECK_INTERVAL_MS: f64 = 950.0;
/// How often the TURN credentials are renewed, in milliseconds. They last 5 min, and timers of
/// a background page may run once a minute.
const RENEW_INTERVAL_MS: f64 = 120_000.0;

/// Runs the call of one room for one tab.
pub struct CallController {
    me: Weak<Self>,
    state: Store<CallState>,
    context: Rc<Context>,
    connections: Rc<Connections>,
    migration: Rc<MediaMigration>,
    quality: Rc<QualityMonitor>,
    reachability: ReachabilityMonitor,
    statistics: Rc<StatsPoller>,
    /// Whether `joined` listed this leg. Participants who are new to this page then entered
    /// after it.
    listed: Cell<bool>,
    /// Since when a participant whose media still arrives is not in the server's list, in
    /// milliseconds of the steady clock.
    unlisted_since_ms: RefCell<HashMap<ParticipantId, f64>>,
    /// Runs while in the call.
    timer: RefCell<Option<Interval>>,
    checked_ms: Cell<f64>,
    renewed_ms: Cell<f64>,
    listeners: RefCell<Vec<Listener>>,
    /// Keeps the screen on while in the call.
    wake_lock: RefCell<Option<Rc<WakeLock>>>,
}

impl CallController {
    /// A controller outside the call. `send` sends a message to the server.
    pub fn new(state: Store<CallState>, send: Rc<dyn Fn(ClientMessage)>) -> Rc<Self> {
        state.hide_address().set(storage::hide_address());
        let context = Context::new(state, send);
        let connections = Connections::new(context.clone());
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            state,
            context,
            migration: MediaMigration::new(connections.clone()),
            quality: QualityMonitor::new(connections.clone()),
            reachability: ReachabilityMonitor::new(connections.clone()),
            statistics: StatsPoller::new(connections.clone()),
            connections,
            listed: Cell::new(false),
            unlisted_since_ms: RefCell::default(),
            timer: RefCell::default(),
            checked_ms: Cell::default(),
            renewed_ms: Cell::default(),
            listeners: RefCell::default(),
            wake_lock: RefCell::default(),
        })
    }

    /// This person's own devices.
    pub fn media(&self) -> &Rc<Media> {
        &self.context.media
    }

    /// Handles a message of the server.
    pub fn on_message(&self, message: &ServerMessage) {
        let before = self.state.people().get_untracked();
        self.state.maybe_update(|state| state.apply(message));
        self.dispatch(message, before.clone());
        if *self.state.people().read_untracked() != before {
            self.connections.follow_devices();
        }
    }

    /// Runs what a message means for the connections. `before`: the call before the message.
    fn dispatch(&self, message: &ServerMessage, before: Vec<CallPerson>) {
        match message {
            ServerMessage::Joined(joined) => {
                self.end_former_stay(&joined.call, &joined.me);
                self.listed.set(self.lists_us(&joined.call));
                self.keep_unlisted(before);
            }
            ServerMessage::Call {
                people,
                ice_servers,
                connection,
                mode: _,
            } => self.on_entered(before, people, ice_servers, *connection),
            ServerMessage::MediaMode { mode: _ } => self.migration.migrate(),
            ServerMessage::Answer {
                connection,
                offer_id,
                sdp,
            } => {
                self.connections
                    .with_sfu(|sfu| sfu.on_answer(*connection, *offer_id, sdp));
            }
            ServerMessage::MediaClosed { connection } => {
                self.connections.with_sfu(|sfu| sfu.on_closed(*connection));
            }
            ServerMessage::Slots { slots } => self.connections.with_sfu(|sfu| sfu.on_slots(slots)),
            ServerMessage::Layers { source, rids } => {
                self.connections
                    .with_sfu(|sfu| sfu.set_layers(*source, rids));
            }
            ServerMessage::Codec { source, codec } => {
                self.connections
                    .with_sfu(|sfu| sfu.set_codec(*source, *codec));
            }
            ServerMessage::CallEntered { person } => {
                self.connect(person, false);
                // With a known leg, the participant's connection to the server is back.
                self.handle(&person.id, Event::SignalingResumed);
            }
            ServerMessage::CallLeft { away: true, .. } => self.keep_unlisted(before),
            ServerMessage::CallLeft { id, leg, .. } => self.on_left(id, *leg),
            ServerMessage::Error { code, id, .. } => self.on_error(*code, id.is_some()),
            ServerMessage::Left {
                person,
                away: false,
                ..
            }
            | ServerMessage::Gone { person } => self.disconnect(&person.id),
            ServerMessage::Signal {
                from,
                leg: Some(leg),
                signal,
            } => self.on_signal(from, *leg, signal),
            ServerMessage::Signal { leg: None, .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Chat(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Typing { .. }
            | ServerMessage::Entered { .. }
            | ServerMessage::Renamed { .. }
            | ServerMessage::Left { away: true, .. }
            | ServerMessage::Announcement { .. }
            | ServerMessage::RoleChanged { .. }
            | ServerMessage::RoomChanged { .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Denied { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Hosts { .. }
            | ServerMessage::Invites { .. }
            | ServerMessage::History { .. }
            | ServerMessage::Speakers { .. }
            | ServerMessage::Qualities { .. }
            | ServerMessage::Devices { .. }
            | ServerMessage::Pong => {}
        }
    }

    fn on_error(&self, code: ErrorCode, of_message: bool) {
        if code == ErrorCode::CallFull {
            self.on_full();
        } else if matches!(code, ErrorCode::TooManyMessages | ErrorCode::Busy) && !of_message {
            self.retry_offer_soon();
        }
    }

    /// Leaves the call if the server still lists this participant although this page has not
    /// entered it: an earlier page crashed, or its close frame was lost.
    fn end_former_stay(&self, call: &[CallPerson], me: &ParticipantId) {
        if self.context.leg.get().is_none() && call.iter().any(|person| person.id == *me) {
            (self.context.send)(ClientMessage::LeaveCall);
        }
    }

    /// Repeats an offer that may have been refused, after [`OFFER_RETRY_MS`]. Does nothing if no
    /// answer is outstanding.
    fn retry_offer_soon(&self) {
        let me = self.me.clone();
        spawn_local(async move {
            TimeoutFuture::new(OFFER_RETRY_MS).await;
            if let Some(controller) = me.upgrade() {
                let connections = &controller.connections;
                connections.with_sfu(|sfu| sfu.handle(Event::SignalingResumed));
            }
        });
    }

    /// The room is joined: continues the call, if this page was in it.
    pub fn on_live(&self) {
        self.context.live.set(true);
        self.context.send_enter_call();
    }

    /// The room's connection is lost.
    pub fn on_lost(&self) {
        self.context.live.set(false);
    }

    /// Enters the call and acquires devices concurrently.
    pub fn enter(&self, wanted: Devices) {
        self.leave();
        let leg = 1 + (js_sys::Math::random() * f64::from(u32::MAX - 1)) as u32;
        self.context.leg.set(Some(leg));
        self.listed.set(false);
        self.state.stage().set(CallStage::Entering);
        self.listen();
        *self.wake_lock.borrow_mut() = Some(WakeLock::hold());
        self.context.send_enter_call();
        self.context.media.start(wanted);
    }

    /// Leaves the call and frees its devices and connections.
    pub fn leave(&self) {
        if self.context.leg.get().is_some() {
            (self.context.send)(ClientMessage::LeaveCall);
            self.free();
            self.state.stage().set(CallStage::Out);
        }
    }

    /// Sets whether to hide this participant's address, and stores the choice on this device. In
    /// the call the server is notified at once.
    pub fn hide_address(&self, hide: bool) {
        storage::set_hide_address(hide);
        self.state.hide_address().set(hide);
        self.context.send_enter_call();
    }

    /// Pins a participant, or removes the pin.
    pub fn pin(&self, id: ParticipantId) {
        self.state.pinned().update(|pinned| {
            *pinned = (pinned.as_ref() != Some(&id)).then_some(id);
        });
        self.migration.subscribe_soon();
    }

    /// Starts or stops polling the statistics of the connections.
    pub fn watch_stats(&self, on: bool) {
        self.statistics.watch(on);
    }

    /// Copies the statistics of the connections to the clipboard, as JSON.
    pub fn copy_stats(&self) {
        self.statistics.copy();
    }

    /// The call is full: frees the devices; the page offers to try again.
    fn on_full(&self) {
        if self.context.leg.get().is_some() {
            self.free();
            self.state.stage().set(CallStage::Full);
        }
    }

    /// Ends this leg: closes its connections and frees its listeners and devices.
    fn free(&self) {
        self.context.leg.set(None);
        self.listeners.borrow_mut().clear();
        self.wake_lock.borrow_mut().take();
        self.timer.borrow_mut().take();
        self.unlisted_since_ms.borrow_mut().clear();
        self.quality.stop();
        self.reachability.stop();
        self.migration.stop();
        self.context.media.stop();
        self.state.speaking().update(Vec::clear);
        self.state.problems().update(Vec::clear);
    }

    /// Plays a source of a participant, or of this one, in `element`.
    pub fn attach(&self, element: &HtmlMediaElement, id: &ParticipantId, source: Source) {
        let mine = self.state.me().read_untracked().as_ref() == Some(id);
        let stream = match mine {
            true => Some(self.context.media.preview(source)),
            false => self.stream_of(id, source),
        };
        self.context.media.play(element, stream.as_ref(), mine);
        if !mine && source.is_video() {
            self.migration.viewport.add(id, source, element);
            self.migration.subscribe_soon();
        }
    }

    /// Plays an audio slot of the SFU, unless its participant is still played browser to
    /// browser.
    pub fn attach_voice(&self, element: &HtmlMediaElement, mid: &str) {
        let sfu = self.connections.sfu.borrow().clone();
        let voices = self.state.voices().get_untracked();
        let speaker = voices.into_iter().find(|(slot, _)| slot == mid);
        let by_sfu = speaker.is_some_and(|(_, id)| self.migration.mode_of(&id) == Mode::Sfu);
        let stream = sfu.filter(|_| by_sfu).and_then(|sfu| sfu.voice(mid));
        self.context.media.play(element, stream.as_ref(), false);
    }

    /// The stream of a source, from the connection that the participant is played from.
    fn stream_of(&self, id: &ParticipantId, source: Source) -> Option<web_sys::MediaStream> {
        match self.migration.mode_of(id) {
            Mode::Sfu => {
                let sfu = self.connections.sfu.borrow();
                sfu.as_ref().map(|sfu| sfu.stream(id, source))
            }
            Mode::P2p => self.connections.peer(id).map(|peer| peer.stream(source)),
        }
    }

    fn on_entered(
        &self,
        before: Vec<CallPerson>,
        people: &[CallPerson],
        ice: &[IceServer],
        kept: Option<u32>,
    ) {
        *self.context.ice_servers.borrow_mut() = ice.to_vec();
        self.keep_unlisted(before);
        // A subscription that was sent while the connection was down is lost.
        self.migration.viewport.forget_sent();
        let by_sfu = self.context.mode() == Mode::Sfu;
        if by_sfu {
            self.connections.with_sfu(|sfu| sfu.on_rejoined(kept));
        }
        if by_sfu || self.connections.sfu.borrow().is_some() {
            self.migration.migrate();
        }
        self.start_timer();
        // The participant who entered later is polite. The list is in order of arrival in the
        // room, but everyone in it was in the call before this participant entered.
        let polite = !self.listed.replace(true);
        for person in people {
            self.connect(person, polite);
            self.handle(&person.id, Event::Start);
            self.handle(&person.id, Event::SignalingResumed);
        }
    }

    fn start_timer(&self) {
        let mut timer = self.timer.borrow_mut();
        if timer.is_some() {
            return;
        }
        self.renewed_ms.set(steady_ms());
        let me = self.me.clone();
        *timer = Some(Interval::new(POLL_INTERVAL_MS, move || {
            if let Some(controller) = me.upgrade() {
                controller.on_timer();
            }
        }));
    }

    fn on_timer(&self) {
        self.migration.poll();
        let now_ms = steady_ms();
        if now_ms - self.checked_ms.get() < CHECK_INTERVAL_MS {
            return;
        }
        self.checked_ms.set(now_ms);
        spawn_local(self.quality.clone().poll());
        self.reachability.poll();
        self.drop_unlisted(now_ms);
        if now_ms - self.renewed_ms.get() >= RENEW_INTERVAL_MS {
            self.renewed_ms.set(now_ms);
            self.context.send_enter_call();
        }
    }

    /// Passes an event to the negotiation with a participant, if there is one.
    fn handle(&self, id: &ParticipantId, event: Event) {
        if let Some(peer) = self.connections.peer(id) {
            peer.handle(event);
        }
    }

    fn lists_us(&self, people: &[CallPerson]) -> bool {
        let me = self.state.me().get_untracked();
        let ours = |person: &CallPerson| {
            Some(&person.id) == me.as_ref() && Some(person.leg) == self.context.leg.get()
        };
        people.iter().any(ours)
    }

    /// A leg of a participant ended; a newer leg of the same participant continues.
    fn on_left(&self, id: &ParticipantId, leg: Leg) {
        let known = self.connections.peer(id).map(|peer| peer.leg());
        if known.is_none_or(|known| known == leg) {
            self.disconnect(id);
        }
    }

    fn connect(&self, person: &CallPerson, polite: bool) {
        self.unlisted_since_ms.borrow_mut().remove(&person.id);
        self.migration.connect(person, polite);
    }

    fn disconnect(&self, id: &ParticipantId) {
        self.unlisted_since_ms.borrow_mut().remove(id);
        self.migration.disconnect(id);
    }

    fn on_signal(&self, from: &ParticipantId, leg: Leg, signal: &Signal) {
        let peer = self.connections.peer(from);
        if let Some(peer) = peer.filter(|peer| peer.leg() == leg) {
            peer.handle(Event::RemoteSignal(signal.clone()));
        }
    }

    /// The server lists only connected participants. A participant whose media still arrives is
    /// kept for [`UNLISTED_TIMEOUT_MS`].
    fn keep_unlisted(&self, before: Vec<CallPerson>) {
        for person in before {
            let people = self.state.people();
            let listed = people.read_untracked().iter().any(|p| p.id == person.id);
            if !listed && self.migration.is_connected(&person.id) {
                let mut since = self.unlisted_since_ms.borrow_mut();
                since.insert(person.id.clone(), steady_ms());
                people.update(|people| people.push(person));
            } else if !listed {
                self.disconnect(&person.id);
            }
        }
    }

    /// Drops unlisted participants whose media has ended or whose timeout has passed.
    fn drop_unlisted(&self, now_ms: f64) {
        let gone = |(id, since_ms): &(&ParticipantId, &f64)| {
            !self.migration.is_connected(id) || now_ms - **since_ms > UNLISTED_TIMEOUT_MS
        };
        let unlisted = self.unlisted_since_ms.borrow();
        let gone = unlisted.iter().filter(gone).map(|(id, _)| id.clone());
        let gone: Vec<_> = gone.collect();
        drop(unlisted);
        for id in gone {
            let people = self.state.people();
            people.update(|people| people.retain(|person| person.id != id));
            self.disconnect(&id);
        }
    }

    fn listen(&self) {
        let Some(window) = web_sys::window() else {
            return;
        };
        let connections = self.connections.clone();
        let online = Listener::new(&window, "online", move |_| {
            connections.handle_all(&Event::NetworkChanged);
        });
        // The page is closed or reloaded: end the media, so that the others need no timeout.
        let me = self.me.clone();
        let hides = Listener::new(&window, "pagehide", move |_| {
            if let Some(controller) = me.upgrade() {
                controller.leave();
            }
        });
        let media = self.context.media.clone();
        let plugged = watch_devices(move || media.devices_changed());
        *self.listeners.borrow_mut() = [online, hides].into_iter().chain(plugged).collect();
    }
}
