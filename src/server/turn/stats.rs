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
    AllocationMismatch,
    /// 438: the nonce is old or not ours.
    StaleNonce,
    /// 440: no address of this family here.
    UnsupportedAddressFamily,
    /// 441: not whoever made the allocation.
    WrongCredentials,
    /// 442: we relay UDP only.
    UnsupportedTransport,
    /// 443: the peer is of another family than the allocation.
    PeerFamilyMismatch,
    /// 486: the user or the room has all it may.
    AllocationQuota,
    /// 508: the server has all it may.
    InsufficientCapacity,
}

/// Why a frame was lost without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It is no STUN and no ChannelData.
    Malformed,
    /// Its sender asks too often without credentials.
    UnauthenticatedRate,
    /// Its sender has no allocation, or no permission or channel for the peer.
    NoSenderPermission,
    /// The receiver has no permission for the sender, or has gone.
    NoReceiverPermission,
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
    Refusal::AllocationMismatch,
    Refusal::StaleNonce,
    Refusal::UnsupportedAddressFamily,
    Refusal::WrongCredentials,
    Refusal::UnsupportedTransport,
    Refusal::PeerFamilyMismatch,
    Refusal::AllocationQuota,
    Refusal::InsufficientCapacity,
];
/// All losses, in their order.
const DROP_REASONS: [DropReason; 6] = [
    DropReason::Malformed,
    DropReason::UnauthenticatedRate,
    DropReason::NoSenderPermission,
    DropReason::NoReceiverPermission,
    DropReason::Bandwidth,
    DropReason::QueueFull,
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
    pub refusals: [(Refusal, u64); REFUSALS.len()],
    /// Frames lost, by reason.
    pub dropped: [(DropReason, u64); DROP_REASONS.len()],
    /// Carried over UDP.
    pub udp: Traffic,
    /// Carried over TCP.
    pub tcp: Traffic,
    /// Carried over TLS.
    pub tls: Traffic,
}

impl TurnStats {
    /// Requests refused for this reason.
    pub fn refusals(&self, why: Refusal) -> u64 {
        self.refusals[why as usize].1
    }

    /// Frames lost for this reason.
    pub fn dropped(&self, why: DropReason) -> u64 {
        self.dropped[why as usize].1
    }
}

/// The counters; they only grow.
#[derive(Default)]
pub struct Counters {
    /// Allocations since the start.
    allocated: AtomicU64,
    /// By [`Refusal`].
    refusals: [AtomicU64; REFUSALS.len()],
    /// By [`DropReason`].
    dropped: [AtomicU64; DROP_REASONS.len()],
    /// By [`Transport`]: bytes in.
    bytes_in: [AtomicU64; 3],
    /// By [`Transport`]: bytes out.
    bytes_out: [AtomicU64; 3],
}

impl Counters {
    /// Counts an allocation.
    pub fn count_allocation(&self) {
        self.allocated.fetch_add(1, Relaxed);
    }

    /// Counts a refusal.
    pub fn count_refusal(&self, why: Refusal) {
        self.refusals[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts a loss.
    pub fn count_dropped(&self, why: DropReason) {
        self.dropped[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts bytes from a client.
    pub fn count_received(&self, transport: Transport, bytes: usize) {
        self.bytes_in[transport as usize].fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes to a client.
    pub fn count_sent(&self, transport: Transport, bytes: usize) {
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
            refusals: REFUSALS.map(|why| (why, self.refusals[why as usize].load(Relaxed))),
            dropped: DROP_REASONS.map(|why| (why, self.dropped[why as usize].load(Relaxed))),
            udp: traffic(Transport::Udp),
            tcp: traffic(Transport::Tcp),
            tls: traffic(Transport::Tls),
        }
    }
}
