//! The connection to the server's SFU.
//!
//! The browser offers, the server answers. Four sending transceivers carry the local sources,
//! in the order of [`Source::ALL`]. Receiving transceivers are slots: the server announces the
//! participant and source that each carries. A change of a slot, a layer or a speaker needs no
//! renegotiation.

mod offer;
mod slots;

use crate::browser::call::context::Context;
use crate::browser::call::media::Destination;
use crate::browser::call::media::encodings::{set_active, set_codec};
use crate::browser::call::rtc::connector::{Connector, RemoteEnd, Step};
use crate::browser::call::rtc::peer_connection::{ice_servers, transceivers};
use crate::browser::call::rtc::stats::flows;
use crate::protocol::{
    ClientMessage, Codec, Devices, MediaOffer, OfferedTrack, ParticipantId, Signal, Source,
};
use crate::state::call::LinkState;
use crate::state::minify_sdp::minify_sdp;
use crate::state::negotiation::{Event, Negotiation};
use slots::Slots;
use std::cell::{Cell, OnceCell};
use std::rc::{Rc, Weak};
use wasm_bindgen::JsValue;
use web_sys::{MediaStream, RtcPeerConnection, RtcRtpReceiver, RtcTrackEvent};

/// The connection to the SFU. Dropped, it closes.
pub struct SfuConnection {
    context: Rc<Context>,
    connector: OnceCell<Rc<Connector>>,
    /// Number of earlier connections of this tab; added to the numbers on the wire.
    before: u32,
    /// Offers of the current connection so far.
    offers: Cell<u32>,
    /// Number of wanted video slots.
    pictures: Cell<usize>,
    slots: Slots,
    /// Called when the state of the connection changes.
    on_link: Box<dyn Fn(LinkState)>,
    /// Called when an offer was sent: the subscription follows it.
    on_offer: Box<dyn Fn()>,
}

impl Drop for SfuConnection {
    fn drop(&mut self) {
        self.context.media.forget(&Destination::Sfu);
    }
}

impl SfuConnection {
    /// Opens a connection at once. `before` is the number of earlier ones.
    pub fn start(
        context: Rc<Context>,
        before: u32,
        pictures: usize,
        on_link: Box<dyn Fn(LinkState)>,
        on_offer: Box<dyn Fn()>,
    ) -> Rc<Self> {
        let link = Rc::new(Self {
            slots: Slots::new(context.state),
            context,
            connector: OnceCell::new(),
            before,
            offers: Cell::new(0),
            pictures: Cell::new(pictures),
            on_link,
            on_offer,
        });
        let remote_end: Rc<dyn RemoteEnd> = link.clone();
        let remote_end: Weak<dyn RemoteEnd> = Rc::downgrade(&remote_end);
        let connector = Connector::new(remote_end, Negotiation::new(true));
        let _ = link.connector.set(connector);
        link.handle(Event::Start);
        link
    }

    /// Passes an event to the negotiation.
    pub fn handle(&self, event: Event) {
        if let Some(connector) = self.connector.get() {
            connector.handle(event);
        }
    }

    /// The number of the current connection on the wire.
    pub fn number(&self) -> u32 {
        let number = self.connector.get().map_or(0, |c| c.number());
        self.before + number
    }

    /// Handles an `answer`; an answer to any but the last offer is ignored.
    pub fn on_answer(&self, connection: u32, offer_id: u32, sdp: &str) {
        if offer_id == self.offers.get() {
            let connection = connection.saturating_sub(self.before);
            let sdp = sdp.to_owned();
            self.handle(Event::RemoteSignal(Signal::Answer { connection, sdp }));
        }
    }

    /// Handles `media_closed`: the server has closed the connection.
    pub fn on_closed(&self, connection: u32) {
        let connection = connection.saturating_sub(self.before);
        self.handle(Event::RemoteClosed { connection });
    }

    /// The room was re-joined and the server still has the connection `kept`. Opens a new one if
    /// it is not the current connection.
    pub fn on_rejoined(&self, kept: Option<u32>) {
        match kept == Some(self.number()) {
            true => self.handle(Event::SignalingResumed),
            false => self.on_closed(self.number()),
        }
    }

    /// Handles `slots`: applies the changed ones.
    pub fn on_slots(&self, slots: &[crate::protocol::Slot]) {
        if let Some(pc) = self.pc() {
            self.slots.take(&pc, slots);
        }
    }

    /// Ensures slots for this many videos.
    pub fn make_room(&self, pictures: usize) {
        if pictures > self.pictures.get() {
            self.pictures.set(pictures);
            self.handle(Event::NegotiationNeeded);
        }
    }

    /// Handles `layers`: stops sending the layers that no participant receives.
    pub fn set_layers(&self, source: Source, rids: &[String]) {
        if let (Some(pc), true) = (self.pc(), source.is_video()) {
            set_active(&pc, source, rids);
        }
    }

    /// Handles `codec`: sends a source in another codec, if the browser can change it.
    pub fn set_codec(&self, source: Source, codec: Codec) {
        if let Some(pc) = self.pc() {
            set_codec(&pc, source, codec);
        }
    }

    /// The stream of a participant's source; its track may be added later.
    pub fn stream(&self, id: &ParticipantId, source: Source) -> MediaStream {
        self.slots.stream(id, source)
    }

    /// The stream of an audio slot.
    pub fn voice(&self, mid: &str) -> Option<MediaStream> {
        self.slots.voice(&self.pc()?, mid)
    }

    /// Whether media of the participant's first source that is on has arrived.
    pub async fn is_flowing(&self, id: &ParticipantId, devices: Devices) -> bool {
        let Some(source) = devices.first_source() else {
            return true;
        };
        match self.receiver(id, source) {
            Some(receiver) => flows(&receiver, source.is_video()).await,
            None => false,
        }
    }

    /// The current connection, for its statistics.
    pub fn pc(&self) -> Option<RtcPeerConnection> {
        self.connector.get()?.pc()
    }

    fn receiver(&self, id: &ParticipantId, source: Source) -> Option<RtcRtpReceiver> {
        let mid = self.slots.mid_of(id, source)?;
        let all = transceivers(&self.pc()?);
        let found = all.iter().find(|t| t.mid().as_deref() == Some(&mid));
        found.map(web_sys::RtcRtpTransceiver::receiver)
    }

    /// The sources of the sending transceivers.
    fn tracks(&self) -> Vec<OfferedTrack> {
        let all = self.pc().map(|pc| transceivers(&pc)).unwrap_or_default();
        let named = all.iter().zip(Source::ALL);
        let tracks = named.filter_map(|(transceiver, source)| {
            let mid = transceiver.mid()?;
            Some(OfferedTrack { mid, source })
        });
        tracks.collect()
    }
}

impl RemoteEnd for SfuConnection {
    fn say(&self, signal: Signal) {
        // The server learns this client's address from its connectivity checks.
        let Signal::Offer { connection, sdp } = signal else {
            return;
        };
        self.offers.set(self.offers.get() + 1);
        (self.context.send)(ClientMessage::Offer(MediaOffer {
            connection: self.before + connection,
            offer_id: self.offers.get(),
            sdp: minify_sdp(&sdp),
            tracks: self.tracks(),
        }));
        (self.on_offer)();
    }

    fn ice_servers(&self) -> JsValue {
        ice_servers(&self.context.ice_servers.borrow())
    }

    fn opened(&self) {
        self.offers.set(0);
        self.slots.clear();
    }

    fn prepare_offer<'a>(&'a self, pc: &'a RtcPeerConnection) -> Step<'a> {
        Box::pin(offer::prepare(&self.context.media, pc, self.pictures.get()))
    }

    fn prepare_answer<'a>(&'a self, _: &'a RtcPeerConnection) -> Step<'a> {
        // The server never offers.
        Box::pin(async { Ok(()) })
    }

    fn received(&self, _: &RtcPeerConnection, _: &RtcTrackEvent) {
        // Slots are receiving transceivers; `slots` assigns them.
    }

    fn on_link_state(&self, state: LinkState) {
        (self.on_link)(state);
    }
}
