//! The three ways to send of the baseline forwarder.

use super::forwarder::Variant;
use quinn_udp::{Transmit, UdpSocketState};
use rustix::net::{
    MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, addr::SocketAddrArg, sendmmsg,
};
use std::{
    io::IoSlice,
    net::{SocketAddr, UdpSocket},
};

/// Packets per `sendmmsg`.
const BATCH: usize = 32;
/// Largest number of GSO segments; the kernel allows 64 to 128.
const SEGMENTS: usize = 32;
/// Largest GSO send, in bytes, below the limit of the UDP length field.
const LARGEST: usize = 65_000;

/// Collects packets and sends them.
pub struct Sender<'a> {
    socket: &'a UdpSocket,
    /// Kernel features of the socket (GSO).
    state: &'a UdpSocketState,
    /// How to send.
    variant: Variant,
    /// The collected packets, back to back.
    bytes: Vec<u8>,
    /// Start and destination of each packet.
    packets: Vec<(usize, SocketAddr)>,
}

impl<'a> Sender<'a> {
    /// A sender without packets.
    pub fn new(socket: &'a UdpSocket, state: &'a UdpSocketState, variant: Variant) -> Self {
        Self {
            socket,
            state,
            variant,
            bytes: Vec::with_capacity(LARGEST),
            packets: Vec::with_capacity(BATCH),
        }
    }

    /// Reserves a buffer for a packet; call [`Self::commit`] when it is filled.
    pub fn reserve(&mut self, to: SocketAddr, length: usize) -> &mut [u8] {
        if !self.can_append(to, length) {
            self.flush();
        }
        let start = self.bytes.len();
        self.packets.push((start, to));
        self.bytes.resize(start + length, 0);
        &mut self.bytes[start..]
    }

    /// Whether a packet can be sent together with the collected ones.
    fn can_append(&self, to: SocketAddr, length: usize) -> bool {
        let Some((last, their)) = self.packets.last() else {
            return true;
        };
        match self.variant {
            Variant::Sendto => false,
            Variant::Sendmmsg => self.packets.len() < BATCH,
            // All segments have one size; the last may be shorter.
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

    /// Size of the first packet, in bytes.
    fn segment(&self) -> usize {
        let second = self.packets.get(1).map(|(start, _)| *start);
        second.unwrap_or(self.bytes.len())
    }

    /// Marks the reserved packet as filled.
    pub fn commit(&mut self) {
        if self.variant == Variant::Sendto {
            self.flush();
        }
    }

    /// Sends the collected packets. Packets for which the kernel has no room are lost.
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

    /// Sends the collected packets in one system call.
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
