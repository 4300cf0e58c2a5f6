//! The bare forwarder: what a machine could do at most.
//!
//! One thread takes in packets, opens each once, and for every other client of the sender's
//! room copies it, gives it another number, time and stream, protects it with that client's
//! key and sends it. There is no ICE, no DTLS, no RTCP, no retransmission and no decision:
//! whoever comes close to it wastes little. The three [`Variant`]s differ in how they send.

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

/// The largest datagram, or several joined ones, in bytes.
const LARGEST: usize = 65_536;

/// What the kernel may hold, each way, in bytes.
const BUFFER_BYTES: usize = 8 << 20;

/// How packets are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// One system call for each.
    Sendto,
    /// One for 32.
    Sendmmsg,
    /// One for all that go to the same client and are equally long.
    Gso,
}

impl Variant {
    /// What it is called on a command line.
    pub fn cli_name(self) -> &'static str {
        match self {
            Self::Sendto => "sendto",
            Self::Sendmmsg => "sendmmsg",
            Self::Gso => "gso",
        }
    }
}

/// Everything it has to know beforehand.
#[derive(Debug, Args)]
pub struct Settings {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Clients.
    #[arg(long)]
    clients: u32,
    /// Clients of a room.
    #[arg(long)]
    room: u32,
    /// Ports of the clients' sockets.
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// How it sends.
    #[arg(long, value_enum)]
    variant: Variant,
    /// How packets are protected.
    #[arg(long, value_enum, default_value = "aes256")]
    profile: Profile,
}

/// A client.
struct Destination {
    /// Where its datagrams go.
    address: SocketAddr,
    /// The key of what it sends.
    up: Srtp,
    /// The key of what it gets.
    down: Srtp,
}

/// A packet that was opened.
struct DecryptedPacket {
    /// Header and payload.
    bytes: Vec<u8>,
    /// What the header says.
    header: Header,
    /// Who sent it.
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
    // Whoever started this waits for it by TCP, as for every server.
    let _ready = TcpListener::bind(settings.listen).context("the listener")?;
    let state = UdpSocketState::new((&socket).into())?;
    // As the servers that are compared ask for; less works, too.
    let _ = state.set_recv_buffer_size((&socket).into(), BUFFER_BYTES);
    let _ = state.set_send_buffer_size((&socket).into(), BUFFER_BYTES);
    let mut buffers = vec![vec![0; LARGEST]; BATCH_SIZE];
    let mut opened = Vec::new();
    let mut sender = Sender::new(&socket, &state, settings.variant);
    loop {
        receive(&socket, &state, &mut buffers, &destinations, &mut opened)?;
        match settings.variant {
            // Destination by destination: what goes to one may go together.
            Variant::Gso => by_destination(&destinations, settings.room, &opened, &mut sender),
            _ => by_packet(&destinations, settings.room, &opened, &mut sender),
        }
        sender.flush();
        opened.clear();
    }
}

/// Takes in what there is, waiting for the first.
fn receive(
    socket: &UdpSocket,
    state: &UdpSocketState,
    buffers: &mut [Vec<u8>],
    destinations: &[Destination],
    opened: &mut Vec<DecryptedPacket>,
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
        // A client that has gone; the next datagram is another's.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
        Err(error) => return Err(error).context("reading the socket"),
    };
    for (buffer, meta) in buffers.iter_mut().zip(&metas).take(count) {
        let Some(from) = client_index(meta.addr.ip()) else {
            continue;
        };
        for datagram in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
            opened.extend(open(destinations, from, datagram));
        }
    }
    Ok(())
}

/// Opens a packet.
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

/// The clients in the room of one, as far as there are.
fn room_of(client: u32, room: u32, destinations: &[Destination]) -> std::ops::Range<u32> {
    let first = client / room * room;
    first..(first + room).min(destinations.len() as u32)
}

/// Every packet to everybody else.
fn by_packet(
    destinations: &[Destination],
    room: u32,
    opened: &[DecryptedPacket],
    sender: &mut Sender<'_>,
) {
    for packet in opened {
        for to in room_of(packet.from, room, destinations).filter(|to| *to != packet.from) {
            forward(packet, to, &destinations[to as usize], sender);
        }
    }
}

/// To everybody all packets of the others.
fn by_destination(
    destinations: &[Destination],
    room: u32,
    opened: &[DecryptedPacket],
    sender: &mut Sender<'_>,
) {
    let mut rooms: Vec<u32> = opened.iter().map(|packet| packet.from / room).collect();
    rooms.sort_unstable();
    rooms.dedup();
    for number in rooms {
        let inside = |packet: &&DecryptedPacket| packet.from / room == number;
        for to in room_of(number * room, room, destinations) {
            let packets = opened.iter().filter(inside);
            for packet in packets.filter(|packet| packet.from != to) {
                forward(packet, to, &destinations[to as usize], sender);
            }
        }
    }
}

/// One packet to one client.
fn forward(packet: &DecryptedPacket, to: u32, destination: &Destination, sender: &mut Sender<'_>) {
    let header = Header {
        seq: packet.header.seq.wrapping_add(to as u16 & 0xff),
        time: packet.header.time.wrapping_add(to),
        ssrc: packet.header.ssrc ^ to << 12,
        ..packet.header
    };
    let length = packet.bytes.len();
    let room = sender.room(destination.address, length + TAG_BYTES);
    room[..length].copy_from_slice(&packet.bytes);
    header.write(room);
    destination.down.protect(room, header.length);
    sender.written();
}
