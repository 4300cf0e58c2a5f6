//! What a client offers and answers: the same codecs and extensions to every server.
//!
//! Opus and VP8 with retransmission; mid, rid, audio level and abs-send-time; transport-cc only
//! where the server is to estimate. All servers prefer AEAD_AES_256_GCM, as the clients do, so
//! that this is what protects media everywhere.

use super::{
    generator::Engine,
    peer::{Link, Outgoing, Peer},
};
use crate::media::{
    Choice,
    net::socket_pool::home,
    traffic::flow::{Flow, Kind},
};
use anyhow::{Context, Result};
use std::{sync::OnceLock, time::Instant};
use str0m::{
    Candidate, Rtc,
    change::{SdpAnswer, SdpOffer, SdpPendingOffer},
    config::DtlsCert,
    crypto,
    media::{Direction, MediaKind, Mid, Simulcast, SimulcastLayer},
    net::Protocol,
    rtp::{Extension, ExtensionMap},
};

/// A client that is coming in.
pub struct Endpoint {
    /// Its WebRTC.
    rtc: Rtc,
    /// Its number.
    index: u32,
    /// What it sends.
    outgoing: Vec<Outgoing>,
    /// Its offer, as long as it is unanswered.
    pending: Option<SdpPendingOffer>,
    /// Whether transport-cc is negotiated.
    estimates: bool,
}

/// One certificate for all clients: making them is not what is measured.
fn certificate() -> Result<DtlsCert> {
    static CERTIFICATE: OnceLock<Option<DtlsCert>> = OnceLock::new();
    let made = CERTIFICATE.get_or_init(|| {
        let provider = crypto::from_feature_flags();
        provider.dtls_provider.generate_certificate()
    });
    made.clone().context("there is no certificate")
}

/// The header extensions.
fn extensions(estimates: bool) -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    map.set(1, Extension::AudioLevel);
    map.set(2, Extension::AbsoluteSendTime);
    if estimates {
        map.set(3, Extension::TransportSequenceNumber);
    }
    map.set(4, Extension::RtpMid);
    map.set(10, Extension::RtpStreamId);
    map.set(11, Extension::RepairedRtpStreamId);
    map
}

impl Endpoint {
    /// A client that has said nothing.
    pub fn new(index: u32, engine: &Engine, estimates: bool) -> Result<Self> {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_extension_map(extensions(estimates))
            .set_dtls_cert(certificate()?)
            .set_rtp_mode(true)
            .build(Instant::now());
        let address = (home(index), engine.lanes.port_of(index)).into();
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp)?);
        Ok(Self {
            rtc,
            index,
            outgoing: Vec::new(),
            pending: None,
            estimates,
        })
    }

    /// Offers to send this and to receive so many sounds and pictures. Gives the description
    /// and what its sending parts carry.
    pub fn offer(
        &mut self,
        choice: &Choice,
        kinds: &[Kind],
        [sounds, pictures]: [u32; 2],
    ) -> Result<(String, Vec<(Mid, Kind)>)> {
        let mut api = self.rtc.sdp_api();
        let mut mids: Vec<(Mid, Kind)> = Vec::new();
        for kind in kinds {
            let media = match kind {
                Kind::Sound { .. } => MediaKind::Audio,
                Kind::Picture { .. } => MediaKind::Video,
            };
            // Layers of one picture share a description.
            let layers = layers(kinds);
            let known = mids
                .iter()
                .find(|(_, other)| layers.is_some() && is_picture(*kind) && is_picture(*other));
            let mid = match known {
                Some((mid, _)) => *mid,
                None => {
                    let simulcast = layers.filter(|_| is_picture(*kind));
                    api.add_media(media, Direction::SendOnly, None, None, simulcast)
                }
            };
            mids.push((mid, *kind));
        }
        for (count, kind) in [(sounds, MediaKind::Audio), (pictures, MediaKind::Video)] {
            for _ in 0..count {
                api.add_media(kind, Direction::RecvOnly, None, None, None);
            }
        }
        let (offer, pending) = api.apply().context("an offer of nothing")?;
        self.pending = Some(pending);
        let now = Instant::now();
        let flow = |(mid, kind): &(Mid, Kind)| Outgoing {
            mid: Some(*mid),
            flow: Flow::new(*kind, self.index, choice.burst, now),
        };
        self.outgoing = mids.iter().map(flow).collect();
        Ok((self.spoken(offer.to_sdp_string()), mids))
    }

    /// Takes the answer to the offer.
    pub fn accept(&mut self, answer: &str) -> Result<()> {
        let answer = SdpAnswer::from_sdp_string(answer).context("reading the answer")?;
        let pending = self.pending.take().context("nothing was offered")?;
        let accepted = self.rtc.sdp_api().accept_answer(pending, answer);
        accepted.context("taking the answer")
    }

    /// Answers an offer.
    pub fn answer(&mut self, offer: &str) -> Result<String> {
        let offer = SdpOffer::from_sdp_string(offer).context("reading the offer")?;
        let answer = self.rtc.sdp_api().accept_offer(offer);
        Ok(self.spoken(answer.context("taking the offer")?.to_sdp_string()))
    }

    /// A description as it is sent: str0m names transport-cc feedback even where the header
    /// extension it needs is not offered.
    fn spoken(&self, sdp: String) -> String {
        let dropped = |line: &&str| !self.estimates && line.ends_with(" transport-cc");
        let lines = sdp.split_inclusive("\r\n");
        lines.filter(|line| !dropped(&line.trim_end())).collect()
    }

    /// Lets it run.
    pub fn run(self, engine: &Engine, samples: bool) {
        let link = Link::Rtc(Box::new(self.rtc));
        engine.add(Peer::new(self.index, link, self.outgoing, samples));
    }
}

/// Whether something is a picture.
fn is_picture(kind: Kind) -> bool {
    matches!(kind, Kind::Picture { .. })
}

/// The layers among what is sent.
fn layers(kinds: &[Kind]) -> Option<Simulcast> {
    let rids = kinds.iter().filter_map(|kind| match kind {
        Kind::Picture { rid, .. } => *rid,
        Kind::Sound { .. } => None,
    });
    let send: Vec<_> = rids.map(SimulcastLayer::new).collect();
    (!send.is_empty()).then(|| Simulcast {
        send,
        recv: Vec::new(),
    })
}
