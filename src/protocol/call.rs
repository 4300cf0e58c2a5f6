//! The call of a room: who is in it and what browsers say to each other about it.
//!
//! The server keeps the list and routes; it never looks into a description or a
//! candidate. A [`Leg`] names one stay of one person in the call, so that what was
//! meant for a former stay reaches nobody.

use super::{ParticipantId, Source};
use serde::{Deserialize, Serialize};

/// Longest session description the server routes, in bytes.
pub const MAX_SDP_BYTES: usize = 48 * 1024;
/// Longest ICE candidate line the server routes, in bytes.
pub const MAX_CANDIDATE_BYTES: usize = 2 * 1024;

/// One stay of one person in the call: a number the client draws when it enters.
/// Entering again with the same number goes on with the same stay.
pub type Leg = u32;

/// Which of a person's devices are on. Off is muted or dark, not absent.
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
    /// What shows first that somebody's media arrives: a picture, else the voice; nothing
    /// where all is off.
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

/// A person in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPerson {
    /// Who; their nickname is in the list of people.
    pub id: ParticipantId,
    /// Which stay of theirs.
    pub leg: Leg,
    /// Their devices that are on.
    pub devices: Devices,
}

/// An ICE server for `RTCPeerConnection` (W3C WebRTC 4.2.1).
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

/// An ICE candidate as `RTCIceCandidateInit` has it. An empty `candidate` is the
/// end of candidates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The candidate line (RFC 8839 5.1).
    pub candidate: String,
    /// The media description it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// The index of that description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mline_index: Option<u16>,
}

/// What one browser tells another about their connection.
///
/// `connection` counts the peer connections of a pair of legs: a higher number
/// replaces a broken connection by a fresh one, a lower one is out of date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Signal {
    /// A session description offered.
    Offer {
        /// Which connection of the pair.
        connection: u32,
        /// The description (RFC 8866).
        sdp: String,
    },
    /// A session description in answer.
    Answer {
        /// Which connection of the pair.
        connection: u32,
        /// The description (RFC 8866).
        sdp: String,
    },
    /// One more way to reach the sender.
    Candidate {
        /// Which connection of the pair.
        connection: u32,
        /// A candidate of the sender.
        #[serde(flatten)]
        candidate: Candidate,
    },
}

impl Signal {
    /// Whether it is within what the server routes.
    pub fn is_within_limits(&self) -> bool {
        match self {
            Self::Offer { sdp, .. } | Self::Answer { sdp, .. } => sdp.len() <= MAX_SDP_BYTES,
            Self::Candidate { candidate, .. } => {
                candidate.candidate.len() <= MAX_CANDIDATE_BYTES
                    && candidate.mid.as_ref().is_none_or(|mid| mid.len() <= 64)
            }
        }
    }

    /// Which connection of the pair it speaks of.
    pub fn connection(&self) -> u32 {
        match self {
            Self::Offer { connection, .. }
            | Self::Answer { connection, .. }
            | Self::Candidate { connection, .. } => *connection,
        }
    }
}
