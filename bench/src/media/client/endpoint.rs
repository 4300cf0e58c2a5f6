//! Offer and answer of a client: the same codecs and extensions for every server.
//!
//! Opus and VP8 with RTX; mid, rid, audio level and abs-send-time; transport-cc only where the
//! server estimates bandwidth. Clients and all servers prefer AEAD_AES_256_GCM.

use super::{
    generator::LoadGenerator,
    peer::{OutgoingFlow, Peer, Transport},
};
use crate::media::{
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

/// A client that is joining.
pub struct Endpoint {
    /// Its WebRTC endpoint.
    rtc: Rtc,
    index: u32,
    /// The flows it sends.
    outgoing: Vec<OutgoingFlow>,
    /// Its unanswered offer.
    pending: Option<SdpPendingOffer>,
    /// Whether transport-cc is negotiated.
    estimates: bool,
}

/// One DTLS certificate for all clients: generating them is not measured.
fn certificate() -> Result<DtlsCert> {
    static CERTIFICATE: OnceLock<Option<DtlsCert>> = OnceLock::new();
    let made = CERTIFICATE.get_or_init(|| {
        let provider = crypto::from_feature_flags();
        provider.dtls_provider.generate_certificate()
    });
    made.clone().context("there is no certificate")
}

/// The RTP header extensions.
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
    /// A client without an offer.
    pub fn new(index: u32, generator: &LoadGenerator, estimates: bool) -> Result<Self> {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_extension_map(extensions(estimates))
            .set_dtls_cert(certificate()?)
            .set_rtp_mode(true)
            .build(Instant::now());
        let address = (client_address(index), generator.sockets.port_of(index)).into();
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp)?);
        Ok(Self {
            rtc,
            index,
            outgoing: Vec::new(),
            pending: None,
            estimates,
        })
    }

    /// Offers to send `kinds` and to receive a number of audio and video streams. Returns the SDP,
    /// and the media descriptions of what is sent.
    pub fn offer(
        &mut self,
        burst: u32,
        kinds: &[FlowKind],
        [audio, video]: [u32; 2],
    ) -> Result<(String, Vec<(Mid, FlowKind)>)> {
        let mut api = self.rtc.sdp_api();
        let mut mids: Vec<(Mid, FlowKind)> = Vec::new();
        for kind in kinds {
            let media = match kind {
                FlowKind::Audio { .. } => MediaKind::Audio,
                FlowKind::Video { .. } => MediaKind::Video,
            };
            // The layers of one video share a media description.
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
        for (count, kind) in [(audio, MediaKind::Audio), (video, MediaKind::Video)] {
            for _ in 0..count {
                api.add_media(kind, Direction::RecvOnly, None, None, None);
            }
        }
        let (offer, pending) = api.apply().context("an empty offer")?;
        self.pending = Some(pending);
        let now = Instant::now();
        let flow = |(mid, kind): &(Mid, FlowKind)| OutgoingFlow {
            mid: Some(*mid),
            flow: Flow::new(*kind, self.index, burst, now),
        };
        self.outgoing = mids.iter().map(flow).collect();
        Ok((self.to_wire(offer.to_sdp_string()), mids))
    }

    /// Applies the answer to the offer.
    pub fn accept(&mut self, answer: &str) -> Result<()> {
        let answer = SdpAnswer::from_sdp_string(answer).context("reading the answer")?;
        let pending = self.pending.take().context("nothing was offered")?;
        let accepted = self.rtc.sdp_api().accept_answer(pending, answer);
        accepted.context("applying the answer")
    }

    /// Answers an offer.
    pub fn answer(&mut self, offer: &str) -> Result<String> {
        let offer = SdpOffer::from_sdp_string(offer).context("reading the offer")?;
        let answer = self.rtc.sdp_api().accept_offer(offer);
        Ok(self.to_wire(answer.context("applying the offer")?.to_sdp_string()))
    }

    /// The SDP as it is sent: str0m lists transport-cc feedback even without its header extension.
    fn to_wire(&self, sdp: String) -> String {
        let dropped = |line: &&str| !self.estimates && line.ends_with(" transport-cc");
        let lines = sdp.split_inclusive("\r\n");
        lines.filter(|line| !dropped(&line.trim_end())).collect()
    }

    /// Hands the client to the load generator.
    pub fn run(self, generator: &LoadGenerator, decrypts: bool) {
        let transport = Transport::WebRtc(Box::new(self.rtc));
        generator.add(Peer::new(self.index, transport, self.outgoing, decrypts));
    }
}

/// Whether a flow is video.
fn is_video(kind: FlowKind) -> bool {
    matches!(kind, FlowKind::Video { .. })
}

/// The simulcast layers of the flows.
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
