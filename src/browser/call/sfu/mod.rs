//! The connection to the server's SFU: one for everybody.
//!
//! The browser offers, the server answers. One's own sources go by four sending
//! transceivers, in the order of [`Source::ALL`]; what comes in comes by slots, receiving
//! transceivers of which the server says whose media each carries. Another picture in a
//! slot, another layer, another speaker: nothing of that is negotiated.

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
    /// Connections of this tab before this one: numbers on the wire go on from there.
    before: u32,
    /// Offers of the present connection.
    offers: Cell<u32>,
    /// Slots of pictures wanted.
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
    /// A connection that begins at once. `before` counts those before it.
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

    /// Takes in what happened and does what follows from it.
    pub fn handle(&self, event: Event) {
        if let Some(connector) = self.connector.get() {
            connector.handle(event);
        }
    }

    /// The number of the present connection on the wire.
    pub fn number(&self) -> u32 {
        let number = self.connector.get().map_or(0, |c| c.number());
        self.before + number
    }

    /// The server answers an offer; only the last one counts.
    pub fn on_answer(&self, connection: u32, offer_id: u32, sdp: &str) {
        if offer_id == self.offers.get() {
            let connection = connection.saturating_sub(self.before);
            let sdp = sdp.to_owned();
            self.handle(Event::Heard(Signal::Answer { connection, sdp }));
        }
    }

    /// The server has no such connection any more.
    pub fn on_closed(&self, connection: u32) {
        let connection = connection.saturating_sub(self.before);
        self.handle(Event::Lost { connection });
    }

    /// The server still has this connection, or none: a fresh one is made then.
    pub fn resumed(&self, kept: Option<u32>) {
        match kept == Some(self.number()) {
            true => self.handle(Event::Resumed),
            false => self.on_closed(self.number()),
        }
    }

    /// The server says what some slots carry.
    pub fn on_slots(&self, told: &[crate::protocol::Slot]) {
        if let Some(pc) = self.pc() {
            self.slots.take(&pc, told);
        }
    }

    /// So many pictures are to be seen at once, at most.
    pub fn make_room(&self, pictures: usize) {
        if pictures > self.pictures.get() {
            self.pictures.set(pictures);
            self.handle(Event::MoreWanted);
        }
    }

    /// Switches those layers of one's own pictures off that nobody watches.
    pub fn set_layers(&self, source: Source, rids: &[String]) {
        if let (Some(pc), true) = (self.pc(), source.is_video()) {
            set_active(&pc, source, rids);
        }
    }

    /// Sends a source in another codec, where the browser can change it.
    pub fn set_codec(&self, source: Source, codec: Codec) {
        if let Some(pc) = self.pc() {
            set_codec(&pc, source, codec);
        }
    }

    /// What somebody sends by this connection, now or later.
    pub fn stream(&self, id: &ParticipantId, source: Source) -> MediaStream {
        self.slots.stream(id, source)
    }

    /// The voice in a slot.
    pub fn voice(&self, mid: &str) -> Option<MediaStream> {
        self.slots.voice(&self.pc()?, mid)
    }

    /// Whether what somebody has switched on has begun to arrive.
    pub async fn is_flowing(&self, id: &ParticipantId, devices: Devices) -> bool {
        let Some(source) = devices.first_source() else {
            return true;
        };
        match self.receiver(id, source) {
            Some(receiver) => flows(&receiver, source.is_video()).await,
            None => false,
        }
    }

    /// The connection there is, for its statistics.
    pub fn pc(&self) -> Option<RtcPeerConnection> {
        self.connector.get()?.pc()
    }

    fn receiver(&self, id: &ParticipantId, source: Source) -> Option<RtcRtpReceiver> {
        let mid = self.slots.mid_of(id, source)?;
        let all = transceivers(&self.pc()?);
        let found = all.iter().find(|t| t.mid().as_deref() == Some(&mid));
        found.map(web_sys::RtcRtpTransceiver::receiver)
    }

    /// What each of one's own transceivers carries.
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
        // The server learns our address from our packets: it needs no candidates.
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
        // Tracks are there with their transceivers; `slots` says whose they are.
    }

    fn on_link_state(&self, state: LinkState) {
        (self.on_link)(state);
    }
}
