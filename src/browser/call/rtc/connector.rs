//! Performs the actions of one [`Negotiation`] on `RTCPeerConnection`s, in order and one at a
//! time.
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
    /// Sends a description or a candidate to the remote end.
    fn say(&self, signal: Signal);
    /// ICE servers for the next gathering.
    fn ice_servers(&self) -> JsValue;
    /// Whether the connection uses relayed candidates only.
    fn relay_only(&self) -> bool {
        false
    }
    /// A new connection replaced the previous one, whose tracks have ended.
    fn opened(&self);
    /// Adds the transceivers of an offer to a connection.
    fn prepare_offer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a>;
    /// Adds the tracks of an answer to a connection.
    fn prepare_answer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a>;
    /// A remote track was added.
    fn received(&self, pc: &RtcPeerConnection, event: &RtcTrackEvent);
    /// The state of the connection changed.
    fn on_link_state(&self, state: LinkState);
}

/// The successive connections to one remote end. Dropping it closes the current one.
pub struct Connector {
    me: Weak<Self>,
    remote_end: Weak<dyn RemoteEnd>,
    negotiation: RefCell<Negotiation>,
    connection: RefCell<Option<Connection>>,
    /// Actions that wait for the one in progress.
    queue: RefCell<VecDeque<Action>>,
    busy: Cell<bool>,
    wake: RefCell<Option<Timeout>>,
    was_connected: Cell<bool>,
}

/// A peer connection with its listeners.
struct Connection {
    /// Number of the connection.
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
    /// A connector without a connection. The first one opens at [`Event::Start`] or a remote
    /// offer.
    pub fn new(remote_end: Weak<dyn RemoteEnd>, negotiation: Negotiation) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            remote_end,
            negotiation: RefCell::new(negotiation),
            connection: RefCell::default(),
            queue: RefCell::default(),
            busy: Cell::new(false),
            wake: RefCell::default(),
            was_connected: Cell::new(false),
        })
    }

    /// Passes an event to the negotiation and performs the resulting actions.
    pub fn handle(&self, event: Event) {
        let actions = self.negotiation.borrow_mut().handle(event, steady_ms());
        for action in actions {
            match action {
                // These three do not wait for the action in progress.
                Action::SetTimer(at_ms) => self.set_timer(at_ms),
                Action::Send(signal) => self.say(signal),
                Action::ResendOffer => self.resend_offer(),
                action => self.queue.borrow_mut().push_back(action),
            }
        }
        self.run_queue();
    }

    /// The current connection.
    pub fn pc(&self) -> Option<RtcPeerConnection> {
        let connection = self.connection.borrow();
        connection.as_ref().map(|there| there.pc.clone())
    }

    /// Number of the current connection; 0 before the first.
    pub fn number(&self) -> u32 {
        let connection = self.connection.borrow();
        connection.as_ref().map_or(0, |there| there.number)
    }

    fn say(&self, signal: Signal) {
        if let Some(remote_end) = self.remote_end.upgrade() {
            remote_end.say(signal);
        }
    }

    /// Sends the current offer again.
    fn resend_offer(&self) {
        if let Some(offer) = self.pc().and_then(|pc| pc.local_description()) {
            self.say(Signal::Offer {
                connection: self.number(),
                sdp: offer.sdp(),
            });
        }
    }

    fn set_timer(&self, at_ms: f64) {
        let me = self.me.clone();
        let wait_ms = (at_ms - steady_ms()).clamp(0.0, 60_000.0) as u32;
        *self.wake.borrow_mut() = Some(Timeout::new(wait_ms, move || {
            if let Some(connector) = me.upgrade() {
                connector.handle(Event::TimerFired);
            }
        }));
    }

    /// Performs the queued actions in order.
    fn run_queue(&self) {
        if self.busy.replace(true) {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            while let Some(connector) = me.upgrade() {
                let Some(action) = connector.queue.borrow_mut().pop_front() else {
                    connector.busy.set(false);
                    return;
                };
                connector.run(action).await;
            }
        });
    }

    /// Performs one action and reports a failure to the negotiation.
    async fn run(&self, action: Action) {
        // A rejected candidate may belong to an offer that was rolled back: no failure.
        let matters = !matches!(action, Action::AddCandidate(_));
        let number = match action {
            Action::Open { connection } => connection,
            Action::CreateOffer { .. }
            | Action::CreateAnswer { .. }
            | Action::SetAnswer { .. }
            | Action::AddCandidate(_)
            | Action::Send(_)
            | Action::ResendOffer
            | Action::SetTimer(_) => self.number(),
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
            Action::CreateOffer { restart_ice } => {
                if restart_ice {
                    renew(&pc, &remote_end.ice_servers(), remote_end.relay_only());
                }
                remote_end.prepare_offer(&pc).await?;
                let options = RtcOfferOptions::new();
                options.set_ice_restart(restart_ice);
                let made = pc.create_offer_with_rtc_offer_options(&options);
                self.set_local(&pc, &JsFuture::from(made).await?, true)
                    .await
            }
            Action::CreateAnswer { sdp } => {
                // An ICE restart of the remote side restarts ICE here, too.
                renew(&pc, &remote_end.ice_servers(), remote_end.relay_only());
                set_remote(&pc, RtcSdpType::Offer, &sdp).await?;
                remote_end.prepare_answer(&pc).await?;
                let made = JsFuture::from(pc.create_answer()).await?;
                self.set_local(&pc, &made, false).await
            }
            Action::SetAnswer { sdp } => set_remote(&pc, RtcSdpType::Answer, &sdp).await,
            Action::AddCandidate(candidate) => add(&pc, &candidate).await,
            Action::Open { .. } | Action::Send(_) | Action::ResendOffer | Action::SetTimer(_) => {
                Ok(())
            }
        }
    }

    /// Sets a local description and passes it to the negotiation.
    async fn set_local(
        &self,
        pc: &RtcPeerConnection,
        made: &JsValue,
        offer: bool,
    ) -> Result<(), JsValue> {
        let made: &RtcSessionDescriptionInit = made.unchecked_ref();
        JsFuture::from(pc.set_local_description(made)).await?;
        if let Some(description) = pc.local_description() {
            self.handle(Event::LocalDescription(Description {
                connection: self.number(),
                offer,
                sdp: description.sdp(),
            }));
        }
        Ok(())
    }

    fn open(&self, number: u32, remote_end: &dyn RemoteEnd) -> Result<(), JsValue> {
        let configuration = configuration(&remote_end.ice_servers(), remote_end.relay_only());
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
            // Events of a replaced connection are ignored.
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
