//! Whom one allocation exchanges packets with: its permissions and channels.
//!
//! Stricter than RFC 8656, which permits a whole IP address: here a permission is for one
//! address and port. Ours share a few addresses among everybody, so an IP says nothing.

use super::{
    options::{CHANNEL_LIVES, PEERS, PERMISSION_LIVES},
    stats::Refusal,
};
use std::{collections::HashMap, net::SocketAddr, time::Instant};

/// How a packet from a peer reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In a Data indication.
    Indication,
    /// On this channel.
    Channel(u16),
}

/// One peer.
struct Peer {
    /// The permission ends here.
    permitted_until: Instant,
    /// Its channel, and when that ends.
    channel: Option<(u16, Instant)>,
}

impl Peer {
    /// When the last of it ends.
    fn ends(&self) -> Instant {
        let channel = self.channel.map(|(_, until)| until);
        channel.map_or(self.permitted_until, |until| {
            until.max(self.permitted_until)
        })
    }
}

/// The peers of one allocation, [`PEERS`] at most.
#[derive(Default)]
pub struct Peers {
    /// By address.
    by_address: HashMap<SocketAddr, Peer>,
    /// By channel: the address.
    by_channel: HashMap<u16, SocketAddr>,
}

impl Peers {
    /// Permits peers, or renews their permissions: all or none.
    ///
    /// # Errors
    /// Too many; the client waits until some end.
    pub fn permit(&mut self, peers: &[SocketAddr], now: Instant) -> Result<(), Refusal> {
        self.sweep(now);
        let mut new: Vec<_> = peers
            .iter()
            .filter(|p| !self.by_address.contains_key(p))
            .collect();
        new.sort_unstable();
        new.dedup();
        if self.by_address.len() + new.len() > PEERS {
            return Err(Refusal::Capacity);
        }
        let permitted_until = now + PERMISSION_LIVES;
        for peer in peers {
            let place = self.by_address.entry(*peer).or_insert(Peer {
                permitted_until,
                channel: None,
            });
            place.permitted_until = permitted_until;
        }
        Ok(())
    }

    /// Binds a channel to a peer and permits it, or renews both.
    ///
    /// # Errors
    /// The channel has another peer or the peer another channel: 400. Too many: 508.
    pub fn bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> Result<(), Refusal> {
        self.sweep(now);
        let others = self
            .by_channel
            .get(&number)
            .is_some_and(|other| *other != peer);
        let bound = self.by_address.get(&peer).and_then(|peer| peer.channel);
        if others || bound.is_some_and(|(other, _)| other != number) {
            return Err(Refusal::BadRequest);
        }
        self.permit(&[peer], now)?;
        self.by_channel.insert(number, peer);
        if let Some(place) = self.by_address.get_mut(&peer) {
            place.channel = Some((number, now + CHANNEL_LIVES));
        }
        Ok(())
    }

    /// The peer a channel is bound to.
    pub fn on_channel(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let address = self.by_channel.get(&number)?;
        let (_, until) = self.by_address.get(address)?.channel?;
        (until > now).then_some(*address)
    }

    /// How packets from this peer come, if they are permitted at all.
    pub fn form(&self, peer: SocketAddr, now: Instant) -> Option<Form> {
        let peer = self.by_address.get(&peer)?;
        let channel = peer.channel.filter(|(_, until)| *until > now);
        let form = channel.map_or(Form::Indication, |(number, _)| Form::Channel(number));
        (peer.permitted_until > now).then_some(form)
    }

    /// Forgets what has ended.
    pub fn sweep(&mut self, now: Instant) {
        let by_channel = &mut self.by_channel;
        self.by_address.retain(|_, peer| {
            if let Some((number, until)) = peer.channel
                && until <= now
            {
                by_channel.remove(&number);
                peer.channel = None;
            }
            peer.ends() > now
        });
    }
}
