//! Runs one negotiation on `RTCPeerConnection`s: carries out the actions of [`Negotiation`] in
//! order, one at a time.
//!
//! Who is on the other side is [`RemoteEnd`]'s: another browser ([`crate::browser::call::p2p`]) or the SFU
//! ([`crate::browser::call::sfu`]). Either says how descriptions travel and what a connection carries.

use crate::browser::call::rtc::peer_connection::{add, configuration, renew, set_remote};
use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::js::Listener;
use crate::protocol::{Candidate, Signal};
use crate::state::call::LinkState;
use crate::state::negotiation::{Action, Description, Event, Negotiation};
use gloo_timers::callback::Timeout;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    RtcOfferOptions, RtcPeerConnection, RtcPeerConnectionIceEvent, RtcPeerConnectionState,
    RtcSdpType, RtcSessionDescriptionInit, RtcTrackEvent,
};

/// An asynchronous step of a negotiation.
pub type Step<'a> = Pin<Box<dyn Future<Output = Result<(), JsValue>> + 'a>>;

/// The remote end of a connection: another browser or the SFU.
pub trait RemoteEnd {
    /// Sends it a description or a candidate.
    fn say(&self, signal: Signal);
    /// ICE servers for the next gathering.
    fn ice_servers(&self) -> JsValue;
    /// A new connection takes the place of the one before: its tracks are over.
    fn opened(&self);
    /// Adds to a connection what an offer carries.
    fn prepare_offer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a>;
    /// Adds to a connection what the answer carries.
    fn prepare_answer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a>;
    /// A remote track was added.
    fn received(&self, pc: &RtcPeerConnection, event: &RtcTrackEvent);
    /// The state of the connection has changed.
    fn on_link_state(&self, state: LinkState);
}

/// The connections to one remote end, one after the other. Dropping it closes the last one.
pub struct Connector {
    me: Weak<Self>,
    remote_end: Weak<dyn RemoteEnd>,
    negotiation: RefCell<Negotiation>,
    connection: RefCell<Option<Connection>>,
    /// Actions of the negotiation that wait for the one in progress.
    to_do: RefCell<VecDeque<Action>>,
    busy: Cell<bool>,
    wake: RefCell<Option<Timeout>>,
    was_connected: Cell<bool>,
}

/// A peer connection with its listeners.
struct Connection {
    /// Which of the pair it is.
    number: u32,
    pc: RtcPeerConnection,
    listeners: Vec<Listener>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.listeners.clear();
        self.pc.close();
    }
}

impl Connector {
    /// Nothing is connected before [`Event::Start`] or their offer.
    pub fn new(remote_end: Weak<dyn RemoteEnd>, negotiation: Negotiation) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            remote_end,
            negotiation: RefCell::new(negotiation),
            connection: RefCell::default(),
            to_do: RefCell::default(),
            busy: Cell::new(false),
            wake: RefCell::default(),
            was_connected: Cell::new(false),
        })
    }

    /// Takes in what happened and does what follows from it.
    pub fn handle(&self, event: Event) {
        let actions = self.negotiation.borrow_mut().handle(event, steady_ms());
        for action in actions {
            match action {
                // These do not wait for the action in progress.
                Action::WakeAt(at_ms) => self.wake_at(at_ms),
                Action::Send(signal) => self.say(signal),
                Action::Repeat => self.repeat(),
                action => self.to_do.borrow_mut().push_back(action),
            }
        }
        self.work();
    }

    /// The connection there is.
    pub fn pc(&self) -> Option<RtcPeerConnection> {
        let connection = self.connection.borrow();
        connection.as_ref().map(|there| there.pc.clone())
    }

    /// The number of the connection there is; 0 before the first.
    pub fn number(&self) -> u32 {
        let connection = self.connection.borrow();
        connection.as_ref().map_or(0, |there| there.number)
    }

    fn say(&self, signal: Signal) {
        if let Some(remote_end) = self.remote_end.upgrade() {
            remote_end.say(signal);
        }
    }

    /// Repeats the offer that waits for its answer.
    fn repeat(&self) {
        if let Some(offer) = self.pc().and_then(|pc| pc.local_description()) {
            self.say(Signal::Offer {
                connection: self.number(),
                sdp: offer.sdp(),
            });
        }
    }

    fn wake_at(&self, at_ms: f64) {
        let me = self.me.clone();
        let wait_ms = (at_ms - steady_ms()).clamp(0.0, 60_000.0) as u32;
        *self.wake.borrow_mut() = Some(Timeout::new(wait_ms, move || {
            if let Some(connector) = me.upgrade() {
                connector.handle(Event::Woken);
            }
        }));
    }

    /// Performs the waiting actions, one after the other.
    fn work(&self) {
        if self.busy.replace(true) {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            while let Some(connector) = me.upgrade() {
                let Some(action) = connector.to_do.borrow_mut().pop_front() else {
                    connector.busy.set(false);
                    return;
                };
                connector.step(action).await;
            }
        });
    }

    /// Performs one action and reports a failure to the negotiation.
    async fn step(&self, action: Action) {
        // A candidate may belong to an offer that was given up; the others still count.
        let matters = !matches!(action, Action::Add(_));
        let number = match action {
            Action::Open { connection } => connection,
            Action::Offer { .. }
            | Action::Answer { .. }
            | Action::Accept { .. }
            | Action::Add(_)
            | Action::Send(_)
            | Action::Repeat
            | Action::WakeAt(_) => self.number(),
        };
        if let Err(error) = self.perform(action).await
            && matters
        {
            leptos::logging::debug_warn!("negotiation step failed: {error:?}");
            self.handle(Event::StepFailed { connection: number });
        }
    }

    async fn perform(&self, action: Action) -> Result<(), JsValue> {
        let Some(remote_end) = self.remote_end.upgrade() else {
            return Ok(());
        };
        if let Action::Open { connection } = action {
            return self.open(connection, &*remote_end);
        }
        let Some(pc) = self.pc() else { return Ok(()) };
        match action {
            Action::Offer { restart_ice } => {
                if restart_ice {
                    renew(&pc, &remote_end.ice_servers());
                }
                remote_end.prepare_offer(&pc).await?;
                let options = RtcOfferOptions::new();
                options.set_ice_restart(restart_ice);
                let made = pc.create_offer_with_rtc_offer_options(&options);
                self.describe(&pc, &JsFuture::from(made).await?, true).await
            }
            Action::Answer { sdp } => {
                // Their ICE restart restarts ours.
                renew(&pc, &remote_end.ice_servers());
                set_remote(&pc, RtcSdpType::Offer, &sdp).await?;
                remote_end.prepare_answer(&pc).await?;
                let made = JsFuture::from(pc.create_answer()).await?;
                self.describe(&pc, &made, false).await
            }
            Action::Accept { sdp } => set_remote(&pc, RtcSdpType::Answer, &sdp).await,
            Action::Add(candidate) => add(&pc, &candidate).await,
            Action::Open { .. } | Action::Send(_) | Action::Repeat | Action::WakeAt(_) => Ok(()),
        }
    }

    /// Sets a description of ours and has it sent.
    async fn describe(
        &self,
        pc: &RtcPeerConnection,
        made: &JsValue,
        offer: bool,
    ) -> Result<(), JsValue> {
        let made: &RtcSessionDescriptionInit = made.unchecked_ref();
        JsFuture::from(pc.set_local_description(made)).await?;
        if let Some(description) = pc.local_description() {
            self.handle(Event::Described(Description {
                connection: self.number(),
                offer,
                sdp: description.sdp(),
            }));
        }
        Ok(())
    }

    fn open(&self, number: u32, remote_end: &dyn RemoteEnd) -> Result<(), JsValue> {
        let configuration = configuration(&remote_end.ice_servers());
        let pc = RtcPeerConnection::new_with_configuration(&configuration)?;
        remote_end.opened();
        let listeners = self.listen(&pc, number);
        *self.connection.borrow_mut() = Some(Connection {
            number,
            pc,
            listeners,
        });
        remote_end.on_link_state(match self.was_connected.get() {
            true => LinkState::Reconnecting,
            false => LinkState::Connecting,
        });
        Ok(())
    }

    fn listen(&self, pc: &RtcPeerConnection, number: u32) -> Vec<Listener> {
        let (remote_end, of) = (self.remote_end.clone(), pc.clone());
        let track = Listener::new(pc, "track", move |event| {
            if let (Some(remote_end), Some(event)) =
                (remote_end.upgrade(), event.dyn_ref::<RtcTrackEvent>())
            {
                remote_end.received(&of, event);
            }
        });
        let remote_end = self.remote_end.clone();
        let candidate = Listener::new(pc, "icecandidate", move |event| {
            let event = event.dyn_ref::<RtcPeerConnectionIceEvent>();
            let found = event.and_then(RtcPeerConnectionIceEvent::candidate);
            if let (Some(remote_end), Some(found)) = (remote_end.upgrade(), found) {
                let candidate = Candidate {
                    candidate: found.candidate(),
                    mid: found.sdp_mid(),
                    mline_index: found.sdp_m_line_index(),
                };
                remote_end.say(Signal::Candidate {
                    connection: number,
                    candidate,
                });
            }
        });
        let (me, observed) = (self.me.clone(), pc.clone());
        let state = Listener::new(pc, "connectionstatechange", move |_| {
            // A connection about to be replaced does not speak for the next one.
            if let Some(connector) = me.upgrade()
                && connector.negotiation.borrow().connection() == number
            {
                connector.transport_changed(observed.connection_state());
            }
        });
        vec![track, candidate, state]
    }

    fn transport_changed(&self, state: RtcPeerConnectionState) {
        let (event, link) = match state {
            RtcPeerConnectionState::Connected => (Event::Connected, LinkState::Connected),
            RtcPeerConnectionState::Disconnected => (Event::Disconnected, LinkState::Reconnecting),
            RtcPeerConnectionState::Failed => (Event::Failed, LinkState::Reconnecting),
            _ => return,
        };
        if link == LinkState::Connected {
            self.was_connected.set(true);
        }
        if let Some(remote_end) = self.remote_end.upgrade() {
            remote_end.on_link_state(link);
        }
        self.handle(event);
    }
}
