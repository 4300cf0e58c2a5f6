//! The four requests of a client that proved who it is.

use super::{
    allocations::{Allocation, Owner, Parity, Table},
    client::{Client, Path},
    engine::Engine,
    frame::CHANNELS,
    request::Request,
    response::Answer,
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
    methods::{Method, MethodType::Request as Asked},
};

impl Engine {
    /// Does what is asked.
    ///
    /// # Errors
    /// The refusal the client is answered with.
    pub(super) fn ask(
        &self,
        from: (&Client, &Path),
        owner: Owner,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        self.check_owner(from.0, &owner, now)?;
        match request.method() {
            Method::Allocate(Asked) => self.allocate(from, owner, request, now),
            Method::Refresh(Asked) => self.refresh(from.0, request, now),
            Method::CreatePermission(Asked) => self.create_permission(from.0, request, now),
            Method::ChannelBind(Asked) => self.channel_bind(from.0, request, now),
            _ => Err(Refusal::BadRequest),
        }
    }

    /// Whether the client's allocation, if it has one, belongs to whoever asks.
    fn check_owner(&self, client: &Client, owner: &Owner, now: Instant) -> Result<(), Refusal> {
        let mut table = self.table();
        let Some(allocation) = table.of(client, now) else {
            return Ok(());
        };
        let same = allocation.owner.username == owner.username;
        same.then_some(()).ok_or(Refusal::WrongCredentials)
    }

    /// Allocate: a relay address for whoever asks.
    fn allocate(
        &self,
        (client, path): (&Client, &Path),
        owner: Owner,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        let mut table = self.table();
        if let Some(allocation) = table.of(client, now) {
            // Over UDP the first answer may have been lost: the same question has the same one.
            let again = allocation.transaction == request.transaction();
            let answer = again.then(|| allocated(request, allocation, now));
            return answer.ok_or(Refusal::Mismatch);
        }
        check_transport(request)?;
        check_reservation(request)?;
        let external = self.external_for(request)?;
        let parity = parity(request)?;
        let taken = |address| self.media.owns(address);
        let allocation = table.allocate(
            (*client, path.clone()),
            owner,
            request.transaction(),
            (external, parity, &taken),
            now,
        )?;
        self.stats.allocated();
        Ok(allocated(request, allocation, now))
    }

    /// The address of the family asked for. Where none is, IPv4 (RFC 8656, section 7.2), and on
    /// a machine without IPv4 the IPv6 one: browsers never name a family, and read it from the
    /// relay address.
    fn external_for(&self, request: &Request<'_>) -> Result<IpAddr, Refusal> {
        let of_family = |family| self.external.of_family(family);
        let found = match request.has(AttributeType::RequestedAddressFamily) {
            true => request.get::<RequestedAddressFamily>().and_then(of_family),
            false => of_family(IpFamily::V4).or_else(|| of_family(IpFamily::V6)),
        };
        found.ok_or(Refusal::Family)
    }

    /// Refresh: it lives on, or ends now.
    fn refresh(
        &self,
        client: &Client,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        let mut table = self.table();
        let allocation = table.of(client, now).ok_or(Refusal::Mismatch)?;
        let family = request.get::<RequestedAddressFamily>();
        if request.has(AttributeType::RequestedAddressFamily)
            && family != Some(allocation.relay.ip().family())
        {
            return Err(Refusal::PeerFamily);
        }
        let answer = Answer::success(request);
        if request.get::<Lifetime>() == Some(0) {
            table.remove(client);
            return Ok(lifetime(answer, Duration::ZERO));
        }
        allocation.renew(now);
        Ok(lifetime(answer, allocation.remaining(now)))
    }

    /// CreatePermission: all the peers named, or none.
    fn create_permission(
        &self,
        client: &Client,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        let peers = request.peers().map_err(|_| Refusal::BadRequest)?;
        if peers.is_empty() {
            return Err(Refusal::BadRequest);
        }
        let mut table = self.table();
        for peer in &peers {
            self.check_peer(&mut table, client, *peer, now)?;
        }
        let allocation = table.of(client, now).ok_or(Refusal::Mismatch)?;
        allocation.peers.permit(&peers, now)?;
        Ok(Answer::success(request))
    }

    /// ChannelBind: a short way to one peer.
    fn channel_bind(
        &self,
        client: &Client,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        let peers = request.peers().map_err(|_| Refusal::BadRequest)?;
        let [peer] = peers[..] else {
            return Err(Refusal::BadRequest);
        };
        let number = request.get::<ChannelNumber>();
        let number = number.filter(|number| CHANNELS.contains(number));
        let number = number.ok_or(Refusal::BadRequest)?;
        let mut table = self.table();
        self.check_peer(&mut table, client, peer, now)?;
        let allocation = table.of(client, now).ok_or(Refusal::Mismatch)?;
        allocation.peers.bind(number, peer, now)?;
        Ok(Answer::success(request))
    }

    /// The whole rule about peers: somebody else's live relay address, or the SFU. There is no
    /// list of what is forbidden, because everything else is.
    fn check_peer(
        &self,
        table: &mut Table,
        client: &Client,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        let own = table.of(client, now).ok_or(Refusal::Mismatch)?.relay;
        if own.ip().family() != peer.ip().family() {
            return Err(Refusal::PeerFamily);
        }
        let others = peer != own && table.at(peer, now).is_some();
        let allowed = others || self.media.owns(peer);
        allowed.then_some(()).ok_or(Refusal::Forbidden)
    }
}

/// Only UDP is relayed: no TCP allocations (RFC 6062), nor anything else.
fn check_transport(request: &Request<'_>) -> Result<(), Refusal> {
    if !request.has(AttributeType::RequestedTransport) {
        return Err(Refusal::BadRequest);
    }
    match request.get::<RequestedTransport>() {
        Some(RequestedTransport::Udp) => Ok(()),
        _ => Err(Refusal::Transport),
    }
}

/// Refuses a port that was reserved by an earlier request: none ever is, so no token is valid
/// (RFC 8656, section 7.2, point 7). One beside EVEN-PORT or a family contradicts itself.
fn check_reservation(request: &Request<'_>) -> Result<(), Refusal> {
    if !request.has(AttributeType::ReservationToken) {
        return Ok(());
    }
    let others = [
        AttributeType::EvenPort,
        AttributeType::RequestedAddressFamily,
        AttributeType::AdditionalAddressFamily,
    ];
    Err(match others.into_iter().any(|kind| request.has(kind)) {
        true => Refusal::BadRequest,
        false => Refusal::Capacity,
    })
}

/// Which port is asked for. An even one can be met; the next one beside it, kept for a second
/// allocation, cannot (RFC 8656, section 7.2, point 9).
fn parity(request: &Request<'_>) -> Result<Parity, Refusal> {
    if !request.has(AttributeType::EvenPort) {
        return Ok(Parity::Any);
    }
    match request.get::<EvenPort>().ok_or(Refusal::BadRequest)? {
        true => Err(Refusal::Capacity),
        false => Ok(Parity::Even),
    }
}

/// What an allocation is answered with.
fn allocated(request: &Request<'_>, allocation: &Allocation, now: Instant) -> Answer {
    let answer = Answer::success(request)
        .address(AttributeType::XorRelayedAddress, allocation.relay)
        .address(AttributeType::XorMappedAddress, allocation.client.source);
    lifetime(answer, allocation.remaining(now))
}

/// With what is left of a life.
fn lifetime(answer: Answer, left: Duration) -> Answer {
    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
    answer.attribute(AttributeType::Lifetime as u16, &seconds.to_be_bytes())
}
