//! What the TURN server is told at its start, and why it may refuse to start.

use crate::server::{limits::Rate, net::AddressRateLimits};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};
use tokio_rustls::rustls::ServerConfig;

/// Numbers of relay addresses. They name no socket, so they lie below the ports a system gives
/// to its own sockets (Linux begins at 32768): a virtual address never equals a real one.
pub const RELAY_PORTS: RangeInclusive<u16> = 20_000..=29_999;
/// How long credentials start allocations. 300 s (trust T15): stolen ones are soon of no use,
/// and a page asks for new ones every two minutes.
pub const CREDENTIALS_LIFETIME: Duration = Duration::from_secs(300);
/// How long an allocation lives without a refresh, whatever was asked for. 600 s: the
/// default of RFC 8656, which clients expect.
pub const ALLOCATION_LIFETIME: Duration = Duration::from_secs(600);
/// Stays in calls at once that have credentials; the next one gets none. 20 000: as many sockets
/// as the process holds.
pub const MAX_CALL_SESSIONS: usize = 20_000;
/// Allocations below which a room may take one of the places kept for rooms that have few. 4: two
/// people, each by UDP and by TCP.
pub const SMALL_ROOM_ALLOCATIONS: usize = 4;
/// How long a permission lasts. RFC 8656, section 9.
pub const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel stays bound. RFC 8656, section 12.
pub const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Peers one allocation has permissions or channels for. 64: a room's worth of candidates.
pub const MAX_PEERS: usize = 64;
/// Bytes of one message or datagram. Media stay below an MTU; 4 KiB leaves room for all else.
pub const MAX_FRAME_BYTES: usize = 4096;
/// Frames waiting for one TCP client; what comes beyond is lost, as on the way. 128 full
/// packets are 150 ms of 8 Mbit/s.
pub const STREAM_QUEUE_FRAMES: usize = 128;
/// TCP connections, TLS included.
pub const MAX_STREAMS: usize = 1024;
/// Of those, from one address (loopback excepted: a proxy may sit there).
pub const MAX_STREAMS_PER_ADDRESS: usize = 32;
/// Silence after which a stream without allocation is closed; a TLS handshake has as long.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stream may be without an allocation at all, whatever it says. 20 s: a client asks
/// twice, at once, and again where an answer is late.
pub const ALLOCATION_TIMEOUT: Duration = Duration::from_secs(20);
/// Time one write to a stream may take before its reader counts as gone.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often what has expired is swept. What is expired counts as gone before it is swept.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Requests without valid credentials that are answered. 50 a second to one address: an office
/// behind one address may join at once, a victim of spoofing gets 4 KB/s.
pub const UNAUTHENTICATED_RATE: AddressRateLimits = AddressRateLimits {
    per_address: Rate {
        per_second: 50,
        burst: 200,
    },
    total: None,
};
/// Bytes of the UDP socket's queues in the system. 1 MiB: a second of 8 Mbit/s.
pub const SOCKET_BUFFER_BYTES: usize = 1024 * 1024;

/// What the server is told.
#[derive(Clone)]
pub struct TurnOptions {
    /// Where UDP and TCP are served; port 0 takes a free one, the same for both.
    pub listen: SocketAddr,
    /// Where TLS is served, and with which certificate.
    pub tls: Option<(SocketAddr, Arc<ServerConfig>)>,
    /// The addresses relay addresses are made of; the first of each family is used. None yet
    /// where they come later ([`super::Turn::set_external`]); nothing is allocated until then.
    pub external: Vec<IpAddr>,
    /// The realm of the credentials. Short is better: it is in each answer to a stranger.
    pub realm: String,
    /// How much.
    pub limits: TurnLimits,
}

/// How much one may have.
#[derive(Debug, Clone, Copy)]
pub struct TurnLimits {
    /// Allocations of one user. Default 24: a browser takes one by UDP and one by TCP for each
    /// address that is offered, of which there are up to four, and one by TLS. That is nine, and
    /// twice as many for a moment while it moves from one call to another.
    pub per_user: usize,
    /// Allocations of one room. Default 320: enough for a hundred people where one address is
    /// offered, and for thirty-five where four are.
    pub per_room: usize,
    /// Allocations of one address, whoever asks; an IPv6 /48 has four times as many. Default 64:
    /// twenty people behind one address where one is offered, and seven where four are, each
    /// with all a browser takes at once.
    pub per_address: usize,
    /// Allocations in all. Default 2000.
    pub total: usize,
    /// Of these, the last ones are kept for rooms that have fewer than [`SMALL_ROOM_ALLOCATIONS`]. Default 250.
    pub reserved_for_small_rooms: usize,
    /// Bytes a second one allocation may send, and as many it may receive; a second's worth at
    /// once. Default 1 000 000, which is 8 Mbit/s.
    pub bytes_per_second: NonZeroU32,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self {
            per_user: 24,
            per_room: 320,
            per_address: 64,
            total: 2000,
            reserved_for_small_rooms: 250,
            bytes_per_second: NonZeroU32::new(1_000_000).expect("not zero"),
        }
    }
}

/// Why the server did not start. The operator mends the setting named.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The port is taken or the address is not ours.
    #[error("cannot serve TURN at {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// This is no one's address.
    #[error("{0} cannot be an external address of TURN: it names no single machine")]
    ExternalAddresses(IpAddr),
    /// The protocol has no place for it.
    #[error("a realm has 1 to 127 characters without quotes and control characters")]
    Realm,
}

impl TurnOptions {
    /// Refuses what could not work.
    ///
    /// # Errors
    /// See [`TurnError`]; the operator mends the setting.
    pub fn check(&self) -> Result<(), TurnError> {
        if let Some(wrong) = self.external.iter().find(|ip| !names_one_machine(**ip)) {
            return Err(TurnError::ExternalAddresses(*wrong));
        }
        let fits = (1..=127).contains(&self.realm.len());
        let clean = |c: char| !c.is_control() && c != '"' && c != '\\';
        match fits && self.realm.chars().all(clean) {
            true => Ok(()),
            false => Err(TurnError::Realm),
        }
    }
}

/// Whether an address can be one machine's, in its plain form.
fn names_one_machine(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let plain = ip == ip.to_canonical();
    plain && !broadcast && !ip.is_unspecified() && !ip.is_multicast()
}
