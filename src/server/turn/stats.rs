//! Counters of the TURN server.

use super::client::Transport;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use strum::VariantArray;

/// An error response (RFC 8489 section 14.8, RFC 8656 section 19); the value is its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
#[repr(u16)]
pub enum Refusal {
    /// The request is malformed.
    BadRequest = 400,
    /// The request has no valid credentials.
    Unauthorized = 401,
    /// The peer is neither a relayed address of this server nor the SFU.
    Forbidden = 403,
    /// The request has a comprehension-required attribute that the server does not know.
    UnknownAttribute = 420,
    /// The client has no allocation, or has one already.
    AllocationMismatch = 437,
    /// The nonce has expired or was not issued to this client.
    StaleNonce = 438,
    /// The server has no external address of the requested family.
    UnsupportedAddressFamily = 440,
    /// The allocation belongs to another username.
    WrongCredentials = 441,
    /// The requested transport is not UDP.
    UnsupportedTransport = 442,
    /// The peer and the allocation differ in their address family.
    PeerFamilyMismatch = 443,
    /// The user, the room or the address has reached its limit of allocations.
    AllocationQuota = 486,
    /// The server has reached its limit of allocations, permissions or ports.
    InsufficientCapacity = 508,
}

impl Refusal {
    /// The error code, such as 401.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The index of the refusal in `VARIANTS`.
    fn index(self) -> usize {
        let found = Self::VARIANTS.iter().position(|other| *other == self);
        found.expect("VARIANTS has every variant")
    }
}

/// Why a frame was dropped without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum DropReason {
    /// The frame is neither STUN nor ChannelData.
    Malformed,
    /// The address sends too many requests without valid credentials.
    UnauthenticatedRate,
    /// The sender has no allocation, or no permission or channel for the peer.
    NoSenderPermission,
    /// The receiver has no permission for the sender, or its allocation has ended.
    NoReceiverPermission,
    /// The allocation of the sender or the receiver exceeds its rate.
    Bandwidth,
    /// The address of the sender or the receiver exceeds its rate.
    AddressBandwidth,
    /// All clients together exceed their rate.
    TotalBandwidth,
    /// The receiver's send queue is full.
    QueueFull,
}

impl DropReason {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnauthenticatedRate => "unauthenticated_rate",
            Self::NoSenderPermission => "no_sender_permission",
            Self::NoReceiverPermission => "no_receiver_permission",
            Self::Bandwidth => "allocation_bandwidth",
            Self::AddressBandwidth => "address_bandwidth",
            Self::TotalBandwidth => "total_bandwidth",
            Self::QueueFull => "queue_full",
        }
    }
}

/// Payload bytes of one transport, without framing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from clients that were relayed.
    pub bytes_in: u64,
    /// Bytes sent to clients.
    pub bytes_out: u64,
}

/// A snapshot of the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnStats {
    /// Unexpired allocations at the time of the snapshot.
    pub allocations: usize,
    /// Allocations since the start.
    pub allocated_total: u64,
    /// TCP connections now, TLS included.
    pub streams: usize,
    /// Requests refused, in the order of [`Refusal`].
    pub refusals: [(Refusal, u64); Refusal::VARIANTS.len()],
    /// Frames dropped, in the order of [`DropReason`].
    pub dropped: [(DropReason, u64); DropReason::VARIANTS.len()],
    /// Traffic over UDP.
    pub udp: Traffic,
    /// Traffic over TCP.
    pub tcp: Traffic,
    /// Traffic over TLS.
    pub tls: Traffic,
}

impl TurnStats {
    /// Requests refused with this code.
    pub fn refusals(&self, refusal: Refusal) -> u64 {
        self.refusals[refusal.index()].1
    }

    /// Frames dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].1
    }
}

/// The counters of one server, which only increase.
#[derive(Default)]
pub struct Counters {
    /// Allocations since the start.
    allocated: AtomicU64,
    /// Requests refused, in the order of [`Refusal`].
    refusals: [AtomicU64; Refusal::VARIANTS.len()],
    /// Frames dropped, in the order of [`DropReason`].
    dropped: [AtomicU64; DropReason::VARIANTS.len()],
    /// Bytes from clients, in the order of [`Transport`].
    bytes_in: [AtomicU64; Transport::VARIANTS.len()],
    /// Bytes to clients, in the order of [`Transport`].
    bytes_out: [AtomicU64; Transport::VARIANTS.len()],
}

impl Counters {
    /// Counts an allocation.
    pub fn count_allocation(&self) {
        self.allocated.fetch_add(1, Relaxed);
    }

    /// Counts a refused request.
    pub fn count_refusal(&self, refusal: Refusal) {
        self.refusals[refusal.index()].fetch_add(1, Relaxed);
    }

    /// Counts a dropped frame.
    pub fn count_dropped(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts payload bytes from a client.
    pub fn count_received(&self, transport: Transport, bytes: usize) {
        self.bytes_in[transport as usize].fetch_add(bytes as u64, Relaxed);
    }

    /// Counts payload bytes to a client.
    pub fn count_sent(&self, transport: Transport, bytes: usize) {
        self.bytes_out[transport as usize].fetch_add(bytes as u64, Relaxed);
    }

    /// A snapshot, together with the numbers of allocations and TCP connections now.
    pub fn snapshot(&self, allocations: usize, streams: usize) -> TurnStats {
        let traffic = |transport: Transport| Traffic {
            bytes_in: self.bytes_in[transport as usize].load(Relaxed),
            bytes_out: self.bytes_out[transport as usize].load(Relaxed),
        };
        TurnStats {
            allocations,
            allocated_total: self.allocated.load(Relaxed),
            streams,
            refusals: std::array::from_fn(|index| {
                (Refusal::VARIANTS[index], self.refusals[index].load(Relaxed))
            }),
            dropped: std::array::from_fn(|index| {
                (
                    DropReason::VARIANTS[index],
                    self.dropped[index].load(Relaxed),
                )
            }),
            udp: traffic(Transport::Udp),
            tcp: traffic(Transport::Tcp),
            tls: traffic(Transport::Tls),
        }
    }
}
