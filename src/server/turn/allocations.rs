//! The table of allocations, with the relayed address and the expiry of each.
//!
//! Pure: the caller passes the time as `now`. An expired allocation is invalid even before the
//! sweep removes it. Only authenticated clients reach this table, and each user, room and address
//! has a limit.

use super::{
    client::{ClientWriter, FiveTuple},
    credentials::CallSession,
    options::{ALLOCATION_LIFETIME, RELAY_PORTS, SMALL_ROOM_ALLOCATIONS, TurnLimits},
    permissions::Permissions,
    sessions::CallSessions,
    stats::Refusal,
};
use crate::server::{
    net::{Permit, PermitError, PermitLimits, Permits},
    token_bucket::{Quota, TokenBucket},
};
use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    time::{Duration, Instant},
};
use turn_server::{codec::crypto::Password, service::session::ports::PortAllocator};

/// An authenticated user of TURN.
#[derive(Clone)]
pub struct Owner {
    /// USERNAME of the request.
    pub username: String,
    /// The call session that the credentials belong to.
    pub session: CallSession,
    /// The key of MESSAGE-INTEGRITY, in requests and responses.
    pub key: Password,
}

/// An allocation (RFC 8656 section 3.2).
pub struct Allocation {
    /// The user who made the allocation.
    pub owner: Owner,
    /// The client's 5-tuple.
    pub client: FiveTuple,
    /// Sends frames to the client.
    pub writer: ClientWriter,
    /// The relayed transport address, which belongs to no socket.
    pub relay: SocketAddr,
    /// The transaction id of the Allocate request. A retransmission gets the same response.
    pub transaction: [u8; 12],
    /// The permissions and channels of the allocation.
    pub permissions: Permissions,
    /// The rate at which the client may send.
    pub send_limiter: ByteLimiter,
    /// The rate at which the client may receive.
    pub receive_limiter: ByteLimiter,
    /// The end of the lifetime, unless the client refreshes the allocation.
    expires: Instant,
    /// Counts the allocation against the limits of its address and of the server.
    _permit: Permit,
}

impl Allocation {
    /// Starts the lifetime again. The number of refreshes is unlimited: the allocation ends
    /// with its call session.
    pub fn refresh(&mut self, now: Instant) {
        self.expires = now + ALLOCATION_LIFETIME;
    }

    /// The remaining lifetime.
    pub fn remaining(&self, now: Instant) -> Duration {
        self.expires.saturating_duration_since(now)
    }
}

/// Which ports satisfy an Allocate request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// Even and odd ports, for a request without EVEN-PORT.
    Any,
    /// Even ports only, for a request with EVEN-PORT.
    Even,
}

/// Bytes charged for each packet besides its payload, for IP, UDP and TURN headers. A flood of
/// small packets uses up the rate too.
pub const PACKET_OVERHEAD_BYTES: usize = 64;

/// A token bucket of bytes; its burst is one second's worth.
pub struct ByteLimiter(TokenBucket);

impl ByteLimiter {
    /// A full bucket.
    fn new(bytes_per_second: NonZeroU32) -> Self {
        let second = f64::from(bytes_per_second.get());
        Self(TokenBucket::new(Quota::new(second, second)))
    }

    /// Whether a packet of this payload is within the rate. Takes the tokens of an allowed packet.
    pub fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        self.0.try_take(bytes + PACKET_OVERHEAD_BYTES, now)
    }
}

/// All allocations of the server.
pub struct Allocations {
    /// The allocations, by the client's 5-tuple.
    allocations: HashMap<FiveTuple, Allocation>,
    /// The clients, by the port of their relayed address.
    by_port: HashMap<u16, FiveTuple>,
    /// The free ports.
    ports: PortAllocator,
    /// The limits for each user, room, address and server.
    limits: TurnLimits,
    /// Counts allocations by address and in all.
    permits: Permits,
    /// The call sessions whose members may allocate.
    sessions: CallSessions,
}

impl Allocations {
    /// An empty table; all relay ports are free.
    pub fn new(limits: TurnLimits) -> Self {
        // `turn-server` makes an inclusive range of this exclusive one.
        let range = *RELAY_PORTS.start()..*RELAY_PORTS.end();
        Self {
            allocations: HashMap::new(),
            by_port: HashMap::new(),
            ports: PortAllocator::new(range.into()),
            limits,
            permits: Permits::new(PermitLimits {
                total: limits.total,
                per_address: limits.per_address,
            }),
            sessions: CallSessions::default(),
        }
    }

    /// Starts or continues the call session of a user in a room. Returns `None` if the table of
    /// call sessions is full.
    pub fn start_session(&mut self, user: &str, room: &str, now: Instant) -> Option<CallSession> {
        self.sessions.start(user, room, now)
    }

    /// Whether a call session is active.
    pub fn is_active(&self, session: &CallSession) -> bool {
        self.sessions.is_active(session)
    }

    /// Makes an allocation. Addresses for which `is_taken` is true do not become relayed addresses.
    ///
    /// # Errors
    /// [`Refusal::AllocationQuota`] or [`Refusal::InsufficientCapacity`] at a limit; the client
    /// tries again later or uses another server.
    pub fn allocate(
        &mut self,
        (client, writer): (FiveTuple, ClientWriter),
        owner: Owner,
        transaction: [u8; 12],
        (external, parity, is_taken): (IpAddr, Parity, &dyn Fn(SocketAddr) -> bool),
        now: Instant,
    ) -> Result<&Allocation, Refusal> {
        self.remove_expired(now);
        self.check_limits(&owner.session)?;
        let permit = self.permits.acquire(client.source.ip());
        let permit = permit.map_err(|error| match error {
            PermitError::PerAddress => Refusal::AllocationQuota,
            PermitError::Total => Refusal::InsufficientCapacity,
        })?;
        let relay = self
            .free_relay_address(external, parity, is_taken)
            .ok_or(Refusal::InsufficientCapacity)?;
        self.by_port.insert(relay.port(), client);
        let allocation = Allocation {
            owner,
            client,
            writer,
            relay,
            transaction,
            permissions: Permissions::default(),
            send_limiter: ByteLimiter::new(self.limits.bytes_per_second),
            receive_limiter: ByteLimiter::new(self.limits.bytes_per_second),
            expires: now + ALLOCATION_LIFETIME,
            _permit: permit,
        };
        Ok(self
            .allocations
            .entry(client)
            .insert_entry(allocation)
            .into_mut())
    }

    /// The unexpired allocation of a client.
    pub fn by_client(&mut self, client: &FiveTuple, now: Instant) -> Option<&mut Allocation> {
        let found = self.allocations.get_mut(client);
        found.filter(|found| found.expires > now)
    }

    /// The unexpired allocation of a relayed address.
    pub fn by_relay_address(&mut self, relay: SocketAddr, now: Instant) -> Option<&mut Allocation> {
        let client = *self.by_port.get(&relay.port())?;
        self.by_client(&client, now)
            .filter(|found| found.relay == relay)
    }

    /// The number of unexpired allocations.
    pub fn count(&self, now: Instant) -> usize {
        let live = |found: &&Allocation| found.expires > now;
        self.allocations.values().filter(live).count()
    }

    /// Ends the allocation of a client.
    pub fn remove(&mut self, client: &FiveTuple) {
        self.remove_where(|found| found.client == *client);
    }

    /// Ends the call session of a user in a room, and its allocations.
    pub fn end_session(&mut self, user: &str, room: &str) {
        if self.sessions.end(user, room) {
            let Self { sessions, .. } = self;
            let sessions = std::mem::take(sessions);
            self.remove_where(|found| !sessions.is_active(&found.owner.session));
            self.sessions = sessions;
        }
    }

    /// Ends all allocations.
    pub fn clear(&mut self) {
        self.remove_where(|_| true);
    }

    /// Removes expired allocations, permissions, channels and call sessions.
    pub fn sweep(&mut self, now: Instant) {
        self.remove_expired(now);
        for allocation in self.allocations.values_mut() {
            allocation.permissions.sweep(now);
        }
        let sessions = self.allocations.values().map(|found| &found.owner.session);
        let used: HashSet<&CallSession> = sessions.collect();
        self.sessions.sweep(now, |session| used.contains(session));
    }

    /// Removes expired allocations.
    fn remove_expired(&mut self, now: Instant) {
        self.remove_where(|found| found.expires <= now);
    }

    /// Removes allocations and frees their ports.
    fn remove_where(&mut self, ends: impl Fn(&Allocation) -> bool) {
        for (_, ended) in self.allocations.extract_if(|_, found| ends(found)) {
            self.by_port.remove(&ended.relay.port());
            self.ports.deallocate(ended.relay.port());
        }
    }

    /// Checks the limits of the server, the user and the room for one more allocation.
    fn check_limits(&self, session: &CallSession) -> Result<(), Refusal> {
        let all = || self.allocations.values().map(|found| &found.owner.session);
        let of_user = all().filter(|other| other.user == session.user).count();
        let of_room = all().filter(|other| other.room == session.room).count();
        let left = self.limits.total.saturating_sub(self.allocations.len());
        // The last allocations are reserved for rooms with few allocations.
        if left == 0
            || (left <= self.limits.reserved_for_small_rooms && of_room >= SMALL_ROOM_ALLOCATIONS)
        {
            return Err(Refusal::InsufficientCapacity);
        }
        let within = of_user < self.limits.per_user && of_room < self.limits.per_room;
        within.then_some(()).ok_or(Refusal::AllocationQuota)
    }

    /// Finds a free relayed address. A port whose address is taken never returns to the pool. Odd
    /// ports that were skipped in the search for an even one return to the pool.
    fn free_relay_address(
        &mut self,
        external: IpAddr,
        parity: Parity,
        is_taken: &dyn Fn(SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let mut skipped_ports = Vec::new();
        let found = loop {
            let Some(port) = self.ports.allocate(None) else {
                break None;
            };
            let address = SocketAddr::new(external, port);
            if parity == Parity::Even && port % 2 == 1 {
                skipped_ports.push(port);
            } else if !is_taken(address) {
                break Some(address);
            }
        };
        for port in skipped_ports {
            self.ports.deallocate(port);
        }
        found
    }
}

#[cfg(test)]
impl Allocations {
    /// The number of allocations and of ports in use, expired ones included.
    pub fn entry_counts(&self) -> (usize, usize) {
        assert_eq!(self.ports.len(), self.by_port.len());
        (self.allocations.len(), self.by_port.len())
    }

    /// The number of call sessions.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }
}
