//! What a person and the SFU say to each other about media.
//!
//! A call goes browser to browser ([`Mode::P2p`]) or through the server ([`Mode::Sfu`]).
//! Through the server each person has one connection: they offer, the server answers.
//! What they want to see is a subscription ([`Wanted`]), what they get is told by [`Slot`]s,
//! and neither needs another description.

use super::ParticipantId;
use serde::{Deserialize, Serialize};

/// Tracks named by one offer at most; the four sources, and room for more.
pub const MAX_OFFERED_TRACKS: usize = 16;
/// Tiles one person may want to see at once. 200: face and screen of everybody in a room of the
/// default size.
pub const MAX_WANTED: usize = 200;
/// Longest media id (RFC 8843 `mid`) the server takes, in bytes.
pub const MAX_MID_BYTES: usize = 16;

/// How media goes in a call.
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
    /// What keeps the media of a call from getting through, as the browser sees it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Obstacle {
        /// No packets get through to the SFU (ICE).
        ServerIce,
        /// Packets get through to the SFU, and no keys were agreed on (DTLS).
        ServerDtls,
        /// No packets get through to somebody, browser to browser (ICE).
        PersonIce,
        /// Packets get through to somebody, and no keys were agreed on (DTLS).
        PersonDtls,
        /// The browser has no `RTCPeerConnection`.
        #[serde(rename = "no_webrtc")]
        NoWebRtc,
    }
}

impl Obstacle {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerIce => "server_ice",
            Self::ServerDtls => "server_dtls",
            Self::PersonIce => "person_ice",
            Self::PersonDtls => "person_dtls",
            Self::NoWebRtc => "no_webrtc",
        }
    }

    /// Whether it keeps media from the server itself.
    pub const fn is_of_server(self) -> bool {
        matches!(self, Self::ServerIce | Self::ServerDtls)
    }
}

listed_enum! {
    /// What a track is made of. In the order of a connection's transceivers.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Source {
        /// The person's voice.
        Microphone,
        /// The person's camera.
        Camera,
        /// A shared screen, window or tab.
        Screen,
        /// What the shared screen or tab sounds like.
        ScreenAudio,
    }
}

impl Source {
    /// What is played in step with it: the face of a voice, the sound of a screen, and back.
    pub fn other_half(self) -> Self {
        match self {
            Self::Microphone => Self::Camera,
            Self::Camera => Self::Microphone,
            Self::Screen => Self::ScreenAudio,
            Self::ScreenAudio => Self::Screen,
        }
    }

    /// Whether it is a picture; otherwise it is sound.
    pub fn is_video(self) -> bool {
        matches!(self, Self::Camera | Self::Screen)
    }

    /// The kind of its media description: `audio` or `video`.
    pub fn kind(self) -> &'static str {
        match self.is_video() {
            true => "video",
            false => "audio",
        }
    }
}

/// How a picture is coded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// RFC 6386; what is sent while nothing else was said.
    #[default]
    Vp8,
    /// VP9, profile 0.
    Vp9,
}

/// What one media description of an offer carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedTrack {
    /// The media description (RFC 8843).
    pub mid: String,
    /// What it is made of.
    pub source: Source,
}

/// A picture somebody has on their screen, or a voice they want to hear in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Id of the person.
    pub id: ParticipantId,
    /// Their camera or their screen; their microphone where they are to be heard.
    pub source: Source,
    /// Height on the screen, in physical pixels; 0 for a voice.
    pub height: u32,
    /// Whether it is pinned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

/// What one receiving media description carries from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Which description of the connection.
    pub mid: String,
    /// The person in the slot; none while it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ParticipantId>,
    /// The source in the slot; none while it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Whether the SFU pauses it for lack of bandwidth.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// Somebody who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// Id of the person.
    pub id: ParticipantId,
    /// How loud: 0 (silence) to 127, that is 127 less the level of RFC 6464.
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

/// How good somebody's connection to the SFU is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonQuality {
    /// Id of the person.
    pub id: ParticipantId,
    /// Rating of their connection.
    pub quality: Quality,
}

/// An offer of a person to the SFU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaOffer {
    /// Which of the person's connections: a higher number replaces the former one.
    pub connection: u32,
    /// Which offer of that connection, from 1 up; one at a time.
    pub offer_id: u32,
    /// The description (RFC 8866).
    pub sdp: String,
    /// What the sending media descriptions carry.
    pub tracks: Vec<OfferedTrack>,
}

impl MediaOffer {
    /// Whether it is within what the server takes.
    pub fn is_within_limits(&self) -> bool {
        self.sdp.len() <= super::MAX_SDP_BYTES
            && self.tracks.len() <= MAX_OFFERED_TRACKS
            && self.tracks.iter().all(|t| t.mid.len() <= MAX_MID_BYTES)
    }
}
