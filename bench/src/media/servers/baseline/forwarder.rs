//! The baseline forwarder, the upper bound on this machine.
//!
//! One thread decrypts each packet once. For every other client of the sender's room it copies the
//! packet, rewrites sequence number, timestamp and SSRC, encrypts it with that client's key and
//! sends it. There is no ICE, DTLS, RTCP, RTX or decision. The three [`Variant`]s differ in how they
//! send.

use super::send::Sender;
use crate::media::{
    net::socket_pool::{SOCKETS, client_address, client_index},
    traffic::{
        rtp::Header,
        srtp::{Direction, Profile, Srtp, TAG_BYTES},
    },
};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use rustix::event::{PollFd, PollFlags, poll};
use std::{
    io::{ErrorKind, IoSliceMut},
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::AsFd,
};

/// Largest datagram, or several coalesced ones (GRO), in bytes.
const LARGEST: usize = 65_536;

/// Socket buffer, each way, in bytes.
const BUFFER_BYTES: usize = 8 << 20;

/// How the forwarder sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// One system call per packet.
    Sendto,
    /// One system call per 32 packets.
    Sendmmsg,
    /// One system call for packets of equal size to one client (GSO).
    Gso,
}

impl Variant {
    /// The value on the command line.
    pub fn cli_name(self) -> &'static str {
        match self {
            Self::Sendto => "sendto",
            Self::Sendmmsg => "sendmmsg",
            Self::Gso => "gso",
        }
    }
}

/// The forwarder's options.
#[derive(Debug, Args)]
pub struct Settings {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// Number of clients.
    #[arg(long)]
    clients: u32,
    /// Clients per room.
    #[arg(long)]
    room: u32,
    /// Ports of the clients' sockets.
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// How to send.
    #[arg(long, value_enum)]
    variant: Variant,
    /// SRTP protection profile of all clients.
    #[arg(long, value_enum, default_value = "aes256")]
    profile: Profile,
}

/// A client of the forwarder.
struct Destination {
    address: SocketAddr,
    /// Decrypts what it sends.
    up: Srtp,
    /// Encrypts what it receives.
    down: Srtp,
}

/// A decrypted packet.
struct DecryptedPacket {
    /// Header and payload.
    bytes: Vec<u8>,
    header: Header,
    /// Index of the sender.
    from: u32,
}

/// Forwards until it is killed.
pub fn run(settings: &Settings) -> Result<()> {
    let destinations: Vec<_> = (0..settings.clients)
        .map(|index| Destination {
            address: (
                client_address(index),
                settings.ports[index as usize % SOCKETS],
            )
                .into(),
            up: Srtp::new(settings.profile, index, Direction::Up),
            down: Srtp::new(settings.profile, index, Direction::Down),
        })
        .collect();
    let socket = UdpSocket::bind(settings.listen).context("the socket")?;
    // The benchmark waits for an open TCP port, as with every server.
    let _ready = TcpListener::bind(settings.listen).context("the listener")?;
    let state = UdpSocketState::new((&socket).into())?;
    // The size that the compared servers request; a smaller buffer works too.
    let _ = state.set_recv_buffer_size((&socket).into(), BUFFER_BYTES);
    let _ = state.set_send_buffer_size((&socket).into(), BUFFER_BYTES);
    let mut buffers = vec![vec![0; LARGEST]; BATCH_SIZE];
    let mut packets = Vec::new();
    let mut sender = Sender::new(&socket, &state, settings.variant);
    loop {
        receive(&socket, &state, &mut buffers, &destinations, &mut packets)?;
        match settings.variant {
            // By destination, so that packets to one client can be segmented together.
            Variant::Gso => by_destination(&destinations, settings.room, &packets, &mut sender),
            _ => by_packet(&destinations, settings.room, &packets, &mut sender),
        }
        sender.flush();
        packets.clear();
    }
}

/// Reads what has arrived; waits for the first packet.
fn receive(
    socket: &UdpSocket,
    state: &UdpSocketState,
    buffers: &mut [Vec<u8>],
    destinations: &[Destination],
    packets: &mut Vec<DecryptedPacket>,
) -> Result<()> {
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let mut slices: Vec<_> = buffers.iter_mut().map(|b| IoSliceMut::new(b)).collect();
    let count = match state.recv(socket.into(), &mut slices, &mut metas) {
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
            poll(&mut fds, None)?;
            return Ok(());
        }
        // "Port unreachable", from a client that has ended.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
        Err(error) => return Err(error).context("reading the socket"),
    };
    for (buffer, meta) in buffers.iter_mut().zip(&metas).take(count) {
        let Some(from) = client_index(meta.addr.ip()) else {
            continue;
        };
        for datagram in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
            packets.extend(open(destinations, from, datagram));
        }
    }
    Ok(())
}

/// Decrypts a packet.
fn open(destinations: &[Destination], from: u32, datagram: &mut [u8]) -> Option<DecryptedPacket> {
    let header = Header::read(datagram)?;
    let sender = destinations.get(from as usize)?;
    let payload = sender.up.unprotect(datagram, header.length)?;
    let bytes = datagram[..header.length + payload].to_vec();
    Some(DecryptedPacket {
        bytes,
        header,
        from,
    })
}

/// The clients in the room of a client.
fn room_of(client: u32, room: u32, destinations: &[Destination]) -> std::ops::Range<u32> {
    let first = client / room * room;
    first..(first + room).min(destinations.len() as u32)
}

/// Forwards packet by packet to all others of the room.
fn by_packet(
    destinations: &[Destination],
    room: u32,
    packets: &[DecryptedPacket],
    sender: &mut Sender<'_>,
) {
    for packet in packets {
        for to in room_of(packet.from, room, destinations).filter(|to| *to != packet.from) {
            forward(packet, to, &destinations[to as usize], sender);
        }
    }
}

/// Forwards to each client all packets of the others.
fn by_destination(
    destinations: &[Destination],
    room: u32,
    packets: &[DecryptedPacket],
    sender: &mut Sender<'_>,
) {
    let mut rooms: Vec<u32> = packets.iter().map(|packet| packet.from / room).collect();
    rooms.sort_unstable();
    rooms.dedup();
    for number in rooms {
        let inside = |packet: &&DecryptedPacket| packet.from / room == number;
        for to in room_of(number * room, room, destinations) {
            let packets = packets.iter().filter(inside);
            for packet in packets.filter(|packet| packet.from != to) {
                forward(packet, to, &destinations[to as usize], sender);
            }
        }
    }
}

/// Forwards one packet to one client.
fn forward(packet: &DecryptedPacket, to: u32, destination: &Destination, sender: &mut Sender<'_>) {
    let header = Header {
        seq: packet.header.seq.wrapping_add(to as u16 & 0xff),
        time: packet.header.time.wrapping_add(to),
        ssrc: packet.header.ssrc ^ to << 12,
        ..packet.header
    };
    let length = packet.bytes.len();
    let buffer = sender.reserve(destination.address, length + TAG_BYTES);
    buffer[..length].copy_from_slice(&packet.bytes);
    header.write(buffer);
    destination.down.protect(buffer, header.length);
    sender.commit();
}
