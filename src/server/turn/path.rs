//! Who a client is, and how it is written to.

use super::stats::Stats;
use bytes::Bytes;
use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};
use tokio::sync::mpsc;

/// What carries a client's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A datagram a frame.
    Udp,
    /// Frames one after the other.
    Tcp,
    /// The same, encrypted.
    Tls,
}

impl Transport {
    /// Whether frames follow each other in a stream: ChannelData is padded then.
    pub fn is_stream(self) -> bool {
        self != Self::Udp
    }
}

/// A client: what RFC 8656 calls the 5-tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// What carries it. There is one listener for each.
    pub transport: Transport,
    /// Its address, an IPv4 one in its own form.
    pub source: SocketAddr,
    /// Tells connections apart that come from the same address one after the other. 0: UDP.
    pub connection: u64,
}

/// The way to a client; never blocks, and needs no runtime around it.
#[derive(Clone)]
pub enum Path {
    /// A socket and the address as the socket spells it.
    Udp(Arc<UdpSocket>, SocketAddr),
    /// The queue of a connection's writer.
    Stream(mpsc::Sender<Bytes>),
}

impl Path {
    /// Sends a frame, or drops it where there is no place: answers which.
    pub fn send(&self, frame: Bytes) -> bool {
        match self {
            Self::Udp(socket, address) => socket.send_to(&frame, address).is_ok(),
            Self::Stream(queue) => queue.try_send(frame).is_ok(),
        }
    }

    /// Sends a frame and counts it when it is lost.
    pub fn send_counted(&self, frame: Bytes, stats: &Stats) -> bool {
        let sent = self.send(frame);
        if !sent {
            stats.lost(super::stats::Loss::QueueFull);
        }
        sent
    }
}
