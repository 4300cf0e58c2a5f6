//! Packets on their way: from a client to another, to the SFU and back.
//!
//! The sender needs a permission or channel for the receiver, the receiver one for the sender:
//! nobody gets what they did not ask for. Whoever may not is not told.

use super::{
    allocations::{Allocation, Allocations},
    client::{ClientWriter, FiveTuple, Transport},
    engine::Engine,
    permissions::Encapsulation,
    request::Request,
    response::{channel_data, data_indication},
    stats::DropReason,
};
use std::{net::SocketAddr, time::Instant};
use turn_server::codec::message::attributes::{Data, XorPeerAddress};

/// Where a packet goes, found while the table was held.
enum Destination {
    /// To a client.
    Client(Recipient),
    /// To the SFU.
    LocalPeer(SocketAddr),
}

/// A client about to get a packet.
struct Recipient {
    /// The way to it.
    writer: ClientWriter,
    /// What carries it.
    transport: Transport,
    /// How it wants it.
    encapsulation: Encapsulation,
}

impl Engine {
    /// A Send indication.
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
        if !request.unknown().is_empty() {
            return self.stats.count_dropped(DropReason::Malformed);
        }
        let permitted =
            |found: &Allocation| found.permissions.encapsulation(peer, now).map(|_| peer);
        self.forward(client, permitted, payload, now);
    }

    /// ChannelData.
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

    /// A packet of the SFU for the client behind a relay address; answers whether it was sent.
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

    /// Passes a client's packet on to the peer `peer` names, or loses it.
    fn forward(
        &self,
        client: &FiveTuple,
        peer: impl Fn(&Allocation) -> Option<SocketAddr>,
        payload: &[u8],
        now: Instant,
    ) {
        let found = self.find_destination(client, peer, payload, now);
        match found {
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

    /// Finds where a client's packet goes, and the relay address it comes from.
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
        // A permission outlives the peer's allocation, so it is looked for at every packet.
        let destination = match self.local_peer.owns(to) {
            true => Destination::LocalPeer(to),
            false => Destination::Client(find_recipient(&mut allocations, from, to, payload, now)?),
        };
        Ok((from, destination))
    }

    /// Gives a client a packet in the form it wants.
    fn send_to_client(&self, recipient: &Recipient, from: SocketAddr, payload: &[u8]) -> bool {
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

/// The client behind a relay address, if it wants packets from there.
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
        encapsulation,
    })
}
