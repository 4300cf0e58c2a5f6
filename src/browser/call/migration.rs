//! Migration of media between browser to browser and the SFU, without a gap.
//!
//! Each participant is played from one connection at a time. The new connection is established
//! beside the old one, and a participant is played from it once their media arrives there. The
//! old connection closes when no participant is played from it.

use crate::browser::call::connections::Connections;
use crate::browser::call::context::Context;
use crate::browser::call::p2p::P2pConnection;
use crate::browser::call::sfu::SfuConnection;
use crate::browser::call::viewport::Viewport;
use crate::browser::dom::clock::steady_ms;
use crate::protocol::{CallPerson, ClientMessage, Devices, Mode, ParticipantId};
use crate::state::call::{CallStage, CallState, CallStateStoreFields, LinkState};
use crate::state::migration::{ARRIVAL_TIMEOUT_MS, SfuPath};
use crate::state::negotiation::Event;
use gloo_timers::callback::Timeout;
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use wasm_bindgen_futures::spawn_local;

/// Numbers of video slots in an offer. The steps make renegotiation rare when participants
/// enter.
const PICTURES: [usize; 4] = [4, 9, 16, 25];

/// Opens and closes the connections of a call, and selects the one that each participant is
/// played from.
pub struct MediaMigration {
    me: Weak<Self>,
    connections: Rc<Connections>,
    /// The videos on the screen.
    pub viewport: Viewport,
    /// The kind of connection that each participant is played from.
    modes: RefCell<HashMap<ParticipantId, Mode>>,
    /// State of the connection to the SFU.
    sfu_path: RefCell<SfuPath>,
    /// Connections to the SFU so far.
    sfu_connections: Cell<u32>,
    /// Sends the subscription once the page has been laid out.
    subscribe: RefCell<Option<Timeout>>,
    /// Whether a poll is waiting for statistics.
    polling: Cell<bool>,
}

impl MediaMigration {
    /// No participant is played yet.
    pub fn new(connections: Rc<Connections>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            connections,
            viewport: Viewport::default(),
            modes: RefCell::default(),
            sfu_path: RefCell::default(),
            sfu_connections: Cell::default(),
            subscribe: RefCell::default(),
            polling: Cell::default(),
        })
    }

    fn context(&self) -> &Rc<Context> {
        &self.connections.context
    }

    fn state(&self) -> Store<CallState> {
        self.context().state
    }

    /// The kind of connection that a participant is played from.
    pub fn mode_of(&self, id: &ParticipantId) -> Mode {
        self.modes.borrow().get(id).copied().unwrap_or_default()
    }

    /// Closes every connection.
    pub fn stop(&self) {
        self.modes.borrow_mut().clear();
        *self.sfu_path.borrow_mut() = SfuPath::default();
        *self.subscribe.borrow_mut() = None;
        self.connections.close_all();
        self.state().links().update(HashMap::clear);
        self.forget_sfu();
    }

    /// Connects to a leg of a participant, unless it is connected.
    /// `polite` is the role in perfect negotiation.
    pub fn connect(&self, person: &CallPerson, polite: bool) {
        let mine = self.state().me().read_untracked().as_ref() == Some(&person.id);
        let Some(own_leg) = self.context().leg.get().filter(|_| !mine) else {
            return;
        };
        if self.context().mode() == Mode::Sfu {
            return self.connect_by_sfu(&person.id);
        }
        let known = self.connections.peer(&person.id);
        if known.is_none_or(|peer| peer.leg() != person.leg) {
            self.disconnect(&person.id);
            let (id, context) = (person.id.clone(), self.context().clone());
            let peer = P2pConnection::new(id, person.leg, polite, own_leg, context);
            let mut peers = self.connections.peers.borrow_mut();
            peers.insert(person.id.clone(), peer);
        }
    }

    /// Closes the connection to a participant who has left.
    pub fn disconnect(&self, id: &ParticipantId) {
        self.modes.borrow_mut().remove(id);
        self.connections.close_peer(id);
        self.state().links().update(|links| {
            links.remove(id);
        });
    }

    /// Opens the missing connections of the current mode.
    pub fn migrate(&self) {
        if self.state().stage().get_untracked() != CallStage::In {
            return;
        }
        let mode = self.context().mode();
        self.sfu_path.borrow_mut().on_mode(mode, steady_ms());
        match mode {
            Mode::Sfu => self.open_sfu(),
            Mode::P2p => self.open_peers(),
        }
        self.poll();
    }

    fn open_sfu(&self) {
        if self.connections.sfu.borrow().is_none() {
            self.sfu_path.borrow_mut().open();
            let (me, other) = (self.me.clone(), self.me.clone());
            let on_link = Box::new(move |state| {
                if let Some(migration) = me.upgrade() {
                    migration.on_sfu_link_state(state);
                }
            });
            let on_offer = Box::new(move || {
                if let Some(migration) = other.upgrade() {
                    migration.viewport.forget_sent();
                    migration.subscribe();
                }
            });
            let (before, pictures) = (self.sfu_connections.get(), self.pictures_wanted());
            let context = self.context().clone();
            let sfu = SfuConnection::start(context, before, pictures, on_link, on_offer);
            *self.connections.sfu.borrow_mut() = Some(sfu);
        }
        let me = self.state().me().get_untracked();
        for person in self.state().people().get_untracked() {
            if Some(&person.id) != me.as_ref() {
                self.connect_by_sfu(&person.id);
            }
        }
    }

    /// Plays a participant from the SFU, unless they are still connected browser to browser.
    fn connect_by_sfu(&self, id: &ParticipantId) {
        if self.connections.peer(id).is_none() {
            self.modes.borrow_mut().insert(id.clone(), Mode::Sfu);
            let state = self.sfu_path.borrow().link();
            self.state().links().update(|links| {
                links.entry(id.clone()).or_default().state = state;
            });
        }
        let pictures = self.pictures_wanted();
        self.connections.with_sfu(|sfu| sfu.make_room(pictures));
    }

    /// Number of videos that may be on the screen at once.
    fn pictures_wanted(&self) -> usize {
        let people = self.state().people();
        let people = people.read_untracked();
        let screens = people.iter().filter(|person| person.devices.screen).count();
        let wanted = people.len().saturating_sub(1) + screens;
        let step = PICTURES.iter().find(|step| **step >= wanted);
        *step.or(PICTURES.last()).unwrap_or(&wanted)
    }

    fn open_peers(&self) {
        let me = self.state().me().get_untracked();
        let from_sfu = self.connections.sfu.borrow().is_some();
        for person in &self.state().people().get_untracked() {
            // Both are in the call already: the smaller id is polite and makes the offer.
            let polite = me.as_ref().is_some_and(|me| *me < person.id);
            self.connect(person, polite);
            let peer = self.connections.peer(&person.id);
            if let Some(peer) = peer.filter(|_| polite && from_sfu) {
                peer.handle(Event::Start);
            }
        }
    }

    fn on_sfu_link_state(&self, state: LinkState) {
        let now_ms = steady_ms();
        self.sfu_path.borrow_mut().on_link_state(state, now_ms);
        let modes = self.modes.borrow();
        let by_sfu = modes.iter().filter(|(_, mode)| **mode == Mode::Sfu);
        self.state().links().update(|links| {
            for (id, _) in by_sfu {
                links.entry(id.clone()).or_default().state = state;
            }
        });
    }

    /// Sends the subscription as soon as the page has been laid out.
    pub fn subscribe_soon(&self) {
        let me = self.me.clone();
        *self.subscribe.borrow_mut() = Some(Timeout::new(0, move || {
            if let Some(migration) = me.upgrade() {
                migration.subscribe();
            }
        }));
    }

    /// Sends the subscription to the SFU, if it has changed.
    fn subscribe(&self) {
        if self.connections.sfu.borrow().is_none() {
            return;
        }
        let pinned = self.state().pinned().get_untracked();
        if let Some(tiles) = self.viewport.changes(pinned.as_ref()) {
            (self.context().send)(ClientMessage::Subscribe { tiles });
        }
    }

    /// Updates the subscription and the speakers, and plays the participants whose media has
    /// arrived on the connection of the current mode.
    pub fn poll(&self) {
        self.subscribe();
        self.detect_speakers();
        if self.polling.replace(true) {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            if let Some(migration) = me.upgrade() {
                migration.play_arrivals().await;
                migration.polling.set(false);
            }
        });
    }

    /// Detects speakers by their audio levels, browser to browser. With the SFU the server does.
    fn detect_speakers(&self) {
        if self.context().mode() != Mode::P2p {
            return;
        }
        let peers = self.connections.peers.borrow();
        let speaking = peers.iter().filter(|(_, peer)| peer.is_speaking());
        let mut speaking: Vec<_> = speaking.map(|(id, _)| id.clone()).collect();
        speaking.sort();
        self.state().speaking().maybe_update(|before| {
            let differs = *before != speaking;
            *before = speaking;
            differs
        });
    }

    /// Plays each participant whose media has arrived on the connection of the current mode, and
    /// closes the connections that no participant is played from.
    async fn play_arrivals(&self) {
        let mode = self.context().mode();
        for (id, devices) in self.still_in_other_mode(mode) {
            if self.has_arrived(mode, &id, devices).await {
                self.play_from(&id, mode);
            }
        }
        match mode {
            Mode::Sfu => self.close_peers(),
            Mode::P2p => self.close_sfu(),
        }
    }

    /// The participants who are played from a connection of the other mode.
    fn still_in_other_mode(&self, mode: Mode) -> Vec<(ParticipantId, Devices)> {
        let me = self.state().me().get_untracked();
        let people = self.state().people().get_untracked();
        let others = people.into_iter().filter(|p| Some(&p.id) != me.as_ref());
        let others = others.filter(|person| self.mode_of(&person.id) != mode);
        others.map(|person| (person.id, person.devices)).collect()
    }

    async fn has_arrived(&self, mode: Mode, id: &ParticipantId, devices: Devices) -> bool {
        match mode {
            Mode::Sfu => {
                let Some(up_for_ms) = self.sfu_path.borrow().up_for_ms(steady_ms()) else {
                    return false;
                };
                let sfu = self.connections.sfu.borrow().clone();
                let late = up_for_ms > ARRIVAL_TIMEOUT_MS;
                late || match sfu {
                    Some(sfu) => sfu.is_flowing(id, devices).await,
                    None => false,
                }
            }
            Mode::P2p => {
                let peer = self.connections.peer(id);
                match peer.filter(|_| self.is_connected(id)) {
                    Some(peer) => peer.is_flowing(devices).await,
                    None => false,
                }
            }
        }
    }

    /// Whether the connection that carries a participant's media is established.
    pub fn is_connected(&self, id: &ParticipantId) -> bool {
        let links = self.state().links();
        let link = links.read_untracked().get(id).copied();
        link.is_some_and(|link| link.state == LinkState::Connected)
    }

    fn play_from(&self, id: &ParticipantId, mode: Mode) {
        self.modes.borrow_mut().insert(id.clone(), mode);
        self.state().links().update(|links| {
            let link = links.entry(id.clone()).or_default();
            link.version += 1;
            if mode == Mode::Sfu {
                link.state = LinkState::Connected;
            }
        });
        self.state().slots_version().update(|version| *version += 1);
    }

    /// Closes the connection to each participant who is played from the SFU.
    fn close_peers(&self) {
        let modes = self.modes.borrow().clone();
        let mut peers = self.connections.peers.borrow_mut();
        let (closed, open) = std::mem::take(&mut *peers)
            .into_iter()
            .partition(|(id, _)| modes.get(id) == Some(&Mode::Sfu));
        *peers = open;
        drop(peers);
        let closed: HashMap<_, _> = closed;
        drop(closed);
    }

    /// Closes the connection to the SFU once no participant is played from it.
    fn close_sfu(&self) {
        let used = self.modes.borrow().values().any(|m| *m == Mode::Sfu);
        let sfu = self.connections.sfu.borrow_mut().take_if(|_| !used);
        if let Some(sfu) = sfu {
            let connection = sfu.number();
            self.sfu_connections.set(connection);
            (self.context().send)(ClientMessage::CloseMedia { connection });
            self.forget_sfu();
        }
    }

    /// Clears the speakers, slots and ratings that the SFU announced.
    fn forget_sfu(&self) {
        let state = self.state();
        state.voices().update(Vec::clear);
        state.paused().update(Vec::clear);
        state.recent_speakers().update(Vec::clear);
        state.qualities().update(HashMap::clear);
    }
}
