//! What the operator sees of a connection: numbers of the moment, and no address.

use crate::protocol::{ParticipantId, Source};
use crate::server::metrics::{ForwardedLayer, IcePath};

/// A connection to the SFU at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionReport {
    /// The participant of the connection.
    pub person: ParticipantId,
    /// Whether ICE and DTLS are done.
    pub connected: bool,
    /// The path of the last verified connectivity check.
    pub path: IcePath,
    /// The round trip of the last second, in ms; none where it is unknown.
    pub rtt_ms: Option<f64>,
    /// The share of packets to the participant that was lost in the last second; none where the
    /// participant does not report.
    pub egress_loss: Option<f64>,
    /// The share of packets of the participant that was lost in the last second.
    pub ingress_loss: f64,
    /// The most that the server sends, in bit/s; none where that is not estimated.
    pub budget_bps: Option<u64>,
    /// The tracks that the participant sends.
    pub sent: Vec<SentTrack>,
    /// What the video is that the participant receives.
    pub received: Vec<ForwardedLayer>,
}

/// A track that a participant sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentTrack {
    /// Camera, microphone, screen or screen audio.
    pub source: Source,
    /// The bitrate of each live layer in bit/s, the lowest first, with the height of its frames
    /// in px; the height is 0 for audio.
    pub layers: Vec<(u64, u32)>,
}
