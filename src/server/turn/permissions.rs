//! The permissions and channels of one allocation (RFC 8656 sections 9 and 12).
//!
//! A permission of the RFC covers an IP address. Here a permission covers one address and port,
//! because all relayed addresses of this server share a few IP addresses.

use super::{
    options::{CHANNEL_LIFETIME, MAX_PEERS, PERMISSION_LIFETIME},
    stats::Refusal,
};
use std::{collections::HashMap, net::SocketAddr, time::Instant};

/// How a packet of a peer is sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// In a Data indication.
    Indication,
    /// As ChannelData on this channel.
    Channel(u16),
}

/// The permission of one peer.
struct Permission {
    /// The end of the permission.
    expires_at: Instant,
    /// The channel bound to the peer, and the end of that binding.
    channel: Option<(u16, Instant)>,
}

impl Permission {
    /// The later end of permission and channel.
    fn expires(&self) -> Instant {
        let channel = self.channel.map(|(_, until)| until);
        channel.map_or(self.expires_at, |until| until.max(self.expires_at))
    }
}

/// The permissions of one allocation, [`MAX_PEERS`] at most.
#[derive(Default)]
pub struct Permissions {
    /// The permissions, by the address of the peer.
    by_address: HashMap<SocketAddr, Permission>,
    /// The peers, by the number of their channel.
    by_channel: HashMap<u16, SocketAddr>,
}

impl Permissions {
    /// Installs or refreshes all of these permissions, or none of them.
    ///
    /// # Errors
    /// The permissions would exceed [`MAX_PEERS`]; the client waits until some expire.
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

    /// Binds a channel to a peer and permits the peer, or refreshes both.
    ///
    /// # Errors
    /// 400 if the channel has another peer or the peer another channel; 508 beyond [`MAX_PEERS`].
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

    /// The encapsulation of packets of this peer; `None` without a permission.
    pub fn encapsulation(&self, peer: SocketAddr, now: Instant) -> Option<Encapsulation> {
        let peer = self.by_address.get(&peer)?;
        let channel = peer.channel.filter(|(_, until)| *until > now);
        let form = channel.map_or(Encapsulation::Indication, |(number, _)| {
            Encapsulation::Channel(number)
        });
        (peer.expires_at > now).then_some(form)
    }

    /// Removes expired channels and permissions.
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
