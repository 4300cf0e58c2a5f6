//! The UDP socket of a shard: many datagrams per system call, both ways.
//!
//! Datagrams of one size to one address are sent as one (generic segmentation offload), and many
//! are received at a time. Where the system cannot, `quinn-udp` falls back by itself.

use super::datagram::{OutgoingDatagram, ReceivedDatagram};
use crate::server::net::sockets::{self, Families, canonical};
use mio::net::UdpSocket;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use str0m::net::Protocol;

/// The kernel's buffer, each way, in bytes. 8 MiB: a second of 64 Mbit/s.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// The largest datagram received, in bytes. Browsers stay below 1,500.
const DATAGRAM_BYTES: usize = 2048;
/// The most bytes sent in one call: the largest UDP payload of IPv4 (RFC 768, RFC 791).
const MAX_SEND_BYTES: usize = 65_507;
/// The least interval between two probes of the socket. 1 s: a probe costs some system calls, and
/// a second of single datagrams does no harm.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The socket and its buffers.
pub struct UdpTransport {
    /// The bound, nonblocking UDP socket.
    socket: UdpSocket,
    /// What the socket supports, such as segmentation.
    state: UdpSocketState,
    /// Whether it is an IPv6 socket. It serves both families.
    is_ipv6: bool,
    /// The receive buffers of one batch.
    buffers: Vec<Vec<u8>>,
    /// The source, size and segments of each buffer.
    metadata: [RecvMeta; BATCH_SIZE],
    /// The segments of a run, one after the other.
    gso_buffer: Vec<u8>,
    /// Whether `state` counts an unusable source address as missing segmentation.
    is_state_stale: bool,
    /// When `state` was probed again last.
    refreshed_at: Option<Instant>,
}

impl UdpTransport {
    /// Binds the port.
    ///
    /// # Errors
    /// The port is in use or not permitted.
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

    /// The socket, to be registered with a poll.
    pub fn socket(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// The bound address.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Receives one batch. Returns false where nothing was there.
    pub fn receive(&mut self, mut take: impl FnMut(ReceivedDatagram<'_>)) -> bool {
        let mut slices = self.buffers.iter_mut().map(|b| IoSliceMut::new(b));
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| slices.next().expect("as many buffers as slices"));
        let received = self
            .state
            .recv((&self.socket).into(), &mut slices, &mut self.metadata);
        let count = match received {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // An ICMP error about an earlier datagram.
            Err(_) => return true,
        };
        for (meta, buffer) in self.metadata.iter().zip(&self.buffers).take(count) {
            let bytes = &buffer[..meta.len.min(buffer.len())];
            for bytes in bytes.chunks(meta.stride.max(1)) {
                take(ReceivedDatagram {
                    proto: Protocol::Udp,
                    is_relayed: false,
                    source: canonical(meta.addr),
                    local_ip: meta.dst_ip.map(|ip| ip.to_canonical()),
                    bytes,
                });
            }
        }
        true
    }

    /// How many of these, from the first on, one call can send: of one size and to one address;
    /// the last may be smaller.
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

    /// Sends a run of datagrams. What the kernel has no room for is lost: the receiver asks for
    /// retransmission.
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
        // The source address is gone, or the interface cannot segment: send the first one alone.
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

    /// Probes what the socket supports again. After EINVAL `quinn-udp` stops segmenting for good,
    /// but EINVAL is also the error for a source address that this machine no longer has.
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

    /// An address in the form of the socket's family.
    fn to_socket_family(&self, to: SocketAddr) -> SocketAddr {
        match to.ip() {
            IpAddr::V4(ip) if self.is_ipv6 => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), to.port())
            }
            _ => to,
        }
    }
}

/// Whether an error is EINVAL.
fn is_invalid_input(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(to: SocketAddr, bytes: Vec<u8>) -> OutgoingDatagram {
        let transmit = str0m::net::Transmit {
            proto: Protocol::Udp,
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
