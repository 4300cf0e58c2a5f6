//! What a client offers and answers: the same codecs and extensions to every server.
//!
//! Opus and VP8 with retransmission; mid, rid, audio level and abs-send-time; transport-cc only
//! where the server is to estimate. All servers prefer AEAD_AES_256_GCM, as the clients do, so
//! that this is what protects media everywhere.

use super::{
    generator::LoadGenerator,
    peer::{OutgoingFlow, Peer, Transport},
};
use crate::media::{
    Options,
    net::socket_pool::client_address,
    traffic::flow::{Flow, FlowKind},
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
    outgoing: Vec<OutgoingFlow>,
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
    pub fn new(index: u32, generator: &LoadGenerator, estimates: bool) -> Result<Self> {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_extension_map(extensions(estimates))
            .set_dtls_cert(certificate()?)
            .set_rtp_mode(true)
            .build(Instant::now());
        let address = (client_address(index), generator.lanes.port_of(index)).into();
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
        options: &Options,
        kinds: &[FlowKind],
        [sounds, pictures]: [u32; 2],
    ) -> Result<(String, Vec<(Mid, FlowKind)>)> {
        let mut api = self.rtc.sdp_api();
        let mut mids: Vec<(Mid, FlowKind)> = Vec::new();
        for kind in kinds {
            let media = match kind {
                FlowKind::Audio { .. } => MediaKind::Audio,
                FlowKind::Video { .. } => MediaKind::Video,
            };
            // Layers of one picture share a description.
            let layers = layers(kinds);
            let known = mids
                .iter()
                .find(|(_, other)| layers.is_some() && is_video(*kind) && is_video(*other));
            let mid = match known {
                Some((mid, _)) => *mid,
                None => {
                    let simulcast = layers.filter(|_| is_video(*kind));
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
        let flow = |(mid, kind): &(Mid, FlowKind)| OutgoingFlow {
            mid: Some(*mid),
            flow: Flow::new(*kind, self.index, options.burst, now),
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
    pub fn run(self, generator: &LoadGenerator, samples: bool) {
        let link = Transport::WebRtc(Box::new(self.rtc));
        generator.add(Peer::new(self.index, link, self.outgoing, samples));
    }
}

/// Whether something is a picture.
fn is_video(kind: FlowKind) -> bool {
    matches!(kind, FlowKind::Video { .. })
}

/// The layers among what is sent.
fn layers(kinds: &[FlowKind]) -> Option<Simulcast> {
    let rids = kinds.iter().filter_map(|kind| match kind {
        FlowKind::Video { rid, .. } => *rid,
        FlowKind::Audio { .. } => None,
    });
    let send: Vec<_> = rids.map(SimulcastLayer::new).collect();
    (!send.is_empty()).then(|| Simulcast {
        send,
        recv: Vec::new(),
    })
}
