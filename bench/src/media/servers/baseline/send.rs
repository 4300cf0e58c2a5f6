//! The three ways out of the bare forwarder.

use super::forwarder::Variant;
use quinn_udp::{Transmit, UdpSocketState};
use rustix::net::{
    MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, addr::SocketAddrArg, sendmmsg,
};
use std::{
    io::IoSlice,
    net::{SocketAddr, UdpSocket},
};

/// Packets of one `sendmmsg`.
const BATCH: usize = 32;
/// Segments of one datagram at most; the kernel takes 64 to 128.
const SEGMENTS: usize = 32;
/// Bytes of one datagram at most, which is what UDP can say.
const LARGEST: usize = 65_000;

/// Gathers packets and sends them.
pub struct Sender<'a> {
    /// The socket.
    socket: &'a UdpSocket,
    /// What the kernel does for it.
    state: &'a UdpSocketState,
    /// How it sends.
    variant: Variant,
    /// Gathered packets, one behind the other.
    bytes: Vec<u8>,
    /// Where each begins and goes.
    packets: Vec<(usize, SocketAddr)>,
}

impl<'a> Sender<'a> {
    /// Nothing gathered.
    pub fn new(socket: &'a UdpSocket, state: &'a UdpSocketState, variant: Variant) -> Self {
        Self {
            socket,
            state,
            variant,
            bytes: Vec::with_capacity(LARGEST),
            packets: Vec::with_capacity(BATCH),
        }
    }

    /// Room for a packet to somebody; say [`Self::written`] when it is filled.
    pub fn room(&mut self, to: SocketAddr, length: usize) -> &mut [u8] {
        if !self.joins(to, length) {
            self.flush();
        }
        let start = self.bytes.len();
        self.packets.push((start, to));
        self.bytes.resize(start + length, 0);
        &mut self.bytes[start..]
    }

    /// Whether a packet may go with those gathered.
    fn joins(&self, to: SocketAddr, length: usize) -> bool {
        let Some((last, their)) = self.packets.last() else {
            return true;
        };
        match self.variant {
            Variant::Sendto => false,
            Variant::Sendmmsg => self.packets.len() < BATCH,
            // Equally long all, but the last may be shorter.
            Variant::Gso => {
                let segment = self.segment();
                *their == to
                    && length <= segment
                    && self.bytes.len() - last == segment
                    && self.packets.len() < SEGMENTS
                    && self.bytes.len() + length <= LARGEST
            }
        }
    }

    /// How long the first packet is.
    fn segment(&self) -> usize {
        let second = self.packets.get(1).map(|(start, _)| *start);
        second.unwrap_or(self.bytes.len())
    }

    /// A packet is filled.
    pub fn written(&mut self) {
        if self.variant == Variant::Sendto {
            self.flush();
        }
    }

    /// Sends what is gathered. EventKind the kernel has no room for is lost.
    pub fn flush(&mut self) {
        let Some((_, to)) = self.packets.first() else {
            return;
        };
        match self.variant {
            Variant::Sendto => {
                let _ = self.socket.send_to(&self.bytes, to);
            }
            Variant::Sendmmsg => self.send_many(),
            Variant::Gso => {
                let segment = self.segment();
                let transmit = Transmit {
                    destination: *to,
                    ecn: None,
                    contents: &self.bytes,
                    segment_size: (self.packets.len() > 1).then_some(segment),
                    src_ip: None,
                };
                let _ = self.state.try_send(self.socket.into(), &transmit);
            }
        }
        self.bytes.clear();
        self.packets.clear();
    }

    /// Sends what is gathered in one system call.
    fn send_many(&self) {
        let ends = self.packets.iter().skip(1).map(|(start, _)| *start);
        let ends = ends.chain([self.bytes.len()]);
        let slices: Vec<_> = self
            .packets
            .iter()
            .zip(ends)
            .map(|((start, _), end)| [IoSlice::new(&self.bytes[*start..end])])
            .collect();
        let addresses: Vec<SocketAddrAny> =
            self.packets.iter().map(|(_, to)| to.as_any()).collect();
        let mut nothings: Vec<_> = (0..BATCH).map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<_> = slices
            .iter()
            .zip(&addresses)
            .zip(&mut nothings)
            .map(|((slice, to), nothing)| MMsgHdr::new_with_addr(to, slice, nothing))
            .collect();
        let _ = sendmmsg(self.socket, &mut messages, SendFlags::empty());
    }
}
