//! The UDP port of a shard: many datagrams a system call, both ways.
//!
//! Datagrams of one size to one address leave as one (generic segmentation offload), and
//! come in many at a time; where the system cannot, `quinn-udp` falls back by itself.

use mio::net::UdpSocket;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
};

/// Bytes the kernel may hold for us, each way. 8 MiB: a second of 64 Mbit/s.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Largest datagram that is taken in. Browsers stay below 1,500.
const DATAGRAM_BYTES: usize = 2048;
/// Most that leaves in one call: the largest payload of IPv4 (RFC 768, RFC 791).
const MAX_SEND_BYTES: usize = 65_507;

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
pub struct Udp {
    /// The socket.
    socket: UdpSocket,
    /// What it can do.
    state: UdpSocketState,
    /// Room for one batch.
    buffers: Vec<Vec<u8>>,
    /// Where each buffer's datagrams are from.
    metas: [RecvMeta; BATCH_SIZE],
    /// Datagrams of one size to one address, gathered.
    arena: Arena,
}

/// Datagrams that leave as one.
#[derive(Default)]
struct Arena {
    /// Where to, and from which address of this machine.
    path: Option<(SocketAddr, Option<IpAddr>)>,
    /// One after the other.
    bytes: Vec<u8>,
    /// The size of each but the last, which may be smaller.
    segment: usize,
    /// How many.
    count: usize,
    /// Whether the last one was smaller: none may follow it.
    ended: bool,
}

impl Udp {
    /// Binds the port.
    ///
    /// # Errors
    /// The port is taken or not ours to take.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&socket).into())?;
        // Smaller buffers still work: the kernel's own limit may be lower.
        let _ = state.set_recv_buffer_size((&socket).into(), BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        let size = DATAGRAM_BYTES * state.gro_segments().min(32);
        Ok(Self {
            socket: UdpSocket::from_std(socket),
            state,
            buffers: vec![vec![0; size]; BATCH_SIZE],
            metas: [RecvMeta::default(); BATCH_SIZE],
            arena: Arena::default(),
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
            .recv((&self.socket).into(), &mut slices, &mut self.metas);
        let count = match received {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // What ICMP says of an earlier datagram; the next one may be fine.
            Err(_) => return true,
        };
        for (meta, buffer) in self.metas.iter().zip(&self.buffers).take(count) {
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

    /// Sends a datagram, soon: [`Udp::flush`] says when at the latest.
    pub fn send(&mut self, to: SocketAddr, from: Option<IpAddr>, bytes: &[u8]) {
        let max = self.state.max_gso_segments();
        if !self.arena.takes((to, from), bytes.len(), max) {
            self.flush();
        }
        self.arena.push((to, from), bytes);
    }

    /// Sends what was gathered. A datagram the kernel has no room for is lost, as on the
    /// way: the receiver asks for it again.
    pub fn flush(&mut self) {
        if let Some((to, from)) = self.arena.path.take() {
            let transmit = Transmit {
                destination: self.mapped(to),
                ecn: None,
                contents: &self.arena.bytes,
                segment_size: (self.arena.count > 1).then_some(self.arena.segment),
                src_ip: from,
            };
            let _ = self.state.try_send((&self.socket).into(), &transmit);
            self.arena.clear();
        }
    }

    /// An address as this socket's family writes it.
    fn mapped(&self, to: SocketAddr) -> SocketAddr {
        let six = self.socket.local_addr().is_ok_and(|a| a.is_ipv6());
        match to.ip() {
            IpAddr::V4(ip) if six => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        }
    }
}

impl Arena {
    /// Whether one more fits.
    fn takes(&self, path: (SocketAddr, Option<IpAddr>), size: usize, max: usize) -> bool {
        match self.path {
            None => true,
            Some(present) => {
                present == path
                    && !self.ended
                    && size <= self.segment
                    && self.count < max
                    && self.bytes.len() + size <= MAX_SEND_BYTES
            }
        }
    }

    /// Adds one that fits.
    fn push(&mut self, path: (SocketAddr, Option<IpAddr>), bytes: &[u8]) {
        if self.path.is_none() {
            self.path = Some(path);
            self.segment = bytes.len();
        }
        self.ended = bytes.len() < self.segment;
        self.bytes.extend_from_slice(bytes);
        self.count += 1;
    }

    /// Empties it.
    fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.ended = false;
    }
}

/// IPv4 as IPv4, also on a socket for both.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn datagrams_of_any_sizes_arrive_whole_and_in_order() {
        let mut udp = Udp::bind(([127, 0, 0, 1], 0).into()).expect("binds");
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        let timeout = Some(Duration::from_secs(5));
        receiver.set_read_timeout(timeout).expect("sets");
        let to = receiver.local_addr().expect("address");
        let sizes = [900, 900, 900, 200, 900, 1000, 1000, 30, 30];
        for (number, size) in sizes.into_iter().enumerate() {
            udp.send(to, None, &vec![number as u8; size]);
        }
        udp.flush();
        for (number, size) in sizes.into_iter().enumerate() {
            let mut bytes = [0; 2048];
            let (length, _) = receiver.recv_from(&mut bytes).expect("arrives");
            assert_eq!((length, bytes[0]), (size, number as u8));
        }
    }
}
