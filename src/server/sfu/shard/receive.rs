//! Datagrams that come in: whose each is, and what it says of the way it came.

use super::core::{Core, guarded};
use crate::server::metrics::IcePath;
use crate::server::sfu::{ingress::demux::is_stun, transport::path::NetworkPath};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};
use str0m::{
    Input,
    ice::StunMessage,
    net::{Protocol, Receive},
};

/// A datagram that has come in.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedDatagram<'a> {
    /// How.
    pub proto: Protocol,
    /// Whether it came through our own TURN server.
    pub is_relayed: bool,
    /// From where.
    pub source: SocketAddr,
    /// At which address of this machine, where the system says so.
    pub local_ip: Option<IpAddr>,
    /// What.
    pub bytes: &'a [u8],
}

impl Core {
    /// Takes in a datagram. One of a stranger is dropped.
    pub fn receive(&mut self, datagram: ReceivedDatagram<'_>, now: Instant) {
        self.metrics
            .received_bytes
            .inc_by(datagram.bytes.len() as u64);
        self.metrics.received_datagrams.inc();
        let recipient = self.find_peer(&datagram);
        let Some(index) = recipient.filter(|index| self.allows(*index, &datagram, now)) else {
            self.metrics.dropped_datagrams.inc();
            return;
        };
        let Some(peer) = self.peers.get(index) else {
            return;
        };
        let way = path_of(&peer.candidates, &datagram);
        let (proto, source) = way.key();
        let Ok(receive) = Receive::new(proto, source, way.local_candidate, datagram.bytes) else {
            self.metrics.dropped_datagrams.inc();
            return;
        };
        // One thing at a time: a second packet would take the place of one that str0m has
        // not handed out yet.
        if self.peers.get(index).is_some_and(|peer| peer.dirty) {
            self.drain(index, now);
        }
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        let input = Input::Receive(peer.advance_clock(now), receive);
        let welcome = match is_stun(datagram.bytes) {
            true => self.on_connectivity_check(index, way, datagram.is_relayed, &input),
            false => self.on_media_path(index, way),
        };
        let Some(peer) = self.peers.get_mut(index).filter(|_| welcome) else {
            self.metrics.dropped_datagrams.inc();
            return;
        };
        peer.last_received = now;
        match guarded(|| peer.rtc.handle_input(input)) {
            Some(()) => self.mark_dirty(index),
            None => self.closing.push(index),
        }
    }

    /// Whether a stream from there is some connection's: its connectivity check was verified.
    pub fn has_stream(&self, source: SocketAddr) -> bool {
        self.demux.peer_by_address(Protocol::Tcp, source).is_some()
    }

    /// Whether a peer may send that, and as much as that.
    fn allows(&mut self, index: usize, datagram: &ReceivedDatagram<'_>, now: Instant) -> bool {
        let peer = self.peers.get_mut(index);
        peer.is_some_and(|peer| {
            peer.ingress_limiter.allows(datagram.bytes.len(), now)
                && peer.ssrc_limiter.allows(datagram.bytes, now)
                && peer.twcc_guard.allows(datagram.bytes)
        })
    }

    /// Takes note of where a connectivity check came from; false where the peer does not
    /// recognise it.
    fn on_connectivity_check(
        &mut self,
        index: usize,
        way: NetworkPath,
        relayed: bool,
        input: &Input<'_>,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(index) else {
            return false;
        };
        if guarded(|| Ok(peer.rtc.accepts(input))) != Some(true) {
            return false;
        }
        self.demux.add_address(way, index, &mut peer.verified_paths);
        peer.ice_path = match way.proto {
            Protocol::Udp if relayed => IcePath::Relay,
            Protocol::Udp => IcePath::Udp,
            _ => IcePath::Tcp,
        };
        true
    }

    /// Takes note of the way media came by; false where there is no such peer any more.
    fn on_media_path(&mut self, index: usize, way: NetworkPath) -> bool {
        let peer = self.peers.get_mut(index);
        peer.map(|peer| peer.on_media_path(way)).is_some()
    }

    /// Whom a datagram is for: a check by the name in it, everything else by where it
    /// comes from.
    fn find_peer(&self, datagram: &ReceivedDatagram<'_>) -> Option<usize> {
        if is_stun(datagram.bytes) {
            let message = StunMessage::parse(datagram.bytes).ok()?;
            let (ufrag, _) = message.split_username()?;
            return self.demux.peer_by_ufrag(ufrag);
        }
        self.demux.peer_by_address(datagram.proto, datagram.source)
    }
}

/// The way a datagram came: to our candidate of this address, or behind a NAT to the first of
/// its family.
fn path_of(candidates: &[SocketAddr], datagram: &ReceivedDatagram<'_>) -> NetworkPath {
    let ReceivedDatagram {
        proto,
        source,
        local_ip: local,
        ..
    } = *datagram;
    let same = candidates.iter().find(|c| Some(c.ip()) == local);
    let family = candidates.iter().find(|c| c.is_ipv4() == source.is_ipv4());
    NetworkPath {
        proto,
        remote: source,
        local_ip: local,
        local_candidate: *same.or(family).or(candidates.first()).unwrap_or(&source),
    }
}
