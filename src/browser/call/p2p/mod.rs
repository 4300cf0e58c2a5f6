//! The connection to one other person, browser to browser.
//!
//! One transceiver a source from the start, in the order of [`Source::ALL`], with
//! whatever tracks there are. Muting, another camera or a screen replace a sender's track;
//! nothing of that is ever negotiated.

use crate::browser::call::context::Context;
use crate::browser::call::media::Destination;
use crate::browser::call::media::local_tracks::show_only;
use crate::browser::call::rtc::connector::{Connector, RemoteEnd, Step};
use crate::browser::call::rtc::peer_connection::{
    add_transceiver, ice_servers, set_stream, transceivers,
};
use crate::browser::call::rtc::stats::{flows, is_speaking};
use crate::protocol::{ClientMessage, Devices, Leg, ParticipantId, Signal, Source};
use crate::state::call::{CallStateStoreFields, LinkState};
use crate::state::negotiation::{Event, Negotiation};
use leptos::prelude::*;
use std::cell::OnceCell;
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    MediaStream, RtcPeerConnection, RtcRtpReceiver, RtcRtpTransceiver, RtcRtpTransceiverDirection,
    RtcTrackEvent,
};

/// Two sides' alarms are apart by up to this, in milliseconds: longer than a message
/// takes, so that the second hears of the first in time.
const SPREAD_MS: u32 = 1_500;

/// One other person in the call. Dropped, the connection closes.
pub struct P2pConnection {
    id: ParticipantId,
    leg: Leg,
    context: Rc<Context>,
    connector: OnceCell<Rc<Connector>>,
    /// Their voice and face. One stream for the whole stay, empty at first: an element that
    /// plays it early gets the tracks of every connection when they come.
    face: MediaStream,
    /// Their screen, and what it sounds like.
    screen: MediaStream,
}

impl Drop for P2pConnection {
    fn drop(&mut self) {
        let destination = Destination::Person(self.id.clone(), self.leg);
        self.context.media.forget(&destination);
    }
}

impl P2pConnection {
    /// Somebody to be connected to; nothing happens before [`Event::Start`] or their offer.
    /// `own_leg` is random and sets our alarms a little apart from theirs.
    pub fn new(
        id: ParticipantId,
        leg: Leg,
        polite: bool,
        own_leg: Leg,
        context: Rc<Context>,
    ) -> Rc<Self> {
        let empty = || MediaStream::new().unwrap_or_else(|_| JsValue::NULL.unchecked_into());
        let peer = Rc::new(Self {
            id,
            leg,
            context,
            connector: OnceCell::new(),
            face: empty(),
            screen: empty(),
        });
        let remote_end: Rc<dyn RemoteEnd> = peer.clone();
        let spread_ms = f64::from(own_leg % SPREAD_MS);
        let negotiation = Negotiation::new(polite).spread_by(spread_ms);
        let remote_end: Weak<dyn RemoteEnd> = Rc::downgrade(&remote_end);
        let _ = peer.connector.set(Connector::new(remote_end, negotiation));
        peer
    }

    /// Which stay of theirs this is.
    pub fn leg(&self) -> Leg {
        self.leg
    }

    /// What they send, now or later.
    pub fn stream(&self, source: Source) -> MediaStream {
        let stream = match source {
            Source::Microphone | Source::Camera => &self.face,
            Source::Screen | Source::ScreenAudio => &self.screen,
        };
        // Not `stream.clone()`: that is the browser's own, which copies the tracks.
        Clone::clone(stream)
    }

    /// Takes in what happened and does what follows from it.
    pub fn handle(&self, event: Event) {
        if let Some(connector) = self.connector.get() {
            connector.handle(event);
        }
    }

    /// Whether what they have switched on has begun to arrive.
    pub async fn is_flowing(&self, devices: Devices) -> bool {
        let Some(source) = devices.first_source() else {
            return true;
        };
        match self.receiver(source) {
            Some(receiver) => flows(&receiver, source.is_video()).await,
            None => false,
        }
    }

    /// Whether they speak now.
    pub fn is_speaking(&self) -> bool {
        self.receiver(Source::Microphone)
            .is_some_and(|receiver| is_speaking(&receiver))
    }

    /// The connection there is, for its statistics.
    pub fn pc(&self) -> Option<RtcPeerConnection> {
        self.connector.get()?.pc()
    }

    fn receiver(&self, source: Source) -> Option<RtcRtpReceiver> {
        let place = Source::ALL.iter().position(|other| *other == source)?;
        let pc = self.pc()?;
        transceivers(&pc)
            .get(place)
            .map(RtcRtpTransceiver::receiver)
    }

    /// Gives one's own tracks to a connection, now and whenever they change.
    async fn hand_over(&self, pc: &RtcPeerConnection) -> Result<(), JsValue> {
        let senders = transceivers(pc)
            .iter()
            .map(RtcRtpTransceiver::sender)
            .collect();
        let destination = Destination::Person(self.id.clone(), self.leg);
        self.context.media.send_through(destination, senders).await
    }

    async fn offer(&self, pc: &RtcPeerConnection) -> Result<(), JsValue> {
        if pc.get_transceivers().length() > 0 {
            return Ok(());
        }
        for source in Source::ALL {
            let both = RtcRtpTransceiverDirection::Sendrecv;
            let stream = self.context.media.outgoing(source);
            add_transceiver(pc, source.kind(), both, Some(&stream), None);
        }
        self.hand_over(pc).await
    }

    async fn answer(&self, pc: &RtcPeerConnection) -> Result<(), JsValue> {
        for (transceiver, source) in transceivers(pc).iter().zip(Source::ALL) {
            transceiver.set_direction(RtcRtpTransceiverDirection::Sendrecv);
            set_stream(&transceiver.sender(), &self.context.media.outgoing(source));
        }
        self.hand_over(pc).await
    }
}

impl RemoteEnd for P2pConnection {
    fn say(&self, signal: Signal) {
        (self.context.send)(ClientMessage::Signal {
            to: self.id.clone(),
            leg: self.leg,
            signal,
        });
    }

    fn ice_servers(&self) -> JsValue {
        ice_servers(&self.context.ice_servers.borrow())
    }

    fn opened(&self) {
        show_only(&self.face, None);
        show_only(&self.screen, None);
    }

    fn prepare_offer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a> {
        Box::pin(self.offer(pc))
    }

    fn prepare_answer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a> {
        Box::pin(self.answer(pc))
    }

    fn received(&self, pc: &RtcPeerConnection, event: &RtcTrackEvent) {
        let theirs = event.transceiver();
        let place = transceivers(pc).iter().position(|other| *other == theirs);
        let source = place.and_then(|place| Source::ALL.get(place));
        if let Some(source) = source {
            self.stream(*source).add_track(&event.track());
            self.context.state.links().update(|links| {
                links.entry(self.id.clone()).or_default().version += 1;
            });
        }
    }

    fn on_link_state(&self, state: LinkState) {
        self.context.state.links().update(|links| {
            links.entry(self.id.clone()).or_default().state = state;
        });
    }
}
