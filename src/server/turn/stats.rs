//! What is counted.

use super::client::Transport;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400: it makes no sense.
    BadRequest,
    /// 401: without valid credentials.
    Unauthorized,
    /// 403: this peer is nobody of ours.
    Forbidden,
    /// 420: it asks for what we do not know.
    UnknownAttribute,
    /// 437: there is no allocation, or one already.
    Mismatch,
    /// 438: the nonce is old or not ours.
    StaleNonce,
    /// 440: no address of this family here.
    Family,
    /// 441: not whoever made the allocation.
    WrongCredentials,
    /// 442: we relay UDP only.
    Transport,
    /// 443: the peer is of another family than the allocation.
    PeerFamily,
    /// 486: the user or the room has all it may.
    Quota,
    /// 508: the server has all it may.
    Capacity,
}

/// Why a frame was lost without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It is no STUN and no ChannelData.
    Malformed,
    /// Its sender asks too often without credentials.
    Unproven,
    /// Its sender has no allocation, or no permission or channel for the peer.
    NotAllowed,
    /// The receiver has no permission for the sender, or has gone.
    NotWanted,
    /// Beyond what an allocation may send or receive.
    Bandwidth,
    /// The receiver's queue was full.
    QueueFull,
}

/// All refusals, in their order.
const REFUSALS: [Refusal; 12] = [
    Refusal::BadRequest,
    Refusal::Unauthorized,
    Refusal::Forbidden,
    Refusal::UnknownAttribute,
    Refusal::Mismatch,
    Refusal::StaleNonce,
    Refusal::Family,
    Refusal::WrongCredentials,
    Refusal::Transport,
    Refusal::PeerFamily,
    Refusal::Quota,
    Refusal::Capacity,
];
/// All losses, in their order.
const LOSSES: [Loss; 6] = [
    Loss::Malformed,
    Loss::Unproven,
    Loss::NotAllowed,
    Loss::NotWanted,
    Loss::Bandwidth,
    Loss::QueueFull,
];

/// What one transport carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from clients on to somebody, without framing.
    pub bytes_in: u64,
    /// Bytes from somebody to clients, without framing.
    pub bytes_out: u64,
}

/// A look at the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnStats {
    /// Allocations now.
    pub allocations: usize,
    /// Allocations since the start.
    pub allocated_total: u64,
    /// TCP connections now, TLS included.
    pub streams: usize,
    /// Requests refused, by reason.
    pub refused: [(Refusal, u64); REFUSALS.len()],
    /// Frames lost, by reason.
    pub lost: [(Loss, u64); LOSSES.len()],
    /// Carried over UDP.
    pub udp: Traffic,
    /// Carried over TCP.
    pub tcp: Traffic,
    /// Carried over TLS.
    pub tls: Traffic,
}

impl TurnStats {
    /// Requests refused for this reason.
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refused[why as usize].1
    }

    /// Frames lost for this reason.
    pub fn lost(&self, why: Loss) -> u64 {
        self.lost[why as usize].1
    }
}

/// The counters; they only grow.
#[derive(Default)]
pub struct Stats {
    /// Allocations since the start.
    allocated: AtomicU64,
    /// By [`Refusal`].
    refused: [AtomicU64; REFUSALS.len()],
    /// By [`Loss`].
    lost: [AtomicU64; LOSSES.len()],
    /// By [`Transport`]: bytes in.
    bytes_in: [AtomicU64; 3],
    /// By [`Transport`]: bytes out.
    bytes_out: [AtomicU64; 3],
}

impl Stats {
    /// Counts an allocation.
    pub fn allocated(&self) {
        self.allocated.fetch_add(1, Relaxed);
    }

    /// Counts a refusal.
    pub fn refused(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts a loss.
    pub fn lost(&self, why: Loss) {
        self.lost[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts bytes from a client.
    pub fn came(&self, transport: Transport, bytes: usize) {
        self.bytes_in[transport as usize].fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes to a client.
    pub fn went(&self, transport: Transport, bytes: usize) {
        self.bytes_out[transport as usize].fetch_add(bytes as u64, Relaxed);
    }

    /// A look at all of them.
    pub fn snapshot(&self, allocations: usize, streams: usize) -> TurnStats {
        let traffic = |transport: Transport| Traffic {
            bytes_in: self.bytes_in[transport as usize].load(Relaxed),
            bytes_out: self.bytes_out[transport as usize].load(Relaxed),
        };
        TurnStats {
            allocations,
            allocated_total: self.allocated.load(Relaxed),
            streams,
            refused: REFUSALS.map(|why| (why, self.refused[why as usize].load(Relaxed))),
            lost: LOSSES.map(|why| (why, self.lost[why as usize].load(Relaxed))),
            udp: traffic(Transport::Udp),
            tcp: traffic(Transport::Tcp),
            tls: traffic(Transport::Tls),
        }
    }
}
