//! The sockets of many clients: a few of them, shared.
//!
//! A server tells clients apart by where their datagrams come from. Every client has an
//! address of its own ([`client_address`]) in the network of [`super::netns`] and shares one of a few
//! sockets ([`PooledSocket`]) with many, so that one system call takes in datagrams of many clients.
//! A thousand sockets would cost the generator more than its server.

use super::netns::CLIENTS;
use anyhow::{Context, Result};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{ErrorKind, IoSliceMut},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// Sockets; each has a receive buffer of its own.
pub const SOCKETS: usize = 8;
/// Receive buffer of each, in bytes. 16 MiB: some 5,000 packets, what a busy server sends
/// to an eighth of the clients in 100 ms.
const BUFFER_BYTES: usize = 16 << 20;
/// The largest datagram, or several joined ones (GRO), in bytes.
const LARGEST: usize = 65_536;
/// The address before the first client's.
const BEFORE_FIRST: u32 = u32::from_be_bytes(CLIENTS);
/// Clients there can be.
pub const MOST_CLIENTS: u32 = (1 << 16) - 2;

/// The address of a client.
pub fn client_address(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(BEFORE_FIRST + 1 + index)
}

/// Whose address it is.
pub fn client_index(address: IpAddr) -> Option<u32> {
    let IpAddr::V4(address) = address else {
        return None;
    };
    let index = u32::from(address).checked_sub(BEFORE_FIRST + 1)?;
    (index < MOST_CLIENTS).then_some(index)
}

/// A socket of many clients.
struct PooledSocket {
    /// The socket, bound to every address.
    socket: UdpSocket,
    /// What the kernel does for it.
    state: UdpSocketState,
    /// Its port.
    port: u16,
}

impl PooledSocket {
    /// Opens one on a free port.
    fn open() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        // Beyond `net.core.rmem_max` for those who may; the rest get what there is.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES).is_err() {
            socket.set_recv_buffer_size(BUFFER_BYTES)?;
        }
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        let port = socket.local_addr()?.port();
        Ok(Self {
            socket,
            state,
            port,
        })
    }
}

/// All sockets of the clients.
pub struct SocketPool(Vec<PooledSocket>);

/// Where datagrams are read to.
pub struct ReceiveBuffers(Vec<Vec<u8>>);

impl ReceiveBuffers {
    /// Room for one batch.
    pub fn new() -> Self {
        Self(vec![vec![0; LARGEST]; BATCH_SIZE])
    }

    /// No room.
    pub fn none() -> Self {
        Self(Vec::new())
    }
}

impl SocketPool {
    /// Opens them.
    pub fn open() -> Result<Self> {
        let lanes = (0..SOCKETS).map(|_| PooledSocket::open());
        Ok(Self(lanes.collect::<Result<_>>().context("the sockets")?))
    }

    /// The ports, in order: client `n` is on the `n % SOCKETS`th.
    pub fn ports(&self) -> Vec<u16> {
        self.0.iter().map(|lane| lane.port).collect()
    }

    /// The port of a client.
    pub fn port_of(&self, index: u32) -> u16 {
        self.0[index as usize % SOCKETS].port
    }

    /// Sends a datagram of a client. Where the kernel has no room it is lost, as on any network.
    pub fn send(&self, from: u32, to: SocketAddr, contents: &[u8]) {
        let lane = &self.0[from as usize % SOCKETS];
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: Some(client_address(from).into()),
        };
        let _ = lane.state.try_send((&lane.socket).into(), &transmit);
    }

    /// Takes in what one socket has, a batch at most, and hands out each datagram with its
    /// client and where it came from. Whether there may be more.
    pub fn receive(
        &self,
        lane: usize,
        buffers: &mut ReceiveBuffers,
        mut take: impl FnMut(u32, SocketAddr, &[u8]),
    ) -> Result<bool> {
        let lane = &self.0[lane];
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slices: Vec<_> = buffers.0.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        let count = match lane
            .state
            .recv((&lane.socket).into(), &mut slices, &mut metas)
        {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            // A server that has ended answers with "port unreachable".
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(true),
            Err(error) => return Err(error).context("reading a socket"),
        };
        for (buffer, meta) in buffers.0.iter().zip(&metas).take(count) {
            let Some(index) = meta.dst_ip.and_then(client_index) else {
                continue;
            };
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                take(index, meta.addr, datagram);
            }
        }
        Ok(count == BATCH_SIZE)
    }

    /// Waits until there is something to read, but no longer than until then.
    pub fn wait(&self, until: Instant) -> Result<()> {
        let patience = until.saturating_duration_since(Instant::now());
        if patience < Duration::from_micros(20) {
            return Ok(());
        }
        let mut fds: Vec<_> = self
            .0
            .iter()
            .map(|lane| PollFd::from_borrowed_fd(lane.socket.as_fd(), PollFlags::IN))
            .collect();
        let patience = Timespec::try_from(patience).context("a short time")?;
        match poll(&mut fds, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for sockets"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_an_address_of_its_own() {
        assert_eq!(client_address(0), Ipv4Addr::new(10, 98, 0, 1));
        assert_eq!(client_address(300), Ipv4Addr::new(10, 98, 1, 45));
        for index in [0, 300, MOST_CLIENTS - 1] {
            assert_eq!(client_index(client_address(index).into()), Some(index));
        }
        assert_eq!(client_index([127, 0, 0, 1].into()), None);
    }
}
