//! The server without its sockets: it receives frames, checks credentials and returns responses.
//!
//! Sans-IO except for relayed packets. A listener passes a frame with its time of arrival and
//! receives the response. The lock is held for look-ups only, never while a packet is sent or
//! delivered to the SFU. [`super::methods`] answers requests, [`super::forward`] relays data.

use super::{
    allocations::{Allocations, Owner},
    client::{ClientWriter, FiveTuple},
    credentials::{Credentials, Secret, parse_username},
    external::ExternalAddresses,
    frame::{self, Frame, Malformed},
    local_peer::LocalPeer,
    nonce::Nonces,
    options::{TurnOptions, UNAUTHENTICATED_RATE},
    request::Request,
    response::Response,
    stats::{Counters, DropReason, Refusal},
};
use crate::server::net::{AddressRateLimiter, RequestRateLimiter};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};
use turn_server::codec::{
    Attributes,
    message::{
        attributes::{AttributeType, MessageIntegrity, Nonce, Realm, UserName},
        methods::{Method, MethodType},
    },
};

/// Bytes of the smallest first request of a client: Allocate with REQUESTED-TRANSPORT. A
/// shorter one gets no challenge.
const MIN_CHALLENGED_BYTES: usize = frame::HEADER_BYTES + 8;

/// The time of arrival on two clocks. Lifetimes follow the monotonic clock, the expiry of
/// credentials follows the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct ArrivalTime {
    /// The monotonic clock.
    pub instant: Instant,
    /// The wall clock.
    pub wall: SystemTime,
}

impl ArrivalTime {
    /// Reads both clocks.
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}

/// The server without its sockets.
pub struct Engine {
    /// The key of the credentials.
    pub secret: Secret,
    /// Counts traffic, refusals and drops since the start.
    pub stats: Counters,
    /// The addresses of this machine that relayed addresses are made of.
    pub external: ExternalAddresses,
    /// Limits the bytes that are relayed, for each address and in all.
    pub(super) rates: Arc<RequestRateLimiter>,
    /// The SFU of this process, the only peer that is not a client.
    pub(super) local_peer: Arc<dyn LocalPeer>,
    /// The realm of the credentials.
    realm: String,
    /// Issues and verifies nonces.
    nonces: Nonces,
    /// Limits the responses to unauthenticated requests, for each address.
    unauthenticated_limiter: AddressRateLimiter,
    /// The state of all clients; see [`Self::allocations`].
    allocations: Mutex<Allocations>,
}

impl Engine {
    /// A server without allocations.
    pub fn new(options: &TurnOptions, local_peer: Arc<dyn LocalPeer>, now: Instant) -> Self {
        Self {
            secret: Secret::random(),
            stats: Counters::default(),
            external: ExternalAddresses::new(options.external.clone()),
            rates: options.rates.clone(),
            local_peer,
            realm: options.realm.clone(),
            nonces: Nonces::new(now),
            unauthenticated_limiter: AddressRateLimiter::new(UNAUTHENTICATED_RATE),
            allocations: Mutex::new(Allocations::new(options.limits)),
        }
    }

    /// Issues credentials to a user in a room's call. Returns `None` if the table of call sessions
    /// is full.
    pub fn credentials(&self, user: &str, room: &str, now: ArrivalTime) -> Option<Credentials> {
        let session = self.allocations().start_session(user, room, now.instant)?;
        Some(self.secret.credentials(&session, now.wall))
    }

    /// Handles a frame; returns the response to send, if any.
    ///
    /// # Errors
    /// The bytes are no frame. The caller closes a stream; a datagram is dropped.
    pub fn on_frame(
        &self,
        (client, writer): (&FiveTuple, &ClientWriter),
        bytes: &[u8],
        now: ArrivalTime,
    ) -> Result<Option<Bytes>, Malformed> {
        match frame::parse(bytes) {
            Ok(Frame::Channel { number, payload }) => {
                self.forward_channel_data(client, number, payload, now.instant);
                Ok(None)
            }
            Ok(Frame::Stun(message)) => Ok(self.on_message((client, writer), message, now)),
            Err(malformed) => {
                self.stats.count_dropped(DropReason::Malformed);
                Err(malformed)
            }
        }
    }

    /// Handles a STUN message.
    fn on_message(
        &self,
        from: (&FiveTuple, &ClientWriter),
        message: &[u8],
        now: ArrivalTime,
    ) -> Option<Bytes> {
        let mut attributes = Attributes::default();
        let request = Request::decode(message, &mut attributes)?;
        match request.method() {
            Method::Binding(MethodType::Request) => self.on_binding(from.0, &request),
            Method::SendIndication => {
                self.forward_send_indication(from.0, &request, now.instant);
                None
            }
            Method::Allocate(MethodType::Request)
            | Method::Refresh(MethodType::Request)
            | Method::CreatePermission(MethodType::Request)
            | Method::ChannelBind(MethodType::Request) => {
                self.on_authenticated_request(from, &request, now)
            }
            _ => None,
        }
    }

    /// Binding: responds with the reflexive address of the client.
    fn on_binding(&self, client: &FiveTuple, request: &Request<'_>) -> Option<Bytes> {
        let unknown = request.unknown_attributes();
        if !unknown.is_empty() {
            self.stats.count_refusal(Refusal::UnknownAttribute);
            let response = Response::refusal(request, Refusal::UnknownAttribute);
            return self.limit_unauthenticated(client, response.unknown_attributes(&unknown));
        }
        let mapped = AttributeType::XorMappedAddress;
        self.limit_unauthenticated(
            client,
            Response::success(request).address(mapped, client.source),
        )
    }

    /// Handles a request that needs credentials.
    fn on_authenticated_request(
        &self,
        from: (&FiveTuple, &ClientWriter),
        request: &Request<'_>,
        now: ArrivalTime,
    ) -> Option<Bytes> {
        let owner = match self.authenticate(from.0, request, now) {
            Ok(owner) => owner,
            Err(why) => return self.refuse_unauthenticated(from.0, request, why, now.instant),
        };
        let unknown = request.unknown_attributes();
        let response = match unknown.is_empty() {
            true => self.handle_authenticated(from, owner.clone(), request, now.instant),
            false => Err(Refusal::UnknownAttribute),
        };
        let response = response.unwrap_or_else(|why| {
            self.stats.count_refusal(why);
            let response = Response::refusal(request, why);
            match why {
                Refusal::UnknownAttribute => response.unknown_attributes(&unknown),
                _ => response,
            }
        });
        Some(response.signed(&owner.key))
    }

    /// Authenticates a request by long-term credentials (RFC 8489 section 9.2.4).
    ///
    /// The username of an existing allocation stays valid beyond its expiry, because a browser uses
    /// one username for the lifetime of the allocation. The call session bounds that lifetime.
    fn authenticate(
        &self,
        client: &FiveTuple,
        request: &Request<'_>,
        now: ArrivalTime,
    ) -> Result<Owner, Refusal> {
        if request.get::<MessageIntegrity>().is_none() {
            // A challenge is larger than a short request and would amplify the traffic of an
            // attacker. Clients begin with an Allocate request, which is never that short.
            let is_challenged = request.size() >= MIN_CHALLENGED_BYTES;
            return Err(if is_challenged {
                Refusal::Unauthorized
            } else {
                Refusal::BadRequest
            });
        }
        let username = request.get::<UserName>().ok_or(Refusal::BadRequest)?;
        let realm = request.get::<Realm>().ok_or(Refusal::BadRequest)?;
        let nonce = request.get::<Nonce>().ok_or(Refusal::BadRequest)?;
        if !self.nonces.verify(client, nonce, now.instant) {
            return Err(Refusal::StaleNonce);
        }
        let owner = self.owner_of_allocation(client, username, now.instant);
        let owner = owner.or_else(|| self.owner_of_credentials(username, now.wall));
        let authenticated =
            owner.filter(|owner| realm == self.realm && request.verify_integrity(&owner.key));
        authenticated.ok_or(Refusal::Unauthorized)
    }

    /// The owner of the client's allocation, if the username is that of the owner.
    fn owner_of_allocation(
        &self,
        client: &FiveTuple,
        username: &str,
        now: Instant,
    ) -> Option<Owner> {
        let mut allocations = self.allocations();
        let owner = &allocations.by_client(client, now)?.owner;
        (owner.username == username).then(|| owner.clone())
    }

    /// The owner that a username names, if its call session is active. The caller still checks
    /// MESSAGE-INTEGRITY.
    fn owner_of_credentials(&self, username: &str, now: SystemTime) -> Option<Owner> {
        let session = parse_username(username, now)?;
        let is_active = self.allocations().is_active(&session);
        is_active.then(|| Owner {
            username: username.to_owned(),
            session,
            key: self.secret.key(username, &self.realm),
        })
    }

    /// Refuses an unauthenticated request, with the realm and a nonce for the next attempt.
    fn refuse_unauthenticated(
        &self,
        client: &FiveTuple,
        request: &Request<'_>,
        why: Refusal,
        now: Instant,
    ) -> Option<Bytes> {
        self.stats.count_refusal(why);
        let response = Response::refusal(request, why);
        let response = match why {
            Refusal::BadRequest => response,
            _ => response
                .attribute(AttributeType::Realm as u16, self.realm.as_bytes())
                .attribute(
                    AttributeType::Nonce as u16,
                    self.nonces.issue(client, now).as_bytes(),
                ),
        };
        self.limit_unauthenticated(client, response)
    }

    /// Responds to an unauthenticated client, unless its address is over the limit.
    fn limit_unauthenticated(&self, client: &FiveTuple, response: Response) -> Option<Bytes> {
        if !self.unauthenticated_limiter.allow(client.source.ip()) {
            self.stats.count_dropped(DropReason::UnauthenticatedRate);
            return None;
        }
        Some(response.unsigned())
    }

    /// Locks the allocations. A poisoned lock stays in use, because no operation leaves the
    /// allocations inconsistent.
    pub(super) fn allocations(&self) -> MutexGuard<'_, Allocations> {
        self.allocations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
