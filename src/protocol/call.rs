//! The call of a room: its participants, their devices and their signalling.
//!
//! The server keeps the list of participants and routes signals without reading the
//! descriptions and candidates in them. A [`Leg`] identifies one stay of a participant in
//! the call; the server refuses a signal that is addressed to an earlier leg.

use super::{ParticipantId, Source};
use serde::{Deserialize, Serialize};

/// Longest session description the server routes, in bytes.
pub const MAX_SDP_BYTES: usize = 48 * 1024;
/// Longest ICE candidate line the server routes, in bytes.
pub const MAX_CANDIDATE_BYTES: usize = 2 * 1024;

/// One stay of one participant in the call: a random number that the client draws when it
/// enters. Entering again with the same number continues the same stay.
pub type Leg = u32;

/// The devices of a participant that are on. A device that is off keeps its transceiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// The microphone is live.
    pub microphone: bool,
    /// The camera is live.
    pub camera: bool,
    /// The screen is shared, beside the camera.
    #[serde(default)]
    pub screen: bool,
}

impl Devices {
    /// The source whose arrival shows that this participant's media works: video if there is
    /// any, else audio; `None` if every device is off.
    pub fn first_source(self) -> Option<Source> {
        match self {
            Self { camera: true, .. } => Some(Source::Camera),
            Self { screen: true, .. } => Some(Source::Screen),
            Self {
                microphone: true, ..
            } => Some(Source::Microphone),
            _ => None,
        }
    }
}

/// A participant in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPerson {
    /// Id of the participant. The nickname is in the room's list of people.
    pub id: ParticipantId,
    /// The participant's current stay.
    pub leg: Leg,
    /// The devices that are on.
    pub devices: Devices,
}

/// An `RTCIceServer` (W3C WebRTC) for `RTCPeerConnection`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:` and `turn:` URLs (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// TURN username, for `turn:` URLs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// TURN password, for `turn:` URLs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// An `RTCIceCandidateInit` (W3C WebRTC 4.8.1). An empty `candidate` is the
/// end-of-candidates indication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The candidate line (RFC 8839 5.1).
    pub candidate: String,
    /// The `sdpMid`: the media description that the candidate belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// The `sdpMLineIndex`: the index of that media description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mline_index: Option<u16>,
}

/// Signalling between two participants about their peer connection.
///
/// `connection` counts the peer connections of a pair of legs. A higher number replaces a
/// broken connection; a signal with a lower number is stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Signal {
    /// An SDP offer (RFC 8829).
    Offer {
        /// Number of the peer connection between these two legs.
        connection: u32,
        /// The description (RFC 8866).
        sdp: String,
    },
    /// An SDP answer (RFC 8829).
    Answer {
        /// Number of the peer connection between these two legs.
        connection: u32,
        /// The description (RFC 8866).
        sdp: String,
    },
    /// An ICE candidate of the sender.
    Candidate {
        /// Number of the peer connection between these two legs.
        connection: u32,
        /// A candidate of the sender.
        #[serde(flatten)]
        candidate: Candidate,
    },
}

impl Signal {
    /// Whether the signal is small enough for the server to route.
    pub fn is_within_limits(&self) -> bool {
        match self {
            Self::Offer { sdp, .. } | Self::Answer { sdp, .. } => sdp.len() <= MAX_SDP_BYTES,
            Self::Candidate { candidate, .. } => {
                candidate.candidate.len() <= MAX_CANDIDATE_BYTES
                    && candidate.mid.as_ref().is_none_or(|mid| mid.len() <= 64)
            }
        }
    }

    /// Whether the signal describes no media: every description in its SDP is of data channels.
    pub fn is_data_only(&self) -> bool {
        match self {
            Self::Offer { sdp, .. } | Self::Answer { sdp, .. } => lines(sdp)
                .filter(|line| line.starts_with("m="))
                .all(|line| line.starts_with("m=application ")),
            Self::Candidate { .. } => true,
        }
    }

    /// Whether every candidate in the signal is a relayed one, without the address behind the relay.
    pub fn is_relay_only(&self) -> bool {
        match self {
            Self::Offer { sdp, .. } | Self::Answer { sdp, .. } => lines(sdp)
                .filter_map(|line| line.strip_prefix("a="))
                .filter(|line| line.starts_with("candidate:"))
                .all(is_relayed),
            Self::Candidate { candidate, .. } => {
                candidate.candidate.is_empty() || is_relayed(&candidate.candidate)
            }
        }
    }

    /// Number of the peer connection that the signal belongs to.
    pub fn connection(&self) -> u32 {
        match self {
            Self::Offer { connection, .. }
            | Self::Answer { connection, .. }
            | Self::Candidate { connection, .. } => *connection,
        }
    }
}

/// The lines of a description, whichever way they end.
fn lines(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.split(['\r', '\n'])
}

/// Whether a candidate line (RFC 8839 5.1) is of a relay and names no related address.
fn is_relayed(candidate: &str) -> bool {
    let mut words = candidate.split_ascii_whitespace().skip(6);
    let kind = (words.next(), words.next());
    let related = candidate
        .split_once(" raddr ")
        .and_then(|(_, rest)| rest.split_ascii_whitespace().next());
    kind == (Some("typ"), Some("relay"))
        && related.is_none_or(|address| matches!(address, "0.0.0.0" | "::"))
}

/// A candidate line without its related address, which is the one behind the relay (RFC 8839 5.1).
pub fn without_related_address(candidate: &str) -> String {
    let Some((head, rest)) = candidate.split_once(" raddr ") else {
        return candidate.to_owned();
    };
    let unspecified = match rest.split_ascii_whitespace().next() {
        Some(address) if address.contains(':') => "::",
        _ => "0.0.0.0",
    };
    // The related port follows; extensions follow that.
    let mut words = rest.split_ascii_whitespace().skip(3);
    let mut line = format!("{head} raddr {unspecified} rport 0");
    words.by_ref().for_each(|word| {
        line.push(' ');
        line.push_str(word);
    });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(sdp: &str) -> Signal {
        Signal::Offer {
            connection: 1,
            sdp: sdp.to_owned(),
        }
    }

    fn candidate(line: &str) -> Signal {
        Signal::Candidate {
            connection: 1,
            candidate: Candidate {
                candidate: line.to_owned(),
                mid: None,
                mline_index: None,
            },
        }
    }

    #[test]
    fn a_description_with_any_media_is_not_data_only() {
        let data = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n";
        assert!(offer(data).is_data_only());
        for media in [
            "m=audio 9 X 0\r\n",
            "m=video 0 X 0\n",
            "m=message 1 X 0\r",
            "m=applications",
        ] {
            assert!(
                !offer(&format!("{data}{media}")).is_data_only(),
                "{media:?}"
            );
        }
    }

    #[test]
    fn only_relayed_candidates_without_the_address_behind_them_are_relay_only() {
        let relay = "candidate:1 1 udp 41885439 192.0.2.1 49200 typ relay raddr 0.0.0.0 rport 0";
        let open = "candidate:1 1 udp 41885439 192.0.2.1 49200 typ relay raddr 203.0.113.7 rport 9 generation 0";
        let host = "candidate:1 1 udp 2122260223 203.0.113.7 50000 typ host";
        let disguised = "candidate:1 1 udp 1 203.0.113.7 50000 typ host typ relay";
        assert!(candidate(relay).is_relay_only());
        assert!(candidate("").is_relay_only());
        for line in [open, host, disguised, "typ relay"] {
            assert!(!candidate(line).is_relay_only(), "{line}");
            assert!(
                !offer(&format!("v=0\na={line}\n")).is_relay_only()
                    || !line.starts_with("candidate"),
                "{line}"
            );
        }
        assert!(offer(&format!("v=0\r\na={relay}\r\n")).is_relay_only());
        let closed = without_related_address(open);
        assert!(candidate(&closed).is_relay_only(), "{closed}");
        assert!(!closed.contains("203.0.113.7") && closed.ends_with("generation 0"));
        assert_eq!(without_related_address(host), host);
    }
}
