//! The network side of a peer: candidates, ICE usernames, and the paths that ICE has verified.
//!
//! Media goes to the address that the peer's own media comes from. ICE changes later: a
//! controlled agent keeps the nominated pair until its checks have failed for 15 s, which is
//! 15 s of silence after a NAT forgets a mapping or a phone changes its network. The browser
//! sends by the pair that it has selected, so its media names that pair at once. Media is
//! accepted only from addresses that ICE has verified.

use crate::server::{
    metrics::IcePath,
    sfu::{
        ingress::demux::Demux,
        transport::{
            datagram::{OutgoingDatagram, ReceivedDatagram, is_stun},
            path::NetworkPath,
        },
    },
};
use std::{net::SocketAddr, time::Instant};
use str0m::{
    Candidate, Rtc,
    net::{Protocol, TcpType, Transmit},
};

/// Local candidates of one connection. 24: three changes of all addresses.
const MAX_CANDIDATES: usize = 24;

/// The network side of a peer.
pub struct Transport {
    /// Local candidates given to the connection, current and former; [`MAX_CANDIDATES`] at most.
    candidates: Vec<SocketAddr>,
    /// Local ICE usernames: the one before the last ICE restart, and the current one.
    ufrags: Vec<String>,
    /// The path of the last verified connectivity check.
    ice_path: IcePath,
    /// Verified remote addresses, oldest first.
    verified_paths: Vec<NetworkPath>,
    /// The path of the last media datagram.
    media_path: Option<NetworkPath>,
    /// When the last verified datagram arrived.
    pub last_received: Instant,
}

impl Transport {
    /// The transport of a connection without candidates.
    pub fn new(now: Instant) -> Self {
        Self {
            candidates: Vec::new(),
            ufrags: Vec::new(),
            ice_path: IcePath::Failed,
            verified_paths: Vec::new(),
            media_path: None,
            last_received: now,
        }
    }

    /// Adds local candidates, UDP and TCP. The next answer contains them.
    pub fn add_candidates(&mut self, rtc: &mut Rtc, candidates: &[SocketAddr]) {
        for address in candidates {
            if self.candidates.len() >= MAX_CANDIDATES || self.candidates.contains(address) {
                continue;
            }
            self.candidates.push(*address);
            let udp = Candidate::host(*address, "udp");
            let tcp = Candidate::builder()
                .tcp()
                .host(*address)
                .tcptype(TcpType::Passive);
            for candidate in [udp, tcp.build()].into_iter().flatten() {
                rtc.add_local_candidate(candidate);
            }
        }
    }

    /// Registers the current ICE username. The previous one stays valid until the restart
    /// after this one.
    pub fn register_ufrag(&mut self, rtc: &mut Rtc, peer: usize, demux: &mut Demux) {
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        if !self.ufrags.contains(&ufrag) {
            demux.add_ufrag(ufrag.clone(), peer);
            self.ufrags.push(ufrag);
        }
        if self.ufrags.len() > 2 {
            demux.remove_ufrag(&self.ufrags.remove(0));
        }
    }

    /// Removes everything by which datagrams reach the peer.
    pub fn unregister(&self, peer: usize, demux: &mut Demux) {
        demux.remove_peer(peer, &self.ufrags, &self.verified_paths);
    }

    /// The path that a datagram took: to the local candidate of the same address, or behind a
    /// NAT to the first candidate of the same address family.
    pub fn path_of(&self, datagram: &ReceivedDatagram<'_>) -> NetworkPath {
        let ReceivedDatagram {
            proto,
            source,
            local_ip,
            ..
        } = *datagram;
        let candidates = &self.candidates;
        let same = candidates.iter().find(|c| Some(c.ip()) == local_ip);
        let family = candidates.iter().find(|c| c.is_ipv4() == source.is_ipv4());
        NetworkPath {
            proto,
            remote: source,
            local_ip,
            local_candidate: *same.or(family).or(candidates.first()).unwrap_or(&source),
        }
    }

    /// Records the path of a verified connectivity check. `is_relayed`: it came through our own
    /// TURN server.
    pub fn on_verified_check(
        &mut self,
        path: NetworkPath,
        is_relayed: bool,
        peer: usize,
        demux: &mut Demux,
    ) {
        demux.add_address(path, peer, &mut self.verified_paths);
        self.ice_path = match path.proto {
            Protocol::Udp if is_relayed => IcePath::Relay,
            Protocol::Udp => IcePath::Udp,
            Protocol::Tcp | Protocol::SslTcp | Protocol::Tls => IcePath::Tcp,
        };
    }

    /// Records the path of a media datagram. Returns whether media came by another path before.
    pub fn on_media_path(&mut self, path: NetworkPath) -> bool {
        let previous = self.media_path.replace(path);
        previous.is_some_and(|previous| previous.key() != path.key())
    }

    /// The path that ICE found last.
    pub fn ice_path(&self) -> IcePath {
        self.ice_path
    }

    /// Addresses a datagram. Media takes the path that the peer's media came by; responses to
    /// connectivity checks go where ICE sends them.
    pub fn address(&self, transmit: Transmit) -> OutgoingDatagram {
        let path = self.media_path.filter(|_| !is_stun(&transmit.contents));
        let to = (transmit.proto, transmit.destination);
        let mut verified = self.verified_paths.iter();
        match path {
            Some(path) => path.address(transmit),
            None => OutgoingDatagram {
                local_ip: verified
                    .find(|path| path.key() == to)
                    .and_then(|path| path.local_ip),
                transmit,
            },
        }
    }

    /// The local candidates that the connection was given.
    #[cfg(test)]
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// The local ICE usernames that reach the peer.
    #[cfg(test)]
    pub fn ufrags(&self) -> &[String] {
        &self.ufrags
    }
}
