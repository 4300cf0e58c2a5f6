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

    /// Number of the peer connection that the signal belongs to.
    pub fn connection(&self) -> u32 {
        match self {
            Self::Offer { connection, .. }
            | Self::Answer { connection, .. }
            | Self::Candidate { connection, .. } => *connection,
        }
    }
}
