//! The UDP port of a shard: many datagrams a system call, both ways.
//!
//! Datagrams of one size to one address leave as one (generic segmentation offload), and
//! come in many at a time; where the system cannot, `quinn-udp` falls back by itself.

use crate::server::net::sockets::{self, Families, canonical};
use crate::server::sfu::shard::core::OutgoingDatagram;
use mio::net::UdpSocket;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Bytes the kernel may hold for us, each way. 8 MiB: a second of 64 Mbit/s.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Largest datagram that is taken in. Browsers stay below 1,500.
const DATAGRAM_BYTES: usize = 2048;
/// Most that leaves in one call: the largest payload of IPv4 (RFC 768, RFC 791).
const MAX_SEND_BYTES: usize = 65_507;
/// How often what the socket can do is found out anew, at most. 1 s: it costs some system calls,
/// and a second of single datagrams is no harm.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// A datagram that has come in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// From where.
    pub source: SocketAddr,
    /// At which address of this machine, where the system says so.
    pub local: Option<IpAddr>,
    /// What.
    pub bytes: &'a [u8],
}

/// The socket and its buffers.
pub struct UdpTransport {
    /// The socket.
    socket: UdpSocket,
    /// What it can do.
    state: UdpSocketState,
    /// Whether it is an IPv6 socket, for both families.
    is_ipv6: bool,
    /// Room for one batch.
    buffers: Vec<Vec<u8>>,
    /// Where each buffer's datagrams are from.
    metadata: [RecvMeta; BATCH_SIZE],
    /// A run of datagrams, one after the other.
    gso_buffer: Vec<u8>,
    /// Whether `state` holds a fault against the socket that was an address's.
    is_state_stale: bool,
    /// When `state` was made anew last.
    refreshed_at: Option<Instant>,
}

impl UdpTransport {
    /// Binds the port.
    ///
    /// # Errors
    /// The port is taken or not ours to take.
    pub fn bind(address: SocketAddr, families: Families) -> io::Result<Self> {
        let socket = sockets::udp(address, families)?;
        let state = UdpSocketState::new((&socket).into())?;
        // Smaller buffers still work: the kernel's own limit may be lower.
        let _ = state.set_recv_buffer_size((&socket).into(), BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), BUFFER_BYTES);
        let size = DATAGRAM_BYTES * state.gro_segments().min(32);
        Ok(Self {
            is_ipv6: socket.local_addr()?.is_ipv6(),
            socket: UdpSocket::from_std(socket),
            state,
            buffers: vec![vec![0; size]; BATCH_SIZE],
            metadata: [RecvMeta::default(); BATCH_SIZE],
            gso_buffer: Vec::new(),
            is_state_stale: false,
            refreshed_at: None,
        })
    }

    /// The socket, to be watched.
    pub fn socket(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Takes in one batch; false where nothing was there.
    pub fn receive(&mut self, mut take: impl FnMut(Arrival<'_>)) -> bool {
        let mut slices = self.buffers.iter_mut().map(|b| IoSliceMut::new(b));
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| slices.next().expect("as many buffers as slices"));
        let received = self
            .state
            .recv((&self.socket).into(), &mut slices, &mut self.metadata);
        let count = match received {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // What ICMP says of an earlier datagram; the next one may be fine.
            Err(_) => return true,
        };
        for (meta, buffer) in self.metadata.iter().zip(&self.buffers).take(count) {
            let bytes = &buffer[..meta.len.min(buffer.len())];
            for bytes in bytes.chunks(meta.stride.max(1)) {
                take(Arrival {
                    source: canonical(meta.addr),
                    local: meta.dst_ip.map(|ip| ip.to_canonical()),
                    bytes,
                });
            }
        }
        true
    }

    /// How many of these, from the first on, leave as one: of one size, to one address; the
    /// last may be smaller.
    pub fn gso_run(&self, datagrams: &[OutgoingDatagram]) -> usize {
        let Some(first) = datagrams.first() else {
            return 0;
        };
        let segment = first.transmit.contents.len();
        let most = self
            .state
            .max_gso_segments()
            .min(MAX_SEND_BYTES / segment.max(1));
        let mut count = 1;
        for pair in datagrams.windows(2).take(most.saturating_sub(1)) {
            let (before, next) = (&pair[0].transmit, &pair[1].transmit);
            let follows = pair[1].local_ip == first.local_ip
                && next.proto == before.proto
                && next.destination == before.destination
                && before.contents.len() == segment
                && next.contents.len() <= segment;
            if !follows {
                break;
            }
            count += 1;
        }
        count
    }

    /// Sends a run of datagrams. What the kernel has no room for is lost, as on the way: the
    /// receiver asks for it again.
    pub fn send(&mut self, run: &[OutgoingDatagram]) {
        let [first, others @ ..] = run else {
            return;
        };
        self.refresh_state();
        let segment = first.transmit.contents.len();
        self.gso_buffer.clear();
        if !others.is_empty() {
            for datagram in run {
                self.gso_buffer
                    .extend_from_slice(&datagram.transmit.contents);
            }
        }
        let transmit = Transmit {
            destination: self.to_socket_family(first.transmit.destination),
            ecn: None,
            contents: match others {
                [] => &first.transmit.contents,
                _ => &self.gso_buffer,
            },
            segment_size: (!others.is_empty()).then_some(segment),
            src_ip: first.local_ip,
        };
        let Err(error) = self.state.try_send((&self.socket).into(), &transmit) else {
            return;
        };
        if first.local_ip.is_none() || !is_invalid_input(&error) {
            return;
        }
        // The address is gone, or the interface cannot segment: then the first one leaves alone.
        let alone = Transmit {
            contents: &first.transmit.contents,
            segment_size: None,
            ..transmit
        };
        self.is_state_stale = others.is_empty()
            || self
                .state
                .try_send((&self.socket).into(), &alone)
                .is_err_and(|error| is_invalid_input(&error));
        self.refresh_state();
    }

    /// Finds out anew what the socket can do. `quinn-udp` takes EINVAL for a system without
    /// segmentation and does without from then on, but it is also the answer to a source address
    /// that this machine has no more.
    fn refresh_state(&mut self) {
        if !self.is_state_stale
            || self
                .refreshed_at
                .is_some_and(|at| at.elapsed() < REFRESH_INTERVAL)
        {
            return;
        }
        self.refreshed_at = Some(Instant::now());
        if let Ok(state) = UdpSocketState::new((&self.socket).into()) {
            self.state = state;
            self.is_state_stale = false;
        }
    }

    /// An address as this socket's family writes it.
    fn to_socket_family(&self, to: SocketAddr) -> SocketAddr {
        match to.ip() {
            IpAddr::V4(ip) if self.is_ipv6 => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), to.port())
            }
            _ => to,
        }
    }
}

/// Whether this is EINVAL.
fn is_invalid_input(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(to: SocketAddr, bytes: Vec<u8>) -> OutgoingDatagram {
        let transmit = str0m::net::Transmit {
            proto: str0m::net::Protocol::Udp,
            source: ([127, 0, 0, 1], 1).into(),
            destination: to,
            contents: bytes.into(),
        };
        OutgoingDatagram {
            local_ip: None,
            transmit,
        }
    }

    #[test]
    fn datagrams_of_any_sizes_arrive_whole_and_in_order() {
        arrive_whole_and_in_order(
            UdpTransport::bind(([127, 0, 0, 1], 0).into(), Families::V4).expect("binds"),
        );
    }

    #[test]
    fn so_they_do_from_a_socket_for_both_families() {
        let any = (std::net::Ipv6Addr::UNSPECIFIED, 0).into();
        match UdpTransport::bind(any, Families::Both) {
            Ok(udp) => arrive_whole_and_in_order(udp),
            Err(error) => {
                crate::tests::harness::skipped(&format!("this machine has no IPv6: {error}"))
            }
        }
    }

    #[test]
    fn an_address_that_is_gone_does_not_end_segmentation() {
        for (any, to, gone) in [
            // Newer kernels call this one unreachable, which misleads nobody.
            ("0.0.0.0:0", "127.0.0.1:9", "203.0.113.9"),
            ("[::]:0", "[::1]:9", "2001:db8::9"),
        ] {
            let any: SocketAddr = any.parse().expect("an address");
            let Ok(mut udp) = UdpTransport::bind(any, Families::of(any.ip())) else {
                crate::tests::harness::skipped("this machine has no IPv6");
                continue;
            };
            let before = udp.state.max_gso_segments();
            let to: SocketAddr = to.parse().expect("an address");
            let from_gone = || OutgoingDatagram {
                local_ip: Some(gone.parse().expect("an address")),
                ..outgoing(to, vec![0; 100])
            };
            udp.send(&[from_gone(), from_gone()]);
            assert_eq!(udp.state.max_gso_segments(), before, "{any}");
            // The second time within a second waits for its turn and is not forgotten.
            udp.send(&[from_gone()]);
            assert!(udp.is_state_stale || any.is_ipv4());
            udp.refreshed_at = None;
            udp.send(&[outgoing(to, vec![0; 100])]);
            assert_eq!(udp.state.max_gso_segments(), before, "{any}");
            assert!(!udp.is_state_stale);
        }
    }

    fn arrive_whole_and_in_order(mut udp: UdpTransport) {
        let receivers = [(); 2].map(|()| {
            let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
            let timeout = Some(Duration::from_secs(5));
            receiver.set_read_timeout(timeout).expect("sets");
            receiver
        });
        let sizes = [
            (900, 0),
            (900, 0),
            (900, 0),
            (200, 0),
            (900, 0),
            (1000, 0),
            (1000, 1),
            (1000, 1),
            (30, 1),
            (30, 0),
        ];
        let all: Vec<_> = (0..)
            .zip(sizes)
            .map(|(number, (size, to)): (u8, (usize, usize))| {
                let to = receivers[to].local_addr().expect("address");
                outgoing(to, vec![number; size])
            })
            .collect();
        let (mut rest, mut runs) = (&all[..], Vec::new());
        while !rest.is_empty() {
            let (run, others) = rest.split_at(udp.gso_run(rest));
            udp.send(run);
            runs.push(run.len());
            rest = others;
        }
        assert!(udp.state.max_gso_segments() < 4 || runs == [4, 1, 1, 3, 1]);
        for (number, (size, to)) in sizes.into_iter().enumerate() {
            let mut bytes = [0; 2048];
            let (length, _) = receivers[to].recv_from(&mut bytes).expect("arrives");
            assert_eq!((length, bytes[0]), (size, number as u8));
        }
    }
}
