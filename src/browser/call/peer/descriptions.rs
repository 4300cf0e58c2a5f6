//! Offers, answers and candidates, as the browser wants them.

use super::Peer;
use crate::protocol::{Candidate, IceServer};
use crate::state::negotiation::{Description, Event};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    MediaStream, RtcIceCandidateInit, RtcOfferOptions, RtcPeerConnection, RtcRtpTransceiver,
    RtcRtpTransceiverDirection, RtcRtpTransceiverInit, RtcSdpType, RtcSessionDescriptionInit,
};

impl Peer {
    pub(super) async fn offer(
        &self,
        pc: &RtcPeerConnection,
        restart_ice: bool,
    ) -> Result<(), JsValue> {
        if pc.get_transceivers().length() == 0 {
            let together = js_sys::Array::of1(&self.context.media.outgoing());
            for kind in ["audio", "video"] {
                let init = RtcRtpTransceiverInit::new();
                init.set_direction(RtcRtpTransceiverDirection::Sendrecv);
                init.set_streams(&together);
                pc.add_transceiver_with_str_and_init(kind, &init);
            }
            self.hand_over(pc).await?;
        }
        let options = RtcOfferOptions::new();
        options.set_ice_restart(restart_ice);
        let made = JsFuture::from(pc.create_offer_with_rtc_offer_options(&options)).await?;
        self.describe(pc, &made, true).await
    }

    pub(super) async fn answer(&self, pc: &RtcPeerConnection, sdp: &str) -> Result<(), JsValue> {
        set_remote(pc, RtcSdpType::Offer, sdp).await?;
        for transceiver in transceivers(pc) {
            transceiver.set_direction(RtcRtpTransceiverDirection::Sendrecv);
            set_stream(&transceiver.sender(), &self.context.media.outgoing());
        }
        self.hand_over(pc).await?;
        let made = JsFuture::from(pc.create_answer()).await?;
        self.describe(pc, &made, false).await
    }

    /// Sets a description of ours and has it sent.
    pub(super) async fn describe(
        &self,
        pc: &RtcPeerConnection,
        made: &JsValue,
        offer: bool,
    ) -> Result<(), JsValue> {
        let made: &RtcSessionDescriptionInit = made.unchecked_ref();
        JsFuture::from(pc.set_local_description(made)).await?;
        if let Some(description) = pc.local_description() {
            self.handle(Event::Described(Description {
                connection: self.number(),
                offer,
                sdp: description.sdp(),
            }));
        }
        Ok(())
    }

    /// Gives one's own tracks to a connection, now and whenever they change.
    pub(super) async fn hand_over(&self, pc: &RtcPeerConnection) -> Result<(), JsValue> {
        let mut transceivers = transceivers(pc).into_iter();
        let (audio, video) = (transceivers.next(), transceivers.next());
        if let (Some(audio), Some(video)) = (audio, video) {
            self.context
                .media
                .send_through(&self.id, self.leg, audio.sender(), video.sender())
                .await?;
        }
        Ok(())
    }
}

fn transceivers(pc: &RtcPeerConnection) -> Vec<RtcRtpTransceiver> {
    pc.get_transceivers()
        .iter()
        .map(JsCast::unchecked_into)
        .collect()
}

/// Sound and picture of one stream are played in step. Older browsers cannot say so
/// here and play each as it comes.
fn set_stream(sender: &web_sys::RtcRtpSender, stream: &MediaStream) {
    let method = js_sys::Reflect::get(sender, &"setStreams".into()).ok();
    if let Some(method) = method.and_then(|m| m.dyn_into::<js_sys::Function>().ok()) {
        let _ = method.call1(sender, stream);
    }
}

pub(super) async fn set_remote(
    pc: &RtcPeerConnection,
    kind: RtcSdpType,
    sdp: &str,
) -> Result<(), JsValue> {
    let description = RtcSessionDescriptionInit::new(kind);
    description.set_sdp(sdp);
    JsFuture::from(pc.set_remote_description(&description))
        .await
        .map(|_| ())
}

pub(super) async fn add(pc: &RtcPeerConnection, candidate: &Candidate) -> Result<(), JsValue> {
    let init = RtcIceCandidateInit::new(&candidate.candidate);
    init.set_sdp_mid(candidate.mid.as_deref());
    init.set_sdp_m_line_index(candidate.line);
    let added = pc.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&init));
    JsFuture::from(added).await.map(|_| ())
}

/// The servers as `RTCConfiguration.iceServers` wants them.
pub(super) fn ice_servers(servers: &[IceServer]) -> JsValue {
    let list = js_sys::Array::new();
    for server in servers {
        let urls: js_sys::Array = server
            .urls
            .iter()
            .map(|url| JsValue::from_str(url))
            .collect();
        let entry = web_sys::RtcIceServer::new();
        entry.set_urls(&urls);
        if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
            entry.set_username(username);
            entry.set_credential(credential);
        }
        list.push(&entry);
    }
    list.into()
}
