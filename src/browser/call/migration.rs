//! Moving over: from browser to browser to the SFU and back, without a gap.
//!
//! Each person is played by one way at a time. The new way is built beside the old one;
//! whoever has begun to arrive by it is played by it from then on, and the old way closes
//! when nobody comes by it any more.

use crate::browser::call::controller::CallController;
use crate::browser::call::sfu::SfuConnection;
use crate::browser::dom::clock::steady_ms;
use crate::protocol::{ClientMessage, Devices, Mode, ParticipantId};
use crate::state::call::{CallStateStoreFields, LinkState};
use crate::state::migration::{ARRIVAL_TIMEOUT_MS, SfuPath};
use crate::state::negotiation::Event;
use gloo_timers::callback::{Interval, Timeout};
use leptos::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// How often it is looked what is on the screen, who has arrived, and who speaks, in
/// milliseconds.
const LOOK_EVERY_MS: u32 = 200;
/// How often the credentials of the relay are renewed, in milliseconds: they last 5 min, and a
/// page in the background looks at its clocks once a minute.
const RENEW_EVERY_MS: u32 = 120_000;
/// Slots of pictures, in steps: not every newcomer needs another description.
const PICTURES: [usize; 4] = [4, 9, 16, 25];

/// Who comes by which way.
#[derive(Default)]
pub struct MediaMigration {
    /// The way each person is played by.
    ways: RefCell<HashMap<ParticipantId, Mode>>,
    /// How the way through the SFU is.
    sfu: RefCell<SfuPath>,
    /// Connections to the SFU so far.
    connections: Cell<u32>,
    /// Looks now and then.
    look: RefCell<Option<Interval>>,
    /// Looks at once.
    soon: RefCell<Option<Timeout>>,
    /// Whether a look is under way.
    looking: Cell<bool>,
    /// Asks for fresh credentials now and then.
    renew: RefCell<Option<Interval>>,
}

impl MediaMigration {
    /// By which way somebody is played.
    pub fn way_of(&self, id: &ParticipantId) -> Mode {
        self.ways.borrow().get(id).copied().unwrap_or_default()
    }

    /// Forgets somebody who has left.
    pub fn forget(&self, id: &ParticipantId) {
        self.ways.borrow_mut().remove(id);
    }

    /// Nobody comes any more.
    pub fn stop(&self) {
        self.ways.borrow_mut().clear();
        *self.sfu.borrow_mut() = SfuPath::default();
        *self.look.borrow_mut() = None;
        *self.soon.borrow_mut() = None;
        *self.renew.borrow_mut() = None;
    }
}

impl CallController {
    /// Does something with the connection to the SFU, where there is one.
    pub(super) fn with_sfu(&self, act: impl FnOnce(&SfuConnection)) {
        let sfu = self.sfu.borrow().clone();
        if let Some(sfu) = sfu {
            act(&sfu);
        }
    }

    /// Builds the way media is to go, where it is not there.
    pub(super) fn migrate(&self) {
        if self.state.stage().get_untracked() != crate::state::call::CallStage::In {
            return;
        }
        let mode = self.state.mode().get_untracked();
        self.migration.sfu.borrow_mut().on_mode(mode, steady_ms());
        match mode {
            Mode::Sfu => self.connect_sfu(),
            Mode::P2p => self.connect_peers(),
        }
        self.look_on();
        self.look();
    }

    fn connect_sfu(&self) {
        if self.sfu.borrow().is_none() {
            self.migration.sfu.borrow_mut().open();
            let before = self.migration.connections.get();
            let (me, other) = (self.me.clone(), self.me.clone());
            let on_link = Box::new(move |state| {
                if let Some(controller) = me.upgrade() {
                    controller.sfu_link_changed(state);
                }
            });
            let on_offer = Box::new(move || {
                if let Some(controller) = other.upgrade() {
                    controller.viewport.forget_told();
                    controller.tell_view();
                }
            });
            let pictures = self.pictures_wanted();
            let context = self.context.clone();
            let sfu = SfuConnection::start(context, before, pictures, on_link, on_offer);
            *self.sfu.borrow_mut() = Some(sfu);
        }
        for person in self.state.people().get_untracked() {
            self.met_by_sfu(&person.id);
        }
    }

    /// Somebody is in a call that goes by the SFU.
    pub(super) fn met_by_sfu(&self, id: &ParticipantId) {
        if self.state.me().read_untracked().as_ref() == Some(id) {
            return;
        }
        let by_peer = self.peers.borrow().contains_key(id);
        if !by_peer {
            self.migration
                .ways
                .borrow_mut()
                .insert(id.clone(), Mode::Sfu);
            let state = self.migration.sfu.borrow().link();
            self.state.links().update(|links| {
                links.entry(id.clone()).or_default().state = state;
            });
        }
        let pictures = self.pictures_wanted();
        self.with_sfu(|sfu| sfu.make_room(pictures));
    }

    /// How many pictures may be on the screen at once.
    fn pictures_wanted(&self) -> usize {
        let people = self.state.people().read_untracked();
        let screens = people.iter().filter(|person| person.devices.screen).count();
        let wanted = people.len().saturating_sub(1) + screens;
        let step = PICTURES.iter().find(|step| **step >= wanted);
        *step.or(PICTURES.last()).unwrap_or(&wanted)
    }

    fn connect_peers(&self) {
        // Nobody is played by a way that is not there yet.
        let people = self.state.people().get_untracked();
        for person in &people {
            // Both are here already: whoever has the smaller id makes the first offer.
            let me = self.state.me().get_untracked();
            let polite = me.as_ref().is_some_and(|me| *me < person.id);
            self.meet(person, polite);
            let peer = self.peers.borrow().get(&person.id).cloned();
            if let Some(peer) = peer.filter(|_| polite && self.sfu.borrow().is_some()) {
                peer.handle(Event::Start);
            }
        }
    }

    fn sfu_link_changed(&self, state: LinkState) {
        let now_ms = steady_ms();
        self.migration.sfu.borrow_mut().on_link_state(state, now_ms);
        let ways = self.migration.ways.borrow();
        let by_sfu = ways.iter().filter(|(_, way)| **way == Mode::Sfu);
        self.state.links().update(|links| {
            for (id, _) in by_sfu {
                links.entry(id.clone()).or_default().state = state;
            }
        });
    }

    /// Looks now and then for as long as one is in the call.
    pub(super) fn look_on(&self) {
        let me = self.me.clone();
        self.migration.look.borrow_mut().get_or_insert_with(|| {
            Interval::new(LOOK_EVERY_MS, move || {
                if let Some(controller) = me.upgrade() {
                    controller.look();
                }
            })
        });
    }

    /// Keeps the credentials of the relay fresh: entering again with the same leg changes
    /// nothing else.
    pub(super) fn keep_fresh(&self) {
        let me = self.me.clone();
        self.migration.renew.borrow_mut().get_or_insert_with(|| {
            Interval::new(RENEW_EVERY_MS, move || {
                if let Some(controller) = me.upgrade() {
                    controller.send_enter_call();
                }
            })
        });
    }

    /// Looks as soon as the page has been laid out.
    pub(super) fn look_soon(&self) {
        let me = self.me.clone();
        *self.migration.soon.borrow_mut() = Some(Timeout::new(0, move || {
            if let Some(controller) = me.upgrade() {
                controller.tell_view();
            }
        }));
    }

    /// Looks what is on the screen, who speaks, and who has arrived by the new way.
    fn look(&self) {
        self.tell_view();
        self.hear_peers();
        if self.migration.looking.replace(true) {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            if let Some(controller) = me.upgrade() {
                Rc::clone(&controller).cross().await;
                controller.migration.looking.set(false);
            }
        });
    }

    /// Tells the SFU what is on the screen, where that changed.
    pub(super) fn tell_view(&self) {
        if self.sfu.borrow().is_none() {
            return;
        }
        let pinned = self.state.pinned().get_untracked();
        if let Some(tiles) = self.viewport.news(pinned.as_ref()) {
            (self.context.send)(ClientMessage::Subscribe { tiles });
        }
    }

    /// Browser to browser nobody says who speaks: one hears it.
    fn hear_peers(&self) {
        if self.state.mode().get_untracked() != Mode::P2p {
            return;
        }
        let peers = self.peers.borrow();
        let speaking = peers.iter().filter(|(_, peer)| peer.is_speaking());
        let mut speaking: Vec<_> = speaking.map(|(id, _)| id.clone()).collect();
        speaking.sort();
        self.state.speaking().maybe_update(|before| {
            let differs = *before != speaking;
            *before = speaking;
            differs
        });
    }

    /// Plays whoever has arrived by the new way by it, and closes the old one when it is
    /// not used any more.
    async fn cross(self: Rc<Self>) {
        let mode = self.state.mode().get_untracked();
        for (id, devices) in self.elsewhere(mode) {
            if self.has_arrived(mode, &id, devices).await {
                self.take_way(&id, mode);
            }
        }
        match mode {
            Mode::Sfu => self.close_peers(),
            Mode::P2p => self.close_sfu(),
        }
    }

    /// Whoever is still played by the other way.
    fn elsewhere(&self, mode: Mode) -> Vec<(ParticipantId, Devices)> {
        let me = self.state.me().get_untracked();
        let people = self.state.people().get_untracked();
        let others = people.into_iter().filter(|p| Some(&p.id) != me.as_ref());
        let others = others.filter(|person| self.migration.way_of(&person.id) != mode);
        others.map(|person| (person.id, person.devices)).collect()
    }

    async fn has_arrived(&self, mode: Mode, id: &ParticipantId, devices: Devices) -> bool {
        match mode {
            Mode::Sfu => {
                let Some(up_for_ms) = self.migration.sfu.borrow().up_for_ms(steady_ms()) else {
                    return false;
                };
                let sfu = self.sfu.borrow().clone();
                let late = up_for_ms > ARRIVAL_TIMEOUT_MS;
                late || match sfu {
                    Some(sfu) => sfu.is_flowing(id, devices).await,
                    None => false,
                }
            }
            Mode::P2p => {
                let peer = self.peers.borrow().get(id).cloned();
                let up = self.state.links().read_untracked().get(id).copied();
                let up = up.is_some_and(|link| link.state == LinkState::Connected);
                match peer.filter(|_| up) {
                    Some(peer) => peer.is_flowing(devices).await,
                    None => false,
                }
            }
        }
    }

    fn take_way(&self, id: &ParticipantId, mode: Mode) {
        self.migration.ways.borrow_mut().insert(id.clone(), mode);
        self.state.links().update(|links| {
            let link = links.entry(id.clone()).or_default();
            link.version += 1;
            if mode == Mode::Sfu {
                link.state = LinkState::Connected;
            }
        });
        self.state.slots_version().update(|version| *version += 1);
    }

    /// Lets go of every peer that is played by the SFU.
    fn close_peers(&self) {
        let ways = self.migration.ways.borrow().clone();
        let by_sfu = |id: &ParticipantId| ways.get(id) == Some(&Mode::Sfu);
        let gone: HashSet<_> = self
            .peers
            .borrow()
            .keys()
            .filter(|id| by_sfu(id))
            .cloned()
            .collect();
        for id in gone {
            let peer = self.peers.borrow_mut().remove(&id);
            drop(peer);
        }
    }

    /// Lets go of the SFU once nobody is played by it.
    fn close_sfu(&self) {
        let used = self
            .migration
            .ways
            .borrow()
            .values()
            .any(|way| *way == Mode::Sfu);
        if used {
            return;
        }
        let sfu = self.sfu.borrow_mut().take();
        if let Some(sfu) = sfu {
            let connection = sfu.number();
            self.migration.connections.set(connection);
            (self.context.send)(ClientMessage::CloseMedia { connection });
            self.forget_sfu();
        }
    }

    /// Nothing the SFU said of people holds any more.
    pub(super) fn forget_sfu(&self) {
        self.state.voices().update(Vec::clear);
        self.state.paused().update(Vec::clear);
        self.state.floor().update(Vec::clear);
        self.state.qualities().update(HashMap::clear);
    }

    /// Whether a voice of the SFU is to be heard: not while its person is still heard
    /// browser to browser.
    pub(super) fn is_heard_by_sfu(&self, id: &ParticipantId) -> bool {
        self.migration.way_of(id) == Mode::Sfu
    }
}
