//! The connection to one other person: carries out what the negotiation decides.
//!
//! One audio and one video transceiver from the start, in this order, with whatever
//! tracks there are. Muting, another camera or the screen replace a sender's track;
//! nothing of that is ever negotiated.

mod descriptions;

use super::local::show_only;
use super::media::Media;
use crate::browser::clock::steady_ms;
use crate::browser::js::Listener;
use crate::protocol::{Candidate, ClientMessage, IceServer, Leg, ParticipantId, Signal};
use crate::state::call::{CallState, CallStateStoreFields, LinkState};
use crate::state::negotiation::{Action, Event, Negotiation};
use descriptions::{add, ice_servers, set_remote};
use gloo_timers::callback::Timeout;
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{
    MediaStream, RtcBundlePolicy, RtcConfiguration, RtcPeerConnection, RtcPeerConnectionIceEvent,
    RtcPeerConnectionState, RtcSdpType, RtcTrackEvent,
};

/// Two sides' alarms are apart by up to this, in milliseconds: longer than a message
/// takes, so that the second hears of the first in time.
const SPREAD_MS: u32 = 1_500;

/// What every connection of a call shares.
pub struct Context {
    /// The call as this person sees it.
    pub state: Store<CallState>,
    /// Passes messages to the server.
    pub send: Rc<dyn Fn(ClientMessage)>,
    /// One's own devices.
    pub media: Rc<Media>,
    /// For new connections.
    pub ice_servers: RefCell<Vec<IceServer>>,
}

/// One other person in the call. Dropped, the connection closes.
pub struct Peer {
    me: Weak<Self>,
    id: ParticipantId,
    leg: Leg,
    context: Rc<Context>,
    negotiation: RefCell<Negotiation>,
    connection: RefCell<Option<Connection>>,
    /// What they send. One stream for the whole stay, empty at first: an element that
    /// plays it early gets the tracks of every connection when they come.
    stream: MediaStream,
    /// What the negotiation wants done, in order; one thing at a time.
    to_do: RefCell<VecDeque<Action>>,
    busy: Cell<bool>,
    wake: RefCell<Option<Timeout>>,
    was_connected: Cell<bool>,
}

/// A peer connection with its listeners and what it receives.
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

impl Drop for Peer {
    fn drop(&mut self) {
        self.context.media.forget(&self.id, self.leg);
    }
}

impl Peer {
    /// Somebody to be connected to; nothing happens before [`Event::Start`] or their offer.
    /// `own_leg` is random and sets our alarms a little apart from theirs.
    pub fn new(
        id: ParticipantId,
        leg: Leg,
        polite: bool,
        own_leg: Leg,
        context: Rc<Context>,
    ) -> Rc<Self> {
        let spread_ms = f64::from(own_leg % SPREAD_MS);
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            id,
            leg,
            context,
            negotiation: RefCell::new(Negotiation::new(polite).spread_by(spread_ms)),
            connection: RefCell::default(),
            stream: MediaStream::new().unwrap_or_else(|_| JsValue::NULL.unchecked_into()),
            to_do: RefCell::default(),
            busy: Cell::new(false),
            wake: RefCell::default(),
            was_connected: Cell::new(false),
        })
    }

    /// Which stay of theirs this is.
    pub fn leg(&self) -> Leg {
        self.leg
    }

    /// What they send, now or later.
    pub fn stream(&self) -> MediaStream {
        // Not `stream.clone()`: that is the browser's own, which copies the tracks.
        Clone::clone(&self.stream)
    }

    /// Takes in what happened and does what follows from it.
    pub fn handle(&self, event: Event) {
        let actions = self.negotiation.borrow_mut().handle(event, steady_ms());
        for action in actions {
            match action {
                // At once: neither waits for what is under way.
                Action::WakeAt(at_ms) => self.wake_at(at_ms),
                Action::Send(signal) => self.send(signal),
                action => self.to_do.borrow_mut().push_back(action),
            }
        }
        self.work();
    }

    fn send(&self, signal: Signal) {
        (self.context.send)(ClientMessage::Signal {
            to: self.id.clone(),
            leg: self.leg,
            signal,
        });
    }

    fn wake_at(&self, at_ms: f64) {
        let me = self.me.clone();
        let wait_ms = (at_ms - steady_ms()).clamp(0.0, 60_000.0) as u32;
        *self.wake.borrow_mut() = Some(Timeout::new(wait_ms, move || {
            if let Some(peer) = me.upgrade() {
                peer.handle(Event::Woken);
            }
        }));
    }

    /// Does what is to be done, one after the other.
    fn work(&self) {
        if self.busy.replace(true) {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            while let Some(peer) = me.upgrade() {
                let Some(action) = peer.to_do.borrow_mut().pop_front() else {
                    peer.busy.set(false);
                    return;
                };
                peer.step(action).await;
            }
        });
    }

    /// Does one thing and says so where the browser refuses it.
    async fn step(&self, action: Action) {
        // A candidate may belong to an offer that was given up; the others still count.
        let matters = !matches!(action, Action::Add(_));
        let number = match action {
            Action::Open { connection } => connection,
            _ => self.number(),
        };
        if let Err(error) = self.perform(action).await
            && matters
        {
            leptos::logging::debug_warn!("negotiation step failed: {error:?}");
            self.handle(Event::StepFailed { connection: number });
        }
    }

    async fn perform(&self, action: Action) -> Result<(), JsValue> {
        if let Action::Open { connection } = action {
            return self.open(connection);
        }
        let Some(pc) = self.pc() else { return Ok(()) };
        match action {
            Action::Offer { restart_ice } => self.offer(&pc, restart_ice).await,
            Action::Answer { sdp } => self.answer(&pc, &sdp).await,
            Action::Accept { sdp } => set_remote(&pc, RtcSdpType::Answer, &sdp).await,
            Action::Add(candidate) => add(&pc, &candidate).await,
            Action::Open { .. } | Action::Send(_) | Action::WakeAt(_) => Ok(()),
        }
    }

    fn pc(&self) -> Option<RtcPeerConnection> {
        self.connection
            .borrow()
            .as_ref()
            .map(|connection| connection.pc.clone())
    }

    /// The number of the connection there is; 0 before the first.
    fn number(&self) -> u32 {
        let connection = self.connection.borrow();
        connection.as_ref().map_or(0, |there| there.number)
    }

    fn open(&self, number: u32) -> Result<(), JsValue> {
        let configuration = RtcConfiguration::new();
        configuration.set_ice_servers(&ice_servers(&self.context.ice_servers.borrow()));
        // One path for sound and picture: half the candidates, half the time.
        configuration.set_bundle_policy(RtcBundlePolicy::MaxBundle);
        let pc = RtcPeerConnection::new_with_configuration(&configuration)?;
        // The tracks of the connection before this one end with it.
        show_only(&self.stream, None);
        let listeners = self.listen(&pc, number);
        *self.connection.borrow_mut() = Some(Connection {
            number,
            pc,
            listeners,
        });
        self.show_link(match self.was_connected.get() {
            true => LinkState::Reconnecting,
            false => LinkState::Connecting,
        });
        Ok(())
    }

    fn listen(&self, pc: &RtcPeerConnection, number: u32) -> Vec<Listener> {
        let me = self.me.clone();
        let track = Listener::new(pc, "track", move |event| {
            if let (Some(peer), Some(event)) = (me.upgrade(), event.dyn_ref::<RtcTrackEvent>()) {
                peer.stream.add_track(&event.track());
                peer.stream_changed();
            }
        });
        let me = self.me.clone();
        let candidate = Listener::new(pc, "icecandidate", move |event| {
            let event = event.dyn_ref::<RtcPeerConnectionIceEvent>();
            let found = event.and_then(RtcPeerConnectionIceEvent::candidate);
            if let (Some(peer), Some(found)) = (me.upgrade(), found) {
                let candidate = Candidate {
                    candidate: found.candidate(),
                    mid: found.sdp_mid(),
                    line: found.sdp_m_line_index(),
                };
                peer.send(Signal::Candidate {
                    connection: number,
                    candidate,
                });
            }
        });
        let (me, observed) = (self.me.clone(), pc.clone());
        let state = Listener::new(pc, "connectionstatechange", move |_| {
            // A connection about to be replaced does not speak for the next one.
            if let Some(peer) = me.upgrade()
                && peer.negotiation.borrow().connection() == number
            {
                peer.transport_changed(observed.connection_state());
            }
        });
        vec![track, candidate, state]
    }

    fn transport_changed(&self, state: RtcPeerConnectionState) {
        let event = match state {
            RtcPeerConnectionState::Connected => Event::Connected,
            RtcPeerConnectionState::Disconnected => Event::Disconnected,
            RtcPeerConnectionState::Failed => Event::Failed,
            _ => return,
        };
        if event == Event::Connected {
            self.was_connected.set(true);
            self.show_link(LinkState::Connected);
        } else {
            self.show_link(LinkState::Reconnecting);
        }
        self.handle(event);
    }

    fn show_link(&self, state: LinkState) {
        self.context.state.links().update(|links| {
            links.entry(self.id.clone()).or_default().state = state;
        });
    }

    fn stream_changed(&self) {
        self.context.state.links().update(|links| {
            links.entry(self.id.clone()).or_default().version += 1;
        });
    }
}
