//! Configurations, descriptions, candidates and transceivers of `RTCPeerConnection`.

use crate::protocol::{Candidate, IceServer};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    MediaStream, RtcBundlePolicy, RtcConfiguration, RtcIceCandidateInit, RtcPeerConnection,
    RtcRtpSender, RtcRtpTransceiver, RtcRtpTransceiverDirection, RtcRtpTransceiverInit, RtcSdpType,
    RtcSessionDescriptionInit,
};

/// The transceivers of a connection, in order.
pub fn transceivers(pc: &RtcPeerConnection) -> Vec<RtcRtpTransceiver> {
    pc.get_transceivers()
        .iter()
        .map(JsCast::unchecked_into)
        .collect()
}

/// Adds a transceiver without a track.
pub fn add_transceiver(
    pc: &RtcPeerConnection,
    kind: &str,
    direction: RtcRtpTransceiverDirection,
    stream: Option<&MediaStream>,
    encodings: Option<&js_sys::Array>,
) -> RtcRtpTransceiver {
    let init = RtcRtpTransceiverInit::new();
    init.set_direction(direction);
    if let Some(stream) = stream {
        init.set_streams(&js_sys::Array::of1(stream));
    }
    if let Some(encodings) = encodings {
        init.set_send_encodings(encodings);
    }
    pc.add_transceiver_with_str_and_init(kind, &init)
}

/// Sets the stream of a sender, so that its audio and video are played in sync. Older
/// browsers have no `setStreams` and play each on arrival.
pub fn set_stream(sender: &RtcRtpSender, stream: &MediaStream) {
    let method = js_sys::Reflect::get(sender, &"setStreams".into()).ok();
    if let Some(method) = method.and_then(|m| m.dyn_into::<js_sys::Function>().ok()) {
        let _ = method.call1(sender, stream);
    }
}

/// Sets a remote description.
///
/// # Errors
/// The `DOMException` of the browser.
pub async fn set_remote(
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

/// Adds a remote candidate.
///
/// # Errors
/// The `DOMException` of the browser.
pub async fn add(pc: &RtcPeerConnection, candidate: &Candidate) -> Result<(), JsValue> {
    let init = RtcIceCandidateInit::new(&candidate.candidate);
    init.set_sdp_mid(candidate.mid.as_deref());
    init.set_sdp_m_line_index(candidate.mline_index);
    let added = pc.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&init));
    JsFuture::from(added).await.map(|_| ())
}

/// The configuration of a connection with these ICE servers. `relay_only`: whether it uses relayed
/// candidates only.
pub fn configuration(ice_servers: &JsValue, relay_only: bool) -> RtcConfiguration {
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(ice_servers);
    // One transport for audio and video halves candidates and setup time.
    configuration.set_bundle_policy(RtcBundlePolicy::MaxBundle);
    if relay_only {
        let policy = JsValue::from_str("iceTransportPolicy");
        let _ = js_sys::Reflect::set(&configuration, &policy, &"relay".into());
    }
    configuration
}

/// Sets the ICE servers of a connection; if the browser refuses, the previous ones stay. Only
/// before an ICE restart or an answer, because after a change of servers the next offer is an
/// ICE restart in any case (RFC 9429 5.2.3.1).
pub fn renew(pc: &RtcPeerConnection, ice_servers: &JsValue, relay_only: bool) {
    let configuration = configuration(ice_servers, relay_only);
    if let Err(error) = pc.set_configuration_with_configuration(&configuration) {
        leptos::logging::debug_warn!("the former ICE servers stay: {error:?}");
    }
}

/// The value of `RTCConfiguration.iceServers`.
pub fn ice_servers(servers: &[IceServer]) -> JsValue {
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
