//! Relays data: from a client to another client or to the SFU, and from the SFU to a client.
//!
//! The sender needs a permission or a channel for the receiver, and the receiver one for the
//! sender. A packet without both is dropped without a response.

use super::{
    allocations::{Allocation, Allocations, PACKET_OVERHEAD_BYTES},
    client::{ClientWriter, FiveTuple, Transport},
    engine::Engine,
    permissions::Encapsulation,
    request::Request,
    response::{channel_data, data_indication},
    stats::DropReason,
};
use crate::server::net::{Exhausted, RequestKind};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};
use turn_server::codec::message::attributes::{Data, XorPeerAddress};

/// The destination of a packet, looked up under the lock.
enum Destination {
    /// The client that owns the relayed address.
    Client(Recipient),
    /// The SFU, at this address.
    LocalPeer(SocketAddr),
}

/// A client that a packet is sent to.
struct Recipient {
    /// Sends frames to it.
    writer: ClientWriter,
    /// The transport of its frames.
    transport: Transport,
    /// The address of the client, which the bytes count under.
    address: IpAddr,
    /// The encapsulation of the packet.
    encapsulation: Encapsulation,
}

impl Engine {
    /// Relays the data of a Send indication.
    pub(super) fn forward_send_indication(
        &self,
        client: &FiveTuple,
        request: &Request<'_>,
        now: Instant,
    ) {
        let (Some(peer), Some(payload)) = (request.get::<XorPeerAddress>(), request.get::<Data>())
        else {
            return self.stats.count_dropped(DropReason::Malformed);
        };
        if !request.unknown_attributes().is_empty() {
            return self.stats.count_dropped(DropReason::Malformed);
        }
        let permitted =
            |found: &Allocation| found.permissions.encapsulation(peer, now).map(|_| peer);
        self.forward(client, permitted, payload, now);
    }

    /// Relays the payload of a ChannelData message.
    pub(super) fn forward_channel_data(
        &self,
        client: &FiveTuple,
        number: u16,
        payload: &[u8],
        now: Instant,
    ) {
        let bound = |found: &Allocation| found.permissions.channel_peer(number, now);
        self.forward(client, bound, payload, now);
    }

    /// Sends a packet of the SFU to the client of a relayed address; returns whether it was sent.
    pub(super) fn relay_media(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        now: Instant,
    ) -> bool {
        let recipient = find_recipient(&mut self.allocations(), from, to, payload, now);
        match recipient {
            Ok(recipient) => self.send_to_client(&recipient, from, payload),
            Err(reason) => {
                self.stats.count_dropped(reason);
                false
            }
        }
    }

    /// Relays a packet of a client to the peer that `peer` returns, or counts the drop.
    fn forward(
        &self,
        client: &FiveTuple,
        peer: impl Fn(&Allocation) -> Option<SocketAddr>,
        payload: &[u8],
        now: Instant,
    ) {
        let found = self.find_destination(client, peer, payload, now);
        let within = |found| self.charge(client.source.ip(), payload).map(|()| found);
        match found.and_then(within) {
            Ok((from, Destination::Client(recipient))) => {
                self.stats.count_received(client.transport, payload.len());
                self.send_to_client(&recipient, from, payload);
            }
            Ok((from, Destination::LocalPeer(to))) => {
                self.stats.count_received(client.transport, payload.len());
                self.local_peer.deliver(from, to, payload);
            }
            Err(reason) => self.stats.count_dropped(reason),
        }
    }

    /// Finds the destination of a client's packet, and the relayed address it comes from.
    fn find_destination(
        &self,
        client: &FiveTuple,
        peer: impl Fn(&Allocation) -> Option<SocketAddr>,
        payload: &[u8],
        now: Instant,
    ) -> Result<(SocketAddr, Destination), DropReason> {
        let mut allocations = self.allocations();
        let sender = allocations
            .by_client(client, now)
            .ok_or(DropReason::NoSenderPermission)?;
        let (from, to) = (
            sender.relay,
            peer(sender).ok_or(DropReason::NoSenderPermission)?,
        );
        if !sender.send_limiter.allows(payload.len(), now) {
            return Err(DropReason::Bandwidth);
        }
        // A permission can outlive the allocation of the peer, so each packet looks it up.
        let destination = match self.local_peer.owns(to) {
            true => Destination::LocalPeer(to),
            false => Destination::Client(find_recipient(&mut allocations, from, to, payload, now)?),
        };
        Ok((from, destination))
    }

    /// Takes the bytes of a packet from the rates of an address and of all together.
    fn charge(&self, address: IpAddr, payload: &[u8]) -> Result<(), DropReason> {
        let bytes = payload.len() + PACKET_OVERHEAD_BYTES;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let taken = self.rates.try_take(RequestKind::RelayBytes, address, bytes);
        taken.map_err(|limit| match limit {
            Exhausted::Address => DropReason::AddressBandwidth,
            Exhausted::Total => DropReason::TotalBandwidth,
        })
    }

    /// Sends a packet to a client; returns whether it was sent.
    fn send_to_client(&self, recipient: &Recipient, from: SocketAddr, payload: &[u8]) -> bool {
        if let Err(reason) = self.charge(recipient.address, payload) {
            self.stats.count_dropped(reason);
            return false;
        }
        let frame = match recipient.encapsulation {
            Encapsulation::Channel(number) => {
                channel_data(number, payload, recipient.transport.is_stream())
            }
            Encapsulation::Indication => data_indication(from, payload),
        };
        let sent = recipient.writer.send_or_count(frame, &self.stats);
        if sent {
            self.stats.count_sent(recipient.transport, payload.len());
        }
        sent
    }
}

/// Finds the client of the relayed address `to`, if it has a permission for `from`.
fn find_recipient(
    allocations: &mut Allocations,
    from: SocketAddr,
    to: SocketAddr,
    payload: &[u8],
    now: Instant,
) -> Result<Recipient, DropReason> {
    let found = allocations
        .by_relay_address(to, now)
        .ok_or(DropReason::NoReceiverPermission)?;
    let encapsulation = found
        .permissions
        .encapsulation(from, now)
        .ok_or(DropReason::NoReceiverPermission)?;
    if !found.receive_limiter.allows(payload.len(), now) {
        return Err(DropReason::Bandwidth);
    }
    Ok(Recipient {
        writer: found.writer.clone(),
        transport: found.client.transport,
        address: found.client.source.ip(),
        encapsulation,
    })
}
