//! A few sockets, shared by many clients.
//!
//! A server identifies clients by their source address. Every client has its own address
//! ([`client_address`]) in the network of [`super::netns`] and shares one of a few sockets
//! ([`PooledSocket`]), so that one system call reads datagrams of many clients. A thousand sockets
//! would cost the generator more CPU than the server.

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

/// Number of sockets, each with its own receive buffer.
pub const SOCKETS: usize = 8;
/// Receive buffer of a socket, in bytes. 16 MiB hold about 5,000 packets, which a busy server sends
/// to an eighth of the clients in 100 ms.
const BUFFER_BYTES: usize = 16 << 20;
/// Largest datagram, or several coalesced ones (GRO), in bytes.
const LARGEST: usize = 65_536;
/// The address before the first client's.
const BEFORE_FIRST: u32 = u32::from_be_bytes(CLIENTS);
/// Largest number of clients.
pub const MAX_CLIENTS: u32 = (1 << 16) - 2;

/// The address of a client.
pub fn client_address(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(BEFORE_FIRST + 1 + index)
}

/// The client of an address.
pub fn client_index(address: IpAddr) -> Option<u32> {
    let IpAddr::V4(address) = address else {
        return None;
    };
    let index = u32::from(address).checked_sub(BEFORE_FIRST + 1)?;
    (index < MAX_CLIENTS).then_some(index)
}

/// A socket of many clients.
struct PooledSocket {
    /// Bound to every address.
    socket: UdpSocket,
    /// Kernel features of the socket (GSO, GRO).
    state: UdpSocketState,
    /// Its UDP port.
    port: u16,
}

impl PooledSocket {
    /// Opens a socket on a free port.
    fn open() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        // A privileged process may exceed `net.core.rmem_max`.
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

/// Buffers for one batch of received datagrams.
pub struct ReceiveBuffers(Vec<Vec<u8>>);

impl ReceiveBuffers {
    /// Allocates buffers for one batch.
    pub fn new() -> Self {
        Self(vec![vec![0; LARGEST]; BATCH_SIZE])
    }

    /// A pool without buffers, for use as a placeholder.
    pub fn none() -> Self {
        Self(Vec::new())
    }
}

impl SocketPool {
    /// Opens all sockets.
    pub fn open() -> Result<Self> {
        let sockets = (0..SOCKETS).map(|_| PooledSocket::open());
        Ok(Self(sockets.collect::<Result<_>>().context("the sockets")?))
    }

    /// The ports in order: client `n` uses the `n % SOCKETS`th.
    pub fn ports(&self) -> Vec<u16> {
        self.0.iter().map(|socket| socket.port).collect()
    }

    /// The port of a client.
    pub fn port_of(&self, index: u32) -> u16 {
        self.0[index as usize % SOCKETS].port
    }

    /// Sends a datagram of a client. It is lost if the kernel has no buffer, as on any network.
    pub fn send(&self, from: u32, to: SocketAddr, contents: &[u8]) {
        let socket = &self.0[from as usize % SOCKETS];
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: Some(client_address(from).into()),
        };
        let _ = socket.state.try_send((&socket.socket).into(), &transmit);
    }

    /// Reads at most one batch from a socket and passes each datagram with its client and source to
    /// `take`. Returns whether there may be more.
    pub fn receive(
        &self,
        socket: usize,
        buffers: &mut ReceiveBuffers,
        mut take: impl FnMut(u32, SocketAddr, &[u8]),
    ) -> Result<bool> {
        let socket = &self.0[socket];
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slices: Vec<_> = buffers.0.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        let count = match socket
            .state
            .recv((&socket.socket).into(), &mut slices, &mut metas)
        {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            // "Port unreachable", from a server that has ended.
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

    /// Waits until a socket is readable, or until the deadline.
    pub fn wait(&self, until: Instant) -> Result<()> {
        let timeout = until.saturating_duration_since(Instant::now());
        if timeout < Duration::from_micros(20) {
            return Ok(());
        }
        let mut fds: Vec<_> = self
            .0
            .iter()
            .map(|socket| PollFd::from_borrowed_fd(socket.socket.as_fd(), PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(timeout).context("a short time")?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("waiting for sockets"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_its_own_address() {
        assert_eq!(client_address(0), Ipv4Addr::new(10, 98, 0, 1));
        assert_eq!(client_address(300), Ipv4Addr::new(10, 98, 1, 45));
        for index in [0, 300, MAX_CLIENTS - 1] {
            assert_eq!(client_index(client_address(index).into()), Some(index));
        }
        assert_eq!(client_index([127, 0, 0, 1].into()), None);
    }
}
