//! A peer: one connection to the SFU, with everything that belongs to it.
//!
//! A [`Peer`] holds an `Rtc` of str0m and four parts: [`transport`] is the network side,
//! [`upstream`] what the peer sends, [`downstream`] what it receives, [`bandwidth`] what its
//! path carries. [`session`] negotiates; [`sdp`] holds every reading and editing of an SDP;
//! [`guard`] contains errors and panics. The shard drives a peer and owns the tracks of a room.

#[cfg(test)]
mod answer_tests;
pub mod bandwidth;
pub mod downstream;
pub mod guard;
pub mod sdp;
pub mod session;
pub mod transport;
pub mod upstream;

use crate::{
    protocol::{ParticipantId, Quality},
    server::sfu::{
        keys::{PeerKey, RoomKey},
        subscribe::allocator::Allocation,
        transport::{datagram::OutgoingDatagram, path::NetworkPath},
    },
};
use bandwidth::Bandwidth;
use downstream::Downstream;
use guard::guarded;
use session::SharedRtcConfig;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use str0m::{Input, Rtc, net::Transmit, stats::PeerStats};
use transport::Transport;
use upstream::Upstream;

/// A timeout within this counts as due: str0m asks for one microsecond between two packets.
const TIMEOUT_SLACK: Duration = Duration::from_micros(2);
/// How long a connection may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence after which a connection is closed. 12 s: whoever vanishes is gone for the others
/// within 15 s, and a browser opens a new connection after ten.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(12);

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// ICE or DTLS did not complete in time.
    NeverConnected,
    /// Nothing has arrived for [`SILENCE_TIMEOUT`].
    Silent,
}

/// One connection of a participant to the SFU.
pub struct Peer {
    /// The peer's key in the room.
    pub key: PeerKey,
    /// The room on this shard.
    pub room: RoomKey,
    /// The participant who sends and receives here.
    pub person: ParticipantId,
    /// The number of the connection among those of the participant.
    pub connection: u32,
    /// The connection of str0m.
    pub rtc: Rtc,
    /// Addresses and paths.
    pub transport: Transport,
    /// What the peer sends.
    pub upstream: Upstream,
    /// What the peer receives.
    pub downstream: Downstream,
    /// What the path to the peer carries.
    pub bandwidth: Bandwidth,
    /// Whether ICE and DTLS are done.
    pub connected: bool,
    /// Whether the peer is queued for draining.
    pub dirty: bool,
    /// Whether packets were written since the last timeout: str0m sends them on the next one.
    pub has_writes: bool,
    /// When the connection was created.
    created_at: Instant,
    /// The time that str0m was given last; never goes back.
    clock: Instant,
}

impl Peer {
    /// A connection that has answered no offer. `uses_bwe`: its bandwidth is estimated.
    pub fn new(
        key: PeerKey,
        room: RoomKey,
        person: ParticipantId,
        connection: u32,
        uses_bwe: bool,
        config: &SharedRtcConfig,
        now: Instant,
    ) -> Self {
        let mut peer = Self {
            key,
            room,
            person,
            connection,
            rtc: config.rtc(uses_bwe, now),
            transport: Transport::new(now),
            upstream: Upstream::new(now),
            downstream: Downstream::default(),
            bandwidth: Bandwidth::new(uses_bwe),
            connected: false,
            dirty: false,
            has_writes: false,
            created_at: now,
            clock: now,
        };
        peer.add_candidates(&config.candidates);
        peer
    }

    /// Adds local candidates. The next answer contains them.
    pub fn add_candidates(&mut self, candidates: &[SocketAddr]) {
        self.transport.add_candidates(&mut self.rtc, candidates);
    }

    /// Gives str0m the time. Returns none where the connection failed.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<()> {
        let now = self.advance_clock(now);
        guarded(|| self.rtc.handle_input(Input::Timeout(now)))
    }

    /// Advances the clock of the connection, which never goes back: draining runs ahead of the
    /// shard's clock by up to two microseconds a packet.
    pub fn advance_clock(&mut self, now: Instant) -> Instant {
        self.clock = self.clock.max(now);
        self.clock
    }

    /// Whether a timeout is due.
    pub fn is_due(&self, at: Instant) -> bool {
        at <= self.clock + TIMEOUT_SLACK
    }

    /// Why the connection is to be closed now; none where it goes on.
    pub fn expiry(&self, now: Instant) -> Option<Expiry> {
        let late = !self.connected && now > self.created_at + CONNECT_TIMEOUT;
        let silent = now > self.transport.last_received + SILENCE_TIMEOUT;
        (late || silent).then_some(match self.connected {
            true => Expiry::Silent,
            false => Expiry::NeverConnected,
        })
    }

    /// Addresses a datagram.
    pub fn address(&self, transmit: Transmit) -> OutgoingDatagram {
        self.transport.address(transmit)
    }

    /// Sends media by the path that the peer's media came by, from now on.
    pub fn on_media_path(&mut self, path: NetworkPath) {
        if self.transport.on_media_path(path) && self.connected {
            self.bandwidth.reset(&mut self.rtc);
        }
    }

    /// Records statistics, four times a second. Returns the quality of the connection where it
    /// changed.
    pub fn on_peer_stats(&mut self, stats: &PeerStats) -> Option<Quality> {
        if !self.bandwidth.on_peer_stats(stats) {
            return None;
        }
        let jitter_ms = self.upstream.take_audio_jitter_ms();
        let last_received = self.transport.last_received;
        let changes = self.bandwidth.close_window(stats, last_received, jitter_ms);
        if let Some(size) = changes.rtx_cache_size {
            self.downstream.set_rtx_cache_size(&mut self.rtc, size);
        }
        if let Some(is_redundant) = changes.redundancy {
            self.downstream.set_redundancy(is_redundant);
        }
        changes.quality
    }

    /// The bitrate of the audio that the peer receives, in bit/s.
    pub fn audio_bps(&self) -> u64 {
        self.downstream.audio_bps(self.bandwidth.is_lossy())
    }

    /// Adapts probing to an allocation.
    pub fn update_probing(&mut self, allocation: &Allocation, audio_bps: u64, now: Instant) {
        self.bandwidth
            .update_probing(&mut self.rtc, allocation, audio_bps, now);
    }

    /// Records a forwarded video packet. Returns how long the peer waited for its first one.
    pub fn on_video_forwarded(&mut self, now: Instant) -> Option<Duration> {
        self.downstream.on_video_forwarded(self.created_at, now)
    }
}
