//! Handles the requests of authenticated clients: Allocate, Refresh, CreatePermission and
//! ChannelBind (RFC 8656 sections 7 to 12).

use super::{
    allocations::{Allocation, Allocations, Owner, Parity},
    client::{ClientWriter, FiveTuple},
    engine::Engine,
    frame::CHANNEL_NUMBERS,
    request::Request,
    response::Response,
    stats::Refusal,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use turn_server::codec::message::{
    attributes::{
        AttributeType, ChannelNumber, EvenPort, Lifetime, RequestedAddressFamily,
        RequestedTransport,
        address::{IpAddrExt, IpFamily},
    },
    methods::{Method, MethodType},
};

impl Engine {
    /// Handles an authenticated request; returns the success response.
    ///
    /// # Errors
    /// The refusal; the caller sends it as an error response.
    pub(super) fn handle_authenticated(
        &self,
        from: (&FiveTuple, &ClientWriter),
        owner: Owner,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Response, Refusal> {
        self.check_ownership(from.0, &owner, now)?;
        match request.method() {
            Method::Allocate(MethodType::Request) => self.allocate(from, owner, request, now),
            Method::Refresh(MethodType::Request) => self.refresh(from.0, request, now),
            Method::CreatePermission(MethodType::Request) => {
                self.create_permission(from.0, request, now)
            }
            Method::ChannelBind(MethodType::Request) => self.channel_bind(from.0, request, now),
            _ => Err(Refusal::BadRequest),
        }
    }

    /// Refuses the request if the client's allocation belongs to another username.
    fn check_ownership(
        &self,
        client: &FiveTuple,
        owner: &Owner,
        now: Instant,
    ) -> Result<(), Refusal> {
        let mut allocations = self.allocations();
        let Some(allocation) = allocations.by_client(client, now) else {
            return Ok(());
        };
        let same = allocation.owner.username == owner.username;
        same.then_some(()).ok_or(Refusal::WrongCredentials)
    }

    /// Allocate: assigns a relayed address to the client.
    fn allocate(
        &self,
        (client, writer): (&FiveTuple, &ClientWriter),
        owner: Owner,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Response, Refusal> {
        let mut allocations = self.allocations();
        if let Some(allocation) = allocations.by_client(client, now) {
            // Over UDP the response may be lost: a retransmission gets the same response.
            let again = allocation.transaction == request.transaction_id();
            let response = again.then(|| allocate_response(request, allocation, now));
            return response.ok_or(Refusal::AllocationMismatch);
        }
        check_transport(request)?;
        check_reservation_token(request)?;
        let external = self.external_address(request)?;
        let parity = parity(request)?;
        let is_taken = |address| self.local_peer.owns(address);
        let allocation = allocations.allocate(
            (*client, writer.clone()),
            owner,
            request.transaction_id(),
            (external, parity, &is_taken),
            now,
        )?;
        self.stats.count_allocation();
        Ok(allocate_response(request, allocation, now))
    }

    /// The external address of the requested family. The default family is IPv4 (RFC 8656
    /// section 7.2), or IPv6 if there is no external IPv4 address: browsers never send
    /// REQUESTED-ADDRESS-FAMILY and accept either family.
    fn external_address(&self, request: &Request<'_>) -> Result<IpAddr, Refusal> {
        let of_family = |family| self.external.of_family(family);
        let found = match request.has(AttributeType::RequestedAddressFamily) {
            true => request.get::<RequestedAddressFamily>().and_then(of_family),
            false => of_family(IpFamily::V4).or_else(|| of_family(IpFamily::V6)),
        };
        found.ok_or(Refusal::UnsupportedAddressFamily)
    }

    /// Refresh: starts the lifetime again, or ends the allocation if LIFETIME is 0.
    fn refresh(
        &self,
        client: &FiveTuple,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Response, Refusal> {
        let mut allocations = self.allocations();
        let allocation = allocations
            .by_client(client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        let family = request.get::<RequestedAddressFamily>();
        if request.has(AttributeType::RequestedAddressFamily)
            && family != Some(allocation.relay.ip().family())
        {
            return Err(Refusal::PeerFamilyMismatch);
        }
        let response = Response::success(request);
        if request.get::<Lifetime>() == Some(0) {
            allocations.remove(client);
            return Ok(with_lifetime(response, Duration::ZERO));
        }
        allocation.refresh(now);
        Ok(with_lifetime(response, allocation.remaining(now)))
    }

    /// CreatePermission: permits all peers of the request, or none.
    fn create_permission(
        &self,
        client: &FiveTuple,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Response, Refusal> {
        let peers = request.peers().map_err(|_| Refusal::BadRequest)?;
        if peers.is_empty() {
            return Err(Refusal::BadRequest);
        }
        let mut allocations = self.allocations();
        for peer in &peers {
            self.check_peer(&mut allocations, client, *peer, now)?;
        }
        let allocation = allocations
            .by_client(client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        allocation.permissions.permit(&peers, now)?;
        Ok(Response::success(request))
    }

    /// ChannelBind: binds a channel number to one peer.
    fn channel_bind(
        &self,
        client: &FiveTuple,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Response, Refusal> {
        let peers = request.peers().map_err(|_| Refusal::BadRequest)?;
        let [peer] = peers[..] else {
            return Err(Refusal::BadRequest);
        };
        let number = request.get::<ChannelNumber>();
        let number = number.filter(|number| CHANNEL_NUMBERS.contains(number));
        let number = number.ok_or(Refusal::BadRequest)?;
        let mut allocations = self.allocations();
        self.check_peer(&mut allocations, client, peer, now)?;
        let allocation = allocations
            .by_client(client, now)
            .ok_or(Refusal::AllocationMismatch)?;
        allocation.permissions.bind(number, peer, now)?;
        Ok(Response::success(request))
    }

    /// Refuses every peer except the SFU and the relayed addresses of other allocations. There is
    /// no list of forbidden addresses: this list of allowed ones is complete.
    fn check_peer(
        &self,
        allocations: &mut Allocations,
        client: &FiveTuple,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        let own = allocations
            .by_client(client, now)
            .ok_or(Refusal::AllocationMismatch)?
            .relay;
        if own.ip().family() != peer.ip().family() {
            return Err(Refusal::PeerFamilyMismatch);
        }
        let is_relay = peer != own && allocations.by_relay_address(peer, now).is_some();
        let allowed = is_relay || self.local_peer.owns(peer);
        allowed.then_some(()).ok_or(Refusal::Forbidden)
    }
}

/// Refuses every REQUESTED-TRANSPORT but UDP. TCP allocations (RFC 6062) are not supported.
fn check_transport(request: &Request<'_>) -> Result<(), Refusal> {
    if !request.has(AttributeType::RequestedTransport) {
        return Err(Refusal::BadRequest);
    }
    match request.get::<RequestedTransport>() {
        Some(RequestedTransport::Udp) => Ok(()),
        _ => Err(Refusal::UnsupportedTransport),
    }
}

/// Refuses RESERVATION-TOKEN: the server reserves no ports, so no token is valid (RFC 8656
/// section 7.2). With EVEN-PORT or an address family the request is malformed.
fn check_reservation_token(request: &Request<'_>) -> Result<(), Refusal> {
    if !request.has(AttributeType::ReservationToken) {
        return Ok(());
    }
    let conflicting = [
        AttributeType::EvenPort,
        AttributeType::RequestedAddressFamily,
        AttributeType::AdditionalAddressFamily,
    ];
    Err(
        match conflicting.into_iter().any(|kind| request.has(kind)) {
            true => Refusal::BadRequest,
            false => Refusal::InsufficientCapacity,
        },
    )
}

/// The parity that EVEN-PORT requests. Refuses its R bit, which reserves the next higher port for
/// another allocation (RFC 8656 section 7.2).
fn parity(request: &Request<'_>) -> Result<Parity, Refusal> {
    if !request.has(AttributeType::EvenPort) {
        return Ok(Parity::Any);
    }
    match request.get::<EvenPort>().ok_or(Refusal::BadRequest)? {
        true => Err(Refusal::InsufficientCapacity),
        false => Ok(Parity::Even),
    }
}

/// The success response to an Allocate request.
fn allocate_response(request: &Request<'_>, allocation: &Allocation, now: Instant) -> Response {
    let response = Response::success(request)
        .address(AttributeType::XorRelayedAddress, allocation.relay)
        .address(AttributeType::XorMappedAddress, allocation.client.source);
    with_lifetime(response, allocation.remaining(now))
}

/// Appends LIFETIME, in whole seconds.
fn with_lifetime(response: Response, left: Duration) -> Response {
    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
    response.attribute(AttributeType::Lifetime as u16, &seconds.to_be_bytes())
}
