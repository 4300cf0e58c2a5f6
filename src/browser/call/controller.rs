//! Enters, stays in and leaves the call.

use crate::browser::call::media::Media;
use crate::browser::call::media::devices::watch_devices;
use crate::browser::call::migration::MediaMigration;
use crate::browser::call::p2p::{Context, P2pConnection};
use crate::browser::call::quality::QualityMonitor;
use crate::browser::call::reachability::{ReachabilityMonitor, blocked_by_browser};
use crate::browser::call::sfu::SfuConnection;
use crate::browser::call::statistics::StatsPoller;
use crate::browser::call::viewport::Viewport;
use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::js::Listener;
use crate::browser::dom::storage;
use crate::browser::dom::wake_lock::WakeLock;
use crate::protocol::{
    CallPerson, ClientMessage, Devices, ErrorCode, IceServer, Leg, Mode, ParticipantId,
    ServerMessage, Signal, Source,
};
use crate::state::call::{CallStage, CallState, CallStateStoreFields, LinkState};
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

/// How long somebody whose media still arrives is kept while the server does not list
/// them (it restarted, or their line to it is down), in milliseconds.
const UNCONFIRMED_FOR_MS: f64 = 120_000.0;
/// Before an offer that was refused for its rate is made again, in milliseconds. 1.5 s: the
/// limits refill within a second.
const OFFER_AGAIN_MS: u32 = 1_500;
/// How often it is looked whether their media still arrives, in milliseconds.
const LOOK_EVERY_MS: u32 = 1_000;

/// Runs the call of one room for one tab.
pub struct CallController {
    pub(super) me: Weak<Self>,
    pub(super) state: Store<CallState>,
    pub(super) context: Rc<Context>,
    pub(super) peers: RefCell<HashMap<ParticipantId, Rc<P2pConnection>>>,
    /// The connection to the SFU, where there is one.
    pub(super) sfu: RefCell<Option<Rc<SfuConnection>>>,
    /// Who comes by which way, and who is moving over.
    pub(super) migration: MediaMigration,
    /// What is on the screen.
    pub(super) viewport: Viewport,
    /// The figures somebody looks at.
    pub(super) figures: StatsPoller,
    /// How good the lines to others are.
    pub(super) lines: QualityMonitor,
    /// Whether media gets through.
    pub(super) reach: ReachabilityMonitor,
    /// This stay's number; none while outside.
    leg: Cell<Option<Leg>>,
    /// Whether the socket has joined.
    live: Cell<bool>,
    /// Whether the server had this stay in its list when the socket joined: whoever is
    /// new to us then has come after us.
    listed: Cell<bool>,
    /// Runs out for people the server does not list at the moment.
    unconfirmed: RefCell<HashMap<ParticipantId, Interval>>,
    listeners: RefCell<Vec<Listener>>,
    /// Keeps the screen on while one is in the call.
    wake_lock: RefCell<Option<Rc<WakeLock>>>,
}

impl CallController {
    /// A driver outside the call. `send` passes messages to the server.
    pub fn new(state: Store<CallState>, send: Rc<dyn Fn(ClientMessage)>) -> Rc<Self> {
        state.hide_address().set(storage::hide_address());
        state.blocked().set(blocked_by_browser());
        let media = Media::new(state, send.clone());
        let context = Rc::new(Context {
            state,
            send,
            media,
            ice_servers: RefCell::default(),
        });
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            state,
            context,
            peers: RefCell::default(),
            sfu: RefCell::default(),
            migration: MediaMigration::default(),
            viewport: Viewport::default(),
            figures: StatsPoller::default(),
            lines: QualityMonitor::default(),
            reach: ReachabilityMonitor::default(),
            leg: Cell::new(None),
            live: Cell::new(false),
            listed: Cell::new(false),
            unconfirmed: RefCell::default(),
            listeners: RefCell::default(),
            wake_lock: RefCell::default(),
        })
    }

    /// One's own devices.
    pub fn media(&self) -> &Rc<Media> {
        &self.context.media
    }

    /// Takes in a message from the server.
    pub fn on_message(&self, message: &ServerMessage) {
        let before = self.state.people().get_untracked();
        self.state.maybe_update(|state| state.apply(message));
        match message {
            ServerMessage::Joined(joined) => {
                self.end_former_stay(&joined.call, &joined.me);
                self.listed.set(self.lists_us(&joined.call));
                self.keep_running(before);
            }
            ServerMessage::Call {
                people,
                ice_servers,
                connection,
                ..
            } => self.entered(before, people, ice_servers, *connection),
            ServerMessage::MediaMode { .. } => self.migrate(),
            ServerMessage::Answer {
                connection,
                offer_id,
                sdp,
            } => {
                self.with_sfu(|sfu| sfu.answered(*connection, *offer_id, sdp));
            }
            ServerMessage::MediaClosed { connection } => {
                self.with_sfu(|sfu| sfu.lost(*connection));
            }
            ServerMessage::Slots { slots } => self.with_sfu(|sfu| sfu.slots_changed(slots)),
            ServerMessage::Layers { source, rids } => {
                self.with_sfu(|sfu| sfu.watch_layers(*source, rids));
            }
            ServerMessage::Codec { source, codec } => {
                self.with_sfu(|sfu| sfu.send_in(*source, *codec));
            }
            ServerMessage::CallEntered { person } => {
                self.meet(person, false);
                // With the leg they had, it is their line that is back.
                self.tell_peer(&person.id, Event::Resumed);
            }
            ServerMessage::CallLeft { away: true, .. } => self.keep_running(before),
            ServerMessage::CallLeft { id, leg, .. } => self.ended(id, *leg),
            ServerMessage::Error {
                code: ErrorCode::CallFull,
                ..
            } => self.turned_away(),
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages | ErrorCode::Busy,
                id: None,
                ..
            } => self.offer_again_soon(),
            ServerMessage::Left {
                person,
                away: false,
                ..
            }
            | ServerMessage::Gone { person } => self.part(&person.id),
            ServerMessage::Signal { from, leg, signal } => self.hear(from, *leg, signal),
            _ => {}
        }
    }

    /// Leaves the call where the server still lists this person, but this page has not
    /// entered it: a stay that a crashed page, or a goodbye that was lost, left behind.
    fn end_former_stay(&self, call: &[CallPerson], me: &ParticipantId) {
        if self.leg.get().is_none() && call.iter().any(|person| person.id == *me) {
            (self.context.send)(ClientMessage::LeaveCall);
        }
    }

    /// Repeats an offer that may have been refused, once the limit lets it pass. Nothing where
    /// no answer is awaited.
    fn offer_again_soon(&self) {
        let me = self.me.clone();
        spawn_local(async move {
            TimeoutFuture::new(OFFER_AGAIN_MS).await;
            if let Some(controller) = me.upgrade() {
                controller.with_sfu(|sfu| sfu.handle(Event::Resumed));
            }
        });
    }

    /// The socket has joined: go on with the call where there was one.
    pub fn on_live(&self) {
        self.live.set(true);
        self.send_enter_call();
    }

    /// The socket is gone, or was never there.
    pub fn on_lost(&self) {
        self.live.set(false);
    }

    /// Whether the socket has joined.
    pub(super) fn is_live(&self) -> bool {
        self.live.get()
    }

    /// Enters the call. What devices there are is found out meanwhile; nobody waits.
    pub fn enter(&self, wanted: Devices) {
        self.leave();
        let leg = 1 + (js_sys::Math::random() * f64::from(u32::MAX - 1)) as u32;
        self.leg.set(Some(leg));
        self.listed.set(false);
        self.state.stage().set(CallStage::Entering);
        self.listen();
        *self.wake_lock.borrow_mut() = Some(WakeLock::hold());
        self.send_enter_call();
        self.context.media.start(wanted);
    }

    /// Leaves the call and frees its devices and connections.
    pub fn leave(&self) {
        if self.leg.get().is_some() {
            (self.context.send)(ClientMessage::LeaveCall);
            self.free();
            self.state.stage().set(CallStage::Out);
        }
    }

    /// Hides one's address from now on, or not any more; remembered on this device. In the
    /// call the server hears of it at once: entering again with the same leg changes
    /// nothing else.
    pub fn hide_address(&self, hide: bool) {
        storage::set_hide_address(hide);
        self.state.hide_address().set(hide);
        self.send_enter_call();
    }

    /// Keeps somebody in view whoever speaks, or not any more.
    pub fn pin(&self, id: ParticipantId) {
        self.state.pinned().update(|pinned| {
            *pinned = (pinned.as_ref() != Some(&id)).then_some(id);
        });
        self.look_soon();
    }

    /// There is no place: the devices are freed, the page offers to try again.
    fn turned_away(&self) {
        if self.leg.get().is_some() {
            self.free();
            self.state.stage().set(CallStage::Full);
        }
    }

    /// Ends this stay: every connection, listener and device of it.
    fn free(&self) {
        self.leg.set(None);
        self.listeners.borrow_mut().clear();
        self.wake_lock.borrow_mut().take();
        self.unconfirmed.borrow_mut().clear();
        self.migration.stop();
        self.lines.stop();
        self.forget_reach();
        self.peers.borrow_mut().clear();
        let sfu = self.sfu.borrow_mut().take();
        drop(sfu);
        self.context.media.stop();
        self.state.links().update(HashMap::clear);
        self.forget_sfu();
        self.state.speaking().update(Vec::clear);
        self.state.problems().update(Vec::clear);
    }

    /// Plays what somebody sends, or one's own, in `element`.
    pub fn attach(&self, element: &HtmlMediaElement, id: &ParticipantId, source: Source) {
        let mine = self.state.me().read_untracked().as_ref() == Some(id);
        let stream = match mine {
            true => Some(self.context.media.preview(source)),
            false => self.stream_of(id, source),
        };
        self.context.media.play(element, stream.as_ref(), mine);
        if !mine && source.is_video() {
            self.viewport.add(id, source, element);
            self.look_soon();
        }
    }

    /// Plays the voice in a slot of the SFU's.
    pub fn attach_voice(&self, element: &HtmlMediaElement, mid: &str) {
        let sfu = self.sfu.borrow().clone();
        let voices = self.state.voices().get_untracked();
        let whose = voices.into_iter().find(|(slot, _)| slot == mid);
        let heard = whose.is_some_and(|(_, id)| self.is_heard_by_sfu(&id));
        let stream = sfu.filter(|_| heard).and_then(|sfu| sfu.voice(mid));
        self.context.media.play(element, stream.as_ref(), false);
    }

    /// What somebody sends, by the way they come at the moment.
    fn stream_of(&self, id: &ParticipantId, source: Source) -> Option<web_sys::MediaStream> {
        if self.migration.way_of(id) == Mode::Sfu {
            let sfu = self.sfu.borrow();
            return sfu.as_ref().map(|sfu| sfu.stream(id, source));
        }
        let peers = self.peers.borrow();
        peers.get(id).map(|peer| peer.stream(source))
    }

    /// Asks the server to be in the call, once it can be asked.
    pub(super) fn send_enter_call(&self) {
        if let Some(leg) = self.leg.get()
            && self.live.get()
        {
            let devices = self.state.devices().get_untracked();
            let hide_address = self.state.hide_address().get_untracked();
            (self.context.send)(ClientMessage::EnterCall {
                leg,
                devices,
                hide_address,
            });
        }
    }

    fn entered(
        &self,
        before: Vec<CallPerson>,
        people: &[CallPerson],
        ice: &[IceServer],
        kept: Option<u32>,
    ) {
        *self.context.ice_servers.borrow_mut() = ice.to_vec();
        self.keep_running(before);
        // What was said of the screen while the line was down is lost.
        self.viewport.forget_told();
        let by_sfu = self.state.mode().get_untracked() == Mode::Sfu;
        if by_sfu {
            self.with_sfu(|sfu| sfu.resumed(kept));
        }
        if by_sfu || self.sfu.borrow().is_some() {
            self.migrate();
        }
        self.look_on();
        self.keep_fresh();
        self.watch_lines();
        self.watch_reach();
        // Whoever entered later is polite. The list is no help, it is in order of arrival
        // in the room: but whom we find when we come in was there before us.
        let polite = !self.listed.replace(true);
        for person in people {
            self.meet(person, polite);
            self.tell_peer(&person.id, Event::Start);
            self.tell_peer(&person.id, Event::Resumed);
        }
    }

    /// Has the connection to somebody take in what happened, where there is one.
    fn tell_peer(&self, id: &ParticipantId, event: Event) {
        let peer = self.peers.borrow().get(id).cloned();
        if let Some(peer) = peer {
            peer.handle(event);
        }
    }

    fn lists_us(&self, people: &[CallPerson]) -> bool {
        let me = self.state.me().get_untracked();
        let ours = |person: &CallPerson| {
            Some(&person.id) == me.as_ref() && Some(person.leg) == self.leg.get()
        };
        people.iter().any(ours)
    }

    /// A stay is over; a newer one of the same person is not.
    fn ended(&self, id: &ParticipantId, leg: Leg) {
        let known = self.peers.borrow().get(id).map(|peer| peer.leg());
        if known.is_none_or(|known| known == leg) {
            self.part(id);
        }
    }

    /// Makes the connection to somebody, unless it is there already for this stay.
    pub(super) fn meet(&self, person: &CallPerson, polite: bool) {
        let mine = self.state.me().read_untracked().as_ref() == Some(&person.id);
        let Some(own_leg) = self.leg.get().filter(|_| !mine) else {
            return;
        };
        self.unconfirmed.borrow_mut().remove(&person.id);
        if self.state.mode().get_untracked() == Mode::Sfu {
            self.met_by_sfu(&person.id);
            return;
        }
        let known = self
            .peers
            .borrow()
            .get(&person.id)
            .is_some_and(|peer| peer.leg() == person.leg);
        if !known {
            self.part(&person.id);
            let (id, context) = (person.id.clone(), self.context.clone());
            let peer = P2pConnection::new(id, person.leg, polite, own_leg, context);
            let former = self.peers.borrow_mut().insert(person.id.clone(), peer);
            drop(former);
        }
    }

    pub(super) fn part(&self, id: &ParticipantId) {
        self.unconfirmed.borrow_mut().remove(id);
        self.migration.forget(id);
        let gone = self.peers.borrow_mut().remove(id);
        drop(gone);
        self.state.links().update(|links| {
            links.remove(id);
        });
    }

    fn hear(&self, from: &ParticipantId, leg: Leg, signal: &Signal) {
        let peer = self.peers.borrow().get(from).cloned();
        if let Some(peer) = peer.filter(|peer| peer.leg() == leg) {
            peer.handle(Event::Heard(signal.clone()));
        }
    }

    /// The server lists only those whose line to it is up. Whose media still arrives
    /// stays, for a while.
    fn keep_running(&self, before: Vec<CallPerson>) {
        for person in before {
            let listed = self
                .state
                .people()
                .read_untracked()
                .iter()
                .any(|p| p.id == person.id);
            if !listed && self.is_connected(&person.id) {
                self.await_return(&person.id);
                self.state.people().update(|people| people.push(person));
            } else if !listed {
                self.part(&person.id);
            }
        }
    }

    fn is_connected(&self, id: &ParticipantId) -> bool {
        let links = self.state.links();
        links
            .read_untracked()
            .get(id)
            .is_some_and(|link| link.state == LinkState::Connected)
    }

    /// Keeps somebody the server does not list until their media ends, too.
    fn await_return(&self, id: &ParticipantId) {
        let (me, away, since) = (self.me.clone(), id.clone(), steady_ms());
        let look = Interval::new(LOOK_EVERY_MS, move || {
            let Some(controller) = me.upgrade() else {
                return;
            };
            if !controller.is_connected(&away) || steady_ms() - since > UNCONFIRMED_FOR_MS {
                controller
                    .state
                    .people()
                    .update(|people| people.retain(|person| person.id != away));
                controller.part(&away);
            }
        });
        self.unconfirmed.borrow_mut().insert(id.clone(), look);
    }

    fn listen(&self) {
        let Some(window) = web_sys::window() else {
            return;
        };
        let me = self.me.clone();
        let online = Listener::new(&window, "online", move |_| {
            if let Some(controller) = me.upgrade() {
                let peers: Vec<_> = controller.peers.borrow().values().cloned().collect();
                peers
                    .iter()
                    .for_each(|peer| peer.handle(Event::NetworkChanged));
                controller.with_sfu(|sfu| sfu.handle(Event::NetworkChanged));
            }
        });
        // Closed or loaded anew: media ends here, and the others need not find out by silence.
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
