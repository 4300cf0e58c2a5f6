//! What a peer receives: its down tracks, and how they share the bandwidth.

use crate::{
    protocol::{ParticipantId, Source, Wanted},
    server::sfu::{
        codec::Codec,
        subscribe::{allocator::Allocator, down_track::DownTrack, rtx_policy::RtxCacheSize},
    },
};
use std::time::{Duration, Instant};
use str0m::Rtc;

/// A first video within this after the peer came in was there before. 2 s.
const JOIN_GRACE: Duration = Duration::from_secs(2);
/// The bitrate of one voice, in bit/s: Opus as browsers send it, with headers.
const VOICE_BPS: u64 = 45_000;

/// The receiving side of a peer.
#[derive(Default)]
pub struct Downstream {
    /// The outgoing streams, in the order of their media sections.
    pub down_tracks: Vec<DownTrack>,
    /// What the peer subscribed to, as it said last.
    pub wanted: Vec<Wanted>,
    /// Divides the bandwidth among video.
    pub allocator: Allocator,
    /// When a down track of video was assigned first.
    first_video_assigned: Option<Instant>,
    /// Whether a video packet was forwarded to the peer.
    received_video: bool,
}

impl Downstream {
    /// The subscription to a source of a participant.
    pub fn wanted_of(&self, person: &ParticipantId, source: Source) -> Option<&Wanted> {
        let wanted = |w: &&Wanted| w.id == *person && w.source == source;
        self.wanted.iter().find(wanted)
    }

    /// Whether the peer pinned a participant.
    pub fn has_pinned(&self, person: &ParticipantId) -> bool {
        self.wanted.iter().any(|w| w.pinned && w.id == *person)
    }

    /// The down tracks of video.
    pub fn video(&self) -> impl Iterator<Item = &DownTrack> {
        self.down_tracks.iter().filter(|track| track.video)
    }

    /// The down tracks of audio.
    pub fn audio(&self) -> impl Iterator<Item = &DownTrack> {
        self.down_tracks.iter().filter(|track| !track.video)
    }

    /// Whether a down track of video carries a track.
    pub fn has_video(&self) -> bool {
        self.video().any(|down_track| down_track.track.is_some())
    }

    /// Whether every down track of video accepts a codec.
    pub fn accepts_video_codec(&self, codec: Codec) -> bool {
        self.video().all(|down_track| down_track.accepts(codec))
    }

    /// The bitrate of the audio that the peer receives, in bit/s. `with_red`: each payload is
    /// sent twice.
    pub fn audio_bps(&self, with_red: bool) -> u64 {
        let tracks = self.audio().filter(|track| track.track.is_some()).count() as u64;
        VOICE_BPS * (1 + u64::from(with_red)) * tracks
    }

    /// Sends audio with the payload before it (RED), or alone.
    pub fn set_redundancy(&mut self, is_redundant: bool) {
        let audio = self.down_tracks.iter_mut().filter(|track| !track.video);
        audio.for_each(|down_track| down_track.set_redundancy(is_redundant));
    }

    /// Resizes the retransmission cache of every down track.
    pub fn set_rtx_cache_size(&mut self, rtc: &mut Rtc, size: RtxCacheSize) {
        let down_tracks = self.down_tracks.iter_mut();
        down_tracks.for_each(|down_track| down_track.set_rtx_cache_size(rtc, size));
    }

    /// Records that video was assigned.
    pub fn on_video_assigned(&mut self, now: Instant) {
        self.first_video_assigned.get_or_insert(now);
    }

    /// Records a forwarded video packet. Returns how long the peer, in the room since `joined`,
    /// waited for its first one; none from the second on. The wait begins with the first
    /// assignment where nobody sent video within [`JOIN_GRACE`].
    pub fn on_video_forwarded(&mut self, joined: Instant, now: Instant) -> Option<Duration> {
        if std::mem::replace(&mut self.received_video, true) {
            return None;
        }
        let later = self
            .first_video_assigned
            .filter(|at| *at > joined + JOIN_GRACE);
        Some(now.saturating_duration_since(later.unwrap_or(joined)))
    }
}
