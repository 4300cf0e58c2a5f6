//! The allocations: who has which relay address, and until when.
//!
//! Pure: time comes in as `now`. What has expired counts as gone whether it was swept or not.
//! Only whoever proved credentials gets in here, and only so many.

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

/// Who asks for an allocation, as proven.
#[derive(Clone)]
pub struct Owner {
    /// The name that was proven.
    pub username: String,
    /// Whose it is.
    pub session: CallSession,
    /// Signs requests and answers.
    pub key: Password,
}

/// One allocation.
pub struct Allocation {
    /// Whose it is.
    pub owner: Owner,
    /// Its client.
    pub client: FiveTuple,
    /// The way to the client.
    pub writer: ClientWriter,
    /// The virtual address others reach it by.
    pub relay: SocketAddr,
    /// The question that made it: asked again, it is answered again.
    pub transaction: [u8; 12],
    /// Whom it exchanges packets with.
    pub permissions: Permissions,
    /// What it may send.
    pub send_limiter: ByteLimiter,
    /// What it may receive.
    pub receive_limiter: ByteLimiter,
    /// When it ends.
    expires: Instant,
    /// Its place among those of its address.
    _permit: Permit,
}

impl Allocation {
    /// Lives on. How often is not bounded here: it ends with the stay it was made in.
    pub fn refresh(&mut self, now: Instant) {
        self.expires = now + ALLOCATION_LIFETIME;
    }

    /// What is left of its life.
    pub fn remaining(&self, now: Instant) -> Duration {
        self.expires.saturating_duration_since(now)
    }
}

/// Which numbers of relay addresses will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// Every one.
    Any,
    /// Even ones: EVEN-PORT.
    Even,
}

/// What a packet costs beside its bytes: IP, UDP and TURN's own headers, so that a flood of
/// small ones is one too.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// Bytes a second, and a second's worth at once.
pub struct ByteLimiter(TokenBucket);

impl ByteLimiter {
    /// A full one.
    fn new(bytes_per_second: NonZeroU32) -> Self {
        let second = f64::from(bytes_per_second.get());
        Self(TokenBucket::new(Quota::new(second, second)))
    }

    /// Whether a packet of these bytes is within it; they are spent then, with its headers.
    pub fn allows(&mut self, bytes: usize, now: Instant) -> bool {
        self.0.try_take(bytes + PACKET_OVERHEAD_BYTES, now)
    }
}

/// All allocations.
pub struct Allocations {
    /// By client.
    allocations: HashMap<FiveTuple, Allocation>,
    /// By the number of the relay address.
    by_port: HashMap<u16, FiveTuple>,
    /// The numbers left.
    ports: PortAllocator,
    /// How many there may be.
    limits: TurnLimits,
    /// Counts them by address.
    permits: Permits,
    /// Who may have any.
    sessions: CallSessions,
}

impl Allocations {
    /// An empty one.
    pub fn new(limits: TurnLimits) -> Self {
        // The codec's own range includes its end when it is made of one that does not.
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

    /// Somebody is in a call: whose credentials they get. Nothing where there are as many
    /// people in calls as there may be.
    pub fn start_session(&mut self, user: &str, room: &str, now: Instant) -> Option<CallSession> {
        self.sessions.start(user, room, now)
    }

    /// Whether the stay that credentials are for still lasts.
    pub fn is_active(&self, session: &CallSession) -> bool {
        self.sessions.is_active(session)
    }

    /// Makes an allocation. `taken` are addresses that must not become relay addresses.
    ///
    /// # Errors
    /// The user, the room, the address or the server has all it may; the client waits or goes elsewhere.
    pub fn allocate(
        &mut self,
        (client, writer): (FiveTuple, ClientWriter),
        owner: Owner,
        transaction: [u8; 12],
        (external, parity, taken): (IpAddr, Parity, &dyn Fn(SocketAddr) -> bool),
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
            .free_relay_address(external, parity, taken)
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

    /// The allocation of a client.
    pub fn by_client(&mut self, client: &FiveTuple, now: Instant) -> Option<&mut Allocation> {
        let found = self.allocations.get_mut(client);
        found.filter(|found| found.expires > now)
    }

    /// The allocation behind a relay address.
    pub fn by_relay_address(&mut self, relay: SocketAddr, now: Instant) -> Option<&mut Allocation> {
        let client = *self.by_port.get(&relay.port())?;
        self.by_client(&client, now)
            .filter(|found| found.relay == relay)
    }

    /// How many there are.
    pub fn count(&self, now: Instant) -> usize {
        let live = |found: &&Allocation| found.expires > now;
        self.allocations.values().filter(live).count()
    }

    /// Ends the allocation of a client.
    pub fn remove(&mut self, client: &FiveTuple) {
        self.remove_where(|found| found.client == *client);
    }

    /// Ends a user's stay in a room's call, and with it their allocations there.
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

    /// Forgets what has expired.
    pub fn sweep(&mut self, now: Instant) {
        self.remove_expired(now);
        for allocation in self.allocations.values_mut() {
            allocation.permissions.sweep(now);
        }
        let sessions = self.allocations.values().map(|found| &found.owner.session);
        let used: HashSet<&CallSession> = sessions.collect();
        self.sessions.sweep(now, |session| used.contains(session));
    }

    /// Forgets the allocations that have expired.
    fn remove_expired(&mut self, now: Instant) {
        self.remove_where(|found| found.expires <= now);
    }

    /// Ends allocations; their numbers are free again.
    fn remove_where(&mut self, ends: impl Fn(&Allocation) -> bool) {
        for (_, ended) in self.allocations.extract_if(|_, found| ends(found)) {
            self.by_port.remove(&ended.relay.port());
            self.ports.deallocate(ended.relay.port());
        }
    }

    /// Whether one more is within the limits.
    fn check_limits(&self, session: &CallSession) -> Result<(), Refusal> {
        let all = || self.allocations.values().map(|found| &found.owner.session);
        let of_user = all().filter(|other| other.user == session.user).count();
        let of_room = all().filter(|other| other.room == session.room).count();
        let left = self.limits.total.saturating_sub(self.allocations.len());
        // The last places are for those who have next to nothing.
        if left == 0
            || (left <= self.limits.reserved_for_small_rooms && of_room >= SMALL_ROOM_ALLOCATIONS)
        {
            return Err(Refusal::InsufficientCapacity);
        }
        let within = of_user < self.limits.per_user && of_room < self.limits.per_room;
        within.then_some(()).ok_or(Refusal::AllocationQuota)
    }

    /// An address nobody has. Numbers that are taken stay out of the pool for good; odd ones
    /// that came first where an even one is wanted go back, and there are at most as many of
    /// these as the range has.
    fn free_relay_address(
        &mut self,
        external: IpAddr,
        parity: Parity,
        taken: &dyn Fn(SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let mut passed_over = Vec::new();
        let found = loop {
            let Some(port) = self.ports.allocate(None) else {
                break None;
            };
            let address = SocketAddr::new(external, port);
            if parity == Parity::Even && port % 2 == 1 {
                passed_over.push(port);
            } else if !taken(address) {
                break Some(address);
            }
        };
        for port in passed_over {
            self.ports.deallocate(port);
        }
        found
    }
}

#[cfg(test)]
impl Allocations {
    /// Entries held, expired or not: allocations and numbers.
    pub fn entry_counts(&self) -> (usize, usize) {
        assert_eq!(self.ports.len(), self.by_port.len());
        (self.allocations.len(), self.by_port.len())
    }

    /// How many stays last.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }
}
