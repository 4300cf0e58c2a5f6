//! Options, limits and timeouts of the TURN server, and the errors of its start.

use crate::server::{
    limits::Rate,
    net::{AddressRateLimits, RequestRateLimiter},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};
use tokio_rustls::rustls::ServerConfig;

/// Ports of relayed addresses. They lie below the ephemeral ports of the system (Linux begins at
/// 32768), so a relayed address, which has no socket, never equals the address of a socket.
pub const RELAY_PORTS: RangeInclusive<u16> = 20_000..=29_999;
/// Lifetime of credentials. 300 s: stolen credentials expire soon, and a page requests new ones
/// every two minutes.
pub const CREDENTIALS_LIFETIME: Duration = Duration::from_secs(300);
/// Lifetime of an allocation without a Refresh, whatever LIFETIME the client requests. 600 s is
/// the default of RFC 8656.
pub const ALLOCATION_LIFETIME: Duration = Duration::from_secs(600);
/// Most call sessions at once; further ones get no credentials. 20 000: as many as the sockets of
/// the process.
pub const MAX_CALL_SESSIONS: usize = 20_000;
/// A room with fewer allocations is small and may use
/// [`TurnLimits::reserved_for_small_rooms`]. 4: two participants, each with UDP and TCP.
pub const SMALL_ROOM_ALLOCATIONS: usize = 4;
/// Lifetime of a permission (RFC 8656 section 9).
pub const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// Lifetime of a channel binding (RFC 8656 section 12).
pub const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Most peers with a permission or channel of one allocation. 64: the candidates of a full room.
pub const MAX_PEERS: usize = 64;
/// Most bytes of one frame. Media packets stay below the MTU; 4 KiB leaves room for requests.
pub const MAX_FRAME_BYTES: usize = 4096;
/// Frames in the send queue of one TCP client; further ones are dropped, as a network drops
/// packets. 128 full packets are 150 ms at 8 Mbit/s.
pub const STREAM_QUEUE_FRAMES: usize = 128;
/// Most TCP connections, TLS included.
pub const MAX_STREAMS: usize = 1024;
/// Most TCP connections from one address. Loopback is exempt, because it may be a proxy.
pub const MAX_STREAMS_PER_ADDRESS: usize = 32;
/// A stream without an allocation is closed after this time without a complete frame. Also the
/// timeout of a TLS handshake.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream is closed after this time without an allocation, whatever it sends. 20 s leave time
/// for the two Allocate requests of a client and their retransmissions.
pub const ALLOCATION_TIMEOUT: Duration = Duration::from_secs(20);
/// Timeout of one write to a stream; the connection is closed then.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Interval between two sweeps of expired state. State counts as gone from its expiry on.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Rate of responses to requests without valid credentials. 50/s for one address: an office
/// behind one address can join at once, and the victim of a spoofed address gets 4 KB/s.
pub const UNAUTHENTICATED_RATE: AddressRateLimits = AddressRateLimits {
    per_address: Rate {
        per_second: 50,
        burst: 200,
    },
    total: None,
};
/// Bytes of each kernel buffer of the UDP socket. 1 MiB: one second at 8 Mbit/s.
pub const SOCKET_BUFFER_BYTES: usize = 1024 * 1024;

/// The configuration of the server.
#[derive(Clone)]
pub struct TurnOptions {
    /// The listening address of UDP and TCP. Port 0 chooses a free port, the same for both.
    pub listen: SocketAddr,
    /// The listening address of TLS and its certificate. `None` turns TLS off.
    pub tls: Option<(SocketAddr, Arc<ServerConfig>)>,
    /// The external addresses that relayed addresses are made of; the first of each family is
    /// used. May be empty until [`super::Turn::set_external`]; Allocate requests are refused then.
    pub external: Vec<IpAddr>,
    /// The realm of the credentials, 1 to 127 bytes. Each response to an unauthenticated client
    /// holds it, so it should be short.
    pub realm: String,
    /// Limits on allocations and bandwidth.
    pub limits: TurnLimits,
    /// The bandwidth of each client address, and of all together:
    /// [`RequestKind::RelayBytes`](crate::server::net::RequestKind::RelayBytes).
    pub rates: Arc<RequestRateLimiter>,
}

/// Limits on allocations and bandwidth.
#[derive(Debug, Clone, Copy)]
pub struct TurnLimits {
    /// Most allocations of one user. Default 24: a browser makes one over UDP and one over TCP for
    /// each of up to four offered addresses, and one over TLS. That is nine, and eighteen while
    /// the browser moves from one call to another.
    pub per_user: usize,
    /// Most allocations of one room. Default 320: enough for 100 participants if one address is
    /// offered, and for 35 if four are.
    pub per_room: usize,
    /// Most allocations of one client address, by any users; an IPv6 /48 has four times as many.
    /// Default 64: enough for 20 browsers behind one address if one address is offered, and for
    /// seven if four are.
    pub per_address: usize,
    /// Most allocations of the server. Default 2000.
    pub total: usize,
    /// Part of [`Self::total`] that only rooms with fewer than [`SMALL_ROOM_ALLOCATIONS`]
    /// allocations may use. Default 250.
    pub reserved_for_small_rooms: usize,
    /// Rate of one allocation in each direction, in bytes per second; the burst is one second's
    /// worth. Default 1 000 000, which is 8 Mbit/s.
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

/// The server did not start. The operator corrects the setting that the error names.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The port is in use, or the address is not of this machine.
    #[error("cannot serve TURN at {address}: {source}")]
    Bind {
        /// The listening address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The address is unspecified, multicast, broadcast or IPv4-mapped.
    #[error("{0} cannot be an external address of TURN: it names no single machine")]
    ExternalAddresses(IpAddr),
    /// The realm is not a quoted string of STUN (RFC 8489 section 14.9).
    #[error("a realm has 1 to 127 characters without quotes and control characters")]
    Realm,
}

impl TurnOptions {
    /// Checks the external addresses and the realm.
    ///
    /// # Errors
    /// [`TurnError::ExternalAddresses`] or [`TurnError::Realm`]; the operator corrects the setting.
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

/// Whether an address is unicast and not IPv4-mapped.
fn names_one_machine(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let plain = ip == ip.to_canonical();
    plain && !broadcast && !ip.is_unspecified() && !ip.is_multicast()
}
