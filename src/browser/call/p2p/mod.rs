//! The connection to another participant, browser to browser.
//!
//! The first offer has one transceiver per source, in the order of [`Source::ALL`], with or
//! without a track. Muting, another camera or a screen only replace a sender's track and need
//! no renegotiation.

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

/// Range of the random offset of the two sides' timers, in milliseconds: longer than a signal
/// takes, so that the second side receives the first side's offer before its timer fires.
const SPREAD_MS: u32 = 1_500;

/// The connection to one participant. Dropping it closes the connection.
pub struct P2pConnection {
    id: ParticipantId,
    leg: Leg,
    context: Rc<Context>,
    connector: OnceCell<Rc<Connector>>,
    /// The participant's microphone and camera. One stream for the whole leg, empty at first: an
    /// element that plays it gets the tracks of every later connection.
    face: MediaStream,
    /// The participant's screen with its audio.
    screen: MediaStream,
}

impl Drop for P2pConnection {
    fn drop(&mut self) {
        let destination = Destination::Person(self.id.clone(), self.leg);
        self.context.media.forget(&destination);
    }
}

impl P2pConnection {
    /// Does nothing before [`Event::Start`] or a remote offer. `own_leg` is random and offsets the
    /// timers of this side from those of the remote side.
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

    /// The participant's leg.
    pub fn leg(&self) -> Leg {
        self.leg
    }

    /// The stream of a source; its tracks may be added later.
    pub fn stream(&self, source: Source) -> MediaStream {
        let stream = match source {
            Source::Microphone | Source::Camera => &self.face,
            Source::Screen | Source::ScreenAudio => &self.screen,
        };
        // Not `stream.clone()`, which is `MediaStream.clone` and copies the tracks.
        Clone::clone(stream)
    }

    /// Passes an event to the negotiation.
    pub fn handle(&self, event: Event) {
        if let Some(connector) = self.connector.get() {
            connector.handle(event);
        }
    }

    /// Whether media of the first source that is on has arrived.
    pub async fn is_flowing(&self, devices: Devices) -> bool {
        let Some(source) = devices.first_source() else {
            return true;
        };
        match self.receiver(source) {
            Some(receiver) => flows(&receiver, source.is_video()).await,
            None => false,
        }
    }

    /// Whether the participant speaks now, with a microphone that is on.
    pub fn is_speaking(&self) -> bool {
        self.is_on(Source::Microphone)
            && self
                .receiver(Source::Microphone)
                .is_some_and(|receiver| is_speaking(&receiver))
    }

    /// Plays the sources that the server lists as on, and no other: a page that sends on after a
    /// host's mute is heard and seen by nobody, even before the call has moved to the SFU.
    pub fn follow_devices(&self) {
        for source in Source::ALL {
            if let Some(receiver) = self.receiver(source) {
                receiver.track().set_enabled(self.is_on(source));
            }
        }
    }

    fn is_on(&self, source: Source) -> bool {
        self.context.state.read_untracked().is_on(&self.id, source)
    }

    /// The current connection, for its statistics.
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

    /// Sends the local tracks on a connection, now and after each change.
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
            leg: Some(self.leg),
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
            event.track().set_enabled(self.is_on(*source));
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
