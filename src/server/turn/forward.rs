//! Packets on their way: from a client to another, to the SFU and back.
//!
//! The sender needs a permission or channel for the receiver, the receiver one for the sender:
//! nobody gets what they did not ask for. Whoever may not is not told.

use super::{
    allocations::{Allocation, Table},
    client::{Client, Path, Transport},
    engine::Engine,
    permissions::Form,
    request::Request,
    response::{channel_data, data_indication},
    stats::Loss,
};
use std::{net::SocketAddr, time::Instant};
use turn_server::codec::message::attributes::{Data, XorPeerAddress};

/// Where a packet goes, found while the table was held.
enum Way {
    /// To a client.
    Client(Receiver),
    /// To the SFU.
    Media(SocketAddr),
}

/// A client about to get a packet.
struct Receiver {
    /// The way to it.
    path: Path,
    /// What carries it.
    transport: Transport,
    /// How it wants it.
    form: Form,
}

impl Engine {
    /// A Send indication.
    pub(super) fn forward_indication(&self, client: &Client, request: &Request<'_>, now: Instant) {
        let (Some(peer), Some(payload)) = (request.get::<XorPeerAddress>(), request.get::<Data>())
        else {
            return self.stats.lost(Loss::Malformed);
        };
        if !request.unknown().is_empty() {
            return self.stats.lost(Loss::Malformed);
        }
        let permitted = |found: &Allocation| found.peers.form(peer, now).map(|_| peer);
        self.forward(client, permitted, payload, now);
    }

    /// ChannelData.
    pub(super) fn forward_channel(
        &self,
        client: &Client,
        number: u16,
        payload: &[u8],
        now: Instant,
    ) {
        let bound = |found: &Allocation| found.peers.on_channel(number, now);
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
        let receiver = receiver(&mut self.table(), from, to, payload, now);
        match receiver {
            Ok(receiver) => self.give(&receiver, from, payload),
            Err(loss) => {
                self.stats.lost(loss);
                false
            }
        }
    }

    /// Passes a client's packet on to the peer `peer` names, or loses it.
    fn forward(
        &self,
        client: &Client,
        peer: impl Fn(&Allocation) -> Option<SocketAddr>,
        payload: &[u8],
        now: Instant,
    ) {
        let found = self.find_way(client, peer, payload, now);
        match found {
            Ok((from, Way::Client(receiver))) => {
                self.stats.came(client.transport, payload.len());
                self.give(&receiver, from, payload);
            }
            Ok((from, Way::Media(to))) => {
                self.stats.came(client.transport, payload.len());
                self.media.deliver(from, to, payload);
            }
            Err(loss) => self.stats.lost(loss),
        }
    }

    /// Finds where a client's packet goes, and the relay address it comes from.
    fn find_way(
        &self,
        client: &Client,
        peer: impl Fn(&Allocation) -> Option<SocketAddr>,
        payload: &[u8],
        now: Instant,
    ) -> Result<(SocketAddr, Way), Loss> {
        let mut table = self.table();
        let sender = table.of(client, now).ok_or(Loss::NotAllowed)?;
        let (from, to) = (sender.relay, peer(sender).ok_or(Loss::NotAllowed)?);
        if !sender.sends.allows(payload.len()) {
            return Err(Loss::Bandwidth);
        }
        // A permission outlives the peer's allocation, so it is looked for at every packet.
        let way = match self.media.owns(to) {
            true => Way::Media(to),
            false => Way::Client(receiver(&mut table, from, to, payload, now)?),
        };
        Ok((from, way))
    }

    /// Gives a client a packet in the form it wants.
    fn give(&self, receiver: &Receiver, from: SocketAddr, payload: &[u8]) -> bool {
        let frame = match receiver.form {
            Form::Channel(number) => channel_data(number, payload, receiver.transport.is_stream()),
            Form::Indication => data_indication(from, payload),
        };
        let sent = receiver.path.send_counted(frame, &self.stats);
        if sent {
            self.stats.went(receiver.transport, payload.len());
        }
        sent
    }
}

/// The client behind a relay address, if it wants packets from there.
fn receiver(
    table: &mut Table,
    from: SocketAddr,
    to: SocketAddr,
    payload: &[u8],
    now: Instant,
) -> Result<Receiver, Loss> {
    let found = table.at(to, now).ok_or(Loss::NotWanted)?;
    let form = found.peers.form(from, now).ok_or(Loss::NotWanted)?;
    if !found.receives.allows(payload.len()) {
        return Err(Loss::Bandwidth);
    }
    Ok(Receiver {
        path: found.path.clone(),
        transport: found.client.transport,
        form,
    })
}
