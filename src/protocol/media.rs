//! Messages between a client and the SFU about media.
//!
//! Media goes from browser to browser ([`Mode::P2p`]) or through the server ([`Mode::Sfu`]).
//! With the SFU each client has one peer connection: the client offers, the server answers.
//! The client subscribes to tiles ([`Wanted`]) and the server assigns sources to receiving
//! media descriptions ([`Slot`]). Neither needs a renegotiation.

use super::ParticipantId;
use serde::{Deserialize, Serialize};

/// Most tracks named by one offer: the four sources, with room for more.
pub const MAX_OFFERED_TRACKS: usize = 16;
/// Most tiles in one subscription. 200: camera and screen of every participant in a room of
/// the default size.
pub const MAX_WANTED: usize = 200;
/// Longest `mid` (RFC 8843) that the server accepts, in bytes.
pub const MAX_MID_BYTES: usize = 16;

/// The topology of a call's media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Browser to browser.
    #[default]
    P2p,
    /// Through the server's SFU.
    Sfu,
}

listed_enum! {
    /// Why the media of a call does not arrive, as the browser observes it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Obstacle {
        /// ICE to the SFU has not connected: no packets arrive.
        ServerIce,
        /// ICE to the SFU connected, but the DTLS handshake did not complete.
        ServerDtls,
        /// ICE to another participant has not connected: no packets arrive.
        PersonIce,
        /// ICE to another participant connected, but the DTLS handshake did not complete.
        PersonDtls,
        /// The browser has no `RTCPeerConnection`.
        #[serde(rename = "no_webrtc")]
        NoWebRtc,
    }
}

impl Obstacle {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerIce => "server_ice",
            Self::ServerDtls => "server_dtls",
            Self::PersonIce => "person_ice",
            Self::PersonDtls => "person_dtls",
            Self::NoWebRtc => "no_webrtc",
        }
    }

    /// Whether the connection to the SFU is the one that fails.
    pub const fn is_of_server(self) -> bool {
        matches!(self, Self::ServerIce | Self::ServerDtls)
    }
}

listed_enum! {
    /// The source of a track, in the order of a connection's transceivers.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Source {
        /// The participant's microphone.
        Microphone,
        /// The participant's camera.
        Camera,
        /// A shared screen, window or tab.
        Screen,
        /// The audio of the shared screen or tab.
        ScreenAudio,
    }
}

impl Source {
    /// The source that is played in sync with this one: microphone with camera, screen with
    /// screen audio.
    pub fn other_half(self) -> Self {
        match self {
            Self::Microphone => Self::Camera,
            Self::Camera => Self::Microphone,
            Self::Screen => Self::ScreenAudio,
            Self::ScreenAudio => Self::Screen,
        }
    }

    /// Whether the source is video; otherwise it is audio.
    pub fn is_video(self) -> bool {
        matches!(self, Self::Camera | Self::Screen)
    }

    /// The media type in SDP: `audio` or `video`.
    pub fn kind(self) -> &'static str {
        match self.is_video() {
            true => "video",
            false => "audio",
        }
    }
}

/// A video codec that the server can request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// VP8 (RFC 6386); the default until the server requests another codec.
    #[default]
    Vp8,
    /// VP9, profile 0.
    Vp9,
}

/// The source that one media description of an offer sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedTrack {
    /// The `mid` of the media description (RFC 8843).
    pub mid: String,
    /// The source of the track.
    pub source: Source,
}

/// One tile of a subscription: a video on the client's screen, or a pinned microphone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Id of the participant.
    pub id: ParticipantId,
    /// The participant's camera or screen, or a microphone to receive always.
    pub source: Source,
    /// Height on the screen, in physical pixels; 0 for a microphone.
    pub height: u32,
    /// Whether the client's user pinned the participant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

/// The source that one receiving media description carries from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The `mid` of the receiving media description.
    pub mid: String,
    /// The participant in the slot; `None` while it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ParticipantId>,
    /// The source in the slot; `None` while it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Whether the SFU pauses it for lack of bandwidth.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// A participant who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// Id of the participant.
    pub id: ParticipantId,
    /// Audio level from 0 (silence) to 127: 127 minus the level of RFC 6464.
    pub level: u8,
}

/// Rating of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Round trip below 150 ms and loss below 2 %.
    #[default]
    Good,
    /// Round trip below 300 ms and loss below 5 %.
    Fair,
    /// Worse than fair.
    Poor,
}

/// The rating of a participant's connection to the SFU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonQuality {
    /// Id of the participant.
    pub id: ParticipantId,
    /// Rating of the connection.
    pub quality: Quality,
}

/// An SDP offer of a client to the SFU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaOffer {
    /// Number of the client's connection. A higher number replaces the earlier connection.
    pub connection: u32,
    /// Number of the offer within that connection, from 1. At most one offer is pending.
    pub offer_id: u32,
    /// The description (RFC 8866).
    pub sdp: String,
    /// The sources of the sending media descriptions.
    pub tracks: Vec<OfferedTrack>,
}

impl MediaOffer {
    /// Whether the offer is within the server's limits.
    pub fn is_within_limits(&self) -> bool {
        self.sdp.len() <= super::MAX_SDP_BYTES
            && self.tracks.len() <= MAX_OFFERED_TRACKS
            && self.tracks.iter().all(|t| t.mid.len() <= MAX_MID_BYTES)
    }
}
