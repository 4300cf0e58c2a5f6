//! Whom one allocation exchanges packets with: its permissions and channels.
//!
//! Stricter than RFC 8656, which permits a whole IP address: here a permission is for one
//! address and port. Ours share a few addresses among everybody, so an IP says nothing.

use super::{
    options::{CHANNEL_LIFETIME, MAX_PEERS, PERMISSION_LIFETIME},
    stats::Refusal,
};
use std::{collections::HashMap, net::SocketAddr, time::Instant};

/// How a packet from a peer reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// In a Data indication.
    Indication,
    /// On this channel.
    Channel(u16),
}

/// One peer.
struct Permission {
    /// The permission ends here.
    expires_at: Instant,
    /// Its channel, and when that ends.
    channel: Option<(u16, Instant)>,
}

impl Permission {
    /// When the last of it ends.
    fn expires(&self) -> Instant {
        let channel = self.channel.map(|(_, until)| until);
        channel.map_or(self.expires_at, |until| until.max(self.expires_at))
    }
}

/// The peers of one allocation, [`MAX_PEERS`] at most.
#[derive(Default)]
pub struct Permissions {
    /// By address.
    by_address: HashMap<SocketAddr, Permission>,
    /// By channel: the address.
    by_channel: HashMap<u16, SocketAddr>,
}

impl Permissions {
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
        if self.by_address.len() + new.len() > MAX_PEERS {
            return Err(Refusal::InsufficientCapacity);
        }
        let expires_at = now + PERMISSION_LIFETIME;
        for peer in peers {
            let permission = self.by_address.entry(*peer).or_insert(Permission {
                expires_at,
                channel: None,
            });
            permission.expires_at = expires_at;
        }
        Ok(())
    }

    /// Binds a channel to a peer and permits it, or renews both.
    ///
    /// # Errors
    /// The channel has another peer or the peer another channel: 400. Too many: 508.
    pub fn bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> Result<(), Refusal> {
        self.sweep(now);
        let bound_elsewhere = self
            .by_channel
            .get(&number)
            .is_some_and(|other| *other != peer);
        let bound = self.by_address.get(&peer).and_then(|peer| peer.channel);
        if bound_elsewhere || bound.is_some_and(|(other, _)| other != number) {
            return Err(Refusal::BadRequest);
        }
        self.permit(&[peer], now)?;
        self.by_channel.insert(number, peer);
        if let Some(permission) = self.by_address.get_mut(&peer) {
            permission.channel = Some((number, now + CHANNEL_LIFETIME));
        }
        Ok(())
    }

    /// The peer a channel is bound to.
    pub fn channel_peer(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let address = self.by_channel.get(&number)?;
        let (_, until) = self.by_address.get(address)?.channel?;
        (until > now).then_some(*address)
    }

    /// How packets from this peer come, if they are permitted at all.
    pub fn encapsulation(&self, peer: SocketAddr, now: Instant) -> Option<Encapsulation> {
        let peer = self.by_address.get(&peer)?;
        let channel = peer.channel.filter(|(_, until)| *until > now);
        let form = channel.map_or(Encapsulation::Indication, |(number, _)| {
            Encapsulation::Channel(number)
        });
        (peer.expires_at > now).then_some(form)
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
            peer.expires() > now
        });
    }
}
