//! What a peer sends: its tracks and streams, and the limits on them.

use crate::{
    protocol::Source,
    server::sfu::{
        forward::packet::PacketOrigin,
        ingress::{rate_limit::IngressLimiter, ssrc_limit::SsrcLimiter, twcc_guard::TwccGuard},
        publish::{capture_clock::CaptureClock, muted::MutedSources},
    },
};
use std::time::Instant;
use str0m::{media::Mid, rtp::Ssrc};

/// Streams of one peer: each source, each layer, and their retransmissions.
const MAX_SSRCS: usize = 32;
/// RTP ticks of audio in a millisecond (RFC 7587 4.1).
const AUDIO_TICKS_PER_MS: f64 = 48.0;

/// The sending side of a peer.
pub struct Upstream {
    /// The source of each media section that the peer sends.
    pub offered_tracks: Vec<(Mid, Source)>,
    /// The sources that a host muted, offered or not.
    pub muted: MutedSources,
    /// The track and layer of each SSRC received, oldest first; [`MAX_SSRCS`] at most.
    ssrc_origins: Vec<(Ssrc, PacketOrigin)>,
    /// Maps the peer's capture times to our clock.
    pub capture_clock: CaptureClock,
    /// Bounds packets and bytes.
    ingress_limiter: IngressLimiter,
    /// Bounds the SSRCs that str0m remembers for the connection.
    ssrc_limiter: SsrcLimiter,
    /// Rejects transport-wide sequence numbers that str0m cannot handle.
    pub twcc_guard: TwccGuard,
    /// The largest jitter of the peer's audio in the current stats window, in ms.
    max_audio_jitter_ms: f64,
}

impl Upstream {
    /// A peer that has sent nothing.
    pub fn new(now: Instant) -> Self {
        Self {
            offered_tracks: Vec::new(),
            muted: MutedSources::default(),
            ssrc_origins: Vec::new(),
            capture_clock: CaptureClock::default(),
            ingress_limiter: IngressLimiter::default(),
            ssrc_limiter: SsrcLimiter::new(now),
            twcc_guard: TwccGuard::default(),
            max_audio_jitter_ms: 0.0,
        }
    }

    /// Whether the limits admit a datagram.
    pub fn allows(&mut self, datagram: &[u8], now: Instant) -> bool {
        self.ingress_limiter.allows(datagram.len(), now)
            && self.ssrc_limiter.allows(datagram, now)
            && self.twcc_guard.allows(datagram)
    }

    /// The track and layer of an SSRC that was registered before.
    pub fn origin_of(&self, ssrc: Ssrc) -> Option<PacketOrigin> {
        let found = self.ssrc_origins.iter().find(|(known, _)| *known == ssrc);
        found.map(|(_, origin)| *origin)
    }

    /// Registers the track and layer of an SSRC. Beyond [`MAX_SSRCS`] the oldest is forgotten.
    pub fn register_ssrc(&mut self, ssrc: Ssrc, origin: PacketOrigin) {
        if self.ssrc_origins.len() >= MAX_SSRCS {
            self.ssrc_origins.remove(0);
        }
        self.ssrc_origins.push((ssrc, origin));
    }

    /// Records the jitter of a stream, in RTP ticks. Video counts for nothing: its packets come
    /// in bursts.
    pub fn on_jitter(&mut self, mid: Mid, ticks: u32) {
        let source = self.offered_tracks.iter().find(|(known, _)| *known == mid);
        if source.is_some_and(|(_, source)| !source.is_video()) {
            let jitter_ms = f64::from(ticks) / AUDIO_TICKS_PER_MS;
            self.max_audio_jitter_ms = self.max_audio_jitter_ms.max(jitter_ms);
        }
    }

    /// The largest audio jitter since the last call, in ms.
    pub fn take_audio_jitter_ms(&mut self) -> f64 {
        std::mem::take(&mut self.max_audio_jitter_ms)
    }

    /// Points every SSRC to a layer that does not exist: a stand-in for a bug.
    #[cfg(test)]
    pub fn corrupt_origins(&mut self) {
        for (_, origin) in &mut self.ssrc_origins {
            origin.layer = usize::MAX;
        }
    }
}
