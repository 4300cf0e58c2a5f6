//! The connection to one participant, which carries files both ways.

use super::channel::{Channel, ChannelEvent};
use crate::browser::call::rtc::connector::{Connector, RemoteEnd, Step};
use crate::browser::call::rtc::peer_connection::ice_servers;
use crate::protocol::{IceServer, ParticipantId, Signal, without_related_address};
use crate::state::call::LinkState;
use crate::state::negotiation::{Event, Negotiation};
use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use wasm_bindgen::JsValue;
use web_sys::{RtcPeerConnection, RtcTrackEvent};

/// Range of the random offset of the two sides' timers, in milliseconds; see the calls.
const SPREAD_MS: f64 = 1_500.0;

/// What the connections share: the way to the server, and who handles what arrives.
pub trait PeerOwner {
    /// Sends a signal to a participant.
    fn signal(&self, to: &ParticipantId, signal: Signal);
    /// The ICE servers for the next connection.
    fn ice_servers(&self) -> Vec<IceServer>;
    /// Whether connections use relayed candidates only.
    fn relay_only(&self) -> bool;
    /// Something happened on the channel to a participant.
    fn on_channel(&self, id: &ParticipantId, event: ChannelEvent);
    /// The connection to a participant changed.
    fn on_link(&self, id: &ParticipantId, state: LinkState);
}

/// The connection to one participant. Dropping it closes the connection.
pub struct Peer {
    id: ParticipantId,
    owner: Weak<dyn PeerOwner>,
    connector: OnceCell<Rc<Connector>>,
    channel: RefCell<Option<Channel>>,
}

impl Peer {
    /// Does nothing before [`Event::Start`] or a remote offer. `first`: the number of the first
    /// connection.
    pub fn new(
        id: ParticipantId,
        polite: bool,
        first: u32,
        owner: Weak<dyn PeerOwner>,
    ) -> Rc<Self> {
        let peer = Rc::new(Self {
            id,
            owner,
            connector: OnceCell::new(),
            channel: RefCell::default(),
        });
        let remote_end: Rc<dyn RemoteEnd> = peer.clone();
        let negotiation = Negotiation::new(polite)
            .numbered_from(first)
            .spread_by(js_sys::Math::random() * SPREAD_MS);
        let remote_end: Weak<dyn RemoteEnd> = Rc::downgrade(&remote_end);
        let _ = peer.connector.set(Connector::new(remote_end, negotiation));
        peer
    }

    /// Passes an event to the negotiation.
    pub fn handle(&self, event: Event) {
        if let Some(connector) = self.connector.get() {
            connector.handle(event);
        }
    }

    /// The other side has closed the channel: its connection is replaced at once.
    pub fn replace(&self) {
        if let Some(connector) = self.connector.get() {
            let connection = connector.number();
            connector.handle(Event::RemoteClosed { connection });
        }
    }

    /// Whether the channel is open.
    pub fn is_open(&self) -> bool {
        self.channel.borrow().as_ref().is_some_and(Channel::is_open)
    }

    /// The bytes of a file in one message, if the queue has room for more.
    pub fn room(&self) -> Option<usize> {
        let channel = self.channel.borrow();
        let channel = channel.as_ref().filter(|channel| channel.is_open())?;
        channel.has_room().then(|| channel.chunk_bytes())
    }

    /// Sends a message. One that cannot be sent is lost with the connection, and its transfer
    /// continues on the next.
    pub fn send(&self, message: Vec<u8>) {
        if let Some(channel) = &*self.channel.borrow()
            && channel.is_open()
            && let Err(error) = channel.send(message)
        {
            leptos::logging::debug_warn!("a frame was not sent: {error:?}");
        }
    }

    /// Creates the channel on a connection that has none yet.
    fn prepare(&self, pc: &RtcPeerConnection) -> Result<(), JsValue> {
        if self.channel.borrow().is_some() {
            return Ok(());
        }
        let (owner, id) = (self.owner.clone(), self.id.clone());
        let channel = Channel::create(pc, move |event| {
            if let Some(owner) = owner.upgrade() {
                owner.on_channel(&id, event);
            }
        })?;
        *self.channel.borrow_mut() = Some(channel);
        Ok(())
    }
}

impl RemoteEnd for Peer {
    fn say(&self, signal: Signal) {
        if let Some(owner) = self.owner.upgrade() {
            let signal = match owner.relay_only() {
                true => without_own_address(signal),
                false => signal,
            };
            owner.signal(&self.id, signal);
        }
    }

    fn ice_servers(&self) -> JsValue {
        let owner = self.owner.upgrade();
        owner.map_or(JsValue::UNDEFINED, |owner| {
            ice_servers(&owner.ice_servers())
        })
    }

    fn relay_only(&self) -> bool {
        self.owner.upgrade().is_some_and(|owner| owner.relay_only())
    }

    fn opened(&self) {
        *self.channel.borrow_mut() = None;
    }

    fn prepare_offer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a> {
        Box::pin(async { self.prepare(pc) })
    }

    fn prepare_answer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a> {
        Box::pin(async { self.prepare(pc) })
    }

    fn received(&self, _: &RtcPeerConnection, _: &RtcTrackEvent) {}

    fn on_link_state(&self, state: LinkState) {
        if let Some(owner) = self.owner.upgrade() {
            owner.on_link(&self.id, state);
        }
    }
}

/// A signal without the address behind the relay.
fn without_own_address(signal: Signal) -> Signal {
    let described = |sdp: String| {
        let lines = sdp
            .split_inclusive('\n')
            .map(|line| match line.starts_with("a=candidate:") {
                true => without_related_address(line.trim_end()) + "\r\n",
                false => line.to_owned(),
            });
        lines.collect()
    };
    match signal {
        Signal::Offer { connection, sdp } => Signal::Offer {
            connection,
            sdp: described(sdp),
        },
        Signal::Answer { connection, sdp } => Signal::Answer {
            connection,
            sdp: described(sdp),
        },
        Signal::Candidate {
            connection,
            mut candidate,
        } => {
            candidate.candidate = without_related_address(&candidate.candidate);
            Signal::Candidate {
                connection,
                candidate,
            }
        }
    }
}
