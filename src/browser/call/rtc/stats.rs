//! Reads the statistics of a connection (`getStats`).

use crate::state::statistics::{ConnectionStats, StreamStats};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{RtcPeerConnection, RtcRtpReceiver};

/// Audio level, from 0 to 1, above which a participant counts as speaking.
const SPEAKING_LEVEL: f64 = 0.02;

/// The reports of `getStats` (W3C WebRTC Stats): of a connection or of one receiver.
pub async fn reports(of: &JsValue) -> Vec<JsValue> {
    let method = Reflect::get(of, &"getStats".into()).ok();
    let method = method.and_then(|m| m.dyn_into::<js_sys::Function>().ok());
    let promise = method.and_then(|m| m.call0(of).ok());
    let Some(Ok(promise)) = promise.map(|p| p.dyn_into::<js_sys::Promise>()) else {
        return Vec::new();
    };
    let Ok(report) = JsFuture::from(promise).await else {
        return Vec::new();
    };
    // A report is a map: its entries are pairs of an id and a dictionary.
    let entries = Array::from(&report);
    let values = entries.iter().map(|pair| Array::from(&pair).get(1));
    values.collect()
}

/// A field of a report.
pub fn field(report: &JsValue, name: &str) -> JsValue {
    Reflect::get(report, &name.into()).unwrap_or_default()
}

/// Whether media of a receiver has arrived: a decoded frame, or any audio.
pub async fn flows(receiver: &RtcRtpReceiver, video: bool) -> bool {
    let name = match video {
        true => "framesDecoded",
        false => "bytesReceived",
    };
    let reports = reports(receiver).await;
    reports.iter().any(|report| {
        let inbound = field(report, "type").as_string().as_deref() == Some("inbound-rtp");
        inbound && field(report, name).as_f64().unwrap_or(0.0) > 0.0
    })
}

/// Whether a receiver's audio level is above [`SPEAKING_LEVEL`] (W3C WebRTC 5.3,
/// synchronization sources).
pub fn is_speaking(receiver: &RtcRtpReceiver) -> bool {
    let method = Reflect::get(receiver, &"getSynchronizationSources".into()).ok();
    let method = method.and_then(|m| m.dyn_into::<js_sys::Function>().ok());
    let sources = method
        .and_then(|m| m.call0(receiver).ok())
        .unwrap_or_default();
    Array::from(&sources)
        .iter()
        .any(|source| field(&source, "audioLevel").as_f64().unwrap_or(0.0) > SPEAKING_LEVEL)
}

/// Every report of a connection as plain objects, for copying as JSON.
pub async fn copies(pc: &RtcPeerConnection) -> Array {
    let copies = reports(pc).await;
    let copy = |report: JsValue| Object::assign(&Object::new(), report.unchecked_ref());
    copies.into_iter().map(copy).map(JsValue::from).collect()
}

/// The statistics of a connection; [`ConnectionStats::since`] computes the rates.
pub async fn connection_stats(pc: &RtcPeerConnection) -> ConnectionStats {
    let reports = reports(pc).await;
    let by_id = |id: String| {
        let same = |report: &&JsValue| text(report, "id") == id;
        reports.iter().find(same)
    };
    let transport = reports.iter().find(|r| text(r, "type") == "transport");
    let pair = transport.and_then(|t| by_id(text(t, "selectedCandidatePairId")));
    // Firefox has no transport report: its candidate pair has the field `selected`.
    let selected = |r: &&JsValue| field(r, "selected").as_bool() == Some(true);
    let pair = pair.or_else(|| reports.iter().find(selected));
    let local = pair.and_then(|pair| by_id(text(pair, "localCandidateId")));
    let streams = reports.iter().filter_map(|report| {
        let kind = text(report, "type");
        let codec = by_id(text(report, "codecId")).map(|codec| text(codec, "mimeType"));
        matches!(kind.as_str(), "inbound-rtp" | "outbound-rtp")
            .then(|| stream(report, kind == "outbound-rtp", &codec.unwrap_or_default()))
    });
    ConnectionStats {
        path: local.map(path).unwrap_or_default(),
        rtt_ms: pair
            .and_then(|p| field(p, "currentRoundTripTime").as_f64())
            .map(|s| s * 1e3),
        available_kbps: pair
            .and_then(|p| field(p, "availableOutgoingBitrate").as_f64())
            .map(|bps| bps / 1e3),
        streams: streams.filter(|stream| stream.bytes > 0.0).collect(),
    }
}

/// Transport protocol of a candidate, with `relay` for TURN.
fn path(candidate: &JsValue) -> String {
    let protocol = text(candidate, "protocol");
    match text(candidate, "candidateType").as_str() {
        "relay" => format!("relay ({})", text(candidate, "relayProtocol")),
        _ => protocol,
    }
}

/// The statistics of one stream.
fn stream(report: &JsValue, sent: bool, codec: &str) -> StreamStats {
    let number = |name: &str| field(report, name).as_f64().unwrap_or(0.0);
    let (packets, bytes) = match sent {
        true => ("packetsSent", "bytesSent"),
        false => ("packetsReceived", "bytesReceived"),
    };
    StreamStats {
        key: text(report, "id"),
        sent,
        video: text(report, "kind") == "video",
        codec: codec.rsplit('/').next().unwrap_or_default().to_owned(),
        layer: text(report, "rid"),
        packets: number(packets),
        bytes: number(bytes),
        kbps: 0.0,
        size: (number("frameWidth") as u32, number("frameHeight") as u32),
        fps: number("framesPerSecond"),
        lost: number("packetsLost"),
        jitter_ms: number("jitter") * 1e3,
    }
}

fn text(report: &JsValue, name: &str) -> String {
    field(report, name).as_string().unwrap_or_default()
}
