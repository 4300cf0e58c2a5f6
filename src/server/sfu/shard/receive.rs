//! Received datagrams: from the address or the ICE username to the peer, and into str0m.

use super::core::Core;
use crate::server::sfu::{
    peer::guard::guarded,
    transport::{
        datagram::{ReceivedDatagram, is_stun},
        path::NetworkPath,
    },
};
use std::{net::SocketAddr, time::Instant};
use str0m::{
    Input,
    ice::StunMessage,
    net::{Protocol, Receive},
};

impl Core {
    /// Hands a datagram to its peer. A datagram of nobody's is dropped and counted.
    pub fn receive(&mut self, datagram: ReceivedDatagram<'_>, now: Instant) {
        self.metrics
            .received_bytes
            .inc_by(datagram.bytes.len() as u64);
        self.metrics.received_datagrams.inc();
        let index = self.find_peer(&datagram);
        if index.is_none()
            && let Some(answer) = self.probes.answer(&datagram, now)
        {
            self.outgoing.push(answer);
            return;
        }
        let Some(index) = index.filter(|index| self.allows(*index, &datagram, now)) else {
            self.metrics.dropped_datagrams.inc();
            return;
        };
        let Some(peer) = self.peers.get(index) else {
            return;
        };
        let path = peer.transport.path_of(&datagram);
        let (proto, source) = path.key();
        let Ok(receive) = Receive::new(proto, source, path.local_candidate, datagram.bytes) else {
            self.metrics.dropped_datagrams.inc();
            return;
        };
        // Drained first: str0m keeps one undelivered packet, and a second replaces it.
        if peer.dirty {
            self.drain(index, now);
        }
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        let input = Input::Receive(peer.advance_clock(now), receive);
        let accepted = match is_stun(datagram.bytes) {
            true => self.on_connectivity_check(index, path, datagram.is_relayed, &input),
            false => self.on_media_path(index, path),
        };
        let Some(peer) = self.peers.get_mut(index).filter(|_| accepted) else {
            self.metrics.dropped_datagrams.inc();
            return;
        };
        peer.transport.last_received = now;
        match guarded(|| peer.rtc.handle_input(input)) {
            Some(()) => self.mark_dirty(index),
            None => self.closing.push(index),
        }
    }

    /// Whether a TCP stream belongs to a peer: a connectivity check on it was verified.
    pub fn has_stream(&self, source: SocketAddr) -> bool {
        self.demux.peer_by_address(Protocol::Tcp, source).is_some()
    }

    /// Whether the limits of a peer admit a datagram.
    fn allows(&mut self, index: usize, datagram: &ReceivedDatagram<'_>, now: Instant) -> bool {
        let peer = self.peers.get_mut(index);
        peer.is_some_and(|peer| peer.upstream.allows(datagram.bytes, now))
    }

    /// Records the path of a connectivity check. Returns false where its integrity check fails.
    fn on_connectivity_check(
        &mut self,
        index: usize,
        path: NetworkPath,
        is_relayed: bool,
        input: &Input<'_>,
    ) -> bool {
        let Self { peers, demux, .. } = self;
        let Some(peer) = peers.get_mut(index) else {
            return false;
        };
        if guarded(|| Ok(peer.rtc.accepts(input))) != Some(true) {
            return false;
        }
        peer.transport
            .on_verified_check(path, is_relayed, index, demux);
        true
    }

    /// Records the path of a media datagram. Returns false where the peer is gone.
    fn on_media_path(&mut self, index: usize, path: NetworkPath) -> bool {
        let peer = self.peers.get_mut(index);
        peer.map(|peer| peer.on_media_path(path)).is_some()
    }

    /// The peer of a datagram: a connectivity check names it, everything else has its address.
    fn find_peer(&self, datagram: &ReceivedDatagram<'_>) -> Option<usize> {
        if is_stun(datagram.bytes) {
            let message = StunMessage::parse(datagram.bytes).ok()?;
            let (ufrag, _) = message.split_username()?;
            return self.demux.peer_by_ufrag(ufrag);
        }
        self.demux.peer_by_address(datagram.proto, datagram.source)
    }
}
